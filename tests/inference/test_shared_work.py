"""Blocks that processes share make the labels of one process, whoever computes them, and however often one dies."""

import json
from dataclasses import replace

import numpy as np
import pytest

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.errors import InputError, WorkError
from keras_unet3d.inference import block_classes, job
from keras_unet3d.inference.block_markers import BlockMarkers
from keras_unet3d.inference.delivery import Delivery
from keras_unet3d.inference.job import Member, SegmentationJob
from keras_unet3d.inference.network_predictor import NetworkStream
from keras_unet3d.inference.options import SegmentOptions
from keras_unet3d.inference.shared_work import SharedWork, finished
from keras_unet3d.inference.unfinished import Unfinished
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.network.work import NetworkSize
from keras_unet3d.volumes import Grid, Segment, Volume, read_labels, write_image
from keras_unet3d.volumes.box import Box

pytest.importorskip("zarr", reason="zarr-python, the extra [zarr], is missing")
pytestmark = pytest.mark.usefixtures("compiled_once")

SHAPE, TALL = (70, 140, 90), (150, 70, 70)
SCHEME = LabelScheme((0, 5, 7), ("background", "a", "b"))
FACTS = {"image": ["scan.nii", 100], "model": "cells"}
OPTIONS = SegmentOptions(memory=10**10, precision="float32")


class KilledError(Exception):
    """In the middle of the work."""


def noise(shape):
    z, y, x = np.meshgrid(*(np.arange(length) for length in shape), indexing="ij")
    noise = np.random.default_rng(4).normal(0, 0.5, shape)
    voxels = (np.sin(z / 5) + np.sin(y / 3) * np.cos(x / 4) + noise).astype(np.float32)
    return Volume(voxels[..., None], Grid(shape, (2.0, 1.0, 1.0), unit="µm"))


@pytest.fixture(scope="module")
def image():
    return noise(SHAPE)


@pytest.fixture(params=["valid", "same", "instance"])
def member(request, random_network):
    padding = request.param if request.param != "instance" else "same"
    normalization = "instance" if request.param == "instance" else "batch"
    network = random_network(1, filters=2, depth=1, padding=padding, normalization=normalization)
    size = NetworkSize(Geometry(padding, 1), filters=2, channels=1, classes=3)
    return Member("cells", network, size, False, ())


@pytest.fixture
def frozen(random_network):
    network = random_network(1, filters=2, depth=1, padding="same", normalization="batch")
    return Member("cells", network, NetworkSize(Geometry("same", 1), 2, 1, 3), False, ())


@pytest.fixture(autouse=True)
def many_blocks(monkeypatch):
    """As if this process had little memory, so that the volume takes 3 by 3 blocks and more."""
    monkeypatch.setattr(job, "held_memory", lambda: 0)


def joined(output, workers=100):
    return SharedWork(output, FACTS, SCHEME, workers)


def begun(work, member, image):
    """What `jobs.segmenting_blocks.begin` does."""
    with work.alone():
        made = SegmentationJob(image, [member], OPTIONS, SCHEME, Delivery(work))
        if not work.begun:
            work.decide(made.plan.tiles, made.precision, Volume(image.voxels, image.grid, segments=SCHEME.segments))
            made.prepare()
            work.note_begun()
    return made


def whole(member, image):
    """In tiles as large as memory allows, which is not enough for one that has the volume's statistics by itself."""
    made = SegmentationJob(image, [member], replace(OPTIONS, memory=25 * 10**7), SCHEME)
    assert not made.plan.demand.whole_tiles
    return made.run().labels[:, :, :]


