"""Whole trainings, tiny: they learn, resume bit for bit, end early, and leave the best weights."""

import json
import os
import signal
import time

import numpy as np
import pytest
import tensorflow as tf

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.errors import WorkError
from keras_unet3d.inference.network_predictor import NetworkPredictor
from keras_unet3d.metrics.overlap import Overlap
from keras_unet3d.metrics.precision_recall import PrecisionRecall
from keras_unet3d.network.statistics import with_current_statistics
from keras_unet3d.training import augmentation_place
from keras_unet3d.training import validation as validation_module
from keras_unet3d.training.budget import Budget
from keras_unet3d.training.checkpoints import Checkpoints, RunState
from keras_unet3d.training.crew import Crew
from keras_unet3d.training.curves import read_curves
from keras_unet3d.training.listener import Quiet
from keras_unet3d.training.model import build_network
from keras_unet3d.training.moments import MomentCollector
from keras_unet3d.training.pipeline import TrainingBatches, moment_images
from keras_unet3d.training.step import build_optimizer
from keras_unet3d.training.tile_images import TileInputs
from keras_unet3d.training.trainer import Circumstances, Training
from keras_unet3d.training.validation import Validation, Validator, validate
from keras_unet3d.volumes.intensity import Intensities

SCHEME = LabelScheme((0, 1), ("background", "ball"))


class Notes(Quiet):
    """Writes down what a training tells."""

    def __init__(self):
        self.losses, self.sayings, self.validated_at = [], [], []

    def say(self, text):
        self.sayings.append(text)

    def step(self, report):
        self.losses.append(report.loss)

    def validated(self, step, overlap):
        self.validated_at.append(step)


@pytest.fixture
def training(tmp_path, bright_ball):
    """Build a training on one ball that validates on another."""

    def build(settings, *, listener=None, held_out=True, start=None, name="run", has_gpu=False):
        validation = [bright_ball(seed=1)] if held_out else []
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        return Training(
            settings,
            [bright_ball()],
            validation,
            SCHEME,
            (1.0, 1.0),
            Circumstances(folder, listener or Notes(), start, Crew(has_gpu=has_gpu)),
        )

    return build


RESUMES = """
import json, sys
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[2])
from keras_unet3d.training.runtime import prepare_runtime
prepare_runtime()
from conftest import tiny_ball, tiny_settings
from test_trainer import SCHEME, Notes
from keras_unet3d.training.trainer import Circumstances, Training

settings = tiny_settings({"steps": 6, "batch_size": 2, **json.loads(sys.argv[3])})

class Dies(Notes):
    def step(self, report):
        super().step(report)
        if report.step == 4:
            raise KeyboardInterrupt

def train(name, listener):
    folder = Path(sys.argv[1]) / name
    folder.mkdir(exist_ok=True)
    where = Circumstances(folder, listener)
    training = Training(settings, [tiny_ball()], [tiny_ball(seed=1)], SCHEME, (1.0, 1.0), where)
    trained = training.run()
    optimizer = [variable.numpy().tolist() for variable in training._step._optimizer.variables]
    history = [{**each, "seconds": None} for each in trained.state.validations]
    weights = [value.tolist() for value in trained.model.get_weights()]
    print(json.dumps([weights, optimizer, history, trained.state.best_step]))

train("whole", Notes())
try:
    train("resumed", Dies())
except KeyboardInterrupt:
    pass
train("resumed", notes := Notes())
print(json.dumps(notes.sayings))
"""


@pytest.mark.parametrize(
    "changes",
    [{"first_tile": "x=4 y=8 z=8"}, {"recompute": True, "augment_on": "device"}],
    ids=["smaller tiles first", "computed twice, images on the device"],
)
def test_a_run_that_died_ends_bit_for_bit_as_one_that_did_not(tmp_path, run_alone, changes):
    """It dies in step 4 of 6, after the checkpoint of step 3. Repeatable only where TensorFlow has not started yet."""
    printed = run_alone(RESUMES, tmp_path, os.path.dirname(__file__), json.dumps(changes)).splitlines()  # noqa: PTH120
    whole, resumed, sayings = (json.loads(line) for line in printed[-3:])
    assert sayings[0].startswith("Continuing at step 3")
    curves = [read_curves(tmp_path / name) for name in ("whole", "resumed")]
    assert curves[0].validated == curves[1].validated
    assert [point.step for point in curves[1].learned] == [1, 2, 4, 5]  # the last one before a death is lost
    assert [each["step"] for each in whole[2]] == [1, 2, 3, 4, 5, 6]
    for what, ours, theirs in zip(("weights", "optimizer", "validations", "best"), whole, resumed, strict=True):
        assert ours == theirs, what


