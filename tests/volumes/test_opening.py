"""Parts that are read from files are parts of what is in the files."""

import gzip
import io
import math
import os
import shutil
import threading
import tracemalloc
from functools import partial
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
import SimpleITK
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_unet3d.errors import InputError
from keras_unet3d.volumes import (
    Box,
    Grid,
    Volume,
    open_image,
    opening,
    raw_voxels,
    read_image,
    tiff_data,
    unpacking,
    write_image,
    write_labels,
)
from keras_unet3d.volumes.blocks import BLOCK_BYTES, blocks
from keras_unet3d.volumes.box import read_mirrored
from keras_unet3d.volumes.intensity import volume_intensity
from keras_unet3d.volumes.voxels import Voxels, held_bytes

SHAPE = (5, 6, 7)
OME = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def random(shape=SHAPE, kind="int16"):
    return np.random.default_rng(len(shape)).integers(0, 200, shape).astype(kind)


def nifti(path, voxels, affine=None, kind=None, slope=None):
    """A file of voxels x, y, z[, …] as nibabel has them; gives (z, y, x, channel)."""
    header = nibabel.Nifti1Header(endianness=">") if kind and kind.startswith(">") else None
    if header:
        header.set_data_dtype(kind)
    image = nibabel.Nifti1Image(voxels, np.eye(4) if affine is None else affine, header)
    if slope:
        image.header.set_slope_inter(*slope)
    nibabel.save(image, path)
    there = np.asarray(nibabel.load(path).dataobj)
    if there.dtype.names:
        there = np.stack([there[name] for name in there.dtype.names], axis=-1)
    return path, there.reshape(*there.shape[:3], -1, order="F").transpose(2, 1, 0, 3)


def rgb():
    voxels = np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    for number, name in enumerate("RGB"):
        voxels[name] = random(kind="uint8") + number
    return voxels


def itk(path, voxels, *, vector=True, compressed=False):
    image = SimpleITK.GetImageFromArray(voxels, isVector=vector and voxels.ndim == 4)
    SimpleITK.WriteImage(image, str(path), useCompression=compressed)
    return path, voxels if vector else np.moveaxis(voxels, 0, -1)


def nrrd(path, voxels, sizes, kinds, endian="little"):
    head = f"NRRD0005\ntype: short\nendian: {endian}\nencoding: raw\ndimension: {len(sizes.split())}\nsizes: {sizes}\n"
    space = " ".join(
        "none" if kind == "list" else one
        for kind, one in zip(kinds, ["(1,0,0)", "(0,1,0)", "(0,0,1)", ""], strict=False)
    )
    head += f"space: left-posterior-superior\nspace directions: {space}\nkinds: {' '.join(kinds)}\n\n"
    path.write_bytes(head.encode() + voxels.astype("<i2" if endian == "little" else ">i2").tobytes())
    return path


def tiff(path, voxels, axes, **options):
    rgb = {"photometric": "rgb"} if axes.endswith("S") else {"photometric": "minisblack"}
    tifffile.imwrite(path, voxels, metadata={"axes": axes}, **rgb, **options)
    return path, np.einsum(f"{axes}->ZYX{''.join(sorted(set(axes) - set('ZYX')))}", voxels)


def pages(path, voxels, **options):
    with tifffile.TiffWriter(path) as tif:
        for plane in voxels:
            tif.write(plane, metadata=None, **options)
    return path, voxels


def hdf5(path, voxels, axes, **options):
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("raw", data=voxels, **options)
        for index, axis in enumerate(axes):
            dataset.dims[index].label = axis
    return path, np.einsum(f"{axes}->zyx{''.join(sorted(set(axes) - set('zyx')))}", voxels)


def dicom(folder):
    folder.mkdir()
    voxels = random()
    for z, plane in enumerate(voxels):
        image = SimpleITK.GetImageFromArray(plane)
        tags = {"0020|000d": "1.2.1", "0020|000e": "1.2.2", "0020|0032": f"0\\0\\{z}", "0020|0037": "1\\0\\0\\0\\1\\0"}
        for tag, value in {"0008|0060": "MR", "0008|0018": f"1.2.3.{z}", **tags}.items():
            image.SetMetaData(tag, value)
        writer = SimpleITK.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / f"{z}.dcm"))
        writer.Execute(image)
    return folder, voxels