def test_blocks_of_several_processes_make_the_labels_of_one(member, image, tmp_path):
    output = tmp_path / "labels.ome.zarr"
    with joined(output) as first:
        plan = begun(first, member, image).plan.tiles
        assert len(plan) >= 6
        assert all(place % 64 == 0 for tile in plan for place in tile.write.start)
        numbers = np.random.default_rng(1).permutation(len(plan)).tolist()
        for part in range(2):  # as another process would: it reads what is decided
            with joined(output, workers=1) as work:
                begun(work, member, image).run_blocks(numbers[part::2])
        assert finished(output, FACTS) is None
        assert first.finish() == 0
        with joined(output) as late:  # which finds that another process has finished
            assert late.plan is None
    found, expected = read_labels(output), whole(member, image)
    np.testing.assert_array_equal(found.voxels, expected)
    assert found.segments[5] == Segment("a")
    counts = finished(output, FACTS)
    assert counts.tolist() == [np.count_nonzero(expected == value) for value in SCHEME.values]
    assert not (tmp_path / ".labels.ome.zarr.unfinished").exists()


@pytest.mark.parametrize("seconds", [1000, 0])
def test_a_killed_block_goes_on_behind_what_is_on_the_disk(seconds, frozen, tmp_path, monkeypatch):
    """Its last layer, or, some seconds after that, the planes behind it, too."""
    monkeypatch.setattr(block_classes, "SECONDS_BETWEEN_NOTES", seconds)
    output, pushed, image = tmp_path / "labels.ome.zarr", [], noise(TALL)
    push = NetworkStream.push

    def count(self, planes, *, last=False):
        if len(pushed) >= 100:
            raise KilledError
        pushed.extend([1] * len(planes))
        return push(self, planes, last=last)

    with joined(output, workers=1) as work:
        made = begun(work, frozen, image)
        number = 0
        assert made.plan.tiles[number].write.shape[0] == TALL[0]
        with monkeypatch.context() as patched:
            patched.setattr(NetworkStream, "push", count)
            with pytest.raises(KilledError):
                made.run_blocks([number])
        there = work.planes[number]
        assert there == 64 if seconds else 64 < there < 100
    with joined(output) as work:
        made = begun(work, frozen, image)
        assert work.finish() == len(made.plan.tiles)
        seen = []
        made.run_blocks(range(len(made.plan.tiles)), seen.append)
        assert work.finish() == 0
        assert seen == sorted(seen)
        assert seen[0] > there / 150 / len(made.plan.tiles)
        assert seen[-1] == 1
    np.testing.assert_array_equal(read_labels(output).voxels, whole(frozen, image))
    assert finished(output, FACTS).sum() == np.prod(TALL)  # the first layer is counted once


def test_two_that_finish_at_once_make_one_output(frozen, image, tmp_path):
    output = tmp_path / "labels.ome.zarr"
    with joined(output, workers=1) as work, joined(output) as other:
        made = begun(work, frozen, image)
        made.run_blocks(range(len(made.plan.tiles)))
        other.look()
        assert work.finish() == 0
        assert other.finish() == 0
    assert finished(output, FACTS).sum() == np.prod(SHAPE)
    assert [entry.name for entry in tmp_path.iterdir()] == ["labels.ome.zarr"]


def test_only_who_has_the_same_call_joins(frozen, image, tmp_path):
    output = tmp_path / "labels.ome.zarr"
    with joined(output) as work:
        begun(work, frozen, image)
        other = SharedWork(output, FACTS | {"model": "nuclei"}, SCHEME)
        with pytest.raises(InputError, match=r"another model \(cells; now nuclei\).*remove .*unfinished"), other:
            pass
        with pytest.raises(InputError, match="another process is segmenting into it"):
            Unfinished(output, FACTS, resume=False)
    output.mkdir()
    with pytest.raises(InputError, match="exists already"):
        finished(output, FACTS)


