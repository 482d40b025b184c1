"""Trainings that end early, one way or the other."""

import signal

import numpy as np
import pytest

pytestmark = pytest.mark.slow


def weights(folder):
    import keras

    return keras.models.load_model(folder / "model.keras").get_weights()


def test_ctrl_c_ends_early_and_exports(user, tiny):
    status, out, err = user.stop_in_training(
        "fit", "kidneys", "--minutes", "0.8", *tiny, "--name", "stopped", by=signal.SIGINT
    )
    assert status == 0, err
    assert "Interrupted: ending early" in err
    assert "models/stopped/1" in out
    assert (user.folder / "models/stopped/1/saved_model.pb").is_file()


def test_a_killed_training_continues_to_the_same_weights_bit_for_bit(user, tiny):
    command = ("fit", "kidneys", "--steps", "20", *tiny, "--models", "elsewhere")
    user.run(*command, "--runs", "whole", "--quiet")
    status, _, _ = user.stop_in_training(*command, "--runs", "killed", by=signal.SIGKILL)
    assert status == -signal.SIGKILL
    assert not (user.folder / "killed/unet3d/1/model.keras").exists()
    _, err = user.run(*command, "--runs", "killed")
    assert "Continuing at step " in err
    assert sorted(path.name for path in (user.folder / "killed/unet3d").iterdir()) == ["1"]
    for whole, resumed in zip(
        weights(user.folder / "whole/unet3d/1"), weights(user.folder / "killed/unet3d/1"), strict=True
    ):
        np.testing.assert_array_equal(whole, resumed)


def test_ctrl_c_while_nothing_can_be_kept_is_one_line_and_130(user):
    running = user.start("phantom", "large", "--size", "x=64 y=64 z=32", "--volumes", "99")
    for line in running.stderr:
        if "kidney_1" in line:
            break
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert err.strip().splitlines()[-1] == "Interrupted."
    assert "Traceback" not in err
    assert not [path.name for path in user.folder.iterdir() if "large" in path.name]
