"""A segmentation that was killed goes on where it was, and never with what does not belong to it."""

import json
import subprocess
import sys

import numpy as np
import pytest

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.errors import InputError
from keras_unet3d.inference import job, unfinished
from keras_unet3d.inference.delivery import Delivery
from keras_unet3d.inference.job import Member, SegmentationJob
from keras_unet3d.inference.network_predictor import NetworkPredictor, NetworkStream
from keras_unet3d.inference.options import SegmentOptions
from keras_unet3d.inference.plan_choice import choose_plan
from keras_unet3d.inference.planning import Demand
from keras_unet3d.inference.unfinished import Unfinished
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.network.work import NetworkSize
from keras_unet3d.volumes.scratch import ScratchVoxels
from keras_unet3d.volumes.volume import Grid, Volume

pytestmark = pytest.mark.usefixtures("compiled_once")

HELD = 10**8
PLENTY = 10**10
SHAPE = (20, 9, 8)
SIZE = NetworkSize(Geometry("valid", 1), filters=4, channels=1, classes=3)
SCHEME = LabelScheme((0, 5, 7), ("background", "a", "b"))
FACTS = {"image": ["scan.nii", 100], "model": "cells"}


class KilledError(Exception):
    """In the middle of the work."""


@pytest.fixture(autouse=True)
def notes_at_once(monkeypatch):
    """Every slab is noted, and this process seems to hold as much at every moment."""
    monkeypatch.setattr(unfinished, "SECONDS_BETWEEN_NOTES", -1.0)
    monkeypatch.setattr(job, "held_memory", lambda: HELD)


@pytest.fixture(scope="module")
def frozen(random_network):
    return Member("cells", random_network(1, filters=4, depth=1, normalization="batch"), SIZE, False, ())


@pytest.fixture(scope="module")
def instance(random_network):
    return Member("cells", random_network(1, filters=4, depth=1, normalization="instance"), SIZE, False, ())


@pytest.fixture
def pushed(monkeypatch):
    """Planes that went into networks, and normalisations that were passed over."""
    counted = {"planes": 0, "features": []}
    push, features = NetworkStream.push, NetworkPredictor.features

    def count(self, planes, *, last=False):
        counted["planes"] += len(planes)
        return push(self, planes, last=last)

    def count_features(self, intensity, moments, until):
        counted["features"].append(until)
        return features(self, intensity, moments, until)

    monkeypatch.setattr(NetworkStream, "push", count)
    monkeypatch.setattr(NetworkPredictor, "features", count_features)
    return counted


def planned(member, unfinished, **asked):
    voxels = np.random.default_rng(4).normal(0, 1, (*SHAPE, 1)).astype(np.float32)
    asked = {"memory": PLENTY, "precision": "float32", "probabilities": True} | asked
    return SegmentationJob(Volume(voxels, Grid(SHAPE)), [member], SegmentOptions(**asked), SCHEME, Delivery(unfinished))


def finished(member, output, *, resume=False, **asked):
    """Labels and probabilities, and the share that was done at the start."""
    with Unfinished(output, FACTS, resume=resume) as state:
        work = planned(member, state, **asked)
        done = work.done
        found = work.run()
        return found.labels[:, :, :].tobytes(), found.probabilities[:, :, :].tobytes(), done


def killed(member, output, share, *, resume=False, **asked):
    """Work until this share is done."""

    def progress(done):
        if done >= share:
            raise KilledError

    with pytest.raises(KilledError) as caught, Unfinished(output, FACTS, resume=resume) as state:
        planned(member, state, **asked).run(progress=progress)
    return caught.value


def budget_for(tiles, *, normalizations=0):
    """A budget with which a volume of `SHAPE` takes at least so many tiles."""
    budget, found = PLENTY, 0
    while found < tiles:
        plan = choose_plan(SHAPE, Demand(SIZE), budget, HELD, normalizations=normalizations)
        budget, found = plan.memory - 1, len(plan.tiles)
    return plan.memory


def folder(output):
    return output.with_name(f".{output.name}.unfinished")


def notes(output):
    return json.loads((folder(output) / "progress.json").read_text(encoding="utf-8"))


# Going on


@pytest.mark.parametrize(("tiles", "share"), [(1, 0.6), (2, 0.2), (2, 0.9)])
def test_what_was_killed_and_resumed_is_what_was_not_and_computes_only_the_rest(share, tiles, frozen, tmp_path, pushed):
    budget = budget_for(tiles)
    whole = finished(frozen, tmp_path / "whole.nii", memory=budget)
    at_once = pushed["planes"]
    error = killed(frozen, tmp_path / "labels.nii", share, memory=budget)
    assert "--resume" in error.__notes__[0]
    pushed["planes"] = 0
    labels, probabilities, done = finished(frozen, tmp_path / "labels.nii", resume=True, memory=budget)
    assert (labels, probabilities) == whole[:2]
    assert share <= done < 1
    halo_and_slab = 16 + 16
    assert pushed["planes"] <= (1 - done) * at_once + halo_and_slab
    assert not folder(tmp_path / "labels.nii").exists()


