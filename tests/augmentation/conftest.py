import importlib.util

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from keras_unet3d.augmentation.coordinate_map import CoordinateMap
from keras_unet3d.volumes.box import Box


@pytest.fixture(scope="session")
def volume():
    """A smooth image of two channels and blobs of three classes, a tenth unlabelled, of z=40 y=52 x=60 voxels."""
    rng = np.random.default_rng(7)
    noise = rng.standard_normal((40, 52, 60, 3)).astype(np.float32)
    smooth = gaussian_filter(noise, (2, 2, 2, 0))
    class_index = np.digitize(smooth[..., 2], np.quantile(smooth[..., 2], [0.1, 0.4, 0.7])).astype(np.int16) - 1
    return smooth[..., :2].copy(), class_index.astype(np.int16)


@pytest.fixture(params=["compiled", "elasticdeform"])
def engine(request):
    """Either engine: what is stated about one holds for both."""
    if request.param == "elasticdeform":
        elasticdeform_engine = pytest.importorskip(
            "keras_unet3d.augmentation.elastic",
            reason="elasticdeform cannot be imported: its wheel needs NumPy 1",
            exc_type=(ImportError, AttributeError),
        )
        return elasticdeform_engine.ElasticdeformEngine()
    assert importlib.util.find_spec("keras") is not None
    from keras_unet3d.augmentation.compiled import CompiledEngine

    return CompiledEngine()


@pytest.fixture
def rigid_map():
    """Make a map without deformation, its control points far enough out for any rotation."""

    def make(tile, matrix=None, shift=(0.0, 0.0, 0.0)):
        count = 9
        displacement = np.empty((3, count, count, count))
        displacement[:] = np.asarray(shift, dtype=float)[:, None, None, None]
        middle = (np.asarray(tile.start) + np.asarray(tile.stop)) // 2
        origin = tuple(int(value) for value in middle - 16 * (count - 1))
        return CoordinateMap(tile, np.eye(3) if matrix is None else matrix, displacement, origin)

    return make


@pytest.fixture
def inner_tile():
    """A cube that lies inside the volume with room to spare."""
    return Box.at((12, 14, 16), (17, 17, 17))
