"""The 3D U-Net and its 2D sibling, as a functional Keras model that reads as figure 2 of the paper does."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import keras
from keras import layers

from keras_unet3d.network.sizes import AxisGeometry, Dimensions, Geometry, Padding
from keras_unet3d.volumes.axes import AXES
from keras_unet3d.volumes.box import Triple

Normalization = Literal["batch", "group", "instance"] | None
Initial = Literal["he_normal", "zeros"]

EPSILON = 1e-3
"""Added to variances: the same in every normalisation, so that one network's weights fit another's."""
CHANNELS_PER_GROUP = 8
"""Group normalisation: channels that share their statistics, or more where 8 do not divide them (Wu and He 2018 use 32
groups of 2 to 64 channels)."""


def build_unet3d(  # noqa: PLR0913 - so many things make a network another
    input_shape: Sequence[int | None] = (116, 132, 132, 3),
    classes: int = 3,
    *,
    filters: int = 32,
    depth: int = 3,
    padding: Padding = "valid",
    unpooled: Triple = (0, 0, 0),
    dimensions: Dimensions = 3,
    normalization: Normalization = "batch",
    seed: int | None = None,
    initial: Initial = "he_normal",
) -> keras.Model:
    """Build the 3D U-Net of Çiçek et al. 2016, section 2 and figure 2.

    With the defaults and without normalisation it has the paper's 19 069 955 parameters: every convolution has a bias,
    the transposed convolutions have none.

    Args:
        input_shape: ``(z, y, x, channel)``; a spatial size of None is decided at every call.
        classes: labels to tell apart.
        filters: channels after the first convolution; doubled before every pooling, and at every level.
        depth: number of poolings.
        padding: ``"valid"``, unpadded as in the paper, where an axis loses 88 voxels; or ``"same"``, zero-padded.
        unpooled: how many levels, from the finest on, do not pool along z, y and x, for voxels that are farther apart
            along one axis; with (1, 0, 0) the first pooling is 1×2×2.
        dimensions: 3; or 2 for a network to compare with, as in section 4.1 of the paper: convolutions are 1×3×3, and
            no level pools along z, so that each slice orthogonal to it is seen alone.
        normalization: before each ReLU: ``"batch"``, ``"group"``, ``"instance"`` or None.
        seed: decides the initial weights; None draws others at every call.
        initial: how kernels begin: ``"he_normal"`` (He et al. 2015), or ``"zeros"``, at once, where all are replaced.

    Input shape:
        ``(batch, z, y, x, channel)``, sizes that `Geometry(padding, depth, unpooled, dimensions)` takes.

    Output shape:
        ``(batch, z, y, x, class)``: logits. Unpadded, the output lies in the centre of the input.

    Returns:
        A functional model of built-in Keras layers.

    Raises:
        ValueError: if `input_shape` has another number of axes, or a spatial size cannot pass through the network; the
            message names the next one that can. Or if `unpooled` names more levels than there are.

    Example:
        >>> model = build_unet3d((116, 132, 132, 3), classes=3)
        >>> model.output_shape
        (None, 28, 44, 44, 3)
    """
    geometry = Geometry(padding, depth, unpooled, dimensions).axes
    kernels = _initial_kernels(initial, seed)
    if len(input_shape) != len(AXES) + 1:
        raise ValueError(f"Expected input_shape as ({', '.join(AXES)}, channel). Received: {tuple(input_shape)}")
    _check_sizes(input_shape[:-1], geometry)
    kernel_size = [axis.kernel for axis in geometry]

    def block(x: Any, channels: int, name: str) -> Any:
        convolution = layers.Conv3D(
            channels, kernel_size, padding=padding, kernel_initializer=next(kernels), name=f"{name}_conv"
        )
        x = _normalize(convolution(x), normalization, channels, name=f"{name}_norm")
        return layers.ReLU(name=f"{name}_relu")(x)

    inputs = x = layers.Input(tuple(input_shape), name="image")
    skips = []
    for level in range(depth):  # the analysis path: channels double before the pooling, to avoid bottlenecks
        x = block(x, filters << level, f"down{level}a")
        x = block(x, filters << (level + 1), f"down{level}b")
        skips.append(x)
        x = layers.MaxPooling3D([axis.factor(level) for axis in geometry], name=f"down{level}_pool")(x)

    x = block(x, filters << depth, "bottom_a")
    x = block(x, filters << (depth + 1), "bottom_b")

    for level in reversed(range(depth)):  # the synthesis path
        channels = filters << (level + 1)
        factors = [axis.factor(level) for axis in geometry]
        x = layers.Conv3DTranspose(
            2 * channels, factors, factors, use_bias=False, kernel_initializer=next(kernels), name=f"up{level}"
        )(x)
        skip = skips[level]
        if padding == "valid":
            skip = layers.Cropping3D([axis.skip_crop(level) for axis in geometry], name=f"up{level}_crop")(skip)
        x = layers.Concatenate(name=f"up{level}_concat")([skip, x])
        x = block(x, channels, f"up{level}a")
        x = block(x, channels, f"up{level}b")

    logits = layers.Conv3D(classes, 1, kernel_initializer=next(kernels), name="logits")(x)
    return keras.Model(inputs, logits, name=f"unet{dimensions}d")


def _initial_kernels(initial: Initial, seed: int | None) -> Iterator[keras.initializers.Initializer]:
    """One for each convolution, in their order."""
    for each in itertools.repeat(None) if seed is None else itertools.count(seed):
        yield keras.initializers.HeNormal(each) if initial == "he_normal" else keras.initializers.Zeros()


def _normalize(x: Any, normalization: Normalization, channels: int, name: str) -> Any:
    match normalization:
        case "batch":
            return layers.BatchNormalization(epsilon=EPSILON, name=name)(x)
        case "group":
            groups = math.gcd(channels, max(channels // CHANNELS_PER_GROUP, 1))
            return layers.GroupNormalization(groups, epsilon=EPSILON, name=name)(x)
        case "instance":
            return layers.GroupNormalization(-1, epsilon=EPSILON, name=name)(x)
        case None:
            return x
        case _:
            raise ValueError(
                f"Expected a normalization of 'batch', 'group', 'instance' or None. Received: {normalization!r}"
            )


def _check_sizes(sizes: Sequence[int | None], geometry: Sequence[AxisGeometry]) -> None:
    for name, size, axis in zip(AXES, sizes, geometry, strict=True):
        if size is not None and not axis.is_valid(size):
            raise ValueError(
                f"Axis {name} of input_shape: a {axis.padding!r} network of depth {axis.depth} takes "
                f"{axis.minimum}, {axis.minimum + axis.multiple}, … voxels; the next is "
                f"{axis.nearest_valid(size)}. Received: {size}"
            )
