"""Statistics of the whole volume do not depend on the tiles."""

import numpy as np
import pytest

from keras_unet3d.inference.axis import axis_tiling
from keras_unet3d.inference.network_predictor import NetworkPredictor
from keras_unet3d.inference.results import HeldVoxels
from keras_unet3d.inference.segmentation import segment_voxels
from keras_unet3d.inference.statistics import MomentPasses
from keras_unet3d.inference.tiles import TilePlan, one_tile
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.network.work import NetworkSize


def noise(shape):
    rng = np.random.default_rng(5)
    ramp = np.linspace(0, 3, shape[1])[None, :, None, None]  # tiles differ in brightness
    return (rng.normal(0, 1, (*shape, 1)) + ramp).astype(np.float32)


def fixed(predictor, image, plan):
    geometry = predictor.geometry
    size = NetworkSize(geometry, 2, 1, 3)
    predictor.moments = MomentPasses(image, predictor, plan, size).moments(predictor.intensities.of(image))
    assert not predictor.tile_dependent
    return predictor


def probabilities(image, predictor, plan):
    found = np.empty((*image.shape[:3], 3), np.float32)
    segment_voxels(image, predictor, plan, probabilities=HeldVoxels(found))
    return found


@pytest.mark.parametrize(
    ("geometry", "normalization"),
    [
        (Geometry("valid", 1), "instance"),
        (Geometry("same", 1), "group"),
        (Geometry("valid", 2), "instance"),
        (Geometry("valid", 2, (1, 0, 0)), "instance"),
        (Geometry("same", 2, (2, 1, 0)), "instance"),
    ],
    ids=str,
)
def test_one_tile_gives_current_statistics_and_several_give_the_same(geometry, normalization, random_network):
    model = random_network(
        1,
        filters=2,
        depth=geometry.depth,
        padding=geometry.padding,
        unpooled=geometry.unpooled,
        normalization=normalization,
    )
    image = noise((7, 28 if geometry.padding == "same" else 13, 3))
    predictor = NetworkPredictor(model, geometry)
    current = probabilities(image, predictor, one_tile(image.shape, geometry))
    whole = TilePlan(one_tile(image.shape, geometry).axes, 4 * geometry.coarsest)
    z, y, x = whole.axes

    def shorter(axis):
        return axis_tiling(axis.length, axis.tile - axis.geometry.multiple, axis.geometry)

    shallow = shorter(z) if geometry.padding == "valid" else z
    for plan in (whole, TilePlan((shallow, shorter(y), x), 6 * geometry.coarsest)):
        found = probabilities(image, fixed(predictor, image, plan), plan)
        np.testing.assert_allclose(found, current, atol=2e-4)
    assert plan.counts == ((2, 2, 1) if geometry.padding == "valid" else (1, 2, 1))


def test_what_is_fixed_already_needs_no_pass(random_network):
    geometry = Geometry("valid", 1)
    predictor = NetworkPredictor(random_network(1, filters=2, depth=1, normalization="instance"), geometry)
    image = noise((9, 9, 9))
    passes = MomentPasses(image, predictor, one_tile(image.shape, geometry), NetworkSize(geometry, 2, 1, 3))
    told = []
    moments = passes.moments(predictor.intensities.of(image), after_each=lambda known: told.append(dict(known)))
    assert [len(each) for each in told] == [1, 2, 3, 4, 5, 6]
    again = []
    resumed = passes.moments(
        predictor.intensities.of(image), known=told[3], after_each=lambda known: again.append(dict(known))
    )
    assert len(again) == 2
    for name in moments:
        np.testing.assert_array_equal(resumed[name], moments[name])
