"""The moving statistics of batch normalisation, computed anew over training tiles."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_unet3d.network.statistics import batch_normalizations


class MomentCollector:
    """Sets moving means and variances to those of many tiles under the present weights.

    Running averages lag behind weights that still move, and with a batch of one they are noisy; the average over tiles
    that are all seen by the same weights is neither (Wu and Johnson 2021, "Rethinking 'Batch' in BatchNorm", §3).
    Each tile is normalised by its own moments on its way, as in training.
    """

    def __init__(self, model: keras.Model) -> None:
        self._layers = batch_normalizations(model)
        self._model = model
        self._graph = tf.function(self._forward)

    def __call__(self, images: Iterable[Any]) -> None:
        """Collect over batches of images ``(batch, z, y, x, channel)``; without batch normalisation, do nothing."""
        if not self._layers:
            return
        moments = []
        for image in images:
            self._graph(image)
            moments.append([(layer.moving_mean.numpy(), layer.moving_variance.numpy()) for layer in self._layers])
        for number, layer in enumerate(self._layers):
            means = np.array([batch[number][0] for batch in moments], np.float64)
            variances = np.array([batch[number][1] for batch in moments], np.float64)
            layer.moving_mean.assign(means.mean(axis=0))
            layer.moving_variance.assign((variances + means**2).mean(axis=0) - means.mean(axis=0) ** 2)

    def _forward(self, image: tf.Tensor) -> None:
        usual = [layer.momentum for layer in self._layers]
        for layer in self._layers:  # while this graph is traced: the moving moments become the batch's own
            layer.momentum = 0.0
        try:
            self._model(image, training=True)
        finally:
            for layer, momentum in zip(self._layers, usual, strict=True):
                layer.momentum = momentum
