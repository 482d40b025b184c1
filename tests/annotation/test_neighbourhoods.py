"""Of a large image its labelled parts become cases: they hold what the whole holds there, and all that is labelled."""

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from keras_unet3d.annotation import neighbourhoods
from keras_unet3d.annotation.cases import load_cases
from keras_unet3d.annotation.dataset import dataset_from_pairs
from keras_unet3d.annotation.examination import check_dataset, examine
from keras_unet3d.annotation.labels import UNLABELED, LabelScheme
from keras_unet3d.annotation.meaning import Meaning
from keras_unet3d.annotation.neighbourhoods import check_memory_of_parts, merged
from keras_unet3d.annotation.slices import AnnotatedSlices
from keras_unet3d.errors import InputError
from keras_unet3d.volumes import Grid, Volume, write_image, write_labels
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.intensity import volume_intensity

SHAPE = (70, 160, 300)
GRID = Grid(SHAPE, (2.0, 1.0, 1.0), (5.0, 6.0, 7.0), unit="µm")
UNPAINTED = Meaning(unlabeled=0)


def plane(axis, index, shape=SHAPE):
    start, stop = [0, 0, 0], list(shape)
    start[axis], stop[axis] = index, index + 1
    return Box(tuple(start), tuple(stop))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """What is large, and what surrounds a label."""
    monkeypatch.setattr(neighbourhoods, "LARGE", 1000)
    monkeypatch.setattr(neighbourhoods, "MARGIN", 5)


@pytest.fixture
def read(monkeypatch):
    """The boxes that are read of arrays, by the name of their image."""
    from keras_unet3d.volumes.ome_zarr import _ArrayVoxels

    boxes = []
    plain = _ArrayVoxels.__getitem__

    def recorded(self, part):
        boxes.append((self._folder.parent.name, Box.of(part, self.shape)))
        return plain(self, part)

    monkeypatch.setattr(_ArrayVoxels, "__getitem__", recorded)
    return boxes


@pytest.fixture
def written(tmp_path):
    """Write an image and labels as the dataset of one case; chunks that are empty are not written."""
    pytest.importorskip("zarr", reason="zarr-python, the extra [zarr], is missing")
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 50, SHAPE[2])
    image = (rng.normal(100, 5, (*SHAPE, 1)) + ramp[:, None]).astype(np.float32)

    def write(labels):
        write_image(tmp_path / "brain.ome.zarr", Volume(image, GRID, header="0.4"))
        write_labels(tmp_path / "brain.ome.zarr" / "labels" / "cells", Volume(labels, GRID, header="0.4"))
        return dataset_from_pairs([tmp_path / "brain.ome.zarr"], [tmp_path / "brain.ome.zarr" / "labels" / "cells"])

    write.image = image
    return write


def two_places():
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:6, 10:30, 20:50] = 1
    labels[4, 12:20, 20:40] = 2
    labels[60, 100:150, 280:] = 2
    return labels


def test_blocks_of_a_slice_become_the_slice_and_crossing_slices_stay_apart():
    blocks = [Box((7, y, x), (8, y + 20, x + 20)) for y in range(0, 160, 20) for x in range(0, 300, 20)]
    assert merged(blocks, SHAPE) == [plane(0, 7)]
    crossing = [plane(0, 7), plane(1, 80), plane(2, 150)]
    assert sorted(map(str, merged(crossing, SHAPE))) == sorted(map(str, crossing))
    assert merged([Box((0, 0, 0), (1, 1, 1)), Box((2, 3, 0), (3, 4, 1))], SHAPE) == [Box((0, 0, 0), (3, 4, 1))]


def test_a_part_holds_what_the_whole_holds_there(written):
    labels = two_places()
    files = written(labels)
    whole = load_cases(files, UNPAINTED).cases[0]
    parts = load_cases(files, UNPAINTED, in_parts=True).cases
    assert [case.name for case in parts] == ["brain x=20:50 y=10:30 z=3:6", "brain x=280:300 y=100:150 z=60:61"]
    assert [case.within.box for case in parts] == [
        Box((0, 5, 15), (11, 35, 55)),
        Box((55, 95, 275), (66, 155, 300)),
    ]
    together = np.full(SHAPE, UNLABELED, np.int16)
    for case in parts:
        place = case.within.box.slices
        np.testing.assert_array_equal(case.image.voxels[:, :, :], whole.image.voxels[place])
        np.testing.assert_array_equal(case.class_index, whole.class_index[place])
        np.testing.assert_allclose(
            case.image.grid.affine @ [1, 2, 3, 1],
            GRID.affine @ ([*np.add([1, 2, 3], case.within.box.start[::-1]).tolist(), 1]),
        )
        np.testing.assert_allclose(case.intensity(), volume_intensity(whole.image.voxels), rtol=1e-6)
        together[place] = case.class_index
    np.testing.assert_array_equal(together, whole.class_index)


