import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.errors import WorkError
from keras_unet3d.volumes import Box, scratch
from keras_unet3d.volumes.scratch import ScratchVoxels
from keras_unet3d.volumes.voxels import Voxels

WHOLE = Box((0, 0, 0), (4, 5, 6))


def random(shape, kind="uint8"):
    return np.random.default_rng(0).integers(1, 200, shape).astype(kind)


def ranges(length):
    return st.tuples(st.integers(0, length), st.integers(0, length)).map(sorted)


@pytest.mark.parametrize("at_places", [True, False])
@pytest.mark.parametrize("passed_over", [0, 1 << 12])
@settings(max_examples=60)
@given(data=st.data())
def test_boxes_are_those_of_an_array_in_memory(tmp_path_factory, at_places, passed_over, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scratch, "_AT_PLACES", at_places and scratch._AT_PLACES)
        patch.setattr(scratch, "_LONGEST_PASSED_OVER", passed_over)
        shape = data.draw(st.tuples(*[st.integers(1, 6)] * 3))
        shape += data.draw(st.sampled_from([(), (1,), (3,)]))
        kind = data.draw(st.sampled_from(["uint8", "int16", "float32"]))
        expected = np.zeros(shape, kind)
        with ScratchVoxels(tmp_path_factory.mktemp("s") / "a.raw", shape, kind) as voxels:
            assert isinstance(voxels, Voxels)
            for _ in range(3):
                places = [data.draw(ranges(length)) for length in shape[:3]]
                box = Box(*zip(*places, strict=True))
                part = random((*box.shape, *shape[3:]), kind)
                voxels.write(box, part)
                expected[box.slices] = part
            for _ in range(3):
                places = tuple(slice(*data.draw(ranges(length))) for length in shape[:3])
                read = voxels[places]
                assert read.dtype == kind
                np.testing.assert_array_equal(read, expected[places])
                np.testing.assert_array_equal(voxels[places[:2]], expected[places[:2]])
            np.testing.assert_array_equal(voxels[-2:], expected[-2:])
            np.testing.assert_array_equal(voxels[:], expected)


def test_the_file_is_the_voxels_in_their_order_and_nothing_else(tmp_path):
    with ScratchVoxels(tmp_path / "a.raw", (4, 5, 6), "<i2") as voxels:
        voxels.write(WHOLE, random((4, 5, 6), "int64"))
        voxels.flush()
    np.testing.assert_array_equal(np.fromfile(tmp_path / "a.raw", "<i2").reshape(4, 5, 6), random((4, 5, 6)))


def test_what_was_written_is_there_when_it_is_opened_again(tmp_path):
    with ScratchVoxels(tmp_path / "a.raw", (4, 5, 6), "uint8") as voxels:
        voxels.write(Box((1, 1, 1), (2, 3, 4)), random((1, 2, 3)))
    with ScratchVoxels(tmp_path / "a.raw", (4, 5, 6), "uint8") as voxels:
        np.testing.assert_array_equal(voxels[1:2, 1:3, 1:4], random((1, 2, 3)))
        assert np.count_nonzero(voxels[:]) == 6
        voxels.close()
        voxels.close()
        with pytest.raises(ValueError, match="closed"):
            voxels[:]


def test_a_large_volume_takes_no_space_before_it_is_written(tmp_path):
    with ScratchVoxels(tmp_path / "a.raw", (1000, 1000, 1000), "uint8") as voxels:
        voxels.write(Box.at((500, 500, 500), (4, 5, 6)), random((4, 5, 6)))
        assert voxels[499:504, 499:505, 499:506].sum() == random((4, 5, 6)).sum()
        assert (tmp_path / "a.raw").stat().st_size == 10**9
        assert (tmp_path / "a.raw").stat().st_blocks * 512 < 10**6


def test_a_file_of_another_volume_is_refused(tmp_path):
    (tmp_path / "a.raw").write_bytes(bytes(119))
    with pytest.raises(WorkError, match=r"a\.raw: has 119 bytes; x=6 y=5 z=4 takes 120.*remove it"):
        ScratchVoxels(tmp_path / "a.raw", (4, 5, 6), "uint8")
    assert (tmp_path / "a.raw").stat().st_size == 119


def test_a_disk_that_is_too_small_is_said_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**12, 10**12 - 2**30, 2**30))
    with pytest.raises(WorkError, match=rf"{tmp_path}: x=1024 y=1024 z=2048 takes 2\.0 GiB.*1\.0 GiB are free"):
        ScratchVoxels(tmp_path / "a.raw", (2048, 1024, 1024), "uint8")
    assert not list(tmp_path.iterdir())
    with ScratchVoxels(tmp_path / "a.raw", (1024, 1024, 1024), "uint8"):
        pass


def test_a_full_disk_and_a_file_that_was_cut_are_sentences(tmp_path, monkeypatch):
    voxels = ScratchVoxels(tmp_path / "a.raw", (4, 5, 6), "uint8")
    with voxels:
        (tmp_path / "a.raw").write_bytes(bytes(60))
        with pytest.raises(WorkError, match="cut off"):
            voxels[:]

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(ScratchVoxels, "_write_at", full)
        with pytest.raises(WorkError, match=r"a\.raw: could not be written \(No space left"):
            voxels.write(WHOLE, random((4, 5, 6)))
    with pytest.raises(WorkError, match="could not be made"):
        ScratchVoxels(tmp_path / "no" / "a.raw", (4, 5, 6), "uint8")


@pytest.mark.parametrize("box", [Box((0, 0, 0), (4, 5, 7)), Box((-1, 0, 0), (3, 5, 6)), Box((0, 0, 0), (4, 5, 5))])
def test_a_box_elsewhere_or_of_another_shape_is_an_error_of_the_program(tmp_path, box):
    with (
        ScratchVoxels(tmp_path / "a.raw", (4, 5, 6), "uint8") as voxels,
        pytest.raises(ValueError, match="Expected voxels"),
    ):
        voxels.write(box, random((4, 5, 6)))


@pytest.mark.parametrize("at_places", [True, False])
def test_threads_write_and_read_at_once(tmp_path, monkeypatch, at_places):
    monkeypatch.setattr(scratch, "_AT_PLACES", at_places and scratch._AT_PLACES)
    shape = (16, 24, 32)
    expected = random(shape)
    boxes = [Box.at((z, y, x), (4, 8, 16)) for z in range(0, 16, 4) for y in range(0, 24, 8) for x in range(0, 32, 16)]
    with ScratchVoxels(tmp_path / "a.raw", shape, "uint8") as voxels, ThreadPoolExecutor(8) as pool:

        def work(box):
            voxels.write(box, expected[box.slices])
            return bool((voxels[box.slices] == expected[box.slices]).all())

        assert all(pool.map(work, boxes))
        np.testing.assert_array_equal(voxels[:], expected)
