"""What a progress line shows is that of the last steps."""

import numpy as np
import pytest
import tensorflow as tf

from keras_unet3d.training import recent
from keras_unet3d.training.recent import STEPS, RecentSteps
from keras_unet3d.training.step import StepResult


def result(loss, confusion=((1, 0), (0, 1))):
    return StepResult(tf.constant(loss), tf.constant(2 * loss), tf.constant(confusion, tf.int64))


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when told to."""
    now = [100.0]
    monkeypatch.setattr(recent.time, "monotonic", lambda: now[0])
    return now


def test_only_the_last_steps_count(clock):
    steps = RecentSteps()
    for number in range(STEPS + 10):
        steps.add(number + 1, result(float(number), ((1, 0), (0, number))))
    steps.settle()
    assert steps.last_step == STEPS + 10
    assert steps.loss == pytest.approx(np.mean(range(10, STEPS + 10)))
    assert (steps.last_loss, steps.last_gradient_norm) == (STEPS + 9, 2 * (STEPS + 9))
    np.testing.assert_array_equal(steps.overlap.matrix, [[STEPS, 0], [0, sum(range(10, STEPS + 10))]])


def test_the_first_step_which_traces_the_graph_does_not_slow_the_rate(clock):
    steps = RecentSteps()
    clock[0] += 60
    steps.add(1, result(1.0), waited=30)
    assert (steps.steps_per_second, steps.waiting) == (0, 0)
    for number in range(3):
        clock[0] += 0.5
        steps.add(number + 2, result(1.0), waited=0.1)
    assert steps.steps_per_second == pytest.approx(2)
    assert steps.waiting == pytest.approx(0.2)


def test_the_step_that_is_being_computed_is_not_waited_for(clock):
    """But the first, which everyone wants to see."""

    class Computing:
        def __getattr__(self, name):
            raise AssertionError(f"{name} was looked at")

    steps = RecentSteps()
    steps.add(1, result(4.0))
    steps.add(2, result(2.0))
    steps.add(3, Computing())
    assert (steps.last_step, steps.last_loss, steps.loss) == (2, 2.0, 3.0)
    with pytest.raises(AssertionError):
        steps.settle()


def test_the_share_that_is_waited_is_that_of_the_last_steps(clock):
    steps = RecentSteps()
    for number in range(3 * STEPS):
        clock[0] += 1
        steps.add(number + 1, result(1.0), waited=1.0 if number < STEPS else 0.25)
    assert steps.waiting == pytest.approx(0.25)
