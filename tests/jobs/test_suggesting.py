"""What is suggested can be corrected and learned from as it is written."""

import numpy as np
import pytest
from PIL import Image

import keras_unet3d as unet3d
from keras_unet3d.annotation.pictures import enlarged
from keras_unet3d.annotation.slices import AnnotatedSlices
from keras_unet3d.inference.options import SegmentOptions
from keras_unet3d.phantom import write_phantom_dataset
from keras_unet3d.serving.description import ModelDescription

MODEL = "models/kidney-phantom"
PAINTED = unet3d.Meaning({"a": AnnotatedSlices(z=(8,), y=(8,))})
PROBABILITIES = SegmentOptions(probabilities=True)


@pytest.fixture(scope="module")
def kidney(tmp_path_factory):
    """Paths of an image, and of its annotation in three slices."""
    data = write_phantom_dataset(tmp_path_factory.mktemp("suggest") / "data", (24, 40, 48), volumes=1)
    truth = unet3d.read_labels(data / "truth" / "kidney_1.nii.gz")
    few = np.where(AnnotatedSlices(z=(12,), y=(20,), x=(24,)).mask(truth.voxels.shape), truth.voxels, np.uint8(3))
    unet3d.write_labels(data / "few.nii.gz", truth.with_voxels(few, truth.segments))
    return data / "images" / "kidney_1.nii.gz", data / "few.nii.gz"


@pytest.fixture(scope="module")
def ball(tmp_path_factory, random_network):
    """Paths of an image, of its annotation in two slices, and of two models with random weights."""
    from keras_unet3d.serving.export import export_model

    folder = tmp_path_factory.mktemp("ball")
    rng = np.random.default_rng(0)
    ball = sum((axis - 8) ** 2 for axis in np.ogrid[:16, :16, :16]) < 30
    grid = unet3d.Grid(ball.shape, unit="mm")
    intensity = (100 * ball + rng.normal(0, 10, ball.shape)).astype(np.float32)
    unet3d.write_image(folder / "a.nii.gz", unet3d.Volume(intensity[..., None], grid))
    painted = np.where(PAINTED.annotated_slices["a"].mask(ball.shape), ball, 0).astype(np.uint8)
    unet3d.write_labels(folder / "l.nii.gz", unet3d.Volume(painted, grid))
    told = {
        "classes": [{"value": 0, "name": "background"}, {"value": 1, "name": "ball"}],
        "channels": ["0"],
        "normalization": "batch",
        "filters": 2,
        "geometry": {"padding": "same", "depth": 1},
        "tile": (24, 24, 24),
    }
    models = [
        export_model(
            random_network(1, 2, filters=2, depth=1, padding="same", seed=seed),
            folder / str(seed),
            ModelDescription.model_validate(told),
        )
        for seed in range(2)
    ]
    return folder / "a.nii.gz", folder / "l.nii.gz", models


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


def test_several_networks_are_unsure_where_they_contradict_each_other(ball, tmp_path):
    """Not where each of them is undecided: the entropy of the mean less the mean of the entropies."""
    image, annotation, models = ball
    shares = [unet3d.segment(image, model=model, options=PROBABILITIES).probabilities.voxels for model in models]
    undecided = [-(each * np.log2(np.maximum(each, 1e-12))).sum(axis=-1) for each in (*shares, sum(shares) / 2)]
    contradicted = undecided[2] - (undecided[0] + undecided[1]) / 2
    found = unet3d.suggest(image, annotation, tmp_path / "next", model=models, count=3, meaning=PAINTED)
    for each in found.slices:
        assert each.uncertainty == pytest.approx(np.take(contradicted, each.index, axis=each.axis).mean(), rel=1e-3)
        assert each.uncertainty < np.take(undecided[2], each.index, axis=each.axis).mean()


def test_where_unpainted_voxels_are_0_the_slices_to_name_are_said(ball, tmp_path):
    """ITK-SNAP's meaning of 0."""
    image, annotation, (model, _) = ball
    found = unet3d.suggest(image, annotation, tmp_path / "next", model=model, count=1, meaning=PAINTED)
    assert set(PAINTED.annotated_slices["a"]) < set(found.meaning.annotated_slices)
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
