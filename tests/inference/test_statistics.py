"""Statistics of the whole volume do not depend on the tiles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.inference.axis import axis_tiling, shortest_of_many
from keras_unet3d.inference.network_predictor import NetworkPredictor
from keras_unet3d.inference.segmentation import segment_voxels
from keras_unet3d.inference.statistics import MomentPasses, MomentSum
from keras_unet3d.inference.tiles import TilePlan, one_tile
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.network.work import NetworkSize


def noise(shape):
    rng = np.random.default_rng(5)
    ramp = np.linspace(0, 3, shape[1])[None, :, None, None]  # tiles differ in brightness
    return (rng.normal(0, 1, (*shape, 1)) + ramp).astype(np.float32)


def fixed(model, geometry, image, plan):
    predictor = NetworkPredictor(model, geometry)
    size = NetworkSize(geometry, 4, 1, 3)
    predictor.moments = MomentPasses(image, predictor, plan, size).moments(predictor.intensity(image))
    assert not predictor.tile_dependent
    return predictor


def probabilities(image, predictor, plan):
    found = np.empty((*image.shape[:3], 3), np.float32)
    segment_voxels(image, predictor, plan, probabilities=found)
    return found


@pytest.mark.parametrize("normalization", ["instance", "group"])
@pytest.mark.parametrize("geometry", [Geometry("valid", 1), Geometry("same", 1), Geometry("valid", 2)], ids=str)
def test_one_tile_gives_current_statistics_and_several_give_the_same(normalization, geometry, random_network):
    model = random_network(1, filters=4, depth=geometry.depth, padding=geometry.padding, normalization=normalization)
    image = noise((9, 70 if geometry.padding == "same" else 22, 13))
    current = probabilities(image, NetworkPredictor(model, geometry), one_tile(image.shape, geometry))
    z, _, x = one_tile(image.shape, geometry).axes
    split = axis_tiling(image.shape[1], shortest_of_many(geometry) + 2 * geometry.multiple, geometry)
    shallow = axis_tiling(image.shape[0], shortest_of_many(geometry), geometry)
    for axes, slab in [((z, split, x), 2 * geometry.multiple), ((shallow, split, x), None)]:
        plan = TilePlan(axes, slab)
        assert len(plan) > 1
        found = probabilities(image, fixed(model, geometry, image, plan), plan)
        np.testing.assert_allclose(found, current, atol=2e-4)
    whole = TilePlan(one_tile(image.shape, geometry).axes, geometry.multiple)
    np.testing.assert_allclose(probabilities(image, fixed(model, geometry, image, whole), whole), current, atol=2e-4)


def test_what_is_fixed_already_needs_no_pass(random_network):
    geometry = Geometry("valid", 1)
    predictor = NetworkPredictor(random_network(1, filters=4, depth=1, normalization="instance"), geometry)
    image = noise((9, 9, 9))
    passes = MomentPasses(image, predictor, one_tile(image.shape, geometry), NetworkSize(geometry, 4, 1, 3))
    told = []
    moments = passes.moments(predictor.intensity(image), after_each=lambda known: told.append(dict(known)))
    assert [len(each) for each in told] == [1, 2, 3, 4, 5, 6]
    again = []
    resumed = passes.moments(
        predictor.intensity(image), known=told[3], after_each=lambda known: again.append(dict(known))
    )
    assert len(again) == 2
    for name in moments:
        np.testing.assert_array_equal(resumed[name], moments[name])


@given(st.lists(st.integers(0, 20), min_size=1, max_size=5), st.sampled_from([1, 2, 6]), st.floats(-1e4, 1e4))
def test_moments_of_parts_are_those_of_all(parts, groups, offset):
    rng = np.random.default_rng(len(parts))
    pieces = [rng.normal(offset, 1, (n, 2, 6)) for n in [*parts, 3]]
    total = MomentSum(6)
    for piece in pieces:
        total.add(piece)
    whole = np.concatenate([piece.reshape(-1, 6) for piece in pieces]).reshape(-1, groups, 6 // groups)
    of_channel = np.repeat(np.arange(groups), 6 // groups)
    mean, variance = total.moments(groups)
    np.testing.assert_allclose(mean, whole.mean((0, 2))[of_channel], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(variance, whole.var((0, 2))[of_channel], rtol=1e-4)
