"""Tiles that are sent: within what a server, a message and this process may take."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.errors import InputError
from keras_unet3d.inference.axis import shortest_of_many
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.network.work import NetworkSize
from keras_unet3d.serving.served_plan import Serving

SIZE = NetworkSize(Geometry("valid", 1), filters=4, channels=2, classes=3)
SHORTEST = shortest_of_many(SIZE.geometry.axes[0])


def serving(tile=(60, 60, 60), **changes):
    return Serving(SIZE, 1, tile, **changes)


@given(st.tuples(*[st.integers(1, 150)] * 3), st.integers(1, 3), st.integers(200_000, 10**8))
def test_every_tile_is_allowed(shape, servers, largest):
    asked = serving(servers=servers, in_flight=2, largest_message=largest)
    plan = asked.plan(shape, 10**9)
    assert plan.tiles.volume == shape
    assert SIZE.held_whole(plan.tiles.tile) <= SIZE.held_whole((60, 60, 60))
    assert asked.message(plan.tiles.tile) <= largest
    assert plan.memory <= 10**9
    assert np.prod([axis.count for axis in plan.tiles.axes]) == len(plan.tiles)


def test_a_message_holds_the_tile_or_what_comes_back():
    """20 voxels a side: 16,000 numbers of 2 channels. Of 3 classes zero-padded 24,000 come back."""
    padded = NetworkSize(Geometry("same", 1), filters=4, channels=2, classes=3)
    assert 64_000 < serving().message((20, 20, 20)) < 64_000 + 5_000
    assert 96_000 < Serving(padded, 1, (60, 60, 60)).message((20, 20, 20)) < 96_000 + 5_000


def test_a_volume_that_fits_is_one_tile():
    assert len(serving((200, 200, 200)).plan((40, 50, 60), 10**9).tiles) == 1


def test_two_servers_share_a_volume():
    alone, together = serving((200,) * 3).plan((64, 64, 64), 10**9), serving((200,) * 3, servers=2)
    assert len(alone.tiles) == 1
    assert len(together.plan((64, 64, 64), 10**9).tiles) == 2


def test_smaller_messages_are_smaller_tiles_until_none_is_left():
    largest = serving().message((SHORTEST,) * 3)
    plan = serving(largest_message=int(largest)).plan((100, 100, 100), 10**9)
    assert plan.tiles.tile == (SHORTEST,) * 3
    with pytest.raises(InputError, match="--largest-message"):
        serving(largest_message=int(largest) - 1).plan((100, 100, 100), 10**9)


def test_a_budget_that_is_too_small_is_refused_with_one_that_suffices():
    with pytest.raises(InputError, match=r"at least .* 0 MB were given") as caught:
        serving().plan((30, 30, 30), 100)
    assert "--memory" in str(caught.value)


def test_what_was_begun_goes_on_with_its_tiles_or_is_refused():
    begun = serving().plan((100, 100, 100), 10**9)
    assert serving().begun_plan(begun.tiles, 10**9).tiles == begun.tiles
    with pytest.raises(InputError, match=r"planned for messages of 2 MB.*Give that much \(--largest-message\)"):
        serving(largest_message=10_000).begun_plan(begun.tiles, 10**9)