def several(folder):
    first = nifti(folder / "a_c0.nii.gz", random())
    second = tiff(folder / "a_c1.tif", first[1][..., 0].astype(np.uint8), "ZYX")
    third = hdf5(folder / "a_c2.h5", random((2, 7, 6, 5), "float32"), "czyx", chunks=(1, 2, 2, 2), compression="gzip")
    return [first[0], second[0], third[0]], np.concatenate([first[1], second[1][..., None], third[1]], axis=-1)


def segments(path):
    write_labels(path, Volume(random() % 3, Grid(SHAPE)))
    return path, random() % 3


TURNED = np.array([[0, 0, -2.0, 5], [3, 0, 0, 6], [0, -1, 0, 7], [0, 0, 0, 1]])
FILES = {
    "nifti": lambda folder: nifti(folder / "a.nii", random()),
    "nifti, compressed": lambda folder: nifti(folder / "a.nii.gz", random()),
    "nifti, turned": lambda folder: nifti(folder / "a.nii", random(), TURNED),
    "nifti, scaled": lambda folder: nifti(folder / "a.nii", random(), slope=(0.3, -7)),
    "nifti, scaled and compressed": lambda folder: nifti(folder / "a.nii.gz", random(kind="uint8"), slope=(2, 1)),
    "nifti, big-endian": lambda folder: nifti(folder / "a.nii", random(), kind=">i2"),
    "nifti, float64": lambda folder: nifti(folder / "a.nii", random(kind="float64") / 3),
    "nifti, 4D": lambda folder: nifti(folder / "a.nii", random((*SHAPE, 3))),
    "nifti, 5D": lambda folder: nifti(folder / "a.nii.gz", random((*SHAPE, 1, 2), "float32")),
    "nifti, rgb": lambda folder: nifti(folder / "a.nii", rgb()),
    "nrrd": lambda folder: itk(folder / "a.nrrd", random()),
    "nrrd, compressed vectors": lambda folder: itk(folder / "a.nrrd", random((*SHAPE, 3)), compressed=True),
    "nrrd, detached": lambda folder: itk(folder / "a.nhdr", random((*SHAPE, 2), "float32")),
    "nrrd, detached and compressed": lambda folder: itk(folder / "a.nhdr", random(), compressed=True),
    "nrrd, 4D": lambda folder: itk(folder / "a.nrrd", random((2, *SHAPE)), vector=False),
    "nrrd, big-endian": lambda folder: (
        nrrd(folder / "a.nrrd", random(), "7 6 5", ["domain"] * 3, "big"),
        random(),
    ),
    "nrrd, channels last": lambda folder: (
        nrrd(folder / "a.nrrd", random((2, *SHAPE)), "7 6 5 2", ["domain"] * 3 + ["list"]),
        np.moveaxis(random((2, *SHAPE)), 0, -1),
    ),
    "nrrd, channels first or last": lambda folder: (
        nrrd(folder / "a.nrrd", random((3, 3, 3, 3)), "3 3 3 3", ["domain"] * 3 + ["list"]),
        np.moveaxis(random((3, 3, 3, 3)), 0, -1),
    ),
    "metaimage": lambda folder: itk(folder / "a.mha", random(kind="float64")),
    "metaimage, compressed vectors": lambda folder: itk(folder / "a.mha", random((*SHAPE, 3)), compressed=True),
    "metaimage, detached": lambda folder: itk(folder / "a.mhd", random(kind="uint8")),
    "metaimage, detached and compressed": lambda folder: itk(folder / "a.mhd", random((*SHAPE, 2)), compressed=True),
    "metaimage, 4D": lambda folder: itk(folder / "a.mha", random((3, *SHAPE)), vector=False),
    "segments": lambda folder: segments(folder / "a.seg.nrrd"),
    "tiff, imagej": lambda folder: tiff(folder / "a.tif", random((5, 2, 6, 7), "uint16"), "ZCYX", imagej=True),
    "tiff, ome": lambda folder: tiff(folder / "a.ome.tif", random((2, *SHAPE), "uint16"), "CZYX"),
    "tiff, rgb": lambda folder: tiff(folder / "a.tif", random((*SHAPE, 3), "uint8"), "ZYXS"),
    "tiff, compressed": lambda folder: tiff(folder / "a.tif", random((5, 2, 6, 7)), "ZCYX", compression="zlib"),
    "tiff, in tiles": lambda folder: tiff(folder / "a.tif", random((3, 40, 50)), "ZYX", tile=(16, 16)),
    "tiff, planes of z": lambda folder: tiff(folder / "a.tif", random((6, 7, 5)), "YXZ"),
    "tiff, big-endian": lambda folder: tiff(folder / "a.tif", random(), "ZYX", byteorder=">"),
    "tiff, pages": lambda folder: pages(folder / "a.tif", random(), extratags=[(65000, 2, 300, "x" * 300, False)]),
    "tiff, pages in strips": lambda folder: pages(folder / "a.tif", random(), rowsperstrip=2),
    "tiff, compressed pages": lambda folder: pages(folder / "a.tif", random(), compression="zlib", predictor=True),
    "tiff, rgb pages": lambda folder: pages(folder / "a.tif", random((*SHAPE, 3), "uint8"), photometric="rgb"),
    "tiff, planar pages": lambda folder: (
        pages(folder / "a.tif", random((5, 3, 6, 7), "uint8"), photometric="rgb", planarconfig="separate")[0],
        np.moveaxis(random((5, 3, 6, 7), "uint8"), 1, -1),
    ),
    "hdf5": lambda folder: hdf5(folder / "a.h5", random(), "zyx"),
    "hdf5, chunks": lambda folder: hdf5(
        folder / "a.h5", random((2, *SHAPE), ">i2"), "czyx", chunks=(2, 2, 4, 3), compression="gzip"
    ),
    "hdf5, x first": lambda folder: hdf5(folder / "a.h5", random((7, 6, 5, 2), "float64"), "xyzc"),
    "dicom": lambda folder: dicom(folder / "series"),
    "several files": several,
}


