import re
import tracemalloc

import h5py
import nibabel
import numpy as np
import pytest
import SimpleITK
import tifffile
import zarr

from keras_unet3d.errors import InputError, WorkError
from keras_unet3d.volumes import (
    Box,
    Grid,
    Segment,
    Volume,
    nifti,
    read_image,
    read_labels,
    slabs,
    tiff,
    write_image,
    write_labels,
)
from keras_unet3d.volumes.formats import WRITABLE
from keras_unet3d.volumes.scratch import ScratchVoxels

GRID = Grid((2, 3, 4), (3.0, 2.0, 1.0), (5.0, 6.0, 7.0), unit="µm")
LABELS = Volume(np.arange(24, dtype=np.uint8).reshape(2, 3, 4), GRID)
IMAGES = [suffix for suffix in WRITABLE if suffix != ".seg.nrrd"]
SHAPES = [(5, 7, 9), (1, 6, 5), (6, 1, 5), (5, 6, 1), (1, 1, 1)]


def on_disk(folder, voxels):
    """The same voxels in a file; they are never in memory as a whole."""
    scratch = ScratchVoxels(folder / "a.raw", voxels.shape, voxels.dtype)
    scratch.write(Box((0, 0, 0), voxels.shape[:3]), voxels)
    return scratch


def content(file):
    """All bytes of a file, or of those in a folder, but the identifier that OME gives every file, and names."""
    files = sorted(each for each in file.rglob("*") if each.is_file()) if file.is_dir() else [file]
    return [re.sub(rb'urn:uuid:[-0-9a-f]{36}|"name": "(disk|memory)"', b"", each.read_bytes()) for each in files]


def read_by_others(file, shape):
    """The voxels ``(z, y, x[, channel])`` as the libraries of the formats read them."""
    if ".nii" in file.name:
        voxels = np.asarray(nibabel.load(file).dataobj).swapaxes(0, 2)
    elif ".tif" in file.name:
        with tifffile.TiffFile(file) as tif:
            series = tif.series[0]
            axes, voxels = series.get_axes(squeeze=False), series.asarray(squeeze=False)
        places = [axes.index(axis) for axis in "ZYXC"]
        voxels = voxels.transpose(*places, *(index for index in range(len(axes)) if index not in places))
    elif file.suffix in {".h5", ".hdf5"}:
        with h5py.File(file) as stored:
            voxels = next(iter(stored.values()))[()]
    elif file.suffix == ".zarr":
        voxels = zarr.open_array(file / "0", mode="r")[...]
        voxels = np.moveaxis(voxels, 0, -1) if voxels.ndim == 4 else voxels
    else:
        voxels = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file)))
    return voxels.reshape(shape)


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


