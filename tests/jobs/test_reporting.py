"""`report`: of a model, and of a model on a dataset, whose labels may be few slices."""

import json
from pathlib import Path

import numpy as np
import pytest

import keras_unet3d as unet3d
from keras_unet3d.phantom import write_phantom_dataset

MODEL = Path(__file__).parents[2] / "models" / "kidney-phantom"


def test_without_a_dataset_nothing_is_segmented(tmp_path):
    written = unet3d.report(MODEL, output=tmp_path / "page.html")
    assert written.scores is None
    assert written.model == MODEL / "1"
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<h1>kidney-phantom, version 1</h1>" in page
    assert "413 steps" in page
    assert "niivue" not in page


def test_sparse_labels_are_compared_where_they_are(tmp_path):
    data = write_phantom_dataset(tmp_path / "data", (16, 32, 32), 2, 5)
    said = []
    written = unet3d.report(MODEL, data, tmp_path / "page.html", say=said.append)
    assert len(written.scores.cases) == 2
    labelled = [
        int((unet3d.read_labels(file).voxels != 3).sum()) for file in sorted((data / "labels").iterdir())
    ]  # 3 is unlabelled
    assert sorted(case.scores.voxels for case in written.scores.cases) == sorted(labelled)
    assert said[0].startswith("Segmenting kidney_1, 1 of 2")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert 'class="view"' in page
    assert len(page) < 15e6


def test_classes_that_the_model_lacks_are_said_with_their_file(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    grid = unet3d.Grid((8, 8, 8))
    unet3d.write_image(tmp_path / "images" / "a.nii.gz", unet3d.Volume(np.zeros((8, 8, 8, 3), np.float32), grid))
    labels = np.indices((8, 8, 8)).sum(0).astype(np.uint8) % 3
    labels[0] = 9
    unet3d.write_labels(tmp_path / "labels" / "a.nii.gz", unet3d.Volume(labels, grid))
    with pytest.raises(unet3d.InputError, match=r"a\.nii\.gz.*9"):
        unet3d.report(MODEL, tmp_path, tmp_path / "page.html")
    names = {"0": "inside", "1": "tubule", "2": "background", "9": "stone"}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": names}), encoding="utf-8")
    with pytest.raises(unet3d.InputError, match=r"a\.nii\.gz.*9.*of the model"):
        unet3d.report(MODEL, tmp_path, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_page_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    with pytest.raises(unet3d.InputError, match="does not exist"):
        unet3d.report(MODEL, tmp_path, tmp_path / "no" / "page.html")
    with pytest.raises(unet3d.InputError, match=r"\.html"):
        unet3d.report(MODEL, tmp_path, tmp_path / "page.pdf")