def test_it_may_be_killed_again_and_again(frozen, tmp_path):
    whole = finished(frozen, tmp_path / "whole.nii")
    for share in (0.1, 0.3, 0.5, 0.95):
        killed(frozen, tmp_path / "labels.nii", share, resume=True)
    assert finished(frozen, tmp_path / "labels.nii", resume=True)[:2] == whole[:2]


def test_all_tiles_done_is_nothing_left_to_compute(frozen, tmp_path, pushed):
    killed(frozen, tmp_path / "labels.nii", 1.0)
    pushed["planes"] = 0
    *_, done = finished(frozen, tmp_path / "labels.nii", resume=True)
    assert (done, pushed["planes"]) == (1, 0)


def test_a_killed_process_loses_no_more_than_the_last_note_does_not_say(frozen, tmp_path):
    """A copy of the folder as it lies there in the middle is all that a killed process leaves."""
    output, other = tmp_path / "labels.nii", tmp_path / "other.nii"
    whole = finished(frozen, tmp_path / "whole.nii")
    copied = []

    def progress(done):
        if done >= 0.5 and not copied:
            folder(other).mkdir()
            for path in folder(output).iterdir():
                (folder(other) / path.name).write_bytes(path.read_bytes())
            copied.append(done)

    with Unfinished(output, FACTS, resume=False) as state:
        planned(frozen, state).run(progress=progress)
    labels, probabilities, done = finished(frozen, other, resume=True)
    assert (labels, probabilities) == whole[:2]
    assert done == pytest.approx(copied[0])


def test_statistics_that_were_gathered_are_not_gathered_again(instance, tmp_path, pushed):
    output, budget = tmp_path / "labels.nii", budget_for(2, normalizations=6)
    whole = finished(instance, tmp_path / "whole.nii", memory=budget)
    passes = list(dict.fromkeys(pushed["features"]))
    assert len(passes) == 6
    killed(instance, output, 0.4, memory=budget)
    kept = np.load(folder(output) / "moments.npz").files
    assert 1 <= len(kept) < 6
    pushed["features"].clear()
    labels, probabilities, done = finished(instance, output, resume=True, memory=budget)
    assert list(dict.fromkeys(pushed["features"])) == passes[len(kept) :]
    assert 0 < done < 0.5
    assert (labels, probabilities) == whole[:2]


def test_the_plan_that_was_begun_is_kept_though_there_is_more_memory_now(frozen, tmp_path):
    output = tmp_path / "labels.nii"
    killed(frozen, output, 0.3, memory=budget_for(2))
    with Unfinished(output, FACTS, resume=True) as state:
        begun = planned(frozen, state)
        assert len(begun.plan.tiles) >= 2
        assert begun.plan.budget == PLENTY
        assert len(planned(frozen, None).plan.tiles) == 1


def test_too_little_memory_for_the_plan_that_was_begun_says_how_much_and_keeps_what_is_done(frozen, tmp_path):
    output = tmp_path / "labels.nii"
    killed(frozen, output, 0.3)
    with (
        pytest.raises(InputError, match=r"was planned for \d+ MB of memory; 200 MB may be taken.*without --resume"),
        Unfinished(output, FACTS, resume=True) as state,
    ):
        planned(frozen, state, memory=2 * 10**8)
    assert notes(output)["planes"]


def test_current_statistics_over_several_tiles_warn_when_they_are_resumed_too(instance, tmp_path):
    output, asked = tmp_path / "labels.nii", {"statistics": "current", "memory": current_budget()}
    killed(instance, output, 0.2, **asked)
    with Unfinished(output, FACTS, resume=True) as state:
        resumed = planned(instance, state, **asked)
        assert state.planes == {0: resumed.plan.tiles[0].write.shape[0]}  # a tile is there as a whole, or not
        assert "the labels depend on where the tiles lie" in resumed.warnings[0]


def current_budget():
    budget = choose_plan(SHAPE, Demand(SIZE), PLENTY, HELD, normalizations=6).memory - 1
    plan = choose_plan(SHAPE, Demand(SIZE), budget, HELD, normalizations=6, statistics="current")
    assert len(plan.tiles) > 1
    return budget


# Not going on


