"""Minutes and steps."""

import pytest

from keras_unet3d.training.budget import Budget


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_minutes_end_before_the_export_does():
    """Of 10 minutes, 15 seconds are kept for writing the model; of one minute, 3 %."""
    clock = Clock()
    ten, one = Budget(10, None, clock=clock), Budget(1, None, clock=clock)
    clock.now += 0.5 * (600 - 15)
    assert ten.progress(step=3) == pytest.approx(0.5)
    assert one.progress(step=3) == pytest.approx(0.5 * 585 / (60 * 0.97))
    assert ten.seconds_left(3, steps_per_second=1.0) == pytest.approx(292.5)


def test_steps_do_not_depend_on_time():
    clock = Clock()
    budget = Budget(None, 200, clock=clock)
    clock.now += 12345
    assert budget.progress(50) == 0.25
    assert budget.seconds_left(50, steps_per_second=10.0) == 15.0


def test_a_resumed_run_has_used_what_it_had_used():
    clock = Clock()
    budget = Budget(10, None, seconds_used=585, clock=clock)
    assert budget.progress(0) == pytest.approx(1)
    assert budget.seconds_used == 585


@pytest.mark.parametrize(("minutes", "steps"), [(None, None), (1.0, 1)])
def test_exactly_one_bound_is_given(minutes, steps):
    with pytest.raises(ValueError, match="minutes or steps, not both"):
        Budget(minutes, steps)