def test_what_is_read_is_what_is_labelled(written, read):
    files = written(two_places())
    read.clear()
    cases = load_cases(files, UNPAINTED, in_parts=True).cases
    assert {name for name, _ in read} == {"cells"}  # nothing of the image
    assert [box for _, box in read] == [  # the three chunks, of six, that were written, then what is labelled in them
        Box((0, 0, 0), (70, 128, 128)),
        Box((0, 0, 256), (70, 128, 300)),
        Box((0, 128, 256), (70, 160, 300)),
        *(case.within.labelled for case in cases),
    ]
    read.clear()
    cases[0].image.voxels[:, :, :]
    assert [name for name, _ in read] == ["brain.ome.zarr"] * len(read)
    assert sum(box.voxels for _, box in read) == cases[0].within.box.voxels
    read.clear()
    for case in cases:
        case.intensity()
    assert sum(box.voxels for _, box in read) == np.prod(SHAPE) + 1  # once for both


def test_what_is_known_of_parts_is_what_is_known_of_the_whole(written):
    files = written(two_places())
    whole, parts = (examine(files, UNPAINTED, keep=False, in_parts=each) for each in (False, True))
    assert parts.facts[0].voxels_of == whole.facts[0].voxels_of
    assert (parts.scheme, parts.facts[0].grid, parts.facts[0].channels) == (whole.scheme, whole.facts[0].grid, 1)
    assert [str(problem) for problem in parts.problems] == [str(problem) for problem in whole.problems]


def test_crossing_annotated_slices_count_each_voxel_once(written, monkeypatch):
    labels = np.zeros(SHAPE, np.uint8)
    slices = AnnotatedSlices(z=(20,), y=(80,), x=(150,))
    labels[18:24, 70:90, 140:160] = 3  # painted around the crossing, also outside of the slices
    meaning = Meaning(annotated_slices=slices)
    files = written(labels)
    whole = load_cases(files, meaning).cases[0]
    parts = load_cases(files, meaning, in_parts=True).cases
    assert len(parts) >= 3
    times = np.zeros(SHAPE, int)
    for case in parts:
        place = case.within.box.slices
        labelled = case.class_index != UNLABELED
        times[place] += labelled
        np.testing.assert_array_equal(case.class_index[labelled], whole.class_index[place][labelled])
    np.testing.assert_array_equal(times, whole.class_index != UNLABELED)
    known = [examine(files, meaning, keep=False, in_parts=each).facts[0].voxels_of for each in (False, True)]
    assert known[0] == known[1]


def test_slices_of_which_nothing_is_painted_are_said(written):
    labels = np.zeros(SHAPE, np.uint8)
    labels[20, 70:90, 140:160] = 3
    files = written(labels)
    problems = check_dataset(files, Meaning(annotated_slices=AnnotatedSlices(z=(20, 40))))
    assert any("nothing is painted in z=40, all of it counts as background" in str(each) for each in problems)
    outside = check_dataset(files, Meaning(annotated_slices=AnnotatedSlices(z=(70,))))
    assert "z=70 lies outside the volume" in str(outside[0])


def test_dense_labels_and_small_images_are_read_as_a_whole(written, monkeypatch):
    files = written(two_places())
    assert [case.within for case in load_cases(files, Meaning(dense=True), in_parts=True)] == [None]
    wide = np.ones(SHAPE, np.uint8)
    wide[:20] = 2
    wide[60:] = 0
    assert [case.within for case in load_cases(written_again(files, wide), UNPAINTED, in_parts=True)] == [None]
    monkeypatch.setattr(neighbourhoods, "LARGE", 1 << 30)
    assert [case.within for case in load_cases(files, UNPAINTED, in_parts=True)] == [None]


def written_again(files, labels):
    """The same case with other labels."""
    path = files.cases[0].images[0].with_name("other.ome.zarr")
    write_labels(path, Volume(labels, GRID))
    return dataset_from_pairs(files.cases[0].images, [path])


def test_a_value_that_is_no_class_is_found_in_parts(written):
    scheme = LabelScheme((1, 2), ("a", "b"), unlabeled=0)
    labels = two_places()
    labels[60, 120, 290] = 7
    with pytest.raises(InputError, match="label values 7 are no class"):
        load_cases(replace(written(labels), scheme=scheme), in_parts=True)


def test_a_case_grows_with_what_training_reads(written):
    case = load_cases(written(two_places()), UNPAINTED, in_parts=True).cases[0]
    assert case.surrounded((1, 1, 1)) is case
    grown = case.surrounded((20, 5, 40))
    assert grown.within.box == Box((0, 5, 0), (26, 35, 90))
    np.testing.assert_array_equal(grown.class_index[:11, :, 15:55], case.class_index)
    assert (grown.class_index != UNLABELED).sum() == (case.class_index != UNLABELED).sum()


def test_parts_that_do_not_fit_in_memory_are_refused(written, monkeypatch):
    """30,000 voxels in float32 and int16 are 180 kB."""
    parts = [case.within for case in load_cases(written(two_places()), UNPAINTED, in_parts=True)]
    assert sum(part.box.voxels for part in parts) == 11 * 30 * 40 + 11 * 60 * 25
    for available, fits in ((6 * 29_700, True), (6 * 29_700 - 1, False)):
        monkeypatch.setattr("psutil.virtual_memory", lambda available=available: SimpleNamespace(available=available))
        with (
            nullcontext()
            if fits
            else pytest.raises(InputError, match="brain: its 2 labelled parts with what surrounds")
        ):
            check_memory_of_parts("brain", parts)
