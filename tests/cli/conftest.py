"""A runner for the commands, and what they work on, made without TensorFlow."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from keras_unet3d.serving.description import DESCRIPTION_FILE, ModelDescription
from keras_unet3d.volumes import Grid, Volume, write_image, write_labels

SHAPE = (6, 7, 8)
GRID = Grid(SHAPE, spacing=(2.0, 1.0, 0.5), unit="mm")


@pytest.fixture
def unet3d(tmp_path, monkeypatch):
    """Run a command in an empty folder, in this process."""
    from unet3d_cli.main import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)  # tables are as wide as they are, wherever the tests run
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def write(tmp_path):
    """Write an image or a label map under a name; labels where they have three axes."""

    def write_volume(name, voxels):
        voxels = np.asarray(voxels)
        grid = Grid(voxels.shape[:3], GRID.spacing, unit=GRID.unit)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (write_labels if voxels.ndim == 3 else write_image)(path, Volume(voxels, grid))
        return path

    return write_volume


@pytest.fixture
def dataset(tmp_path, write):
    """Two dense cases of one channel: background 0, cell 1."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        labels = (rng.random(SHAPE) < 0.5).astype(np.uint8)
        write(f"data/images/{name}.nii.gz", rng.normal(size=(*SHAPE, 1)).astype(np.float32))
        write(f"data/labels/{name}.nii.gz", labels)
    return tmp_path / "data"


@pytest.fixture
def model(tmp_path):
    """The folder of a model with its description, and nothing that could be loaded."""
    description = ModelDescription.model_validate(
        {
            "classes": [{"value": 0, "name": "background"}, {"value": 5, "name": "cell"}],
            "unlabeled": 9,
            "channels": ["nuclei"],
            "normalization": "batch",
            "filters": 8,
            "geometry": {"padding": "valid", "depth": 3},
            "spacing": (2.0, 1.0, 0.5),
            "unit": "µm",
            "parameters": 1_195_171,
            "training": {
                "cases": 2,
                "labelled_voxels": {"background": 900, "cell": 100},
                "steps": 7,
                "minutes": 0.5,
                "held_out": "Held out for validation: 1 of 2 cases (b).",
                "validation": {
                    "classes": [
                        {"name": "background", "value": 0, "voxels": 90, "iou": 0.9, "dice": 0.95},
                        {"name": "cell", "value": 5, "voxels": 10, "iou": None, "dice": None},
                    ],
                    "mean": {"iou": 0.9, "dice": 0.95},
                    "voxels": 100,
                },
            },
        }
    )
    version = tmp_path / "models" / "cells" / "3"
    (version / DESCRIPTION_FILE).parent.mkdir(parents=True)
    (version / DESCRIPTION_FILE).write_text(json.dumps(description.model_dump(mode="json")), encoding="utf-8")
    (version / "saved_model.pb").write_bytes(b"x" * 1000)
    return version.parent
