"""The network that settings describe."""

import keras

from keras_unet3d.network.unet import build_unet3d
from keras_unet3d.training.resolved import ResolvedSettings


def build_network(settings: ResolvedSettings, channels: int, classes: int, precision: str) -> keras.Model:
    """Build it for tiles of any valid size ``(batch, z, y, x, channel)``; it gives logits.

    Args:
        settings: network and seed are looked at.
        channels: of the image.
        classes: that are learned.
        precision: of the computation, a Keras dtype policy; weights are float32.
    """
    network = settings.network
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        return build_unet3d(
            (None, None, None, channels),
            classes,
            filters=network.filters,
            depth=network.geometry.depth,
            padding=network.geometry.padding,
            unpooled=network.geometry.unpooled,
            dimensions=network.dimensions,
            normalization=None if network.normalization == "none" else network.normalization,
            seed=settings.seed,
        )
    finally:
        keras.config.set_dtype_policy(before)
