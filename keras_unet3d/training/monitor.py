"""What TensorBoard shows of a run."""

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_unet3d.metrics.overlap import Overlap


class Monitor:
    """Writes event files into the run's folder; a resumed run appends to what is there.

    Args:
        folder: of the run; ``tensorboard --logdir`` takes it or any folder above.
        class_names: in class order.
    """

    def __init__(self, folder: Path, class_names: tuple[str, ...]) -> None:
        self._names = class_names
        self._writer = tf.summary.create_file_writer(str(folder / "tensorboard"))

    def start(self, model: keras.Model, settings_text: str) -> None:
        """Write the graph of the model and the settings as text."""
        with self._writer.as_default(step=0):
            spec = tf.TensorSpec(model.input_shape, tf.float32)
            tf.summary.graph(tf.function(model).get_concrete_function(spec).graph)
            tf.summary.text("settings", "\n".join(f"    {line}" for line in settings_text.splitlines()))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write scalars, such as the loss and the learning rate."""
        with self._writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def overlap(self, step: int, group: str, overlap: Overlap) -> None:
        """Write IoU and Dice per class and their means, as ``iou/<group>/<class>``; absent classes are left out."""
        values = {f"iou/{group}/mean": overlap.mean_iou, f"dice/{group}/mean": overlap.mean_dice}
        for name, iou, dice in zip(self._names, overlap.iou, overlap.dice, strict=True):
            values |= {f"iou/{group}/{name}": float(iou), f"dice/{group}/{name}": float(dice)}
        self.scalars(step, {name: value for name, value in values.items() if np.isfinite(value)})

    def pictures(self, step: int, pictures: Mapping[str, NDArray[np.uint8]]) -> None:
        """Write RGB pictures ``(height, width, 3)``."""
        with self._writer.as_default(step=step):
            for name, picture in pictures.items():
                tf.summary.image(name, picture[None])

    def flush(self) -> None:
        """Let readers see everything written so far."""
        self._writer.flush()
