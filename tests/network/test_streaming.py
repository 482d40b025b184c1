"""A network computed plane by plane gives what it gives for the whole tile."""

import itertools

import keras
import numpy as np
import pytest

from keras_unet3d.network.sizes import AxisGeometry, Geometry
from keras_unet3d.network.streaming import StreamedNetwork
from keras_unet3d.network.unet import build_unet3d

ONCE = pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX compiles every size anew: one case is enough")


def network(padding: str, depth: int = 2, normalization: str | None = None, **options) -> keras.Model:
    options |= {"padding": padding, "depth": depth, "normalization": normalization}
    model = build_unet3d((None, None, None, 2), 3, filters=4, seed=3, **options)
    rng = np.random.default_rng(0)
    for variable in model.variables:
        if variable.ndim == 1:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


def tile(planes: int, rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((1, planes, rows, columns, 2), dtype=np.float32)


def streamed(stream, planes: np.ndarray, cuts: list[int]) -> np.ndarray:
    bounds = [0, *(cut for cut in cuts if cut < planes.shape[1]), planes.shape[1]]
    results = []
    for start, stop in itertools.pairwise(bounds):
        result = stream.push(planes[:, start:stop], last=stop == planes.shape[1])
        if result is not None:
            results.append(keras.ops.convert_to_numpy(result))
    return np.concatenate(results, axis=1)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("depth", "normalization", "unpooled", "dimensions"),
    [
        (1, "batch", (0, 0, 0), 3),
        pytest.param(2, None, (0, 0, 0), 3, marks=ONCE),
        pytest.param(3, None, (0, 0, 0), 3, marks=ONCE),
        pytest.param(2, None, (1, 0, 0), 3, marks=ONCE),
        pytest.param(2, None, (2, 0, 0), 3, marks=ONCE),
        pytest.param(2, None, (0, 1, 1), 3, marks=ONCE),
        pytest.param(2, None, (0, 0, 0), 2, marks=ONCE),
    ],
)
def test_planes_in_any_portions_give_what_the_whole_tile_gives(padding, depth, normalization, unpooled, dimensions):
    model = network(padding, depth, normalization, unpooled=unpooled, dimensions=dimensions)
    z, y, x = Geometry(padding, depth, unpooled, dimensions).axes
    planes = tile(z.minimum + 2 * 2**depth, y.minimum + y.multiple, x.minimum)
    whole = keras.ops.convert_to_numpy(model(planes, training=False))
    steps = StreamedNetwork(model)
    n = planes.shape[1]
    ways = [[5, 6, 13]]
    if depth < 3 and not any(unpooled) and dimensions == 3:
        ways += [[1, n - 1], list(range(4, n, 8)), *([list(range(1, n))] if depth == 1 else [])]
    for cuts in ways:
        found = streamed(steps.start(), planes, cuts)
        assert found.shape == whole.shape
        np.testing.assert_allclose(found, whole, atol=1e-4)


@pytest.mark.parametrize("axes", [pytest.param((0,), marks=ONCE), (1, 2)])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_mirrored_kernels_give_the_mirrored_result_of_a_mirrored_tile(axes, padding):
    model = network(padding, unpooled=(1, 0, 0))
    n = AxisGeometry(padding, 2).minimum + 8
    planes = tile(n, n, n + 4)
    batch_axes = [axis + 1 for axis in axes]
    mirrored = keras.ops.convert_to_numpy(model(np.flip(planes, batch_axes).copy(), training=False))
    found = streamed(StreamedNetwork(model, mirrored=axes).start(), planes, [5, 20])
    np.testing.assert_allclose(found, np.flip(mirrored, batch_axes), atol=1e-4)


@pytest.mark.parametrize("normalization", [pytest.param("instance", marks=ONCE), "group"])
def test_moments_of_the_tile_give_what_its_own_statistics_give(normalization):
    model = network("valid", normalization=normalization)
    planes = tile(48, 44, 52)
    steps = StreamedNetwork(model)
    assert steps.normalizations == [layer.name for layer in model.layers if layer.name.endswith("norm")]
    moments: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name in steps.normalizations:
        features = streamed(steps.start(moments, until=name), planes, [9, 30])
        layer = model.get_layer(name)
        groups = layer.groups if layer.groups > 0 else features.shape[-1]
        grouped = features.reshape(-1, groups, features.shape[-1] // groups)
        of_channel = np.repeat(np.arange(groups), features.shape[-1] // groups)
        moments[name] = (grouped.mean((0, 2))[of_channel], grouped.var((0, 2))[of_channel])
    whole = keras.ops.convert_to_numpy(model(planes))
    np.testing.assert_allclose(streamed(steps.start(moments), planes, [9, 30]), whole, atol=2e-4)


def test_weights_are_read_at_every_step():
    model = network("valid", depth=1)
    planes = tile(20, 18, 18)
    steps = StreamedNetwork(model)
    before = streamed(steps.start(), planes, [])
    model.get_layer("logits").bias.assign_add([1.0, 2.0, 3.0])
    np.testing.assert_allclose(streamed(steps.start(), planes, []), before + np.float32([1, 2, 3]), atol=1e-4)


def test_a_layer_that_mixes_all_planes_is_refused():
    inputs = keras.Input((None, None, None, 2))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling3D(keepdims=True, name="mean")(inputs))
    with pytest.raises(ValueError, match="'mean'"):
        StreamedNetwork(model)