def test_where_nothing_was_begun_nothing_stays_and_another_call_may_begin(frozen, image, tmp_path):
    output = tmp_path / "labels.ome.zarr"
    with joined(output):
        pass
    assert list(tmp_path.iterdir()) == []
    with joined(output) as work:  # killed while it prepares, as by an image that holds what is no number
        with work.alone():
            made = SegmentationJob(image, [frozen], OPTIONS, SCHEME, Delivery(work))
            work.decide(made.plan.tiles, made.precision, image)
            work.note_intensity(np.float32([[0, 1]]))
        (work.folder / "blocks" / "0.64").touch()
    with SharedWork(output, FACTS | {"model": "nuclei"}, SCHEME) as work:
        assert work.plan is None
        begun(work, frozen, image)
        assert work.planes == {}
        assert work.intensity[0, 1] != 1
    with pytest.raises(InputError, match="another model"), joined(output):
        pass


def test_what_is_decided_is_decided_once_and_alone(frozen, image, tmp_path):
    """Another process that looked before cannot take it back."""
    with joined(tmp_path / "a.ome.zarr") as early, joined(tmp_path / "a.ome.zarr") as late:
        with early.alone():
            made = SegmentationJob(image, [frozen], OPTIONS, SCHEME, Delivery(early))
            early.decide(made.plan.tiles, made.precision, image)
        late.look()
        with late.alone():
            late.note_intensity(np.float32([[3, 4]]))
            late.note_begun()
        with pytest.raises(ValueError, match="decided by one process, alone"):
            early.note_intensity(np.float32([[5, 6]]))
        with pytest.raises(ValueError, match="decided by one process, alone"):
            early.decide(made.plan.tiles, made.precision, image)
        early.look()
        assert early.begun
        np.testing.assert_array_equal(early.intensity, [[3, 4]])


