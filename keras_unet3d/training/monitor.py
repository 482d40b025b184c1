"""What TensorBoard shows of a run."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorboard.plugins.hparams import api as hparams
from tensorboard.plugins.pr_curve.summary import raw_data_pb as pr_curve_summary

from keras_unet3d.metrics.overlap import Overlap
from keras_unet3d.metrics.precision_recall import BINS, PrecisionRecall, share


class Monitor:
    """Writes event files into the run's folder; a resumed run appends to what is there.

    Args:
        folder: of the run; ``tensorboard --logdir`` takes it or any folder above.
        class_names: in class order.
    """

    def __init__(self, folder: Path, class_names: tuple[str, ...]) -> None:
        self._name = "/".join(folder.parts[-3:])  # unique among folds and trials, too
        self._names = class_names
        self._writer = tf.summary.create_file_writer(str(folder / "tensorboard"))

    def start(self, model: keras.Model, settings: Mapping[str, Any]) -> None:
        """Write the graph of the model, and the settings as text and as what runs are compared by.

        Args:
            model: functional.
            settings: nested, of plain values.
        """
        settings_text = json.dumps(settings, indent=1)
        with self._writer.as_default(step=0):
            spec = tf.TensorSpec(model.input_shape, tf.float32)
            tf.summary.graph(tf.function(model).get_concrete_function(spec).graph)
            hparams.hparams(dict(_flat(settings)), trial_id=self._name)
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

    def curves(self, step: int, group: str, curves: PrecisionRecall) -> None:
        """Write precision over recall of each class, as ``<group>/<class>`` on TensorBoard's page of PR curves."""
        with self._writer.as_default(step=step):
            for index, name in enumerate(self._names):
                found, wrong, _, missed = counts = curves.confusion(index)
                if found[0]:  # else the class is nowhere
                    shares = share(found, found + wrong), share(found, found + missed)
                    summary = pr_curve_summary(f"{group}/{name}", *counts, *shares, num_thresholds=BINS)
                    tf.summary.experimental.write_raw_pb(summary.SerializeToString(), step)

    def pictures(self, step: int, pictures: Mapping[str, NDArray[np.uint8]]) -> None:
        """Write RGB pictures ``(height, width, 3)``."""
        with self._writer.as_default(step=step):
            for name, picture in pictures.items():
                tf.summary.image(name, picture[None])

    def flush(self) -> None:
        """Let readers see everything written so far."""
        self._writer.flush()


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names, and values that TensorBoard compares runs by: numbers, truth values and text."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value if isinstance(value, bool | int | float | str) else json.dumps(value)
