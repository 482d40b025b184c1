import numpy as np
import pytest

from keras_unet3d.errors import InputError, WorkError
from keras_unet3d.volumes import Grid, Volume, nifti, read_image, read_labels, write_image, write_labels
from keras_unet3d.volumes.formats import WRITABLE

GRID = Grid((2, 3, 4), (3.0, 2.0, 1.0), (5.0, 6.0, 7.0), unit="µm")
LABELS = Volume(np.arange(24, dtype=np.uint8).reshape(2, 3, 4), GRID)
IMAGES = [suffix for suffix in WRITABLE if suffix != ".seg.nrrd"]


@pytest.mark.parametrize("suffix", WRITABLE)
def test_labels_go_round_with_their_grid_and_leave_one_file(tmp_path, suffix):
    write_labels(tmp_path / f"a{suffix}", LABELS)
    labels = read_labels(tmp_path / f"a{suffix}")
    assert labels.voxels.dtype == np.uint8
    np.testing.assert_array_equal(labels.voxels, LABELS.voxels)
    assert labels.grid.unit == "µm"
    assert labels.grid.matches(GRID, 1e-6)
    assert [file.name for file in tmp_path.iterdir()] == [f"a{suffix}"]


@pytest.mark.parametrize("suffix", IMAGES)
def test_probabilities_go_round_exactly(tmp_path, suffix):
    probabilities = np.random.default_rng(0).random((2, 3, 4, 3), np.float32)
    write_image(tmp_path / f"a{suffix}", LABELS.with_voxels(probabilities))
    np.testing.assert_array_equal(read_image(tmp_path / f"a{suffix}").voxels, probabilities)


@pytest.mark.parametrize("suffix", IMAGES)
@pytest.mark.parametrize("other", WRITABLE)
def test_any_format_becomes_any_other(tmp_path, suffix, other):
    write_image(tmp_path / f"a{suffix}", Volume(np.zeros((2, 3, 4, 1), np.float32), GRID))
    image = read_image(tmp_path / f"a{suffix}")
    write_labels(tmp_path / f"b{other}", image.with_voxels(LABELS.voxels))
    labels = read_labels(tmp_path / f"b{other}")
    np.testing.assert_array_equal(labels.voxels, LABELS.voxels)
    assert labels.grid.matches(GRID, 1e-6)


@pytest.mark.parametrize("suffix", [".png", "", ".mhd", ".nhdr", ".dcm"])
def test_other_suffixes_are_refused_with_those_that_are_written(tmp_path, suffix):
    with pytest.raises(InputError, match=r"are not written.*\.nii\.gz .*\.seg\.nrrd .*\.h5"):
        write_labels(tmp_path / f"a{suffix}", LABELS)


def test_an_image_is_no_segmentation(tmp_path):
    with pytest.raises(InputError, match="label maps only"):
        write_image(tmp_path / "a.seg.nrrd", Volume(np.zeros((2, 3, 4, 1), np.float32), GRID))
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_old_file(tmp_path, monkeypatch):
    write_labels(tmp_path / "a.nii", LABELS)
    before = (tmp_path / "a.nii").read_bytes()

    def fail(path, volume, *, labels):
        path.write_bytes(b"half")
        raise RuntimeError("disk full, says SimpleITK")

    monkeypatch.setattr(nifti, "write", fail)
    with pytest.raises(WorkError, match="could not be written"):
        write_labels(tmp_path / "a.nii", LABELS)
    assert (tmp_path / "a.nii").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_missing_folder(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        write_labels(tmp_path / "no" / "a.nii", LABELS)


def test_numbers_are_narrowed_honestly(tmp_path):
    write_labels(tmp_path / "a.nii", LABELS.with_voxels(LABELS.voxels.astype(np.int64) * 100))
    assert read_labels(tmp_path / "a.nii").voxels.dtype == np.uint16
    with pytest.raises(InputError, match="at most"):
        write_labels(tmp_path / "a.nii", LABELS.with_voxels(LABELS.voxels.astype(np.int64) << 40))
    write_image(tmp_path / "b.nii", LABELS.with_voxels(np.full((2, 3, 4, 1), 0.1)))
    assert read_image(tmp_path / "b.nii").voxels.max() == np.float32(0.1)


def test_programming_errors_are_told_as_such(tmp_path):
    with pytest.raises(ValueError, match="integer type"):
        write_labels(tmp_path / "a.nii", LABELS.with_voxels(LABELS.voxels / 2))
    with pytest.raises(ValueError, match="4 axes"):
        write_image(tmp_path / "a.nii", LABELS)
    with pytest.raises(ValueError, match="3 axes"):
        write_labels(tmp_path / "a.nii", Volume(LABELS.voxels[:1], GRID))
