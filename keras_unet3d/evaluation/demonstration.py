"""The demo's choices: which phantom, which network, which folder."""

import os
import shutil
from pathlib import Path

from keras_unet3d.errors import InputError
from keras_unet3d.training.settings import NetworkSettings, OptimizerSettings, Settings
from keras_unet3d.volumes.box import Triple
from keras_unet3d.volumes.outputs import check_output_folder

SHAPE: Triple = (32, 96, 96)
MINUTES = 2.75
"""From the data to the model, so that everything takes under five minutes on two slow cores."""
MARKER = ".unet3d-demo"
_PARTS = ("data", "models", "runs", "segmented", "report.html")


def demo_settings(minutes: float | None, steps: int | None) -> Settings:
    """A small network that learns the phantom in minutes; every annotated slice is learned from."""
    return Settings(
        minutes=None if steps else minutes or MINUTES,
        steps=steps,
        tile=(32, 64, 64),
        batch_size=1,
        hold_out="nothing",
        network=NetworkSettings(filters=8, padding="same"),
        optimizer=OptimizerSettings(learning_rate=3e-3),
    )


def clear_folder(folder: str | os.PathLike[str]) -> Path:
    """Make a demo's folder, or empty it of what an earlier demo left.

    Raises:
        InputError: if it is in use for something else, or cannot be made.
    """
    place = Path(folder)
    check_output_folder(place)
    in_use = place.is_dir() and any(place.iterdir()) and not (place / MARKER).is_file()
    if in_use:
        raise InputError(f"{folder}: holds files that no demo made. Name a new folder with --out.")
    place.mkdir(parents=True, exist_ok=True)
    (place / MARKER).write_text("Made by `unet3d demo`, which starts over here when it runs again.\n", encoding="utf-8")
    for name in _PARTS:
        part = place / name
        if part.is_dir() and not part.is_symlink():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)
    return place


def introduction(steps: int, minutes: float) -> list[str]:
    """What the report says first."""
    story = (
        "A few slices of three synthetic kidneys were annotated; every other voxel was hidden from training. "
        f"{steps} steps in {minutes:.1f} minutes trained a small 3D U-Net, which then gave every voxel a label."
    )
    return [
        story,
        "IoU = TP / (TP + FN + FP), against the hidden truth; 1 is perfect.",
    ]
