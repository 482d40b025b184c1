"""Segmentations that end early, and go on, each in its own process, with the shipped model."""

import json
import re
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from keras_unet3d.inference.budget import parse_memory, shown
from keras_unet3d.phantom import CHANNELS, kidney
from keras_unet3d.volumes import Volume, write_image

pytestmark = pytest.mark.slow

MODEL = ("--model", Path(__file__).parents[2] / "models" / "kidney-phantom", "--precision", "float32")
SHAPE = (64, 160, 192)


@pytest.fixture(scope="module")
def volume(user):
    """Kidneys upon kidneys, which take some seconds; its name."""
    phantom = kidney((SHAPE[0] // 2, *SHAPE[1:]), 0)
    tall = replace(phantom.grid, shape=SHAPE)
    write_image(user.folder / "tall.nii", Volume(np.concatenate([phantom.image] * 2), tall, CHANNELS))
    return "tall.nii"


@pytest.fixture(scope="module")
def memory(user, volume):
    """Not much more than the smallest budget, and too little for the whole in one tile."""
    _, err = user.run("segment", volume, "--plan", *MODEL, "--memory", "1MB", status=2)
    least = parse_memory(re.search(r"at least ([\d.]+ [GM]B)", err)[1])
    return "--memory", shown(least + 1.2e8, rounded_up=True)


def stopped(user, volume, output, *flags, by):
    """Segment until two seconds' work or more is noted, and send a signal; returns status and stderr."""
    running = user.start("segment", volume, output, *MODEL, *flags)
    notes = user.folder / f".{output}.unfinished" / "progress.json"
    end = time.monotonic() + 120
    while not (notes.exists() and json.loads(notes.read_text(encoding="utf-8"))["planes"]):
        assert running.poll() is None, running.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.02)
    running.send_signal(by)
    _, err = running.communicate(timeout=60)
    return running.returncode, err


def leftovers(user, output):
    return [entry.name for entry in user.folder.iterdir() if entry.name.startswith(f".{output}")]


@pytest.fixture(scope="module")
def whole(user, volume, memory):
    """The label map of an uninterrupted call, and the plan that it followed."""
    out, _ = user.run("segment", volume, "whole.nii", *MODEL, *memory, "--json")
    (one,) = json.loads(out)["segmented"]
    assert one["plan"]["tiles"] > 1
    assert one["plan"]["done"] == 0
    assert leftovers(user, "whole.nii") == []
    return (user.folder / "whole.nii").read_bytes(), one["plan"]


def test_a_killed_segmentation_is_resumed_to_the_same_file_with_less_work(user, volume, memory, whole):
    status, _ = stopped(user, volume, "killed.nii", *memory, by=signal.SIGKILL)
    assert status == -signal.SIGKILL
    assert not (user.folder / "killed.nii").exists()
    assert leftovers(user, "killed.nii") == [".killed.nii.unfinished"]
    out, err = user.run("segment", volume, "killed.nii", *MODEL, "--memory", "64GB", "--resume", "--json")
    (one,) = json.loads(out)["segmented"]
    assert f"Resuming: {one['plan']['done']:.0%} of the work was there already." in err
    assert 0 < one["plan"]["done"] < 1
    for of_tiles in ("counts", "tile", "slab"):  # those that were begun with, whatever memory there is now
        assert one["plan"][of_tiles] == whole[1][of_tiles]
    assert (user.folder / "killed.nii").read_bytes() == whole[0]
    assert leftovers(user, "killed.nii") == []


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(user, volume, memory, whole):
    status, err = stopped(user, volume, "stopped.nii", *memory, by=signal.SIGINT)
    assert status == 130
    assert err.splitlines()[-2] == "Interrupted."
    assert "continue with --resume" in err.splitlines()[-1]
    assert "Traceback" not in err
    _, err = user.run("segment", volume, "stopped.nii", *MODEL, "--resume", "--tta", status=2)
    assert "trained without mirrored tiles" in err or "another --tta" in err
    user.run("segment", volume, "stopped.nii", *MODEL, *memory, "--resume", "--quiet")
    assert (user.folder / "stopped.nii").read_bytes() == whole[0]
