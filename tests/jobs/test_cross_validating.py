"""Every case is scored by a network that has not seen it, whatever interrupts the work."""

import csv
import json
import signal

import numpy as np
import pytest

import keras_unet3d as unet3d
from keras_unet3d.jobs import cross_validating
from keras_unet3d.jobs.cross_validating import _minutes
from keras_unet3d.metrics import Overlap
from keras_unet3d.training.listener import Quiet
from keras_unet3d.training.settings import read_settings

pytestmark = pytest.mark.slow

NAMES = ("a", "b", "c", "d", "e")
TINY = {
    "steps": 3,
    "seed": 7,
    "tile": "x=8 y=8 z=8",
    "batch_size": 1,
    "network.filters": 2,
    "network.depth": 1,
    "network.padding": "same",
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Bright balls, labelled in every third slice of z."""
    folder = tmp_path_factory.mktemp("balls")
    z, y, x = np.ogrid[:12, :14, :16]
    for number, name in enumerate(NAMES):
        ball = (z - 6) ** 2 + (y - 6 - number % 3) ** 2 + (x - 8) ** 2 < 20 + 4 * number
        image = 300 * ball + np.random.default_rng(number).normal(1000, 100, ball.shape)
        labels = np.full(ball.shape, 9, np.uint8)
        labels[::3] = 5 * ball[::3]
        grid = unet3d.Grid(ball.shape)
        unet3d.write_image(folder / f"{name}.nii.gz", unet3d.Volume(image.astype(np.float32)[..., None], grid))
        unet3d.write_labels(folder / f"{name}_labels.nii.gz", unet3d.Volume(labels, grid))
    images, labels = ([folder / f"{name}{end}.nii.gz" for name in NAMES] for end in ("", "_labels"))
    return unet3d.dataset_from_pairs(images, labels)


class Watching(Quiet):
    """Notes what is said; presses Ctrl-C once, after the first step of all."""

    def __init__(self):
        self.said, self.pressed = [], False

    def say(self, text):
        self.said.append(text)

    def step(self, report):
        if not self.pressed:
            self.pressed = True
            signal.raise_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def interrupted_twice(dataset, tmp_path_factory):
    """Interrupted in fold 1, failed in fold 2, and done by the third call; with what each training was given."""
    folder, trainings, train = tmp_path_factory.mktemp("runs"), [], cross_validating.train

    def watched(plan, volumes, held_out, circumstances):
        trainings.append((circumstances.folder.name, [each.name for each in volumes], held_out, plan.settings.seed))
        if len(trainings) == 3:
            raise unet3d.WorkError("the power is gone")
        return train(plan, volumes, held_out, circumstances)

    watching = Watching()

    def call():
        return unet3d.cross_validate(
            dataset,
            read_settings(None, TINY),
            folds=2,
            meaning=unet3d.Meaning(unlabeled=9),
            models=folder / "models",
            runs=folder / "runs",
            listener=watching,
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cross_validating, "train", watched)
        with pytest.raises(KeyboardInterrupt) as interrupted:
            call()
        assert interrupted.value.__notes__ == ["Fold 1 of 2 is unfinished. The same command continues there."]
        with pytest.raises(unet3d.WorkError, match="power"):
            call()
        return call(), trainings, watching.said


def test_what_is_left_out_is_never_learned_from_nor_validated_on(interrupted_twice):
    found, trainings, _ = interrupted_twice
    left_out = {f"fold_{fold}": {case.name for case in found.scores.cases if case.fold == fold} for fold in (1, 2)}
    assert sorted(map(len, left_out.values())) == [2, 3]
    assert set.union(*left_out.values()) == set(NAMES)
    for folder, learned, held_out, seed in trainings:
        assert set(learned) == set(NAMES) - left_out[folder]
        assert held_out == ()
        assert seed == {"fold_1": 7, "fold_2": 8}[folder]


def test_the_same_call_continues_and_repeats_no_fold_that_is_done(interrupted_twice):
    found, trainings, said = interrupted_twice
    assert [folder for folder, *_ in trainings] == ["fold_1", "fold_1", "fold_2", "fold_2"]
    assert found.run.name == "1"
    assert found.steps == 6
    assert any(text.startswith("Continuing at step 1,") for text in said)
    assert said.count("Fold 1 of 2 is done already.") == 1


def test_scores_are_those_of_segmenting_with_the_network_of_the_fold(interrupted_twice, dataset):
    """The network of each fold is a member of the model: its probabilities give the labels that were scored."""
    import keras

    found, *_ = interrupted_twice
    for case in found.scores.cases:
        network = keras.models.load_model(found.run / f"fold_{case.fold}" / "model.keras")
        files = dataset.cases[NAMES.index(case.name)]
        image, labels = unet3d.read_image(files.images).voxels, unet3d.read_labels(files.labels).voxels
        tile = ((image - image.mean()) / image.std()).astype(np.float32)
        predicted = np.asarray(network(tile[None], training=False))[0].argmax(-1)
        truth = np.select([labels == 0, labels == 5], [0, 1], -1)
        assert np.abs(case.overlap.matrix - Overlap.of(truth, predicted, 2).matrix).sum() <= 2  # to rounding
        assert case.scores.voxels == 4 * 14 * 16


def test_the_model_is_the_mean_of_all_folds(interrupted_twice, dataset):
    import keras

    found, *_ = interrupted_twice
    model = unet3d.load_model(found.model)
    assert model.description.members == 2
    image = unet3d.read_image(dataset.cases[0].images).voxels[:8, :8, :8][None]
    intensity = np.array([[[1000, 150]]], np.float32)
    of_fold = [
        keras.ops.softmax(keras.models.load_model(found.run / f"fold_{fold}" / "model.keras")((image - 1000) / 150))
        for fold in (1, 2)
    ]
    np.testing.assert_allclose(model.probabilities(image, intensity), np.mean(of_fold, axis=0), atol=1e-5)


def test_the_scores_are_in_the_run_and_in_the_model(interrupted_twice):
    found, *_ = interrupted_twice
    plain = json.loads((found.run / "cross_validation.json").read_text(encoding="utf-8"))
    assert plain == json.loads(json.dumps(found.scores.as_json()))
    rows = list(csv.DictReader((found.run / "cross_validation.csv").open(encoding="utf-8")))
    assert [row["case"] for row in rows] == [case.name for case in found.scores.cases]
    training = unet3d.load_model(found.model).description.training
    assert training["cross_validation"]["mean"]["dice"]["cases"] == 5
    page = found.report.read_text(encoding="utf-8")
    assert "Each case was scored by the one network of the model that did not learn from it." in page
    for number in range(1, len(training["curves_of_folds"]) + 1):
        assert f"</i>fold {number}</span>" in page
    shown = [
        page.index(f'<th scope="row">{case.name}</th>', page.index("Cases, worst first</h2>"))
        for case in found.scores.cases
    ]
    assert shown == sorted(shown)
    assert training["cross_validation"]["mean"]["dice"]["mean"] == pytest.approx(found.scores.mean_dice.mean)
    assert training["steps"] == 6


def test_minutes_are_those_of_everything(dataset):
    settings = read_settings(None, TINY | {"steps": None, "minutes": 60, "network.filters": None})
    plan = unet3d.plan_cross_validation(dataset, settings, meaning=unet3d.Meaning(unlabeled=9))
    assert (plan.minutes, plan.settings.minutes) == (60, 60)
    assert plan.fit.settings.minutes == pytest.approx(
        0.9 * (60 - 5 / 3) / 5
    )  # 100 s for the export, a tenth for scoring
    assert plan.fit.settings.hold_out == "nothing"
    assert sorted(name for names in plan.left_out for name in names) == list(NAMES)


def test_each_fold_has_the_same_time_and_some_is_left_for_scoring_and_export():
    """Of 10 minutes a tenth is for the export, of 60 it is 20 s for each network."""
    assert _minutes(10, 5) == pytest.approx(0.9 * 9 / 5)
    assert _minutes(60, 5) == pytest.approx(0.9 * (60 - 5 * 20 / 60) / 5)


@pytest.mark.parametrize(
    ("changes", "folds", "told"),
    [
        ({}, 1, "2 folds or more"),
        ({}, 6, "up to the number of cases with labels, 5. Received: 6"),
        ({"hold_out": "cases"}, 2, "hold_out = 'cases' and folds exclude each other"),
    ],
)
def test_what_cannot_be_done_is_refused_before_it_begins(dataset, tmp_path, changes, folds, told):
    with pytest.raises(unet3d.InputError, match=told):
        unet3d.cross_validate(
            dataset,
            read_settings(None, TINY | changes),
            folds=folds,
            meaning=unet3d.Meaning(unlabeled=9),
            models=tmp_path / "models",
            runs=tmp_path / "runs",
        )
    assert list(tmp_path.iterdir()) == []


def test_several_workers_do_not_share_folds(dataset, tmp_path, monkeypatch):
    workers = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(workers))
    with pytest.raises(unet3d.InputError, match="one worker"):
        unet3d.cross_validate(dataset, read_settings(None, TINY | {"batch_size": 2}), folds=2, runs=tmp_path / "runs")
    assert list(tmp_path.iterdir()) == []
