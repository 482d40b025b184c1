from pathlib import Path

import numpy as np
import pytest

from keras_unet3d.volumes import Grid, Volume, write_image, write_labels

SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def write(tmp_path):
    """Write ``name → array`` into the dataset folder: floats as images, integers as labels; returns the folder."""

    def write(files, spacing=(1.0, 1.0, 1.0), unit="mm"):
        for name, voxels in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            volume = Volume(voxels, Grid(voxels.shape[:3], spacing, unit=unit))
            if np.issubdtype(voxels.dtype, np.floating):
                write_image(path, volume)
            else:
                write_labels(path, volume)
        return tmp_path

    return write


@pytest.fixture
def image():
    """An image of x=6 y=5 z=4 with one channel."""
    return np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6, 1)


@pytest.fixture
def labels():
    """Dense labels of the same size: 0, and 1 in a block of x=2 y=2 z=2 voxels."""
    labels = np.zeros((4, 5, 6), np.uint8)
    labels[1:3, 1:3, 1:3] = 1
    return labels


@pytest.fixture(params=["hippocampus", "mouse_embryo_nuclei"])
def real_dataset(request):
    folder = SHARED / request.param
    if not folder.is_dir():
        pytest.skip(f"the real dataset {request.param} is not on this machine")
    return folder