@pytest.mark.parametrize("suffix", WRITABLE)
@pytest.mark.parametrize("kind", ["uint8", "int16", "int32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_labels_on_disk_make_the_same_file_slab_by_slab(tmp_path, monkeypatch, suffix, kind, shape):
    labels = np.random.default_rng(0).integers(0, 4, shape).astype(kind)
    volume = Volume(labels, Grid(shape, (3.0, 2.0, 1.0), (5.0, 6.0, 7.0), unit="µm"), segments={2: Segment("tubule")})
    monkeypatch.setattr(slabs, "SLAB_BYTES", 150)
    write_labels(tmp_path / f"memory{suffix}", volume)
    with on_disk(tmp_path, labels) as voxels:
        write_labels(tmp_path / f"disk{suffix}", volume.with_voxels(voxels, volume.segments))
    assert content(tmp_path / f"disk{suffix}") == content(tmp_path / f"memory{suffix}")
    there = read_by_others(tmp_path / f"disk{suffix}", shape)
    assert there.dtype == kind
    np.testing.assert_array_equal(there, labels)
    np.testing.assert_array_equal(read_labels(tmp_path / f"disk{suffix}").voxels, labels)


@pytest.mark.parametrize("suffix", IMAGES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_probabilities_on_disk_make_the_same_file_slab_by_slab(tmp_path, monkeypatch, suffix, channels, shape):
    image = np.random.default_rng(0).random((*shape, channels), np.float32)
    volume = Volume(image, Grid(shape, (3.0, 2.0, 1.0), (5.0, 6.0, 7.0), unit="µm"))
    monkeypatch.setattr(slabs, "SLAB_BYTES", 150)
    write_image(tmp_path / f"memory{suffix}", volume)
    with on_disk(tmp_path, image) as voxels:
        write_image(tmp_path / f"disk{suffix}", volume.with_voxels(voxels))
    assert content(tmp_path / f"disk{suffix}") == content(tmp_path / f"memory{suffix}")
    np.testing.assert_array_equal(read_by_others(tmp_path / f"disk{suffix}", image.shape), image)
    np.testing.assert_array_equal(read_image(tmp_path / f"disk{suffix}").voxels, image)


@pytest.mark.parametrize("suffix", WRITABLE)
def test_one_slab_or_many_is_the_same_volume(tmp_path, monkeypatch, suffix):
    labels = np.random.default_rng(0).integers(0, 4, (20, 30, 40)).astype(np.uint8)
    volume = Volume(labels, Grid(labels.shape, unit="mm"))
    write_labels(tmp_path / f"one{suffix}", volume)
    monkeypatch.setattr(slabs, "SLAB_BYTES", 97)
    write_labels(tmp_path / f"many{suffix}", volume)
    one, many = (read_labels(tmp_path / f"{name}{suffix}") for name in ("one", "many"))
    np.testing.assert_array_equal(one.voxels, many.voxels)
    assert one.grid == many.grid
    assert one.segments == many.segments


def test_numbers_on_disk_are_narrowed_as_those_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(slabs, "SLAB_BYTES", 40)
    with on_disk(tmp_path, LABELS.voxels.astype(np.int64) * 100) as voxels:
        write_labels(tmp_path / "a.nii", LABELS.with_voxels(voxels))
    assert read_labels(tmp_path / "a.nii").voxels.dtype == np.uint16
    np.testing.assert_array_equal(read_labels(tmp_path / "a.nii").voxels, LABELS.voxels * np.uint16(100))
    (tmp_path / "a.raw").unlink()
    with on_disk(tmp_path, np.full((2, 3, 4, 1), 0.1)) as voxels:
        write_image(tmp_path / "b.nii", LABELS.with_voxels(voxels))
    assert read_image(tmp_path / "b.nii").voxels.max() == np.float32(0.1)


@pytest.mark.parametrize("suffix", WRITABLE)
def test_memory_does_not_grow_with_the_volume(tmp_path, suffix):
    with ScratchVoxels(tmp_path / "a.raw", (160, 1000, 1000), np.uint8) as voxels:
        write_labels(tmp_path / f"small{suffix}", LABELS)  # imports what is needed
        volume = Volume(voxels, Grid((160, 1000, 1000)))
        tracemalloc.start()
        write_labels(tmp_path / f"a{suffix}", volume)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 60e6  # of 160


def test_what_cannot_be_read_to_its_end_leaves_the_old_file(tmp_path, monkeypatch):
    monkeypatch.setattr(slabs, "SLAB_BYTES", 12)
    files = [suffix for suffix in WRITABLE if not suffix.endswith(".zarr")]  # folders are never replaced
    for suffix in files:
        write_labels(tmp_path / f"a{suffix}", LABELS)
        before = (tmp_path / f"a{suffix}").read_bytes()
        with on_disk(tmp_path, LABELS.voxels) as voxels:
            (tmp_path / "a.raw").write_bytes(bytes(13))
            with pytest.raises(WorkError, match=r"a\.raw: was cut off"):
                write_labels(tmp_path / f"a{suffix}", LABELS.with_voxels(voxels))
        (tmp_path / "a.raw").unlink()
        assert (tmp_path / f"a{suffix}").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == len(files)


def test_more_than_a_classic_tiff_holds_is_ome_in_a_bigtiff(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff, "_LONGEST_IMAGEJ", LABELS.voxels.nbytes)
    with on_disk(tmp_path, LABELS.voxels) as voxels:
        write_labels(tmp_path / "a.tif", LABELS.with_voxels(voxels))
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.is_bigtiff
        assert tif.is_ome
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif").voxels, LABELS.voxels)
