import subprocess
import sys

import pytest

from keras_unet3d.errors import InputError, WorkError
from keras_unet3d.volumes import written_whole, written_whole_folder


def names(folder):
    return [file.name for file in folder.iterdir()]


def fail_after_writing(file, failure):
    file.write_bytes(b"half")
    raise failure


def test_a_file_appears_when_the_block_has_ended(tmp_path):
    target = tmp_path / "labels.nii.gz"
    with written_whole(target) as beside:
        beside.write_bytes(b"new")
        assert beside.parent == tmp_path
        assert beside.name.endswith(".nii.gz")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["labels.nii.gz"]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    target = tmp_path / "labels.nii.gz"
    target.write_bytes(b"old")
    with pytest.raises(failure), written_whole(target) as beside:
        fail_after_writing(beside, failure)
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["labels.nii.gz"]


DIES_WRITING = """
import os, signal, sys
from keras_unet3d.volumes import written_whole, written_whole_folder
with written_whole(sys.argv[1] + "/labels.nii.gz") as file, written_whole_folder(sys.argv[1] + "/1") as folder:
    file.write_bytes(b"half")
    (folder / "data").write_bytes(b"half")
    print(file.name, folder.name, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed_when_the_same_is_written_again(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", DIES_WRITING, tmp_path], stdout=subprocess.PIPE, text=True, check=False
    )
    left = done.stdout.split()
    assert sorted(names(tmp_path)) == sorted(left)
    with written_whole(tmp_path / "other.nii.gz") as other:  # of somebody who lives
        other.touch()
        with written_whole(tmp_path / "labels.nii.gz") as beside:
            beside.touch()
        assert sorted(names(tmp_path)) == sorted([other.name, left[1], "labels.nii.gz"])
        with written_whole(tmp_path / "other.nii.gz") as beside:
            beside.touch()
        assert other.exists()
    with written_whole_folder(tmp_path / "1"):
        pass
    assert sorted(names(tmp_path)) == ["1", "labels.nii.gz", "other.nii.gz"]


def test_a_full_disk_is_a_sentence(tmp_path):
    with (
        pytest.raises(WorkError, match=r"out\.nii: could not be written \(No space left"),
        written_whole(tmp_path / "out.nii"),
    ):
        raise OSError(28, "No space left on device")


def test_a_missing_folder_is_said_before_any_work(tmp_path):
    with pytest.raises(InputError, match="does not exist"), written_whole(tmp_path / "missing" / "a.nii"):
        pytest.fail("the block must not begin")
    with pytest.raises(InputError, match="does not exist"), written_whole_folder(tmp_path / "missing" / "a"):
        pytest.fail("the block must not begin")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match="is a folder"), written_whole(tmp_path):
        pytest.fail("the block must not begin")


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.nii").write_bytes(b"old")
    (tmp_path / "link.nii").symlink_to("real.nii")
    with written_whole(tmp_path / "link.nii") as beside:
        beside.write_bytes(b"new")
    assert (tmp_path / "link.nii").is_symlink()
    assert (tmp_path / "real.nii").read_bytes() == b"new"


def test_a_folder_appears_when_the_block_has_ended(tmp_path):
    with written_whole_folder(tmp_path / "1") as beside:
        (beside / "variables").mkdir()
        (beside / "variables" / "data").write_bytes(b"weights")
        assert not beside.name.isdigit()
        assert not (tmp_path / "1").exists()
    assert (tmp_path / "1" / "variables" / "data").read_bytes() == b"weights"
    assert names(tmp_path) == ["1"]


def test_a_failed_folder_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), written_whole_folder(tmp_path / "1") as beside:
        fail_after_writing(beside / "data", RuntimeError)
    assert names(tmp_path) == []


def test_a_folder_with_something_in_it_is_never_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    with written_whole_folder(tmp_path / "mine") as beside:
        (beside / "data").touch()
    with pytest.raises(InputError, match="exists already"), written_whole_folder(tmp_path / "mine"):
        pytest.fail("the block must not begin")
    assert (tmp_path / "mine" / "data").exists()
