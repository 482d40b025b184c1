from pathlib import Path

import pytest

from keras_unet3d.volumes import stem_of, suffix_of
from keras_unet3d.volumes.suffixes import shown_name, split_channel, split_dataset, within_zarr


@pytest.mark.parametrize(
    ("path", "stem", "suffix"),
    [
        ("images/s1.nii.gz", "s1", ".nii.gz"),
        ("S1.NII.GZ", "S1", ".nii.gz"),
        ("s1.v2.nii", "s1.v2", ".nii"),
        ("s1.seg.nrrd", "s1", ".seg.nrrd"),
        ("s1.nrrd", "s1", ".nrrd"),
        ("s1.ome.tif", "s1", ".ome.tif"),
        ("s1.ome.tiff", "s1", ".ome.tiff"),
        ("s1.tif", "s1", ".tif"),
        ("a/s1.h5:group/labels.nii", "s1", ".h5"),
        ("a/s1.hdf5", "s1", ".hdf5"),
        ("folder/case", "case", ""),
        ("a/s1.ome.zarr", "s1", ".ome.zarr"),
        ("s1.ome.zarr/labels/cells", "cells", ""),
    ],
)
def test_stem_and_suffix(path, stem, suffix):
    assert (stem_of(path), suffix_of(Path(path))) == (stem, suffix)


def test_the_name_of_a_folder_is_whole(tmp_path):
    (tmp_path / "1.2.840.7").mkdir()
    assert stem_of(tmp_path / "1.2.840.7") == "1.2.840.7"
    (tmp_path / "brain.ome.zarr").mkdir()
    assert stem_of(tmp_path / "brain.ome.zarr") == "brain"


def test_a_level_is_shown_with_its_image():
    assert shown_name(Path("a/brain.ome.zarr/2")) == "brain.ome.zarr/2"
    assert shown_name(Path("a/brain.nii.gz")) == "brain.nii.gz"


def test_groups_and_arrays_within_zarr_are_known_by_the_folder_s_name():
    assert within_zarr("a/brain.ome.zarr/labels/cells")
    assert within_zarr("Brain.ZARR")
    assert not within_zarr("zarr/brain.nii")


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("s1_0000", ("s1", 0)),
        ("s_1_c12", ("s_1", 12)),
        ("s1", ("s1", None)),
        ("s1_12", ("s1_12", None)),
        ("_0001", ("_0001", None)),
    ],
)
def test_the_channel_is_a_number_behind_the_name(stem, expected):
    assert split_channel(stem) == expected


def test_a_dataset_is_named_behind_a_colon():
    assert split_dataset("a/f.h5:g/raw") == (Path("a/f.h5"), "g/raw")
    assert split_dataset("a/f.h5") == (Path("a/f.h5"), None)
    assert split_dataset("a:b/f.nii") == (Path("a:b/f.nii"), None)