def test_what_is_easy_is_learned(training, resolved, unchanged, bright_ball):
    notes = Notes()
    settings = resolved(unchanged | {"steps": 30, "tile": "x=16 y=16 z=16", "optimizer.learning_rate": 0.03})
    trained = training(settings, listener=notes).run()
    assert notes.losses[-1] < 0.8 * notes.losses[0]
    assert trained.validation.overlap.mean_iou > 0.9
    assert notes.validated_at == list(range(3, 31, 3))
    assert trained.state.step == 30
    assert {variable.dtype for variable in trained.model.variables} == {"float32"}
    as_validated = NetworkPredictor(trained.model, settings.network.geometry, intensities=Intensities.as_they_are(1))
    found = validate(as_validated, [bright_ball(seed=1)], 2)
    np.testing.assert_array_equal(found.overlap.matrix, trained.validation.overlap.matrix)


def test_an_interrupt_ends_early_and_leaves_a_model(training, resolved, tmp_path):
    class Interrupts(Notes):
        def step(self, report):
            super().step(report)
            if report.step == 3:
                os.kill(os.getpid(), signal.SIGINT)

    usual = signal.getsignal(signal.SIGINT)
    notes = Interrupts()
    trained = training(resolved({"steps": 1000}), listener=notes).run()
    assert signal.getsignal(signal.SIGINT) is usual
    assert trained.state.step == 3
    assert notes.sayings == ["Interrupted: ending early, after 3 steps."]
    assert notes.validated_at == [3]
    assert trained.validation.overlap.voxels > 0
    assert np.isfinite(trained.model(np.zeros((1, 8, 8, 8, 1), np.float32), training=False)).all()


def test_the_best_weights_are_left_and_not_the_last(training, resolved, monkeypatch):
    """The validations are made to score ½, 1, 0: the weights of the second are left."""
    scores = iter([[[1, 1], [0, 1]], [[1, 0], [0, 1]], [[0, 1], [1, 0]]])
    weights = []
    run = training(resolved({"steps": 3}))

    def scripted(predictor, volumes, _filters):
        weights.append(predictor.model.get_weights())
        overlap = Overlap(np.array(next(scores)))
        return Validation((overlap,), PrecisionRecall(2), np.zeros(volumes[0].class_index.shape, np.uint8))

    monkeypatch.setattr(validation_module, "validate", scripted)
    trained = run.run()
    assert trained.state.best_step == 2
    assert trained.validation.overlap.mean_iou == 1
    for kept, second, third in zip(trained.model.get_weights(), *weights[1:], strict=True):
        np.testing.assert_array_equal(kept, second)
        assert not np.array_equal(kept, third)


def test_without_validation_the_last_weights_are_left_with_moments_collected_anew(training, resolved, bright_ball):
    settings = resolved({"steps": 4})
    run = training(settings, held_out=False)
    trained = run.run()
    assert (trained.validation, trained.state.best_step, trained.state.validations) == (None, None, [])
    last = run._model.get_weights()
    for kept, weight in zip(trained.model.get_weights(), last, strict=True):
        np.testing.assert_array_equal(kept, weight)
    MomentCollector(run._model)(moment_images(settings, [bright_ball()]))
    for kept, collected in zip(trained.model.get_weights(), run._model.get_weights(), strict=True):
        np.testing.assert_allclose(kept, collected, rtol=1e-5, atol=1e-6)


