"""A user never sees a traceback, and learns what is wrong before any work starts."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_unet3d.volumes import Grid, Volume, read_labels, write_image, write_labels

pytestmark = pytest.mark.slow

IMAGE = "kidneys/images/kidney_1.nii.gz"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["fit", "nothing"], "nothing: there is no such folder"),
        (["fit", "kidneys", "--filters", "0"], "network.filters"),
        (["info", "kidneys"], "kidneys: is no model"),
        (["segment", IMAGE, "out.png"], "files ending in .png are not written"),
        (["segment", IMAGE, "out.nii", "--model", "nothing"], "nothing: there is no such model"),
        (["evaluate", IMAGE, "kidneys/truth/kidney_1.nii.gz"], IMAGE),
        (["phantom", "kidneys"], "kidneys: exists already"),
        (["demo", "--out", "kidneys"], "kidneys: holds files that no demo made"),
    ],
)
def test_it_is_a_sentence_and_2(user, arguments, told):
    out, err = user.run(*arguments, status=2)
    assert out == ""
    assert told in err


def test_an_image_with_too_few_channels_is_refused_before_the_model_is_loaded(user, trained):
    write_image(user.folder / "grey.nii", Volume(np.ones((8, 8, 8, 1), np.float32), Grid((8, 8, 8))))
    _, err = user.run("segment", "grey.nii", "out.nii", status=2)
    assert "grey.nii: has 1 channel, the model expects 3: lectin, nuclei, membranes" in err
    assert not (user.folder / "out.nii").exists()


def test_a_closed_pipe_is_no_error(user, trained):
    program = Path(sys.executable).with_name("unet3d")
    command = f'set -o pipefail; "{program}" info models/unet3d --json | head -n 1'
    done = subprocess.run(["bash", "-c", command], cwd=user.folder, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_labels_painted_as_in_itk_snap_train_once_their_meaning_is_said(user, tiny):
    """Foreground in one slice of z and one of y, 0 everywhere else."""
    truth = read_labels(user.folder / "kidneys/truth/kidney_1.nii.gz")
    painted = np.zeros_like(truth.voxels)
    foreground = np.where(truth.voxels == 2, 0, truth.voxels + 1)  # inside 1, tubule 2, all else 0
    painted[8], painted[:, 10] = foreground[8], foreground[:, 10]
    write_labels(user.folder / "painted.nii.gz", truth.with_voxels(painted, {}))
    arguments = ["fit", "--image", IMAGE, "--annotation", "painted.nii.gz", "--name", "painted", "--steps", "2"]
    arguments += tiny
    _, err = user.run(*arguments, status=2)
    assert "--annotated-slices" in err
    assert "--dense" in err
    assert not (user.folder / "models" / "painted").exists()
    out, _ = user.run(*arguments, "--annotated-slices", "z=8 y=10", "--quiet")
    assert out == "models/painted/1\n"