def test_without_resume_it_begins_again(frozen, tmp_path):
    output = tmp_path / "labels.nii"
    killed(frozen, output, 0.5)
    with Unfinished(output, FACTS, resume=False) as state:
        assert not state.resumed
        assert state.plan is None
        assert [path.name for path in state.folder.iterdir()] == ["lock"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"image": ["other.nii", 100]}, r"another image \(scan\.nii; now other\.nii\)"),
        ({"image": ["scan.nii", 101]}, r"another image \(scan\.nii has changed since\)"),
        ({"image": ["other.nii", 1], "model": "fat"}, r"another image and model \(scan\.nii; now other\.nii\)"),
        ({"--tta": True}, r"another --tta \(None; now True\)"),
    ],
)
def test_another_segmentation_is_not_gone_on_with(changed, message, frozen, tmp_path):
    output = tmp_path / "labels.nii"
    killed(frozen, output, 0.5)
    before = notes(output)
    for _ in range(2):  # the refused one leaves no lock
        with pytest.raises(InputError, match=rf"labels\.nii: was begun with {message}.*without --resume"):
            Unfinished(output, FACTS | changed, resume=True)
    assert notes(output) == before


def spoil_json(notes):
    notes.write_text(notes.read_text(encoding="utf-8")[:-9])


def other_json(notes):
    notes.write_text("[1, 2]")


def unknown_tile(notes):
    found = json.loads(notes.read_text(encoding="utf-8"))
    notes.write_text(json.dumps(found | {"planes": {"99": 3}}))


def no_plan(notes):
    found = json.loads(notes.read_text(encoding="utf-8"))
    notes.write_text(json.dumps(found | {"plan": None}))


def spoil_moments(notes):
    notes.with_name("moments.npz").write_bytes(b"PK no zip")


def remove_result(notes):
    notes.with_name("probabilities.raw").unlink()


@pytest.mark.parametrize("damage", [spoil_json, other_json, unknown_tile, no_plan, spoil_moments, remove_result])
def test_what_is_damaged_is_refused(damage, frozen, tmp_path):
    output = tmp_path / "labels.nii"
    killed(frozen, output, 0.5)
    damage(folder(output) / "progress.json")
    for _ in range(2):  # the refused one leaves no lock
        with pytest.raises(InputError, match=r"labels\.nii: what is there of it .* is damaged.*without --resume"):
            finished(frozen, output, resume=True)
    assert finished(frozen, output)[2] == 0


def test_nothing_done_leaves_nothing(frozen, tmp_path):
    output = tmp_path / "labels.nii"
    assert not hasattr(killed(frozen, output, 0), "__notes__")
    with pytest.raises(InputError), Unfinished(output, FACTS, resume=True) as state:
        planned(frozen, state, memory=HELD)
    assert list(tmp_path.iterdir()) == []


def test_another_process_is_at_work(tmp_path):
    output = tmp_path / "labels.nii"
    code = (
        "import sys; from pathlib import Path; from keras_unet3d.inference.unfinished import Unfinished\n"
        "with Unfinished(Path(sys.argv[1]), {}, resume=False):\n"
        "    print('begun', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, output], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "begun\n"
        for resume in (False, True):
            with pytest.raises(InputError, match=r"labels\.nii: another process is segmenting into it"):
                Unfinished(output, {}, resume=resume)
        process.kill()
    Unfinished(output, {}, resume=True).__exit__(None, None, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("output", ["missing/labels.nii", "file/labels.nii"])
def test_an_output_that_cannot_be_written_is_found_at_once(output, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"labels\.nii: its folder"):
        Unfinished(tmp_path / output, {}, resume=False)


# What notes say is on the disk


@pytest.mark.parametrize("at_once", [True, False])
def test_results_are_flushed_before_they_are_noted(at_once, frozen, tmp_path, monkeypatch):
    """Every few seconds, and when the work fails."""
    monkeypatch.setattr(unfinished, "SECONDS_BETWEEN_NOTES", -1.0 if at_once else 1000.0)
    done = []
    write, flush, noted = ScratchVoxels.write, ScratchVoxels.flush, unfinished.written_whole

    def seen(name, function):
        def call(first, *rest):
            done.append((name, getattr(first, "path", first).name))
            return function(first, *rest)

        return call

    monkeypatch.setattr(ScratchVoxels, "write", seen("write", write))
    monkeypatch.setattr(ScratchVoxels, "flush", seen("flush", flush))
    monkeypatch.setattr(unfinished, "written_whole", seen("note", noted))
    killed(frozen, tmp_path / "labels.nii", 0.5)
    results = ("classes.raw", "probabilities.raw")
    assert done[0] == ("note", "progress.json")  # the plan
    flushed_and_noted = [*(("flush", name) for name in results), ("note", "progress.json")]
    slab = [("write", name) for name in results] + (flushed_and_noted if at_once else [])
    assert done[1:4] == flushed_and_noted  # the intensities
    slabs = done[4:-3]
    assert len(slabs) >= len(slab)
    assert slabs == slab * (len(slabs) // len(slab))
    assert done[-3:] == flushed_and_noted


def test_files_are_closed_when_it_ends(tmp_path):
    for error in (None, KilledError()):
        state = Unfinished(tmp_path / "labels.nii", {}, resume=False)
        result = state.voxels("classes", (1, 1, 1), np.uint8)
        state.planes[0] = 1
        state.__exit__(type(error) if error else None, error, None)
        with pytest.raises(ValueError, match="closed"):
            result.flush()
