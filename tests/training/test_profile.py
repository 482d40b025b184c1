"""A profile of some steps lies where TensorBoard looks for it."""

import pytest
import tensorflow as tf

from keras_unet3d.training.profile import FIRST, STEPS, Profile


def profiles(folder):
    return list(folder.rglob("*.xplane.pb"))


def steps(profile, count):
    with profile:
        for number in range(count):
            with profile.step(number):
                tf.reduce_sum(tf.ones(10))


def test_some_steps_are_profiled_once_the_run_is_on_its_way(tmp_path):
    steps(Profile(tmp_path), FIRST + STEPS + 3)
    (file,) = profiles(tmp_path / "tensorboard")
    assert b"train" in file.read_bytes()


def test_a_run_that_ends_meanwhile_leaves_its_profile(tmp_path):
    steps(Profile(tmp_path), FIRST + 1)
    assert len(profiles(tmp_path)) == 1


def test_where_another_profiler_runs_the_training_goes_on(tmp_path):
    tf.profiler.experimental.start(str(tmp_path / "other"))
    try:
        with pytest.warns(UserWarning, match="No profile is written"):
            steps(Profile(tmp_path / "ours"), FIRST + STEPS + 1)
    finally:
        tf.profiler.experimental.stop()
    assert not (tmp_path / "ours").exists()


def test_nobody_asked(tmp_path):
    steps(Profile(None), FIRST + 1)
    assert list(tmp_path.iterdir()) == []
