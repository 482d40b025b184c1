import numpy as np
import pytest
from unet3d_cli.progress import CaseProgress, TrainingProgress, VoxelProgress, duration
from unet3d_cli.terminal import Terminal

from keras_unet3d.metrics import Overlap
from keras_unet3d.training.listener import StepReport


def test_without_a_terminal_every_tenth_is_a_line(capsys):
    with TrainingProgress(Terminal()) as progress:
        for step in range(1, 1001):
            progress.step(StepReport(step, step / 1000, 0.5, 0.25, 2.0, 65.0, 0.02))
        progress.validated(1000, Overlap(np.array([[1, 0], [1, 2]])))
    *lines, validation = capsys.readouterr().err.splitlines()
    assert 9 <= len(lines) <= 10
    assert lines[0] == "Training 10%: step 100, loss 0.500, IoU 0.25, 2 steps/s, 2% waiting for data, 1:05 left"
    assert validation == "Validation at step 1000: IoU 0.583, Dice 0.733"


def test_quiet_is_quiet(capsys):
    with TrainingProgress(Terminal(quiet=True)) as progress:
        progress.step(StepReport(1, 1.0, 0.5, 0.25, 2.0, 0.0, 0.0))
        progress.say("something")
    assert capsys.readouterr().err == ""


def test_voxels_have_a_rate_of_what_this_process_did(capsys, monkeypatch):
    """40% was there already; 20% of 10 million voxels in 8 seconds, and as much again in as many."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with VoxelProgress(Terminal()) as progress:
        progress.begin(10_000_000)
        for share in (0.4, 0.6, 0.8):
            progress.done(share)
            now[0] += 8
    assert capsys.readouterr().err.splitlines() == [
        "Segmenting 60%: 250 thousand voxels/s, 0:16 left",
        "Segmenting 80%: 250 thousand voxels/s, 0:08 left",
    ]


def test_without_a_size_there_is_no_rate(capsys, monkeypatch):
    """`suggest` knows only the share: its line said "0 thousand voxels/s"."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with VoxelProgress(Terminal()) as progress:
        for share in (0.0, 0.5, 1.0):
            progress.done(share)
            now[0] += 8
    assert capsys.readouterr().err.splitlines() == ["Segmenting 50%: 0:08 left", "Segmenting 100%: 0:00 left"]


def test_cases_that_take_long_have_a_rate(capsys, monkeypatch):
    """Two seconds for each of four: the first is within what needs no line."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with CaseProgress(Terminal()) as progress:
        for number, name in enumerate(["a", "b", "c", "d", ""]):
            progress.done(number, 4, name)
            now[0] += 2
    assert capsys.readouterr().err.splitlines() == [
        "Scoring 50%: c, 2 of 4 cases, 0.5 cases/s, 0:04 left",
        "Scoring 75%: d, 3 of 4 cases, 0.5 cases/s, 0:02 left",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "0:05"), (65, "1:05"), (3661, "1:01:01"), (float("inf"), "some time")]
)
def test_durations_read_like_a_clock(seconds, text):
    assert duration(seconds) == text