@pytest.fixture(params=[(kind, unpack) for kind in FILES for unpack in ("in memory", "to disk")], ids=str)
def case(request, tmp_path_factory, monkeypatch):
    """An opened file, what is in it, and the folder that it is unpacked to."""
    kind, unpack = request.param
    folder, scratch = tmp_path_factory.mktemp("files"), tmp_path_factory.mktemp("scratch")
    path, expected = FILES[kind](folder)
    monkeypatch.setattr(unpacking, "MOST_IN_MEMORY", 0 if unpack == "to disk" else 1 << 20)
    monkeypatch.setattr(opening, "blocks", partial(blocks, limit=200))
    monkeypatch.setattr(raw_voxels, "_LONGEST_PASSED_OVER", 6)
    with open_image(path, scratch=scratch) as volume:
        yield path, volume, expected.reshape(*expected.shape[:3], -1).astype(np.float32)
    assert not list(scratch.iterdir())


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_part_is_that_part_of_what_is_in_the_file(case, data):
    _, volume, expected = case
    edges = [sorted(data.draw(st.tuples(*[st.integers(0, size)] * 2))) for size in expected.shape[:3]]
    part = tuple(slice(*edge) for edge in edges)
    voxels = volume.voxels[part]
    assert (voxels.dtype, voxels.flags.c_contiguous) == (np.float32, True)
    np.testing.assert_array_equal(voxels, expected[part])


def test_all_else_is_as_if_it_was_read(case):
    path, volume, expected = case
    whole = read_image(path)
    np.testing.assert_array_equal(whole.voxels, expected)
    np.testing.assert_array_equal(volume.voxels[:], expected)
    np.testing.assert_array_equal(volume.voxels[-2:, 1:-1], expected[-2:, 1:-1])
    assert isinstance(volume.voxels, Voxels)
    assert (volume.voxels.shape, volume.voxels.ndim, volume.voxels.dtype) == (expected.shape, 4, np.float32)
    assert (volume.grid, volume.channels, volume.source) == (whole.grid, whole.channels, whole.source)
    assert type(volume.header) is type(whole.header)
    with pytest.raises(IndexError):
        volume.voxels[::2]


IN_PLACE = [
    kind for kind in FILES if not any(word in kind for word in ("compressed", "5D", "several", "chunks", "tiles"))
]
WHOLE = {"segments", "dicom", "tiff, planes of z", "nrrd, channels first or last"}


