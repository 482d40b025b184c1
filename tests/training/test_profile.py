"""A profile of some steps lies where TensorBoard looks for it."""

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


def test_nobody_asked(tmp_path):
    steps(Profile(None), FIRST + 1)
    assert list(tmp_path.iterdir()) == []
