import json
import os
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.volumes import Grid, Segment, Volume, open_image, read_image, read_labels, write_image, write_labels
from keras_unet3d.volumes.opening import opened_file
from keras_unet3d.volumes.unpacking import Opening

zarr = pytest.importorskip("zarr", reason="zarr-python, the extra [zarr], is missing")

GRID = Grid(
    (4, 5, 6), (2.04, 1.76, 1.5), (10.0, 20.0, 30.0), ((0.0, 0.0, 1.0), (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), "mm"
)
SCALE = {"t": 1.0, "c": 1.0, "z": 2.0, "y": 0.5, "x": 0.25}


def random(shape, kind="uint16"):
    return np.random.default_rng(0).integers(0, 200, shape).astype(kind)


def saved(path, voxels, axes, version, *, units=None, translation=None, **others):
    """An image as other software writes it, of one level."""
    group = zarr.open_group(path, mode="w", zarr_format=version)
    group.create_array("full", shape=voxels.shape, dtype=voxels.dtype, chunks=tuple(min(3, n) for n in voxels.shape))[
        ...
    ] = voxels
    units = units or dict.fromkeys("zyx", "micrometer")
    transformations = [{"type": "scale", "scale": [SCALE[axis] for axis in axes]}]
    if translation:
        transformations.append({"type": "translation", "translation": [translation.get(axis, 0) for axis in axes]})
    told = {
        "multiscales": [
            {
                "version": "0.4",
                "axes": [
                    {"name": axis, "type": {"t": "time", "c": "channel"}.get(axis, "space")}
                    | ({"unit": units[axis]} if axis in units else {})
                    for axis in axes
                ],
                "datasets": [{"path": "full", "coordinateTransformations": transformations}],
            }
        ],
        **others,
    }
    group.attrs.update({"ome": {"version": "0.5", **told}} if version == 3 else told)
    return path


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("axes", ["zyx", "czyx", "tczyx"])
def test_axes_spacing_place_and_channels_are_read(tmp_path, axes, version):
    sizes = {"z": 4, "y": 5, "x": 6, "c": 2, "t": 1}
    voxels = random([sizes[axis] for axis in axes])
    labels = [{"label": name} for name in ("lectin", "nuclei")]
    path = saved(
        tmp_path / "a.ome.zarr", voxels, axes, version, translation={"z": 7, "x": 3}, omero={"channels": labels}
    )
    expected = np.einsum(f"{axes}->zyx{axes[:-3]}", voxels).reshape(4, 5, 6, -1)
    image = read_image(path)
    np.testing.assert_array_equal(image.voxels, expected)
    assert image.grid == Grid((4, 5, 6), (2.0, 0.5, 0.25), (3.0, 0.0, 7.0), unit="µm")
    assert image.channels == (("lectin", "nuclei") if "c" in axes else ())
    with open_image(path) as opened:
        np.testing.assert_array_equal(opened.voxels[1:3, :, 2:5], expected[1:3, :, 2:5])


def test_lengths_come_in_one_unit(tmp_path):
    units = {"z": "millimeter", "y": "micrometer", "x": "micrometer"}
    assert read_image(saved(tmp_path / "a.zarr", random((2, 2, 2)), "zyx", 3, units=units)).grid.spacing == (
        2000.0,
        0.5,
        0.25,
    )


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("shape", [(4, 5, 6), (1, 300, 270), (70, 90, 300)])
def test_what_is_written_is_read_again_on_its_grid(tmp_path, version, shape):
    grid = replace(GRID, shape=shape)
    segments = {0: Segment("background"), 300: Segment("cell", (255, 0, 10))}
    labels = Volume(np.where(random(shape) > 100, 300, 0).astype(np.uint16), grid, segments=segments, header=version)
    write_labels(tmp_path / "labels.ome.zarr", labels)
    found = read_labels(tmp_path / "labels.ome.zarr")
    np.testing.assert_array_equal(found.voxels, labels.voxels)
    assert (found.grid, found.segments, found.header) == (grid, segments, version)

    image = Volume(random((*shape, 2), "float32"), grid, ("a", "b"), header=version)
    write_image(tmp_path / "image.ome.zarr", image)
    found = read_image(tmp_path / "image.ome.zarr")
    np.testing.assert_array_equal(found.voxels, image.voxels)
    assert (found.grid, found.channels) == (grid, ("a", "b"))


def test_coarser_levels_lie_where_the_finest_does(tmp_path):
    """Voxels of 4 µm along z wait for those of 1 µm along y and x."""
    grid = Grid((20, 600, 500), (4.0, 1.0, 1.0), unit="µm")
    voxels = random((*grid.shape, 1), "float32")
    write_image(tmp_path / "a.ome.zarr", Volume(voxels, grid))
    write_labels(tmp_path / "b.ome.zarr", Volume(voxels[..., 0].astype(np.uint8), grid))
    coarse = read_image(tmp_path / "a.ome.zarr" / "1")
    assert coarse.grid == Grid((20, 300, 250), (4.0, 2.0, 2.0), (0.5, 0.5, 0.0), unit="µm")
    np.testing.assert_allclose(coarse.voxels[3, 7, 9, 0], voxels[3, 14:16, 18:20].mean(), rtol=1e-6)
    coarsest = read_labels(tmp_path / "b.ome.zarr" / "2")
    assert coarsest.grid == Grid((20, 150, 125), (4.0, 4.0, 4.0), unit="µm")
    np.testing.assert_array_equal(coarsest.voxels, voxels[:, ::4, ::4, 0])
    with pytest.raises(InputError, match="does not exist"):
        read_image(tmp_path / "a.ome.zarr" / "3")


def test_a_folder_of_labels_is_no_image(tmp_path):
    (tmp_path / "labels").mkdir()
    write_labels(tmp_path / "labels" / "a.ome.zarr", Volume(random((4, 5, 6), "uint8"), GRID))
    assert read_labels(tmp_path / "labels" / "a.ome.zarr").grid == GRID


@pytest.mark.parametrize("version", [2, 3])
def test_labels_within_an_image_are_listed_there(tmp_path, version):
    image = saved(tmp_path / "a.ome.zarr", random((4, 5, 6)), "zyx", version)
    grid = read_image(image).grid
    header = read_image(image).header
    for name in ("cells", "nuclei"):
        write_labels(image / "labels" / name, Volume(random((4, 5, 6), "uint8"), grid, header=header))
    assert read_labels(image / "labels" / "cells").grid.agrees(grid)
    attributes = dict(zarr.open_group(image / "labels", mode="r").attrs)
    assert attributes.get("ome", attributes)["labels"] == ["cells", "nuclei"]


def test_nothing_that_is_there_is_replaced(tmp_path):
    path = tmp_path / "a.ome.zarr"
    write_labels(path, Volume(random((4, 5, 6), "uint8"), GRID))
    before = sorted(path.rglob("*"))
    with pytest.raises(InputError, match="exists already"):
        write_labels(path, Volume(random((4, 5, 6), "uint8"), GRID))
    assert sorted(path.rglob("*")) == before


def test_a_file_of_bioformats2raw_has_its_image_in_a_group(tmp_path):
    path = tmp_path / "a.zarr"
    zarr.open_group(path, mode="w").attrs.update({"ome": {"version": "0.5", "bioformats2raw.layout": 3}})
    saved(path / "0", random((4, 5, 6)), "zyx", 3)
    assert read_image(path).voxels.shape == (4, 5, 6, 1)
    saved(path / "1", random((4, 5, 6)), "zyx", 3)
    with pytest.raises(InputError, match=r"It holds 0, 1\. Name an image in it, such as .*/0"):
        read_image(path)


def change(path, **changes):
    file = path / "zarr.json"
    told = json.loads(file.read_text())
    file.write_text(json.dumps(told | changes))


@pytest.mark.parametrize("where", ["../b.ome.zarr/full", "/full", "..\\b"])
def test_a_level_outside_of_the_image_is_not_opened(tmp_path, where):
    path = saved(tmp_path / "a.ome.zarr", random((4, 5, 6)), "zyx", 3)
    saved(tmp_path / "b.ome.zarr", random((4, 5, 6)), "zyx", 3)
    told = json.loads((path / "zarr.json").read_text())["attributes"]
    told["ome"]["multiscales"][0]["datasets"][0]["path"] = where
    change(path, attributes=told)
    with pytest.raises(InputError, match="outside of itself"):
        read_image(path)


def test_packing_that_can_run_code_is_not_opened(tmp_path):
    """Zarr 2 lets any codec of numcodecs be named, pickle among them."""
    path = saved(tmp_path / "a.ome.zarr", random((4, 5, 6)), "zyx", 2)
    file = path / "full" / ".zarray"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"filters": [{"id": "pickle"}]}))
    with pytest.raises(InputError, match="packed by pickle"):
        read_image(path)
    path = saved(tmp_path / "b.ome.zarr", random((4, 5, 6)), "zyx", 3)
    change(path / "full", codecs=[{"name": "numcodecs.pickle"}, {"name": "bytes"}])
    with pytest.raises(InputError, match="packed by pickle"):
        read_image(path)


