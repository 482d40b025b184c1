import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.volumes import Grid, Volume, read_image, read_labels, write_image
from keras_unet3d.volumes.formats import READABLE

HIPPOCAMPUS = Path(__file__).parents[3] / "shared" / "data" / "hippocampus"
GRID = Grid((2, 3, 4), (3.0, 2.0, 1.0), unit="mm")
SUFFIXES = [".nii", ".nii.gz", ".nrrd", ".mha", ".tif", ".ome.tif", ".h5"]


def voxels(channels=1):
    return np.arange(24 * channels, dtype=np.float32).reshape(2, 3, 4, channels)


def an_image(path, values=None, grid=GRID):
    """Any float32 voxels, bad ones too."""
    write_image(path, Volume(voxels() if values is None else values, grid))
    return path


def test_an_image_is_float32_with_channels_last(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.arange(24, dtype=np.uint8).reshape(4, 3, 2), np.eye(4)), tmp_path / "a.nii")
    image = read_image(str(tmp_path / "a.nii"))
    assert image.voxels.dtype == np.float32
    assert image.voxels.shape == (2, 3, 4, 1)
    assert image.voxels.flags.c_contiguous
    assert image.source == tmp_path / "a.nii"


def test_several_files_are_channels(tmp_path):
    files = [
        an_image(tmp_path / "a_c0.nii.gz", voxels()),
        an_image(tmp_path / "a_c1.nrrd", voxels() * 2),
        an_image(tmp_path / "a_c2.mha", voxels(2)),
    ]
    image = read_image(files)
    assert image.voxels.shape == (2, 3, 4, 4)
    np.testing.assert_array_equal(image.voxels[..., 1], voxels()[..., 0] * 2)
    np.testing.assert_array_equal(image.voxels[..., 2:], voxels(2))
    assert image.source == files[0]
    # What was one file per channel can be written as one.
    write_image(tmp_path / "all.nii.gz", image)
    np.testing.assert_array_equal(read_image(tmp_path / "all.nii.gz").voxels, image.voxels)


def test_channels_on_different_grids_are_refused_with_both(tmp_path):
    first = an_image(tmp_path / "a_c0.nii")
    second = an_image(tmp_path / "a_c1.nii", grid=replace(GRID, spacing=(3.0, 2.0, 1.1)))
    with pytest.raises(InputError, match=r"a_c1.*x=1\.1 y=2 z=3 mm.*a_c0.*x=1 y=2 z=3 mm"):
        read_image([first, second])
    with pytest.raises(InputError, match="at least one"):
        read_image([])


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused_with_its_place(tmp_path, suffix, bad):
    values = voxels()
    values[1, 2, 3], values[1, 2, 2] = bad, bad
    an_image(tmp_path / f"a{suffix}", values)
    with pytest.raises(InputError, match=r"2 voxels are no numbers.*the first at x=2 y=2 z=1\. Replace"):
        read_image(tmp_path / f"a{suffix}")
    with pytest.raises(InputError, match="no numbers"):
        read_labels(tmp_path / f"a{suffix}")


def test_what_float32_cannot_hold_is_refused(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.full((2, 2, 2), 1e300), np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(InputError, match="too large"):
        read_image(tmp_path / "a.nii")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_labels_may_be_stored_as_whole_floats_only(tmp_path, suffix):
    an_image(tmp_path / f"a{suffix}")
    labels = read_labels(tmp_path / f"a{suffix}")
    assert labels.voxels.dtype == np.uint8
    np.testing.assert_array_equal(labels.voxels, voxels()[..., 0])
    values = voxels()
    values[0, 1, 2] = 0.5
    an_image(tmp_path / f"b{suffix}", values)
    with pytest.raises(
        InputError, match=r"1 voxels are not whole numbers, the first 0\.5 at x=2 y=1 z=0.*nearest neighbour"
    ):
        read_labels(tmp_path / f"b{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_labels_have_one_channel(tmp_path, suffix):
    an_image(tmp_path / f"a{suffix}", voxels(2))
    with pytest.raises(InputError, match="2 channels; labels are one whole number per voxel"):
        read_labels(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("suffix", READABLE)
def test_missing_and_empty_files(tmp_path, suffix):
    file = tmp_path / f"a{suffix}"
    with pytest.raises(InputError, match="does not exist"):
        read_image(file)
    file.touch()
    with pytest.raises(InputError, match=r"is empty \(0 bytes\)"):
        read_image(file)


@pytest.mark.parametrize("suffix", READABLE)
def test_random_bytes_are_never_a_traceback(tmp_path, suffix):
    file = tmp_path / f"a{suffix}"
    starts = [
        b"",
        b"NRRD0005\n",
        b"ObjectType = Image\nNDims = 3\n",
        b"II*\x00",
        b"\x1f\x8b\x08\x00",
        b"\x89HDF\r\n\x1a\n",
    ]
    for seed, start in enumerate(starts):
        file.write_bytes(start + np.random.default_rng(seed).bytes(2000))
        with pytest.raises(InputError, match="again"):
            read_image(file)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".tif", ".h5"])
def test_flipped_bytes_are_never_a_traceback(tmp_path, suffix):
    good = an_image(tmp_path / f"a{suffix}").read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        bad = np.frombuffer(good, np.uint8).copy()
        bad[random.integers(0, min(len(bad), 400), 3)] = random.integers(0, 256, 3)
        (tmp_path / f"b{suffix}").write_bytes(bad.tobytes())
        try:
            image = read_image(tmp_path / f"b{suffix}")
        except InputError:
            refused += 1
        else:
            assert image.voxels.shape[:3] == image.grid.shape
    assert refused


def test_an_unknown_suffix_lists_the_known_ones(tmp_path):
    (tmp_path / "a.png").write_bytes(b"png")
    with pytest.raises(InputError, match=r"\.png are not read.*\.nii\.gz .*DICOM.*TIFF"):
        read_image(tmp_path / "a.png")


def test_importing_is_light():
    code = "import sys, keras_unet3d.volumes; print([n for n in sys.modules if '.' not in n])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for heavy in ("SimpleITK", "nibabel", "tifffile", "h5py", "scipy", "tensorflow", "keras'"):
        assert heavy not in loaded


@pytest.mark.skipif(not HIPPOCAMPUS.exists(), reason="the shared hippocampus set is not here")
def test_real_mri(tmp_path):
    import SimpleITK

    for file in sorted((HIPPOCAMPUS / "images").glob("*.nii.gz"))[:5]:
        image, labels = read_image(file), read_labels(HIPPOCAMPUS / "labels" / file.name)
        theirs = nibabel.load(file)
        np.testing.assert_allclose(image.voxels[..., 0], theirs.get_fdata().T, rtol=1e-6)
        assert image.grid.unit == "mm"
        assert image.grid.matches(labels.grid)
        assert set(np.unique(labels.voxels)) == {0, 1, 2}
        write_image(tmp_path / "a.nii.gz", image)
        np.testing.assert_array_equal(nibabel.load(tmp_path / "a.nii.gz").affine, theirs.affine)
        write_image(tmp_path / "a.nrrd", image)
        second = SimpleITK.ReadImage(str(tmp_path / "a.nrrd"))
        original = SimpleITK.ReadImage(str(file))
        np.testing.assert_allclose(second.GetOrigin(), original.GetOrigin(), atol=1e-5)
        np.testing.assert_allclose(second.GetDirection(), original.GetDirection(), atol=1e-5)
