import json
from types import SimpleNamespace

import numpy as np
import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.volumes import Segment, read_image


@pytest.fixture
def image(write):
    return write("a.nii.gz", np.zeros((6, 7, 8, 1), np.float32))


def test_all_that_is_wrong_with_files_comes_in_one_go_before_the_model(unet3d, image):
    done = unet3d("segment", "missing.nii.gz", image, "notes.txt", "--out-dir", "seg")
    assert done.exit_code == 2
    assert "missing.nii.gz: there is no such file" in done.stderr
    assert "notes.txt: there is no such file" in done.stderr
    assert "models/unet3d" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["a.nii.gz"], "Received: 1 file,"),
        (["a.nii.gz", "b.nii.gz", "c.nii.gz"], "Received: 3 files,"),
        (["a.nii.gz", "b.nii,c.nii"], "one IN and one OUT"),
        (["a.nii.gz", "out.png"], "files ending in .png are not written"),
        (["a.nii.gz", "no/folder/out.nii"], "does not exist"),
        (["a.nii.gz", "a.nii.gz"], "is an input, which is never overwritten"),
        (["a.nii.gz", "--out-dir", "."], "is an input, which is never overwritten"),
        (["a.nii.gz", "sub/a.nii.gz", "--out-dir", "seg"], "would be written twice"),
        (["a.nii.gz", "b.nii.gz", "--out-dir", "seg", "--keep", "l.nii.gz"], "belong to one image"),
        (["a.nii.gz", "--out-dir", "a.nii.gz"], "is a file"),
        (["a.nii.gz", "out.nii", "--probabilities", "out.nii"], "would be written twice"),
        (["a.nii.gz", "out.nii"], "models/unet3d: there is no such model"),
        (["a.nii.gz", "out.nii", "--model", "nothing"], "nothing: there is no such model"),
    ],
)
def test_wrong_calls_are_found_before_any_work(unet3d, image, write, tmp_path, arguments, told):
    write("sub/a.nii.gz", np.zeros((6, 7, 8, 1), np.float32))
    before = sorted(tmp_path.rglob("*"))
    done = unet3d("segment", *arguments)
    assert done.exit_code == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_two_images_without_a_folder_do_not_cost_the_second(unet3d, image, write, model):
    other = write("b.nii.gz", np.random.default_rng(0).normal(size=(6, 7, 8, 1)).astype(np.float32))
    before = other.read_bytes()
    done = unet3d("segment", image, other, "--model", model)
    assert done.exit_code == 2
    assert "b.nii.gz: exists, and is no label map of this model" in done.stderr
    assert "--out-dir" in done.stderr
    assert other.read_bytes() == before


@pytest.fixture
def fake(monkeypatch):
    """Segment everything but an image named bad, without a network; returns what was asked for."""
    asked = []

    def segment(path, output, **options):
        asked.append((path, output, options))
        if "bad" in str(path):
            raise InputError(f"{path}: holds NaN.")
        labels = read_image(path).with_voxels(
            np.full((6, 7, 8), 5, np.uint8), {0: Segment("background"), 5: Segment("cell")}
        )
        return SimpleNamespace(labels=labels, plan=[0, 1, 2], warnings=("Look closely.",))

    monkeypatch.setattr("keras_unet3d.api.segment", segment)
    monkeypatch.setattr("keras_unet3d.api.load_model", lambda path: "the model, loaded once")
    return asked


def test_one_bad_image_does_not_stop_the_others(unet3d, image, write, model, fake):
    for name in ("bad.nii.gz", "c.nii.gz"):
        write(name, np.zeros((6, 7, 8, 1), np.float32))
    done = unet3d("segment", "a.nii.gz", "bad.nii.gz", "c.nii.gz", "--out-dir", "new/seg", "--model", model, "--json")
    assert done.exit_code == 1
    plain = json.loads(done.stdout)
    assert [each["output"] for each in plain["segmented"]] == ["new/seg/a.nii.gz", "new/seg/c.nii.gz"]
    assert plain["segmented"][0]["shares"] == {"background": 0.0, "cell": 1.0}
    assert plain["segmented"][0]["tiles"] == 3
    assert plain["model"] == str(model / "3")
    assert plain["failed"] == [{"image": "bad.nii.gz", "error": "bad.nii.gz: holds NaN."}]
    assert "Not segmented: bad.nii.gz" in done.stderr
    assert "Warning: Look closely." in done.stderr
    assert {options["model"] for _, _, options in fake} == {"the model, loaded once"}


def test_one_image_is_read_before_its_model_is_loaded(unet3d, image, model, fake):
    done = unet3d("segment", "a.nii.gz", "out.mha", "--model", model, "--quiet")
    assert done.exit_code == 0
    assert (done.stdout, done.stderr) == ("", "Warning: Look closely.\n")
    assert fake[0][2]["model"] == model / "3"


@pytest.mark.parametrize("version", ["", "3", "3/"])
def test_a_model_is_named_with_or_without_its_version(unet3d, image, model, fake, version):
    (model / "2").mkdir()
    done = unet3d("segment", "a.nii.gz", "out.mha", "--model", f"{model}/{version}")
    assert done.exit_code == 0
    assert done.stderr.startswith(f"Model: {model}/3\n")


def test_a_bad_image_alone_is_a_wrong_input(unet3d, write, model, fake):
    write("bad.nii.gz", np.zeros((6, 7, 8, 1), np.float32))
    done = unet3d("segment", "bad.nii.gz", "out.mha", "--model", model)
    assert done.exit_code == 2
    assert done.stderr.endswith("Error: bad.nii.gz: holds NaN.\n")