def test_a_chunk_that_claims_all_memory_is_refused(tmp_path):
    path = saved(tmp_path / "a.ome.zarr", random((4, 5, 6)), "zyx", 3)
    chunks = {"name": "regular", "configuration": {"chunk_shape": [1 << 20, 1 << 20, 1 << 20]}}
    change(path / "full", chunk_grid=chunks)
    with pytest.raises(InputError, match="GiB of memory are free"), open_image(path):
        pass


def test_bad_metadata_is_a_sentence(tmp_path):
    path = saved(tmp_path / "a.ome.zarr", random((3, 4, 5, 6)), "tzyx", 3)
    with pytest.raises(InputError, match="3 time points"):
        read_image(path)
    path = saved(tmp_path / "b.ome.zarr", random((5, 6)), "yx", 3)
    with pytest.raises(InputError, match="its axes are y x"):
        read_image(path)
    (path / "zarr.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        read_image(path)
    array = tmp_path / "c.zarr"
    zarr.create_array(array, shape=(2, 2, 2), dtype="uint8")
    with pytest.raises(InputError, match="without the metadata of OME-Zarr"):
        read_image(array)
    (tmp_path / "d.zarr").mkdir()
    with pytest.raises(InputError, match="no Zarr group"):
        read_image(tmp_path / "d.zarr")


def test_a_chunk_that_is_cut_off_is_a_sentence(tmp_path):
    path = saved(tmp_path / "a.ome.zarr", random((4, 5, 6)), "zyx", 3)
    chunk = next(file for file in path.rglob("*") if file.is_file() and file.name != "zarr.json")
    os.truncate(chunk, 5)
    with pytest.raises(InputError, match="cut off, damaged"):
        read_image(path)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("separator", [".", "/"])
def test_what_is_stored_of_an_empty_array_is_found_whatever_its_size(tmp_path, version, separator):
    """An array of 10^15 chunks, of which three are there."""
    path = saved(tmp_path / "a.ome.zarr", random((4, 5, 6)), "zyx", version)
    group = zarr.open_group(path, mode="r+", zarr_format=version)
    encoding = {"name": "default" if version == 3 else "v2", "separator": separator}
    told = {"shape": (10**6,) * 3, "chunks": (10, 10, 10), "dtype": "uint8", "chunk_key_encoding": encoding}
    array = group.create_array("full", overwrite=True, **told)
    for z, y, x in ((999_990, 5, 0), (0, 0, 40), (20, 30, 40)):
        array[z, y, x] = 1
    if separator == "/":
        (first,) = (path / "full").rglob("99999*" if version == 2 else "99999")
        first.rename(tmp_path / "elsewhere")
        first.symlink_to(tmp_path / "elsewhere")
        (first / "loop").symlink_to(path)
    (path / "full" / "0.0.x").touch()
    (path / "full" / "7.7").touch()
    with ExitStack() as closing:
        volume = opened_file(path, Opening(closing, whole=False))
        found = [box.start for box in volume.voxels.written()]
    assert found == [(0, 0, 40), (20, 30, 40), (999_990, 0, 0)]
