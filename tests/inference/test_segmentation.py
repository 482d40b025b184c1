"""A tiled result is that of the whole, wherever the tiles lie."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.inference.axis import axis_tiling, shortest_of_many
from keras_unet3d.inference.keras_predictor import KerasPredictor
from keras_unet3d.inference.segmentation import segment_voxels
from keras_unet3d.inference.tiles import TilePlan, one_tile, plan_tiles
from keras_unet3d.network.sizes import Geometry

GEOMETRIES = [Geometry("valid", 1), Geometry("same", 1), Geometry("valid", 2), Geometry("same", 2)]


@pytest.fixture(scope="module")
def predictors(random_network):
    return {
        geometry: KerasPredictor(
            random_network(2, filters=2, depth=geometry.depth, padding=geometry.padding, normalization="batch"),
            geometry,
        )
        for geometry in GEOMETRIES
    }


def noise(shape, channels=2):
    return np.random.default_rng(7).normal(100, 30, (*shape, channels)).astype(np.float32)


def both(image, predictor, plan):
    """Class index and probabilities."""
    probabilities = np.full((*image.shape[:3], predictor.classes), np.nan, dtype=np.float32)
    return segment_voxels(image, predictor, plan, probabilities=probabilities), probabilities


def assert_same(found, expected):
    """As seam-free is defined: probabilities to rounding, labels unless the two best are within 1e-5."""
    (classes, probabilities), (whole_classes, whole) = found, expected
    np.testing.assert_allclose(probabilities, whole, atol=1e-5)
    best = np.sort(whole, axis=-1)
    differing = classes != whole_classes
    assert (best[..., -1] - best[..., -2])[differing].max(initial=0) < 1e-5
    assert differing.sum() <= classes.size / 1e6


def assert_same_as_whole(image, predictor, plan):
    assert_same(both(image, predictor, plan), both(image, predictor, one_tile(image.shape, predictor.geometry)))


@pytest.mark.parametrize(
    ("geometry", "shape"),
    list(zip(GEOMETRIES, [(9, 20, 15), (23, 40, 31), (6, 19, 14), (54, 56, 63)], strict=True)),
    ids=str,
)
def test_tiles_of_every_aligned_shape_give_what_the_whole_gives(geometry, shape, predictors):
    image = noise(shape)
    lengths = range(
        shortest_of_many(geometry), geometry.input_length(max(shape)) + geometry.multiple, geometry.multiple
    )
    tilings = [
        list({tiling.tile: tiling for tiling in (axis_tiling(n, t, geometry) for t in lengths)}.values()) for n in shape
    ]
    assert min(len(axis) for axis in tilings) >= 2
    whole = both(image, predictors[geometry], one_tile(shape, geometry))
    assert len(np.unique(whole[0])) >= 2
    for i in range(max(len(axis) for axis in tilings)):  # every length of every axis, in changing company
        z, y, x = (axis[(i + shift) % len(axis)] for shift, axis in enumerate(tilings))
        assert_same(both(image, predictors[geometry], TilePlan((z, y, x), 10**9)), whole)


@settings(max_examples=15)
@given(st.sampled_from(GEOMETRIES), st.tuples(*[st.integers(1, 30)] * 3), st.integers(5_000, 60_000))
def test_volumes_of_every_size_come_out_as_in_one_tile(predictors, geometry, shape, limit):
    assert_same_as_whole(noise(shape), predictors[geometry], plan_tiles(shape, geometry, limit))


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("n", range(1, 10))
def test_a_few_voxels_are_enough(n, geometry, predictors):
    for shape in [(n, 1, 1), (1, n, 2), (n, n, n)]:
        assert_same_as_whole(noise(shape), predictors[geometry], plan_tiles(shape, geometry, 1))


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_the_papers_depth(padding, random_network):
    geometry = Geometry(padding)
    predictor = KerasPredictor(random_network(1, filters=2, padding=padding), geometry)
    image = noise((6, 25, 4) if padding == "valid" else (6, 120, 10), 1)
    plan = plan_tiles(image.shape, geometry, 1)
    assert plan.counts[1] == 3
    assert_same_as_whole(image, predictor, plan)


def test_the_outside_is_mirrored_by_hand(predictors):
    geometry = GEOMETRIES[0]
    image = noise((5, 12, 7))
    intensity = predictors[geometry].intensity(image)
    padded = np.pad(image, [(8, 8 + 1), (8, 8), (8, 8 + 1), (0, 0)], mode="reflect")  # outputs are even
    expected = predictors[geometry].probabilities(padded[None], intensity[None])[0, :5, :, :7]
    _, found = both(image, predictors[geometry], one_tile(image.shape, geometry))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_gain_and_offset_of_the_recording_do_not_matter(predictors):
    image = noise((9, 9, 9)).round()
    predictor = predictors[GEOMETRIES[0]]
    plan = one_tile(image.shape, predictor.geometry)
    recorded = (image * 16 + 512).astype(np.uint16)
    np.testing.assert_allclose(both(image, predictor, plan)[1], both(recorded, predictor, plan)[1], atol=1e-4)


def test_a_tile_at_a_time(predictors):
    class Counting:
        def __init__(self, predictor):
            self.geometry, self.classes, self.tile_dependent = predictor.geometry, predictor.classes, False
            self.intensity, self.asked, self.seen = predictor.intensity, predictor.probabilities, []

        def probabilities(self, tiles, intensity):
            self.seen.append((tiles.shape, tiles.dtype))
            return self.asked(tiles, intensity)

    counting = Counting(predictors[GEOMETRIES[0]])
    plan = plan_tiles((20, 20, 20), GEOMETRIES[0], 1)
    steps = []
    segment_voxels(
        noise((20, 20, 20)).astype(np.uint16), counting, plan, progress=lambda done, whole: steps.append((done, whole))
    )
    assert counting.seen == [((1, *plan.tile, 2), np.float32)] * len(plan)
    assert len(steps) == len(plan)
    assert steps[-1] == (8000, 8000)
    assert steps == sorted(steps)


@pytest.mark.parametrize("normalization", ["group", "instance"])
def test_statistics_of_the_tile_warn_where_there_are_several(normalization, random_network):
    geometry = GEOMETRIES[1]
    predictor = KerasPredictor(
        random_network(1, filters=2, depth=1, padding="same", normalization=normalization), geometry
    )
    image = noise((30, 30, 30), 1)
    plan = plan_tiles(image.shape, geometry, 18**3)
    with pytest.warns(UserWarning, match=f"takes {len(plan)} of them"):
        segment_voxels(image, predictor, plan)
    segment_voxels(image, predictor, one_tile(image.shape, geometry))  # a warning here would be an error


def test_a_plan_for_another_volume_is_refused(predictors):
    geometry = GEOMETRIES[0]
    with pytest.raises(ValueError, match=r"x=5 y=4 z=3.*x=5 y=4 z=4"):
        segment_voxels(noise((3, 4, 5)), predictors[geometry], one_tile((4, 4, 5), geometry))
    with pytest.raises(ValueError, match="same"):
        segment_voxels(noise((3, 4, 5)), predictors[geometry], one_tile((3, 4, 5), GEOMETRIES[1]))
