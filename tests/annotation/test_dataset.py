from pathlib import Path

import pytest

from keras_unet3d.annotation import dataset_from_pairs
from keras_unet3d.errors import InputError


def test_pairs_are_named_by_their_images():
    dataset = dataset_from_pairs(["in/a.nii.gz", ["b_c0.tif", "b_c1.tif"]], ["a_labels.nii.gz", "b.seg.nrrd"])
    assert [case.name for case in dataset.cases] == ["a", "b"]
    assert dataset.cases[1].images == (Path("b_c0.tif"), Path("b_c1.tif"))
    assert dataset.cases[0].labels == Path("a_labels.nii.gz")
    assert dataset.scheme is None


def test_images_of_one_name_in_two_folders_keep_apart():
    dataset = dataset_from_pairs(["one/a.nii", "two/a.nii"], ["one/l.nii", "two/l.nii"])
    assert [case.name for case in dataset.cases] == ["one/a.nii", "two/a.nii"]


@pytest.mark.parametrize(("images", "annotations"), [([], []), (["a.nii"], []), (["a.nii"], ["b.nii", "c.nii"])])
def test_every_image_needs_its_annotation(images, annotations):
    with pytest.raises(InputError, match=f"Received: {len(images)} images, {len(annotations)} annotations"):
        dataset_from_pairs(images, annotations)
