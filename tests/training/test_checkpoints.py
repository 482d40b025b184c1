"""A killed run finds everything as it was."""

import os
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_unet3d.errors import WorkError
from keras_unet3d.training.checkpoints import Checkpoints, RunState


def parts(folder, channels=1):
    inputs = keras.Input((4, channels))
    model = keras.Model(inputs, keras.layers.BatchNormalization()(keras.layers.Dense(3)(inputs)))
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    return model, optimizer, Checkpoints(folder / "checkpoints", model, optimizer)


def fill(variables, value):
    for number, variable in enumerate(variables):
        variable.assign(np.full(variable.shape, value + number))


def values(variables):
    return [variable.numpy() for variable in variables]


def assert_filled(variables, value):
    for number, variable in enumerate(variables):
        assert (variable.numpy() == value + number).all(), variable.path


@pytest.fixture
def saved(tmp_path):
    """State 7, saved."""
    model, optimizer, checkpoints = parts(tmp_path)
    fill([*model.variables, *optimizer.variables], 7)
    state = RunState(step=7, seconds=1.5, best_score=0.25, best_step=3, validations=[{"step": 3, "mean_iou": 0.25}])
    checkpoints.save(state)
    return model, optimizer, checkpoints, state


def test_everything_is_restored(tmp_path, saved):
    model, optimizer, checkpoints = parts(tmp_path)
    assert checkpoints.resume() == saved[3]
    assert_filled([*model.variables, *optimizer.variables], 7)
    assert checkpoints.saved_step == 7


def test_a_new_run_begins_at_step_0(tmp_path):
    model, _, checkpoints = parts(tmp_path)
    before = values(model.variables)
    assert checkpoints.resume() == RunState()
    assert checkpoints.saved_step is None
    for now, then in zip(values(model.variables), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_save_that_was_cut_off_leaves_the_state_before(tmp_path, saved):
    """TensorFlow writes the data, then the index, then the name of the newest: all but the last may lie there."""
    folder = tmp_path / "checkpoints" / "last"
    for file in [*folder.glob("ckpt-1.*")]:
        (folder / file.name.replace("ckpt-1", "ckpt-2")).write_bytes(file.read_bytes()[:50])
    model, _, checkpoints = parts(tmp_path)
    assert checkpoints.resume().step == 7
    assert_filled(model.variables, 7)
    checkpoints.save(RunState(step=8))  # over what was cut off
    assert parts(tmp_path)[2].resume().step == 8


def test_files_that_hold_the_present_state_are_never_written_over(tmp_path, saved):
    """Also where the same step is saved again, after a resume too."""
    folder = tmp_path / "checkpoints" / "last"
    names = set()
    for _ in range(3):
        _, _, checkpoints = parts(tmp_path)
        state = checkpoints.resume()
        present = {file.name for file in folder.glob("ckpt-*")}
        assert not names & present
        names |= present
        checkpoints.save(state)
    assert len(list(folder.glob("*.index"))) == 1  # and the one before is removed


def test_the_best_weights_come_back_and_the_optimizer_stays(tmp_path, saved):
    model, optimizer, checkpoints, _ = saved
    checkpoints.save_best()
    fill([*model.variables, *optimizer.variables], 90)
    checkpoints.restore_best()
    assert_filled(model.variables, 7)
    assert_filled(optimizer.variables, 90 + len(model.variables))
    fill(model.variables, 30)
    checkpoints.save_best()
    model_again, _, checkpoints_again = parts(tmp_path)
    checkpoints_again.resume()
    assert_filled(model_again.variables, 7)
    checkpoints_again.restore_best()
    assert_filled(model_again.variables, 30)


def test_without_a_best_the_weights_stay(saved):
    model, _, checkpoints, _ = saved
    checkpoints.restore_best()
    assert_filled(model.variables, 7)


def test_damaged_files_and_another_network_are_one_sentence(tmp_path, saved):
    with pytest.raises(WorkError, match="Remove the run's folder"):
        parts(tmp_path, channels=2)[2].resume()
    (data,) = (tmp_path / "checkpoints" / "last").glob("*.data*")
    data.write_bytes(data.read_bytes()[:-20])
    with pytest.raises(WorkError, match="it is damaged") as caught:
        parts(tmp_path)[2].resume()
    assert str(tmp_path) in str(caught.value)


SAVES_UNTIL_KILLED = """
import itertools, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_checkpoints import RunState, fill, parts
model, optimizer, checkpoints = parts(Path(sys.argv[1]))
for step in itertools.count(1):
    fill([*model.variables, *optimizer.variables], step)
    checkpoints.save(RunState(step=step))
    print(step, flush=True)
"""


def test_a_kill_at_any_moment_leaves_one_whole_state(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", SAVES_UNTIL_KILLED, str(tmp_path), os.path.dirname(__file__)],  # noqa: PTH120
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stdout:
            if int(line) == 20:
                process.send_signal(signal.SIGKILL)
    model, optimizer, checkpoints = parts(tmp_path)
    state = checkpoints.resume()
    assert state.step >= 20
    assert_filled([*model.variables, *optimizer.variables], state.step)
