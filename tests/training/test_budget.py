"""Minutes and steps."""

import pytest

from keras_unet3d.training.budget import Budget


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_minutes_end_before_the_export_does():
    """15 seconds are kept for writing the model, of a tenth of a minute half."""
    clock = Clock()
    ten, tenth = Budget(10, None, clock=clock), Budget(0.1, None, clock=clock)
    clock.now += 0.5 * (600 - 15)
    assert ten.progress(step=3) == pytest.approx(0.5)
    assert tenth.progress(step=3) == pytest.approx(0.5 * 585 / 3)
    assert ten.seconds_left(3, steps_per_second=1.0) == pytest.approx(292.5)


def test_what_came_before_the_first_step_counts():
    """The call began 85 seconds ago: reading took them."""
    budget = Budget(10, None, start=915.0, clock=Clock())
    assert budget.seconds_used == 85
    assert budget.seconds_left(0, steps_per_second=0.0) == 500


def test_the_last_validation_ends_in_time():
    """The longest one so far took 45 seconds: after 600 − 15 − 45 no further step is begun."""
    clock = Clock()
    budget = Budget(10, None, clock=clock)
    budget.keep_back(45)
    clock.now += 540
    assert budget.progress(step=3) == 1
    assert budget.seconds_left(3, steps_per_second=1.0) == 0


def test_a_validation_never_takes_more_than_a_quarter_of_the_minutes_from_training():
    clock = Clock()
    budget = Budget(10, None, clock=clock)
    budget.keep_back(3600)
    clock.now += 600 - 15 - 150
    assert budget.progress(step=3) == 1


def test_there_is_time_for_what_does_not_take_that_of_writing():
    clock = Clock()
    budget = Budget(10, None, clock=clock)
    clock.now += 500
    assert budget.leaves(85)
    assert not budget.leaves(86)
    assert Budget(None, 7, clock=clock).leaves(1e9)


def test_steps_do_not_depend_on_time():
    clock = Clock()
    budget = Budget(None, 200, start=0.0, clock=clock)
    budget.keep_back(100)
    clock.now += 12345
    assert budget.progress(50) == 0.25
    assert budget.seconds_left(50, steps_per_second=10.0) == 15.0


def test_a_resumed_run_has_used_what_it_had_used():
    clock = Clock()
    budget = Budget(10, None, seconds_used=500, start=990.0, clock=clock)
    assert budget.seconds_used == 510
    clock.now += 75
    assert budget.progress(0) == pytest.approx(1)


@pytest.mark.parametrize(("minutes", "steps"), [(None, None), (1.0, 1)])
def test_exactly_one_bound_is_given(minutes, steps):
    with pytest.raises(ValueError, match="minutes or steps, not both"):
        Budget(minutes, steps)