@pytest.mark.parametrize("kind", IN_PLACE)
def test_only_what_cannot_be_read_in_parts_is_in_memory(tmp_path, kind):
    path, _ = FILES[kind](tmp_path)
    with open_image(path) as volume:
        assert (held_bytes(volume.voxels) > 0) == (kind in WHOLE)


def test_what_is_in_memory_is_told(tmp_path, monkeypatch):
    path, voxels = nifti(tmp_path / "a.nii.gz", random())
    with open_image(path) as volume:
        assert held_bytes(volume.voxels) == 5 * 6 * 7 * 2
    assert held_bytes(voxels) == voxels.nbytes
    monkeypatch.setattr(unpacking, "MOST_IN_MEMORY", 0)
    with open_image(path) as volume:
        assert held_bytes(volume.voxels) == 0
    chunks, _ = hdf5(tmp_path / "a.h5", random((20, 20, 20)), "zyx", chunks=(2, 3, 4), compression="gzip")
    with open_image(chunks) as volume:  # HDF5's cache of chunks, and one chunk
        assert held_bytes(volume.voxels) == 2 * 20 * 20 * 20 * 2 + 2 * 3 * 4 * 2
    several_, _ = several(tmp_path)
    with open_image(several_) as volume:
        assert held_bytes(volume.voxels) == 2 * (2 * 5 * 6 * 7 * 4) + 1 * 2 * 2 * 2 * 4


def with_holes(path):
    values = np.arange(4 * 5 * 6 * 2, dtype=np.float32).reshape(4, 5, 6, 2)
    values[3, 1, 2, 1], values[2, 4, 5, 0] = np.nan, np.inf
    write_image(path, Volume(values, Grid((4, 5, 6))))
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".tif", ".ome.tif", ".h5"])
def test_values_that_are_no_numbers_are_found_where_they_are(tmp_path, suffix):
    with open_image(with_holes(tmp_path / f"a{suffix}")) as volume:
        assert np.isfinite(volume.voxels[:2]).all()
        assert np.isfinite(volume.voxels[:, :4, 3:]).all()
        with pytest.raises(InputError, match=r"1 voxels are no numbers.*the first at x=2 y=1 z=3\. Replace"):
            volume.voxels[1:, 1:3, 2:]
        with pytest.raises(InputError, match=r"2 voxels are no numbers.*the first at x=5 y=4 z=2\. Replace"):
            volume.voxels[:]


def test_the_first_of_them_is_named_whatever_is_read_first(tmp_path, monkeypatch):
    values = np.zeros((4, 4, 4), np.float32)
    values[0, 0, 3], values[3, 3, 0] = np.nan, np.nan
    path, _ = hdf5(tmp_path / "a.h5", values, "zyx", chunks=(4, 4, 2))
    monkeypatch.setattr(opening, "blocks", partial(blocks, limit=4 * 4 * 2 * 4))
    with open_image(path) as volume, pytest.raises(InputError, match=r"2 voxels .* first at x=3 y=0 z=0"):
        volume.voxels[:]


def test_what_an_error_says_is_what_reading_says(tmp_path):
    for path in (tmp_path / "none.nii", tmp_path / "a.png", tmp_path / "a.nrrd"):
        if path.name != "none.nii":
            path.write_text("hello")
        with pytest.raises(InputError) as first:
            read_image(path)
        with pytest.raises(InputError) as second, open_image(path):
            pass
        assert str(first.value) == str(second.value)


@pytest.fixture
def empty_files(tmp_path):
    """Write NIfTI and HDF5 of uint8 zeros, of any size, that take no place on the disk."""

    def write(*size):
        folder = tmp_path / "x".join(map(str, size))
        folder.mkdir()
        header = nibabel.Nifti1Header()
        header.set_data_dtype(np.uint8)
        header.set_data_shape(size[::-1])
        header["vox_offset"], header["magic"] = 352, b"n+1"
        with (folder / "a.nii").open("wb") as file:
            file.write(header.binaryblock + bytes(4))
            file.truncate(352 + math.prod(size))
        with h5py.File(folder / "a.h5", "w") as file:
            file.create_dataset("raw", shape=size, dtype="u1", chunks=(min(size[0], 64), 64, 64))
        return folder

    return write


