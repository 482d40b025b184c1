"""What is suggested can be corrected and learned from as it is written."""

import numpy as np
import pytest
from PIL import Image

import keras_unet3d as unet3d
from keras_unet3d.annotation.pictures import enlarged
from keras_unet3d.annotation.slices import AnnotatedSlices
from keras_unet3d.phantom import write_phantom_dataset

MODEL = "models/kidney-phantom"


@pytest.fixture(scope="module")
def kidney(tmp_path_factory):
    """Paths of an image, and of its annotation in three slices."""
    data = write_phantom_dataset(tmp_path_factory.mktemp("suggest") / "data", (24, 40, 48), volumes=1)
    truth = unet3d.read_labels(data / "truth" / "kidney_1.nii.gz")
    few = np.where(AnnotatedSlices(z=(12,), y=(20,), x=(24,)).mask(truth.voxels.shape), truth.voxels, np.uint8(3))
    unet3d.write_labels(data / "few.nii.gz", truth.with_voxels(few, truth.segments))
    return data / "images" / "kidney_1.nii.gz", data / "few.nii.gz"


def test_suggested_slices_hold_the_prediction_and_nothing_else_changes(kidney, tmp_path):
    image, annotation = kidney
    found = unet3d.suggest(image, annotation, tmp_path / "next", model=MODEL, count=2)
    before, after = (unet3d.read_labels(file) for file in (annotation, found.annotation))
    assert after.grid == before.grid
    assert {value: each.name for value, each in after.segments.items()} == {
        value: each.name for value, each in before.segments.items()
    }
    predicted = unet3d.segment(image, model=MODEL).labels.voxels
    suggested = np.zeros(before.voxels.shape, bool)
    for each in found.slices:
        np.moveaxis(suggested, each.axis, 0)[each.index] = True
    new = suggested & (before.voxels == 3)
    assert new.any()
    np.testing.assert_array_equal(after.voxels[new], predicted[new])
    np.testing.assert_array_equal(after.voxels[~new], before.voxels[~new])
    assert found.meaning == unet3d.Meaning(unlabeled=3)  # the model knows it; who trains again has to be told
    for each, picture in zip(found.slices, found.pictures, strict=True):
        panels = np.pad(np.asarray(Image.open(picture)), ((0, 0), (0, 4), (0, 0)))
        plain, painted, _ = (panel[:, :-4] for panel in np.array_split(panels, 3, axis=1))
        background = enlarged(np.take(predicted, each.index, axis=each.axis), plain.shape[:2]) == 2
        np.testing.assert_array_equal(painted[background], plain[background])
        assert (painted[~background] != plain[~background]).any(axis=-1).mean() > 0.99


def test_where_unpainted_voxels_are_0_the_slices_to_name_are_said(tmp_path):
    """ITK-SNAP's meaning of 0; the model has learned so, too."""
    rng = np.random.default_rng(0)
    ball = sum((axis - 8) ** 2 for axis in np.ogrid[:16, :16, :16]) < 30
    grid = unet3d.Grid(ball.shape, unit="mm")
    image = (100 * ball + rng.normal(0, 10, ball.shape)).astype(np.float32)
    unet3d.write_image(tmp_path / "a.nii.gz", unet3d.Volume(image[..., None], grid))
    slices = AnnotatedSlices(z=(8,), y=(8,))
    painted = np.where(slices.mask(ball.shape), ball, 0).astype(np.uint8)
    unet3d.write_labels(tmp_path / "l.nii.gz", unet3d.Volume(painted, grid))
    meaning = unet3d.Meaning({"a": slices})
    files = unet3d.dataset_from_pairs([tmp_path / "a.nii.gz"], [tmp_path / "l.nii.gz"])
    settings = unet3d.read_settings(None, {"steps": 2, "network.filters": 2, "network.depth": 1})
    model = unet3d.fit(files, settings, meaning=meaning, models=tmp_path / "m", runs=tmp_path / "r").model
    found = unet3d.suggest(
        tmp_path / "a.nii.gz", tmp_path / "l.nii.gz", tmp_path / "next", model=model, count=1, meaning=meaning
    )
    assert set(slices) < set(found.meaning.annotated_slices)
    assert len(found.meaning.annotated_slices) == 3


def test_rounds_are_numbered_and_the_next_goes_on_with_the_last(kidney, tmp_path):
    image, annotation = kidney
    first = unet3d.suggest(image, annotation, tmp_path, model=MODEL, count=1)
    second = unet3d.suggest(image, first.annotation, tmp_path, model=MODEL, count=1, meaning=first.meaning)
    assert [found.folder.name for found in (first, second)] == ["1", "2"]
    assert first.slices[0].name != second.slices[0].name
    assert first.pictures[0].exists()
    assert second.annotation.exists()


def test_a_dense_annotation_leaves_nothing_to_suggest(kidney, tmp_path):
    image, annotation = kidney
    dense = annotation.parent / "truth" / annotation.name.replace("few", "kidney_1")
    with pytest.raises(unet3d.InputError, match="every voxel is labelled"):
        unet3d.suggest(image, dense, tmp_path / "next", model=MODEL)
    assert not (tmp_path / "next").exists()


def test_an_image_that_is_too_large_is_refused_before_it_is_read(kidney, tmp_path, monkeypatch):
    image, annotation = kidney
    monkeypatch.setattr("keras_unet3d.inference.budget.free_memory", lambda: -(10**12))
    with pytest.raises(unet3d.InputError, match=r"kidney_1\.nii\.gz: x=48 y=40 z=24 take .* MB to look for slices in"):
        unet3d.suggest(image, annotation, tmp_path / "next", model=MODEL)


def test_what_looks_wrong_is_said(kidney, tmp_path):
    """Slices that were counted from 1, as ITK-SNAP does."""
    image, annotation = kidney
    painted = unet3d.read_labels(annotation)
    zero = np.where(painted.voxels == 3, 0, painted.voxels)
    unet3d.write_labels(tmp_path / "l.nii.gz", unet3d.Volume(zero, painted.grid))
    meaning = unet3d.Meaning({"kidney_1": AnnotatedSlices(z=(13,), y=(20,), x=(24,))})
    found = unet3d.suggest(image, tmp_path / "l.nii.gz", tmp_path / "next", model=MODEL, count=1, meaning=meaning)
    assert any("l.nii.gz" in warning and "z=1" in warning for warning in found.warnings)
    assert found.as_json()["warnings"] == list(found.warnings)
