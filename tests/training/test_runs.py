"""The same call continues what was killed; anything else begins anew."""

import os
import subprocess
import sys

import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.training import runs
from keras_unet3d.training.runs import call_fingerprint, open_run
from keras_unet3d.training.settings import Settings


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_the_same_call_continues_an_unfinished_run(tmp_path):
    first, again = open_run(tmp_path / "runs", "a"), open_run(tmp_path / "runs", "a")
    assert first.folder == again.folder == tmp_path / "runs" / "1"
    assert again.other_unfinished is None


def test_after_a_finished_run_the_same_call_begins_the_next(tmp_path):
    open_run(tmp_path, "a").finish()
    second = open_run(tmp_path, "a")
    assert (second.folder.name, second.other_unfinished) == ("2", None)
    assert names(tmp_path) == ["1", "2"]


def test_another_call_begins_a_new_run_and_names_the_unfinished_one(tmp_path):
    first = open_run(tmp_path, "a")
    second = open_run(tmp_path, "b")
    assert (second.folder.name, second.other_unfinished) == ("2", first.folder)


def test_a_call_finds_its_unfinished_run_behind_those_of_others(tmp_path):
    open_run(tmp_path, "a")
    open_run(tmp_path, "b").finish()
    open_run(tmp_path, "c")
    assert open_run(tmp_path, "a").folder.name == "1"
    assert open_run(tmp_path, "b").folder.name == "4"


def test_runs_are_counted_and_not_sorted_as_text(tmp_path):
    for _ in range(10):
        open_run(tmp_path, "a").finish()
    (tmp_path / "notes").mkdir()
    assert open_run(tmp_path, "a").folder.name == "11"


def test_a_folder_whose_note_was_never_written_is_left_alone(tmp_path):
    (tmp_path / "1").mkdir()
    run = open_run(tmp_path, "a")
    assert (run.folder.name, run.other_unfinished) == ("2", tmp_path / "1")


HOLDS_A_RUN = """
import sys
from pathlib import Path
from keras_unet3d.training.runs import open_run
with open_run(Path(sys.argv[1]), "a").alone():
    print("at work", flush=True)
    sys.stdin.read()
"""


def test_a_run_is_one_process_s_until_that_ends_or_is_killed(tmp_path):
    command = [sys.executable, "-c", HOLDS_A_RUN, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "at work\n"
        run = open_run(tmp_path, "a")
        with pytest.raises(InputError, match=r"1: the same training is running already"), run.alone():
            pytest.fail("two at work on one run")
        with open_run(tmp_path, "b").alone():  # another run is free
            pass
        other.kill()
    with run.alone():
        pass


def test_an_error_lets_go_of_the_run(tmp_path):
    run = open_run(tmp_path, "a")
    with pytest.raises(ZeroDivisionError), run.alone():
        raise ZeroDivisionError
    with run.alone():
        pass


def test_two_calls_that_begin_at_once_get_a_run_each(tmp_path, monkeypatch):
    """The second one looks before the first one has made its folder."""
    open_run(tmp_path, "a")
    monkeypatch.setattr(runs, "_runs", lambda _: [])
    assert open_run(tmp_path, "b").folder.name == "2"


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/runs: cannot be made"):
        open_run(tmp_path / "file" / "runs", "a")


@pytest.fixture
def data(tmp_path):
    file = tmp_path / "a.h5"
    file.write_bytes(b"one")
    return file


def test_a_call_is_the_same_where_settings_files_and_meaning_are(resolved, data):
    usual = call_fingerprint(resolved(), [data], "0 is background")
    assert usual == call_fingerprint(resolved(), [data], "0 is background")
    others = [
        call_fingerprint(resolved({"seed": 1}), [data], "0 is background"),
        call_fingerprint(resolved({"augmentation.noise": 0.2}), [data], "0 is background"),
        call_fingerprint(resolved(), [data, data], "0 is background"),
        call_fingerprint(resolved(), [data], "0 is unlabelled"),
        call_fingerprint(resolved(), [data.with_name("a.h5:raw")], "0 is background"),
        call_fingerprint(resolved(), [data.with_name("a.h5:other")], "0 is background"),
    ]
    assert len({usual, *others}) == len(others) + 1


@pytest.mark.parametrize("name", ["a.h5", "a.h5:raw"])
def test_a_file_that_was_written_again_makes_another_call(resolved, data, name):
    usual = call_fingerprint(resolved(), [data.with_name(name)])
    os.utime(data, ns=(0, 0))
    assert call_fingerprint(resolved(), [data.with_name(name)]) != usual


def test_what_changes_rounding_only_belongs_to_the_same_call():
    usual, other = Settings(), Settings(recompute=True, augment_on="device")
    assert call_fingerprint(usual, []) == call_fingerprint(other, [])
    assert call_fingerprint(usual, []) != call_fingerprint(Settings(seed=1), [])
