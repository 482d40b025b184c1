"""Validation scores labelled voxels of all volumes together, as `segment` would segment them."""

import numpy as np
import pytest

from keras_unet3d.network.sizes import Geometry
from keras_unet3d.training.sampling import TrainingVolume
from keras_unet3d.training.validation import slice_pictures, validate
from keras_unet3d.volumes.intensity import Intensities


class BrightIsOne:
    """Says class 1 where the voxel is above 0, whatever the tile."""

    geometry = Geometry("same", 1)
    classes = 2
    tile_dependent = False
    intensities = Intensities.as_they_are(1)

    def start(self, intensity):
        return self

    def push(self, planes, *, last=False):
        bright = (planes[..., 0] > 0).astype(np.float32)
        return np.stack([1 - bright, bright], axis=-1)


def volume(name, values, labels):
    """A column of voxels along z."""
    image = np.array(values, np.float32).reshape(-1, 1, 1, 1)
    return TrainingVolume(name, image, np.array(labels, np.int16).reshape(-1, 1, 1), (1, 1, 1))


def test_labelled_voxels_of_all_volumes_are_counted_together():
    volumes = [
        volume("a", [-1, 1, 1, -1, 1], [0, 1, -1, -1, 0]),  # right, right, unlabelled, unlabelled, wrong
        volume("b", [1, -1, 1], [1, 1, -1]),  # right, wrong, unlabelled
    ]
    found = validate(BrightIsOne(), volumes, filters=2)
    np.testing.assert_array_equal(found.overlap.matrix, [[1, 1], [1, 2]])
    assert [each.matrix.tolist() for each in found.overlaps] == [[[1, 1], [0, 1]], [[0, 0], [1, 1]]]
    np.testing.assert_array_equal(found.first.ravel(), [0, 1, 1, 0, 1])


def test_without_a_volume_there_is_nothing_to_score():
    with pytest.raises(ValueError, match="needs a volume"):
        validate(BrightIsOne(), [], filters=2)


@pytest.mark.parametrize("axis", "zyx")
def test_pictures_go_through_labelled_slices(axis):
    """Image, truth and prediction side by side, 12 × 10 × 8 voxels (x, y, z); two slices of z are labelled."""
    labels = np.full((8, 10, 12), -1, np.int16)
    labels[[1, 6]] = 1
    image = np.zeros((*labels.shape, 1), np.float32)
    prediction = np.zeros(labels.shape, np.uint8)
    red, green = (255, 0, 0), (0, 255, 0)
    shown = slice_pictures(TrainingVolume("a", image, labels, (1, 1, 1)), prediction, (red, green))
    assert set(shown) == {"validation/z", "validation/y", "validation/x"}
    picture = shown[f"validation/{axis}"]
    third = picture.shape[1] // 3
    truth, found = (picture[:, at : at + third].reshape(-1, 3) for at in (third, 2 * third))
    assert (truth[:, 1] > truth[:, 0]).any()  # some voxels of class 1, green
    assert not (found[:, 1] > found[:, 0]).any()