def test_a_volume_larger_than_memory_is_opened_but_not_read(empty_files):
    folder = empty_files(1 << 13, 1 << 14, 1 << 14)  # 2 TB
    for name in ("a.nii", "a.h5"):
        with pytest.raises(InputError, match="GiB of memory are free"):
            read_image(folder / name)
        with open_image(folder / name) as volume:
            assert not volume.voxels[5000:5002, 9000:9003, 16000:].any()


def test_a_compressed_file_that_does_not_fit_on_the_disk_is_refused(tmp_path, monkeypatch):
    path, _ = nifti(tmp_path / "a.nii.gz", random())
    monkeypatch.setattr(unpacking, "MOST_IN_MEMORY", 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(1000, 900, 100))
    with (
        pytest.raises(InputError, match=rf"a\.nii\.gz.*420 bytes.*{tmp_path} has 100 bytes"),
        open_image(path, scratch=tmp_path),
    ):
        pass
    with pytest.raises(InputError, match="is no folder"), open_image(path, scratch=tmp_path / "none"):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_disk_that_becomes_full_is_said(tmp_path, monkeypatch):
    path, _ = nifti(tmp_path / "a.nii.gz", random())
    monkeypatch.setattr(unpacking, "MOST_IN_MEMORY", 0)
    monkeypatch.setattr(unpacking.tempfile, "TemporaryFile", lambda **_: io.FileIO("/dev/full", "w"))
    with (
        pytest.raises(InputError, match=r"could not be unpacked in .*No space left"),
        open_image(path, scratch=tmp_path),
    ):
        pass


@pytest.mark.parametrize("most", [0, 1 << 20])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha", ".tif"])
def test_compressed_files_that_are_cut_off_are_refused_when_opened(tmp_path, monkeypatch, suffix, most):
    voxels = np.random.default_rng(0).integers(0, 60000, (20, 20, 20)).astype(np.uint16)
    if suffix == ".tif":
        path, _ = tiff(tmp_path / "a.tif", voxels, "ZYX", compression="zlib")
    elif suffix == ".nii.gz":
        path, _ = nifti(tmp_path / "a.nii.gz", voxels)
    else:
        path, _ = itk(tmp_path / f"a{suffix}", voxels, compressed=True)
    path.write_bytes(path.read_bytes()[:-5000])
    monkeypatch.setattr(unpacking, "MOST_IN_MEMORY", most)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.raises(InputError, match="cut off"), open_image(path, scratch=scratch):
        pass
    assert not list(scratch.iterdir())


def test_a_file_that_is_cut_off_while_open_is_said(tmp_path):
    path, _ = nifti(tmp_path / "a.nii", random())
    with open_image(path) as volume:
        os.truncate(path, 400)
        with pytest.raises(InputError, match=r"a\.nii: is cut off"):
            volume.voxels[:]


def test_more_than_the_header_declares_is_never_unpacked(tmp_path, monkeypatch):
    path, expected = nifti(tmp_path / "a.nii", random())
    content = path.read_bytes()
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(content + bytes(1 << 26)))
    monkeypatch.setattr(unpacking, "MOST_IN_MEMORY", 0)
    written = []
    write = unpacking._write
    monkeypatch.setattr(unpacking, "_write", lambda *given: (written.append(len(given[-1])), write(*given)))
    with open_image(tmp_path / "bomb.nii.gz") as volume:
        np.testing.assert_array_equal(volume.voxels[:], expected)
    assert sum(written) == 5 * 6 * 7 * 2


def test_a_data_file_elsewhere_is_left_to_simpleitk(tmp_path):
    path, voxels = itk(tmp_path / "a.mhd", random())
    (tmp_path / "other").mkdir()
    (tmp_path / "a.raw").rename(tmp_path / "other" / "a.raw")
    path.write_text(path.read_text(encoding="utf-8").replace("a.raw", "other/a.raw"))
    with open_image(path) as volume:
        np.testing.assert_array_equal(volume.voxels[:][..., 0], voxels)
        assert held_bytes(volume.voxels) == voxels.nbytes


