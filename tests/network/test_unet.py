"""The network is the paper's, to the last parameter."""

import keras
import numpy as np
import pytest

from keras_unet3d.network.unet import build_unet3d


def parameters(model: keras.Model) -> int:
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def test_parameter_counts_of_the_paper():
    without = build_unet3d(normalization=None)
    assert without.count_params() == 19_069_955
    assert without.output_shape == (None, 28, 44, 44, 3)
    assert parameters(build_unet3d()) == 19_074_627


def test_channels_along_the_paths_are_those_of_figure_2():
    model = build_unet3d(normalization=None)
    channels = [layer.filters for layer in model.layers if isinstance(layer, keras.layers.Conv3D)]
    assert channels == [32, 64, 64, 128, 128, 256, 256, 512, 256, 256, 128, 128, 64, 64, 3]
    transposed = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv3DTranspose)]
    assert [(layer.filters, layer.use_bias) for layer in transposed] == [(512, False), (256, False), (128, False)]
    joined = [layer.output.shape[-1] for layer in model.layers if isinstance(layer, keras.layers.Concatenate)]
    assert joined == [768, 384, 192]
    crops = [layer.cropping[0] for layer in model.layers if isinstance(layer, keras.layers.Cropping3D)]
    assert crops == [(4, 4), (16, 16), (40, 40)]


def test_a_level_pools_along_the_axes_that_it_is_to():
    model = build_unet3d((52, 92, 29, 1), filters=2, unpooled=(1, 0, 3), normalization=None)
    poolings = [layer.pool_size for layer in model.layers if isinstance(layer, keras.layers.MaxPooling3D)]
    assert poolings == [(1, 2, 1), (2, 2, 1), (2, 2, 1)]
    transposed = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv3DTranspose)]
    assert [layer.strides for layer in transposed] == [layer.kernel_size for layer in transposed] == poolings[::-1]
    crops = [layer.cropping for layer in model.layers if isinstance(layer, keras.layers.Cropping3D)]
    assert crops == [((4, 4), (4, 4), (2, 2)), ((16, 16), (16, 16), (6, 6)), ((20, 20), (40, 40), (10, 10))]
    assert model.output_shape == (None, 4, 4, 1, 3)
    assert [layer.name for layer in model.layers] == [layer.name for layer in build_unet3d(normalization=None).layers]
    with pytest.raises(ValueError, match="Received: x=0 y=0 z=4"):
        build_unet3d(unpooled=(4, 0, 0))


def test_normalisation_stands_before_every_relu():
    model = build_unet3d()
    for layer in model.layers:
        if isinstance(layer, keras.layers.ReLU):
            before = layer.input._keras_history.operation
            assert isinstance(before, keras.layers.BatchNormalization)
    assert sum(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers) == 14


@pytest.mark.parametrize("normalization", ["batch", "group", "instance", None])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_one_graph_runs_at_every_valid_size(padding, normalization):
    model = build_unet3d((None, None, None, 2), 4, filters=2, depth=2, padding=padding, normalization=normalization)
    lost, sizes = (40, (44, 48, 52)) if padding == "valid" else (0, (4, 8, 12))
    tile = np.random.default_rng(0).standard_normal((2, *sizes, 2), dtype=np.float32)
    assert model(tile).shape == (2, *(size - lost for size in sizes), 4)


@pytest.mark.parametrize(("padding", "lost"), [("valid", 44), ("same", 0)])
def test_the_output_lies_in_the_centre_of_the_input(padding, lost):
    """With centre taps of 1 along the uppermost skip, and 0 everywhere else, the network copies its input."""
    sizes = (100, 92, 108) if padding == "valid" else (16, 8, 24)
    model = build_unet3d((*sizes, 1), 1, filters=1, padding=padding, normalization=None)
    for layer in model.layers:
        if layer.weights:
            kernel, *biases = (np.zeros(weight.shape, np.float32) for weight in layer.weights)
            if layer.name.startswith(("down0", "up0a", "up0b")):
                kernel[1, 1, 1, 0, 0] = 1
            if layer.name == "logits":
                kernel[0, 0, 0, 0, 0] = 1
            layer.set_weights([kernel, *biases])
    tile = np.random.default_rng(1).random((1, *model.input_shape[1:]), dtype=np.float32)
    inner = slice(lost, -lost or None)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model(tile)), tile[:, inner, inner, inner])


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_in_two_dimensions_each_slice_is_seen_alone(padding):
    model = build_unet3d((None, None, None, 2), 3, filters=2, depth=2, padding=padding, dimensions=2)
    assert {layer.kernel.shape[:3] for layer in model.layers if isinstance(layer, keras.layers.Conv3D)} <= {
        (1, 3, 3),
        (1, 2, 2),
        (1, 1, 1),
    }
    image = np.random.default_rng(0).normal(size=(3, 52, 60, 2)).astype(np.float32)
    together = keras.ops.convert_to_numpy(model(image[None]))[0]
    alone = [keras.ops.convert_to_numpy(model(image[None, z : z + 1]))[0, 0] for z in range(3)]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_keras_file_needs_no_custom_objects(tmp_path):
    model = build_unet3d((None, None, None, 1), 2, filters=2, depth=1)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    tile = np.random.default_rng(2).standard_normal((1, 18, 18, 18, 1), dtype=np.float32)
    np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(m(tile)) for m in (model, again)))


def test_a_size_that_cannot_pass_is_refused_with_the_next_that_can():
    with pytest.raises(ValueError, match=r"Axis y of input_shape.* the next is 132\. Received: 130"):
        build_unet3d((116, 130, 132, 3))


def test_a_missing_axis_is_no_network_of_another_rank():
    with pytest.raises(ValueError, match=r"\(z, y, x, channel\)\. Received: \(132, 132, 3\)"):
        build_unet3d((132, 132, 3))


def test_groups_are_of_eight_channels_or_of_more_where_eight_do_not_divide_them():
    for filters, expected in ((16, [2, 4]), (28, [1, 7])):
        model = build_unet3d((None, None, None, 1), filters=filters, depth=1, normalization="group")
        assert [model.get_layer(f"down0{part}_norm").groups for part in "ab"] == expected


def test_an_unknown_normalisation_is_refused():
    with pytest.raises(ValueError, match="Received: 'layer'"):
        build_unet3d(normalization="layer")


def test_kernels_can_begin_as_zeros_where_all_weights_are_replaced():
    drawn = build_unet3d((None, None, None, 1), 2, filters=2, depth=1, seed=0)
    zeros = build_unet3d((None, None, None, 1), 2, filters=2, depth=1, initial="zeros")
    kernels = [variable.numpy() for variable in zeros.variables if variable.name == "kernel"]
    assert kernels
    assert not any(kernel.any() for kernel in kernels)
    assert all(variable.numpy().any() for variable in drawn.variables if variable.name == "kernel")
    assert [variable.path for variable in zeros.variables] == [variable.path for variable in drawn.variables]
