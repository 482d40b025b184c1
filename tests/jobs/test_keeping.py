"""`segment --keep`: an annotation and a model speak of classes in one way."""

from pathlib import Path

import numpy as np
import pytest

import keras_unet3d as unet3d
from keras_unet3d.annotation import LabelScheme
from keras_unet3d.serving.description import ModelDescription, TileGeometry, describe_classes
from keras_unet3d.serving.saved_model import LoadedModel

SCHEME = LabelScheme((0, 1, 2), ("background", "a", "b"))


@pytest.fixture
def says_b(random_network):
    """A model that takes every voxel for class b."""
    description = ModelDescription(
        classes=describe_classes(SCHEME),
        channels=("grey",),
        normalization="batch",
        filters=1,
        geometry=TileGeometry(padding="same", depth=1),
    )
    network = random_network(1, 3, filters=1, depth=1, padding="same", normalization="batch")
    kernel, bias = network.layers[-1].weights
    kernel.assign(np.zeros(kernel.shape))
    bias.assign([0, 0, 1])
    return LoadedModel(Path("says_b"), description, network)


@pytest.mark.parametrize(
    ("meaning", "elsewhere"),
    [
        (unet3d.Meaning(unlabeled=0), 2),
        (unet3d.Meaning(dense=True), 0),
        (unet3d.Meaning(annotated_slices=unet3d.AnnotatedSlices(z=(1, 2, 3))), 2),
    ],
)
def test_what_is_kept_is_what_was_painted_whatever_0_means(tmp_path, says_b, meaning, elsewhere):
    """`unlabeled=0` takes the background out of the annotation's classes, not out of the model's."""
    labels = np.zeros((6, 5, 4), np.uint8)
    labels[1:4, 1:3, 1:3] = 1
    image = unet3d.Volume(np.random.default_rng(0).random((6, 5, 4, 1), dtype=np.float32), unet3d.Grid((6, 5, 4)))
    unet3d.write_image(tmp_path / "image.nii.gz", image)
    unet3d.write_labels(tmp_path / "labels.nii.gz", image.with_voxels(labels))
    found = unet3d.segment(
        tmp_path / "image.nii.gz", model=says_b, keep=tmp_path / "labels.nii.gz", meaning=meaning
    ).labels.voxels
    assert (found[labels == 1] == 1).all()
    assert (found[0] == elsewhere).all()
    in_slice = 0 if meaning.annotated_slices else elsewhere
    assert (found[2][labels[2] == 0] == in_slice).all()


def test_a_kept_class_that_the_model_lacks_is_refused(tmp_path, says_b):
    labels = np.zeros((6, 5, 4), np.uint8)
    labels[1:4, 1:3, 1:3] = 7
    image = unet3d.Volume(np.ones((6, 5, 4, 1), np.float32), unet3d.Grid((6, 5, 4)))
    unet3d.write_image(tmp_path / "image.nii.gz", image)
    unet3d.write_labels(tmp_path / "labels.nii.gz", image.with_voxels(labels))
    with pytest.raises(unet3d.InputError, match=r"labels\.nii\.gz: .*7"):
        unet3d.segment(tmp_path / "image.nii.gz", model=says_b, keep=tmp_path / "labels.nii.gz")