@pytest.mark.parametrize("at_once", [1, 300, 1 << 20])
def test_an_ome_tiff_of_several_files(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(tiff_data, "_UNPACKED_AT_ONCE", at_once)
    voxels = random((2, *SHAPE), "uint16")
    names = {"a.ome.tif": "urn:uuid:" + "1" * 8, "b.ome.tif": "urn:uuid:" + "2" * 8}
    places = "".join(
        f'<TiffData IFD="0" FirstC="{c}" PlaneCount="5"><UUID FileName="{name}">{uuid}</UUID></TiffData>'
        for c, (name, uuid) in enumerate(names.items())
    )
    for (name, uuid), volume in zip(names.items(), voxels, strict=True):
        text = (
            f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{OME}" UUID="{uuid}"><Image ID="Image:0"><Pixels '
            f'ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="7" SizeY="6" SizeZ="5" SizeC="2" '
            f'SizeT="1">{places}</Pixels></Image></OME>'
        )
        with tifffile.TiffWriter(tmp_path / name, ome=False) as tif:
            for z, plane in enumerate(volume):
                tif.write(plane, description=text if z == 0 else None, metadata=None, contiguous=False)
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tif:
        assert tif.series[0].is_multifile
    with open_image(tmp_path / "a.ome.tif") as opened:
        np.testing.assert_array_equal(opened.voxels[:], np.moveaxis(voxels, 0, -1))


def test_two_threads_may_read(tmp_path):
    voxels = np.random.default_rng(0).integers(0, 60000, (40, 30, 20)).astype(np.uint16)
    files = [nifti(tmp_path / "a.nii", voxels)[0], hdf5(tmp_path / "a.h5", voxels.T, "zyx", chunks=(8, 8, 8))[0]]
    for file in files:
        with open_image(file) as volume:
            wrong = []

            def read(seed, volume=volume, wrong=wrong):
                rng = np.random.default_rng(seed)
                for _ in range(100):
                    box = Box.at(rng.integers(0, 10, 3), rng.integers(1, 10, 3))
                    if not np.array_equal(volume.voxels[box.slices][..., 0], voxels.T[box.slices]):
                        wrong.append(box)

            threads = [threading.Thread(target=read, args=[seed]) for seed in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert not wrong


def test_files_are_closed_at_the_end(tmp_path):
    path, _ = nifti(tmp_path / "a.nii", random())
    with open_image(path) as volume:
        volume.voxels[:1]
    with pytest.raises(InputError):
        volume.voxels[:1]


def traced_peak(work):
    """Bytes of Python's and NumPy's memory at the worst moment."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("place", [(5000, 3000, 2000), (-44, 16300, -44)])
@pytest.mark.parametrize("name", ["a.nii", "a.h5"])
def test_memory_is_that_of_the_part(empty_files, name, place):
    part = Box.at(place, (340, 132, 132))
    with open_image(empty_files(1 << 13, 1 << 14, 1 << 14) / name) as volume:
        assert traced_peak(lambda: read_mirrored(volume.voxels, part)) < 340 * 132 * 132 * 4 + 4 * BLOCK_BYTES


@pytest.mark.parametrize("name", ["a.nii", "a.h5"])
def test_memory_of_going_through_a_volume_does_not_grow_with_it(empty_files, name):
    for depth in (1 << 5, 1 << 7):  # 32 and 128 MB, and four times that as float32
        with open_image(empty_files(depth, 1 << 10, 1 << 10) / name) as volume:
            assert traced_peak(lambda volume=volume: volume_intensity(volume.voxels)) < 4 * BLOCK_BYTES


def test_memory_of_unpacking_does_not_grow_with_the_volume(tmp_path, monkeypatch, empty_files):
    monkeypatch.setattr(unpacking, "MOST_IN_MEMORY", 0)
    for depth in (1 << 4, 1 << 6):
        folder = empty_files(depth, 1 << 10, 1 << 10)
        with (folder / "a.nii").open("rb") as source, gzip.open(folder / "a.nii.gz", "wb", compresslevel=1) as packed:
            shutil.copyfileobj(source, packed)

        def unpack(folder=folder):
            with open_image(folder / "a.nii.gz", scratch=tmp_path):
                pass

        assert traced_peak(unpack) < 4 * BLOCK_BYTES
