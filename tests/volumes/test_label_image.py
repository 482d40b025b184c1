"""A label image that is written part by part is the one that is written whole."""

from itertools import product

import numpy as np
import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.volumes import Grid, Segment, Volume, read_labels, write_image, write_labels
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.label_image import LabelImage, made_of

zarr = pytest.importorskip("zarr", reason="zarr-python, the extra [zarr], is missing")

SEGMENTS = {0: Segment("background"), 7: Segment("cell", (255, 0, 0))}


def volume(shape, version="0.5"):
    labels = np.random.default_rng(0).choice(np.array([0, 7], np.uint8), shape)
    return Volume(labels, Grid(shape, (2.0, 1.0, 1.0), (3.0, 2.0, 1.0), unit="µm"), segments=SEGMENTS, header=version)


def write_in_blocks(folder, output, labels, block, *, seed=0):
    """In a random order, each block in layers, as another process would that opens it for itself."""
    LabelImage.create(folder, output, labels, np.uint8, block)
    starts = list(product(*(range(0, n, step) for n, step in zip(labels.grid.shape, block, strict=True))))
    np.random.default_rng(seed).shuffle(starts)
    for start in starts:
        image, box = LabelImage(folder), Box.at(start, block).clipped(labels.grid.shape)
        for first in range(box.start[0], box.stop[0], image.layer):
            layer = Box((first, *box.start[1:]), (min(first + image.layer, box.stop[0]), *box.stop[1:]))
            image.write(layer, labels.voxels[layer.slices])
        image.halve(box)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(
    ("shape", "block"),
    [((70, 300, 520), (64, 128, 256)), ((70, 300, 520), (70, 300, 64)), ((9, 600, 50), (9, 128, 50))],
)
def test_parts_in_any_order_make_the_image_that_is_written_whole(tmp_path, version, shape, block):
    labels = volume(shape, version)
    whole, parts = (tmp_path / name / "a.ome.zarr" for name in ("whole", "parts"))
    whole.parent.mkdir()
    parts.parent.mkdir()
    write_labels(whole, labels)
    write_in_blocks(tmp_path / "unfinished", parts, labels, block)
    assert not parts.exists()
    LabelImage(tmp_path / "unfinished").finish(parts, {"facts": "x"})
    found = read_labels(parts)
    np.testing.assert_array_equal(found.voxels, labels.voxels)
    assert (found.grid, found.segments, found.header) == (labels.grid, SEGMENTS, version)
    one, other = (zarr.open_group(str(path), mode="r") for path in (whole, parts))
    assert sorted(one) == sorted(other)
    assert len(list(one)) == 2 + (max(shape) > 512)
    for name in one:
        np.testing.assert_array_equal(one[name][:], other[name][:])
    told = dict(other.attrs)
    assert made_of(parts) == told.pop("keras_unet3d_made_of") == {"facts": "x"}
    assert told == dict(one.attrs)
    assert not (tmp_path / "unfinished").exists()


def test_a_part_that_is_written_twice_stays_as_it_is_and_one_that_is_not_is_0(tmp_path):
    labels, output = volume((64, 128, 64)), tmp_path / "a.ome.zarr"
    LabelImage.create(tmp_path / "unfinished", output, labels, np.uint8, (64, 64, 64))
    LabelImage.create(tmp_path / "unfinished", output, labels, np.uint8, (64, 64, 64))  # by another process
    box = Box((0, 0, 0), (64, 64, 64))
    for _ in range(2):
        LabelImage(tmp_path / "unfinished").write(box, labels.voxels[box.slices])
    LabelImage(tmp_path / "unfinished").finish(output, None)
    found = read_labels(output).voxels
    np.testing.assert_array_equal(found[:, :64], labels.voxels[:, :64])
    assert not found[:, 64:].any()


def test_a_shard_is_one_file_of_whole_chunks_that_no_two_blocks_share(tmp_path):
    labels = volume((70, 300, 520))
    LabelImage.create(tmp_path / "unfinished", tmp_path / "a.ome.zarr", labels, np.uint8, (64, 128, 256))
    group = zarr.open_group(str(tmp_path / "unfinished"), mode="r")
    assert (group["0"].shards, group["0"].chunks) == ((64, 128, 256), (64, 64, 64))
    assert (group["1"].shards, group["1"].chunks) == ((64, 64, 128), (64, 64, 64))


def test_a_label_image_goes_into_its_image_and_takes_no_place_of_another(tmp_path):
    image, labels = tmp_path / "brain.ome.zarr", volume((64, 70, 64))
    write_image(image, Volume(np.zeros((64, 70, 64, 1), np.float32), labels.grid))
    output = image / "labels" / "cells"
    output.parent.mkdir()
    write_in_blocks(tmp_path / "unfinished", output, labels, (64, 64, 64))
    LabelImage(tmp_path / "unfinished").finish(output, None)
    np.testing.assert_array_equal(read_labels(output).voxels, labels.voxels)
    listed = zarr.open_group(str(output.parent), mode="r").attrs["ome"]["labels"]
    assert listed == ["cells"]
    write_in_blocks(tmp_path / "again", output, labels, (64, 64, 64))
    with pytest.raises(InputError, match="exists already"):
        LabelImage(tmp_path / "again").finish(output, None)


def test_what_something_was_made_of_is_not_known_of_every_image(tmp_path):
    write_labels(tmp_path / "a.ome.zarr", volume((9, 9, 9)))
    assert made_of(tmp_path / "a.ome.zarr") is None
    assert made_of(tmp_path / "b.ome.zarr") is None


def test_ome_zarr_py_opens_it(tmp_path):
    """With its levels, as napari does."""
    pytest.importorskip("ome_zarr", reason="ome-zarr-py is missing")
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    labels, output = volume((70, 300, 520)), tmp_path / "a.ome.zarr"
    write_in_blocks(tmp_path / "unfinished", output, labels, (64, 128, 256))
    LabelImage(tmp_path / "unfinished").finish(output, None)
    (node, *_) = Reader(parse_url(output))()
    assert [axis["name"] for axis in node.metadata["axes"]] == ["z", "y", "x"]
    assert len(node.data) == 3
    np.testing.assert_array_equal(np.asarray(node.data[0]), labels.voxels)
