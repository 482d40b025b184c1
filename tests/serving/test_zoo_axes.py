import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.network.sizes import Geometry
from keras_unet3d.serving.zoo_axes import zoo_axes


def test_the_papers_network_takes_tiles_as_its_padded_sibling_does(describe):
    for padding, lead in (("valid", 4), ("same", 0)):
        axes = zoo_axes(describe(Geometry(padding, 3)))
        assert [(axis.halo, axis.minimum, axis.step, axis.lead) for axis in axes] == [(48, 104, 8, lead)] * 3


@pytest.mark.parametrize("changes", [{"normalization": "instance"}, {"statistics": "current"}])
def test_a_network_that_depends_on_its_tile_is_given_the_volume_and_no_more(describe, changes):
    for padding, halo in (("valid", 44), ("same", 0)):
        axes = zoo_axes(describe(Geometry(padding, 3), **changes))
        assert [(axis.halo, axis.step, axis.lead) for axis in axes] == [(halo, 1, 0)] * 3


@settings(max_examples=15)
@given(
    st.sampled_from(["valid", "same"]), st.integers(1, 4), st.integers(0, 1), st.sampled_from([2, 3]), st.integers(0, 5)
)
def test_what_the_network_is_given_is_valid_and_the_next_tile_begins_at_a_multiple(
    describe, padding, depth, unpooled, dimensions, steps
):
    geometry = Geometry(padding, depth, (unpooled, 0, 0), dimensions)
    for axis, of_network in zip(zoo_axes(describe(geometry)), geometry.axes, strict=True):
        length = axis.minimum + steps * axis.step
        assert of_network.is_valid(length - axis.lead)
        assert (length - 2 * axis.halo) % of_network.multiple == 0
        # What is kept of the tile is what the network gives, and as far from its ends as it must be.
        assert axis.lead + axis.margin <= axis.halo
        assert axis.halo >= of_network.halo