def test_memory_that_is_not_free_now_refuses_no_process_unless_it_was_said(frozen, image, tmp_path, monkeypatch):
    with joined(tmp_path / "a.ome.zarr") as work:
        needed = begun(work, frozen, image).plan.memory
        monkeypatch.setattr(job, "default_budget", lambda: needed // 2)
        made = SegmentationJob(image, [frozen], replace(OPTIONS, memory=None), SCHEME, Delivery(work))
        assert "MB of memory; " in made.warnings[0]
        with pytest.raises(InputError, match=r"in each process; .* may be taken.*or remove .*\.a\.ome\.zarr\."):
            SegmentationJob(image, [frozen], replace(OPTIONS, memory=needed - 1), SCHEME, Delivery(work))
        monkeypatch.setattr(job, "held_memory", lambda: 10**6)  # a little more than the first process held
        made = SegmentationJob(image, [frozen], replace(OPTIONS, memory=needed), SCHEME, Delivery(work))
        assert made.plan.memory > needed


def test_what_another_call_has_begun_gets_nothing_of_this_one(frozen, image, tmp_path):
    """Between two things that are decided, as by workers, one after the other."""
    output = tmp_path / "a.ome.zarr"
    with joined(output) as work, SharedWork(output, FACTS | {"model": "nuclei"}, SCHEME) as other:
        for each in (work, other):
            with each.alone():
                made = SegmentationJob(image, [frozen], OPTIONS, SCHEME, Delivery(each))
                each.decide(made.plan.tiles, made.precision, image)
        with work.alone(), pytest.raises(WorkError, match="is gone from"):
            work.note_intensity(np.float32([[3, 4]]))
        other.look()
        assert other.intensity is None


def test_an_output_that_was_not_quite_finished_is_finished_by_the_next_call(frozen, image, tmp_path, monkeypatch):
    from keras_unet3d.volumes import label_image

    brain = tmp_path / "brain.ome.zarr"
    write_image(brain, image)
    output = brain / "labels" / "cells"
    output.parent.mkdir()

    def killed(*_):
        raise KilledError

    with joined(output, workers=1) as work:
        made = begun(work, frozen, image)
        made.run_blocks(range(len(made.plan.tiles)))
    for place in ("prepare", "register"):  # before it is in its place, and thereafter
        with monkeypatch.context() as patched:
            patched.setattr(label_image, place, killed)
            with joined(output) as work, pytest.raises(KilledError):
                work.finish()
    assert output.exists()
    assert work.folder.exists()
    assert finished(output, FACTS).sum() == np.prod(SHAPE)
    assert json.loads((output.parent / "zarr.json").read_text())["attributes"]["ome"]["labels"] == ["cells"]
    assert not work.folder.exists()
    np.testing.assert_array_equal(read_labels(output).voxels, whole(frozen, image))


def test_two_processes_within_one_block_write_it_alike(frozen, tmp_path):
    """The second goes on behind a marker behind which the first has gone on already."""
    output, classes = tmp_path / "a.ome.zarr", np.random.default_rng(2).integers(0, 3, TALL).astype(np.uint8)

    def write(writer, start, stop):
        writer.write(Box((start, 0, 0), (stop, *TALL[1:])), classes[start:stop])

    with joined(output, workers=1) as first, joined(output, workers=1) as second:
        assert len(begun(first, frozen, noise(TALL)).plan.tiles) == 1
        ours = first.voxels("classes", TALL, np.uint8)
        write(ours, 0, 64)
        second.look()
        theirs = second.voxels("classes", TALL, np.uint8)
        write(ours, 64, 128)
        write(theirs, 64, 128)
        write(ours, 128, 150)
        write(theirs, 128, 150)
        assert first.finish() == 0
    np.testing.assert_array_equal(read_labels(output).voxels, np.array(SCHEME.values)[classes])
    np.testing.assert_array_equal(finished(output, FACTS), np.bincount(classes.ravel(), minlength=3))


def test_what_several_processes_have_done_is_not_thrown_away_by_one(frozen, image, tmp_path):
    output = tmp_path / "a.ome.zarr"
    with joined(output) as work:
        begun(work, frozen, image).run_blocks([0])
    for resume in (False, True):
        with pytest.raises(InputError, match=r"begun by several processes.*--part 1/1.*remove .*\.a\.ome\.zarr\."):
            Unfinished(output, FACTS, resume=resume)
    with joined(output) as work:
        assert 0 not in work.missing


def test_one_process_cannot_be_joined(tmp_path):
    output = tmp_path / "a.ome.zarr"
    with (
        Unfinished(output, FACTS, resume=False),
        pytest.raises(InputError, match="another process"),
        joined(output),
    ):
        pass


def test_what_is_damaged_is_said_and_left(frozen, image, tmp_path):
    output = tmp_path / "labels.ome.zarr"
    with joined(output) as work:
        begun(work, frozen, image)
    notes = tmp_path / ".labels.ome.zarr.unfinished" / "shared.json"
    notes.write_text(notes.read_text()[:50])
    with pytest.raises(InputError, match="is damaged"), joined(output):
        pass
    assert notes.exists()


def test_two_that_do_what_one_does_for_all_wait_for_each_other(tmp_path):
    waited = []

    def wait():
        waited.append(True)
        inside.__exit__(None, None, None)

    with joined(tmp_path / "a.ome.zarr") as first, joined(tmp_path / "a.ome.zarr") as second:
        inside = first.alone()
        inside.__enter__()
        with second.alone(wait):
            assert waited == [True]


def test_who_lags_behind_in_a_block_leaves_no_hole_for_a_third(tmp_path):
    """One process has written the layer whose planes another still keeps, and a third goes on with."""
    ahead, behind, third = (BlockMarkers(tmp_path, 3) for _ in range(3))
    planes = np.ones((30, 2, 2), np.uint8)
    ahead.note_rest(0, 64, 84, planes[:20])
    behind.planes = {0: 84}
    third.look()
    assert third.planes == {0: 84}
    np.testing.assert_array_equal(third.rest(0, 64, (20, 2, 2), np.uint8), planes[:20])
    ahead.note(0, 128, np.array([0, 0, 0]))
    ahead.drop_rest(0, 64)
    behind.note_rest(0, 64, 94, planes[20:])
    with pytest.raises(WorkError, match="another process has gone on from there"):
        third.rest(0, 64, (20, 2, 2), np.uint8)
    third.look()
    assert third.planes == {0: 128}