def test_a_finished_run_that_was_not_exported_is_finished_without_a_step(training, resolved):
    settings = resolved({"steps": 2})
    first = training(settings).run()
    notes = Notes()
    again = training(settings, listener=notes).run()
    assert notes.losses == []
    assert again.state == first.state
    np.testing.assert_array_equal(again.validation.overlap.matrix, first.validation.overlap.matrix)
    for ours, theirs in zip(again.model.get_weights(), first.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint(training, resolved, tmp_path, monkeypatch):
    """The third step's weights are infinite; the checkpoint of the second is kept."""
    run = training(resolved({"steps": 5}))
    usual = run._step

    def spoiled(batch, rate):
        if run._checkpoints.saved_step == 2:
            run._model.get_layer("logits").bias.assign([np.inf, 0])
        return usual(batch, rate)

    run._step = spoiled
    with pytest.raises(WorkError) as caught:
        run.run()
    text = str(caught.value)
    assert text.startswith("The loss became nan at step 3. The checkpoint of step 2 is kept.")
    assert "optimizer.learning_rate (it was 0.01)." in text
    model = build_network(resolved(), 1, 2, "float32")
    optimizer = build_optimizer(resolved().optimizer, "float32")
    optimizer.build(model.trainable_variables)
    assert Checkpoints(tmp_path / "run" / "checkpoints", model, optimizer).resume().step == 2
    assert all(np.isfinite(value).all() for value in [*model.get_weights(), *(v.numpy() for v in optimizer.variables)])


def test_a_gradient_that_is_no_number_stops_the_run_before_its_weights_are_saved(training, resolved):
    run = training(resolved({"steps": 5}))
    usual = run._step
    run._step = lambda batch, rate: usual(batch, rate)._replace(gradient_norm=tf.constant(np.inf))
    with pytest.raises(WorkError, match=r"The gradient became inf at step 1\. No checkpoint was saved yet\."):
        run.run()


def test_a_model_for_current_statistics_is_validated_with_them(training, resolved, bright_ball):
    settings = resolved({"steps": 1, "network.statistics": "current"})
    trained = training(settings).run()
    current = NetworkPredictor(
        with_current_statistics(trained.model), settings.network.geometry, intensities=Intensities.as_they_are(1)
    )
    found = validate(current, [bright_ball(seed=1)], 2)
    np.testing.assert_array_equal(found.overlap.matrix, trained.validation.overlap.matrix)


def test_minutes_count_from_the_start_of_the_call(training, resolved):
    """Reading took 100 of the 120 seconds, and the run 50 before it was killed: nothing is left, not even a step."""
    minutes = {"steps": None, "minutes": 2.0}
    run = training(resolved(minutes), start=time.monotonic() - 100)
    run._save(RunState(step=1), Budget(2.0, None, start=time.monotonic() - 50))
    notes = Notes()
    trained = training(resolved(minutes), listener=notes, start=time.monotonic() - 100).run()
    assert (trained.state.step, notes.losses, notes.validated_at) == (1, [], [1])
    assert notes.sayings == ["Continuing at step 1, after 0.8 minutes."]
    assert 150 < trained.state.seconds < 200


def test_where_not_even_one_step_is_possible_nothing_is_left(training, resolved):
    settings = resolved({"steps": None, "minutes": 1.0})
    with pytest.raises(WorkError, match=r"ended before its first step, after 1\.[67] minutes: .* more --minutes"):
        training(settings, start=time.monotonic() - 100).run()


def test_time_is_kept_for_the_last_validation(training, resolved, tmp_path):
    """The one so far took 20 of 120 seconds; what came after it would end at 85 = 120 − 15 − 20."""
    settings = resolved({"steps": None, "minutes": 2.0})
    run = training(settings)
    done = {"step": 1, "seconds": 90.0, "mean_iou": 0.5, "mean_dice": 0.5}
    state = RunState(step=1, longest_validation=20.0, seconds_validating=20.0, validations=[done])
    run._save(state, Budget(2.0, None, start=time.monotonic() - 97))
    again = training(settings).run()
    assert again.state.step == 1


def test_time_is_kept_for_the_moments_that_are_collected_last(training, resolved, monkeypatch):
    """Where nothing is held out no validation has shown how long they take: a batch of them is measured first."""
    settings = resolved({"steps": None, "minutes": 2.0, "network.normalization": "batch"})
    run = training(settings, held_out=False)
    assert 0 < run._validator.seconds_of_moments() < 60
    run._save(RunState(step=1), Budget(2.0, None, start=time.monotonic() - 90))
    monkeypatch.setattr(Validator, "seconds_of_moments", lambda _: 20.0)
    assert training(settings, held_out=False).run().state.step == 1


def test_a_step_that_memory_does_not_hold_is_a_sentence(training, resolved):
    run = training(resolved())

    def exhausted(_batch, _rate):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    run._step = exhausted
    with pytest.raises(
        WorkError, match=r"steps of 1 × x=8 y=8 z=8 with 2 filters\. Train with --set recompute=true, a smaller"
    ):
        run.run()


def test_images_move_into_the_step_where_a_gpu_waits_for_them_and_nothing_else_changes(training, resolved, monkeypatch):
    """CPU threads take a quarter of a second more; of the four steps before a decision three are counted."""
    monkeypatch.setattr(augmentation_place, "STEPS", 3)
    usual = TrainingBatches.__next__

    def slow(batches):
        made_on.append(batches.on_device)
        time.sleep(0 if batches.on_device else 0.25)
        return usual(batches)

    monkeypatch.setattr(TrainingBatches, "__next__", slow)
    notes = {}
    for has_gpu, expected in ((False, [False] * 9), (True, [False] * 4 + [True] * 5)):
        made_on, notes[has_gpu] = [], Notes()
        settings = resolved({"steps": 9, "batch_size": 2})
        name = "GPU" if has_gpu else "CPU"
        training(settings, listener=notes[has_gpu], held_out=False, name=name, has_gpu=has_gpu).run()
        assert made_on == expected
    np.testing.assert_allclose(notes[True].losses, notes[False].losses, rtol=1e-4)
    waits, stays = notes[True].sayings
    assert "of the time goes by waiting for training tiles: from now on the GPU makes their images" in waits
    assert stays.endswith("It goes on with them.")
    assert len(notes[False].sayings) == 1


def test_a_gpu_that_fails_while_it_is_tried_stops_nothing(training, resolved, monkeypatch):
    monkeypatch.setattr(augmentation_place, "STEPS", 1)
    monkeypatch.setattr(augmentation_place, "WAITING_SHARE", -1.0)  # it moves after two steps, whatever was waited
    listener = Notes()
    run = training(resolved({"steps": 6}), listener=listener, held_out=False, has_gpu=True)
    usual, on_device = run._step, []

    def fails_with_inputs(batch, rate):
        on_device.append(isinstance(batch[0], TileInputs))
        if on_device[-1]:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor\nand more")
        return usual(batch, rate)

    run._step = fails_with_inputs
    assert run.run().state.step == 6
    assert on_device == [False, False, True, False, False, False, False]
    assert "The GPU cannot make the images of tiles (OOM when allocating tensor). CPU threads" in listener.sayings[1]
