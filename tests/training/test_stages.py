"""Smaller tiles come first, for half of the work."""

import pytest

from keras_unet3d.training.pipeline import TrainingBatches
from keras_unet3d.training.stages import tile_at

SMALL, LARGE = (8, 8, 4), (8, 8, 8)


def test_half_of_the_minutes_is_spent_on_each(resolved):
    settings = resolved({"steps": None, "minutes": 5.0, "first_tile": "x=4 y=8 z=8"})
    assert [tile_at(settings, progress) for progress in (0.0, 0.49, 0.5, 1.0)] == [SMALL, SMALL, LARGE, LARGE]


def test_of_steps_twice_as_many_are_of_tiles_of_half_the_size(resolved):
    settings = resolved({"steps": 6, "first_tile": "x=4 y=8 z=8"})
    tiles = [tile_at(settings, step / 6) for step in range(6)]
    assert tiles == [SMALL] * 4 + [LARGE] * 2


@pytest.mark.parametrize("changes", [{}, {"first_tile": "x=8 y=8 z=8"}])
def test_without_a_smaller_one_the_tile_stays(resolved, changes):
    assert {tile_at(resolved(changes), progress) for progress in (0.0, 0.3, 0.9)} == {LARGE}


def test_batches_go_on_with_another_tile(resolved, bright_ball):
    settings, volumes = resolved({"tile": "x=4 y=8 z=8"}), [bright_ball()]
    with TrainingBatches(resolved(), volumes, (1.0, 1.0), 1) as usual:
        expected = next(usual)
    with TrainingBatches(settings, volumes, (1.0, 1.0)) as batches:
        assert next(batches)[0].shape[1:4] == SMALL
        batches.move(1, on_device=False, tile=LARGE)
        assert batches.tile == LARGE
        for ours, theirs in zip(next(batches), expected, strict=True):
            assert (ours == theirs).numpy().all()
