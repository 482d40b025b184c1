"""Tiles along one axis: exact cover, aligned origins, halos."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.inference.axis import aligned_tiling, axis_tiling, shortest_of_many
from keras_unet3d.inference.tiles import block_tilings
from keras_unet3d.network.sizes import AxisGeometry, Geometry
from keras_unet3d.network.work import NetworkSize

geometries = st.builds(
    lambda padding, depth, unpooled: AxisGeometry(padding, depth, min(unpooled, depth)),
    st.sampled_from(["valid", "same"]),
    st.integers(1, 4),
    st.integers(0, 4),
)


def test_the_papers_tile_moves_by_40_although_it_returns_44():
    tiling = axis_tiling(248, 132, AxisGeometry())
    assert (tiling.tile, tiling.stride, tiling.count) == (132, 40, 7)
    assert [tiling.read_start(i) for i in range(3)] == [-44, -4, 36]
    assert [(tiling.write_start(i), tiling.write_stop(i)) for i in (0, 1, 6)] == [(0, 40), (40, 80), (240, 248)]


def test_the_last_tile_uses_all_that_it_returns():
    tiling = axis_tiling(84, 132, AxisGeometry())  # 40 + 44
    assert (tiling.count, tiling.write_start(1), tiling.write_stop(1)) == (2, 40, 84)
    assert axis_tiling(85, 132, AxisGeometry()).count == 3


def test_a_padded_tile_keeps_all_but_its_halo_and_stays_inside_the_whole():
    tiling = axis_tiling(245, 152, AxisGeometry("same"))  # the whole is 248, 56 voxels lie between two halos
    assert (tiling.tile, tiling.count) == (152, 3)
    assert [tiling.read_start(i) for i in range(3)] == [0, 56, 96]
    assert [(tiling.write_start(i), tiling.write_stop(i)) for i in range(3)] == [(0, 104), (104, 160), (160, 245)]
    assert [tiling.crop_start(i) for i in range(3)] == [0, 48, 64]


@pytest.mark.parametrize(("padding", "shortest"), [("valid", 100), ("same", 104)])
def test_the_shortest_tile_of_several_moves_by_8(padding, shortest):
    assert shortest_of_many(AxisGeometry(padding)) == shortest
    assert axis_tiling(1000, shortest, AxisGeometry(padding)).stride == 8


def test_padded_tiles_can_begin_to_write_at_multiples_of_their_stride():
    tiling = aligned_tiling(500, 128, AxisGeometry("same"))  # the whole is 504, and 48 are the halo
    assert (tiling.tile, tiling.count) == (224, 4)
    assert [tiling.read_start(i) for i in range(4)] == [0, 80, 208, 280]
    assert [(tiling.write_start(i), tiling.write_stop(i)) for i in range(4)] == [
        (0, 128),
        (128, 256),
        (256, 384),
        (384, 500),
    ]
    assert aligned_tiling(200, 128, AxisGeometry("same")) is None  # 224 are more than the whole


def test_the_last_of_aligned_tiles_writes_what_its_halo_would_be():
    tiling = aligned_tiling(300, 128, AxisGeometry("same"))  # the whole is 304, of which the second tile reads the end
    assert (tiling.count, tiling.read_start(1), tiling.write_start(1), tiling.write_stop(1)) == (2, 80, 128, 300)


tilings = st.builds(
    lambda geometry, length, longer, stride: (
        geometry,
        length,
        (stride and aligned_tiling(length, stride * geometry.multiple, geometry))
        or axis_tiling(length, shortest_of_many(geometry) + longer * geometry.multiple, geometry),
    ),
    geometries,
    st.integers(1, 700),
    st.integers(0, 60),
    st.integers(0, 20),
)


@settings(max_examples=400)
@given(tilings)
def test_tiles_cover_each_voxel_once_on_one_pooling_grid(made):
    geometry, length, tiling = made
    assert geometry.is_valid(tiling.tile)
    written = []
    for i in range(tiling.count):
        written += range(tiling.write_start(i), tiling.write_stop(i))
        assert (tiling.read_start(i) - tiling.read_start(0)) % geometry.multiple == 0
        assert tiling.write_start(i) < tiling.write_stop(i)
    assert written == list(range(length))


@given(geometries, st.integers(1, 700))
def test_every_voxel_is_of_the_block_that_writes_it(geometry, length):
    """Also of an axis that is shorter than two halos, and of one as long."""
    for tiling in block_tilings(length, geometry):
        for i in range(tiling.count):
            start, stop = tiling.write_start(i), tiling.write_stop(i)
            assert {tiling.at(start), tiling.at((start + stop) // 2), tiling.at(stop - 1)} == {i}


@given(geometries, st.integers(1, 700), st.integers(0, 60))
def test_no_tile_is_longer_than_asked_for(geometry, length, longer):
    longest = shortest_of_many(geometry) + longer * geometry.multiple
    assert axis_tiling(length, longest, geometry).tile <= longest


@settings(max_examples=400)
@given(tilings)
def test_what_is_written_has_its_halo_and_lies_in_the_output(made):
    geometry, length, tiling = made
    whole = -(-length // geometry.multiple) * geometry.multiple
    for i in range(tiling.count):
        start, stop, read = tiling.write_start(i), tiling.write_stop(i), tiling.read_start(i)
        crop = tiling.crop_start(i)
        assert crop >= 0
        assert crop + stop - start <= geometry.output_length(tiling.tile)
        assert read + geometry.margin // 2 + crop == start  # the output lies in the centre of the input
        if geometry.padding == "same":
            assert read >= 0
            assert read + tiling.tile <= whole
            assert read == 0 or start - read >= geometry.halo
            assert read + tiling.tile == whole or read + tiling.tile - stop >= geometry.halo


@given(geometries, st.integers(1, 300))
def test_an_axis_that_fits_takes_one_tile_of_the_shortest_valid_length(geometry, length):
    tiling = axis_tiling(length, max(geometry.input_length(length), shortest_of_many(geometry)), geometry)
    assert (tiling.count, tiling.tile) == (1, geometry.input_length(length))


@settings(max_examples=200)
@given(tilings)
def test_every_feature_of_the_whole_is_counted_once_and_comes_from_a_tile_that_knows_it(made):
    geometry, length, tiling = made
    assert tiling.whole == geometry.input_length(length)
    along_all = Geometry(geometry.padding, geometry.depth, (geometry.unpooled,) * 3)
    network = NetworkSize(along_all, filters=1, channels=1, classes=2)
    in_tile, in_whole = (list(network.layers((tile,) * 3)) for tile in (tiling.tile, tiling.whole))
    for of_tile, of_whole in zip(in_tile, in_whole, strict=True):
        features, scale = of_whole.written[0], geometry.scale(of_tile.level)
        counted = []
        for i in range(tiling.count):
            start, stop = tiling.counted(i, of_tile.level, features)
            assert 0 <= start < stop <= of_tile.written[0]
            first = (
                tiling.read_start(i) - tiling.read_start(0)
            ) // scale  # where the tile's features lie in the whole's
            counted += range(first + start, first + stop)
            if geometry.padding == "same":  # zeros beyond the tile do not reach what is counted
                read = tiling.read_start(i)
                assert read == 0 or start * scale >= geometry.halo
                assert read + tiling.tile == tiling.whole or tiling.tile - stop * scale >= geometry.halo
        assert counted == list(range(features))
