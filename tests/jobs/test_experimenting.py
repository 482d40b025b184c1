"""Experiments: many trainings, whatever interrupts them."""

import json
import multiprocessing
import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest

import keras_unet3d as unet3d
from keras_unet3d.annotation import LabelScheme
from keras_unet3d.evaluation.protocols import NETWORKS, Part
from keras_unet3d.jobs import trials
from keras_unet3d.jobs.experimenting import plan_experiment
from keras_unet3d.jobs.trials import Trainings, Trial, _devices
from keras_unet3d.training.listener import Quiet
from keras_unet3d.training.resolved import read_resolved
from keras_unet3d.training.settings import read_settings

TINY = read_settings(
    None,
    {
        "steps": 2,
        "tile": "x=8 y=8 z=8",
        "batch_size": 1,
        "network.filters": 2,
        "network.depth": 1,
        "network.padding": "same",
    },
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Two bright balls, labelled in every third slice of z."""
    folder = tmp_path_factory.mktemp("balls")
    z, y, x = np.ogrid[:12, :14, :16]
    for number, name in enumerate("ab"):
        ball = (z - 6) ** 2 + (y - 6 - number) ** 2 + (x - 8) ** 2 < 25
        image = 300 * ball + np.random.default_rng(number).normal(1000, 100, ball.shape)
        labels = np.full(ball.shape, 9, np.uint8)
        labels[::3] = 5 * ball[::3]
        grid = unet3d.Grid(ball.shape)
        unet3d.write_image(folder / f"{name}.nii.gz", unet3d.Volume(image.astype(np.float32)[..., None], grid))
        unet3d.write_labels(folder / f"{name}_labels.nii.gz", unet3d.Volume(labels, grid))
    return unet3d.dataset_from_pairs(
        [folder / f"{name}.nii.gz" for name in "ab"], [folder / f"{name}_labels.nii.gz" for name in "ab"]
    )


MEANING = unet3d.Meaning(None, 9)


class Watching(Quiet):
    """Notes what is said; presses Ctrl-C in the second training, once."""

    def __init__(self):
        self.said, self.pressed = [], False

    def say(self, text):
        self.said.append(text)

    def step(self, report):
        if not self.pressed and any("1 of" in text for text in self.said):
            self.pressed = True
            signal.raise_signal(signal.SIGINT)


@pytest.mark.slow
def test_an_experiment_that_is_interrupted_continues_and_comes_out_the_same(dataset, tmp_path):
    call = {"networks": ["3D without BN", "2D with BN"], "meaning": MEANING}
    watching = Watching()
    with pytest.raises(KeyboardInterrupt):
        unet3d.experiment(dataset, "full", TINY, runs=tmp_path / "runs", listener=watching, **call)
    (done,) = [text for text in watching.said if "of 4 done" in text]
    assert done.endswith("left.")
    found = unet3d.experiment(dataset, "full", TINY, runs=tmp_path / "runs", listener=watching, **call)
    assert found.run == tmp_path / "runs" / "experiment_full" / "1"

    at_once = unet3d.experiment(dataset, "full", TINY, runs=tmp_path / "others", workers=2, **call)
    written = [json.loads((each.run / "experiment.json").read_text(encoding="utf-8")) for each in (found, at_once)]
    scores = [[trial["cases"] for trial in each["trials"]] for each in written]
    assert scores[0] == scores[1]
    assert [trial["network"] for trial in written[0]["trials"]] == ["3D without BN", "2D with BN"] * 2
    assert list(written[0]["trials"][0]["cases"]) == ["a"]  # the one that is left out
    page = (found.run / "report.html").read_text(encoding="utf-8")
    for shown in (
        "Loss of the training tiles, without",
        "of each network the volume that it does worst",
        'class="view"',
    ):
        assert shown in page
    assert (found.run / "experiment.md").read_text(encoding="utf-8") == found.scores.as_markdown()


class Pressing(Quiet):
    """Presses Ctrl-C in the first step."""

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)

    def step(self, report):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.slow
def test_a_training_continues_with_less_memory_where_that_is_asked_for_now(dataset, tmp_path):
    """As `fit` does; the message of a training that the memory did not suffice for says so."""
    call = {"networks": ["2D with BN"], "meaning": MEANING, "runs": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        unet3d.experiment(dataset, "full", TINY, listener=Pressing(), **call)
    sparing = type(TINY).model_validate({**TINY.model_dump(exclude_unset=True), "recompute": True})
    found = unet3d.experiment(dataset, "full", sparing, **call)
    assert found.run.name == "1"
    decided = [read_resolved(file) for file in sorted(found.run.glob("*/settings.toml"))]
    assert [each.recompute for each in decided] == [True, True]


@pytest.mark.slow
def test_another_version_or_setting_begins_anew_and_says_so(dataset, tmp_path, monkeypatch):
    call = {"networks": ["2D with BN"], "meaning": MEANING, "runs": tmp_path}
    told = [Pressing() for _ in range(3)]
    for listener, version, steps in zip(told, ("1.0", "1.0", "1.1"), (2, 3, 3), strict=True):
        monkeypatch.setattr("keras_unet3d.serving.description.package_version", lambda version=version: version)
        with pytest.raises(KeyboardInterrupt):
            unet3d.experiment(dataset, "full", TINY.model_copy(update={"steps": steps}), listener=listener, **call)
    kept = [[text.split()[0] for text in each.said if "is unfinished and kept" in text] for each in told]
    folder = tmp_path / "experiment_full"
    assert kept == [[], [str(folder / "1")], [str(folder / "2")]]


def test_a_class_that_a_training_would_not_know_is_refused(tmp_path):
    grid = unet3d.Grid((12, 8, 8))
    labels = np.full(grid.shape, 9, np.uint8)
    labels[::4] = 0
    labels[4, 2:5] = 5  # in one slice only
    unet3d.write_image(tmp_path / "a.nii.gz", unet3d.Volume(np.ones((*grid.shape, 1), np.float32), grid))
    unet3d.write_labels(tmp_path / "labels.nii.gz", unet3d.Volume(labels, grid))
    files = unet3d.dataset_from_pairs([tmp_path / "a.nii.gz"], [tmp_path / "labels.nii.gz"])
    with pytest.raises(unet3d.InputError, match=r"subset 2: nothing that is learned from has labels of"):
        plan_experiment(files, "semi", TINY, meaning=MEANING)


def test_slices_that_leave_only_background_to_score_are_refused(tmp_path):
    """A flat structure: of it the last row would learn from every slice of z."""
    grid = unet3d.Grid((12, 16, 16))
    labels = np.zeros(grid.shape, np.uint8)
    labels[5:8, 3:13, 3:13] = 1
    unet3d.write_image(tmp_path / "a.nii.gz", unet3d.Volume(np.ones((*grid.shape, 1), np.float32), grid))
    unet3d.write_labels(tmp_path / "labels.nii.gz", unet3d.Volume(labels, grid))
    files = unet3d.dataset_from_pairs([tmp_path / "a.nii.gz"], [tmp_path / "labels.nii.gz"])
    with pytest.raises(unet3d.InputError, match=r"^a x=1 y=1 z=1: nothing that is scored .* label 1, .*--slices"):
        plan_experiment(files, "sparsity", TINY, meaning=unet3d.Meaning(dense=True))
    plan = plan_experiment(files, "sparsity", TINY, steps=[(1, 1, 1), (2, 2, 2)], meaning=unet3d.Meaning(dense=True))
    assert not any("nothing that is scored" in note for note in plan.notes)


def test_no_folds_are_not_the_papers(dataset):
    with pytest.raises(unet3d.InputError, match=r"Expected 2 to .* Received: 0"):
        plan_experiment(dataset, "semi", TINY, folds=0, meaning=MEANING)


def test_an_unknown_network_is_refused(dataset):
    with pytest.raises(unet3d.InputError, match="Expected networks out of 3D without BN, 3D with BN, 2D with BN"):
        plan_experiment(dataset, "semi", TINY, networks=["4D"], meaning=MEANING)


def test_what_would_be_held_back_is_refused(dataset):
    with pytest.raises(unet3d.InputError, match="hold nothing back"):
        plan_experiment(dataset, "semi", TINY.model_copy(update={"hold_out": "slices"}), meaning=MEANING)


def test_growing_slices_are_learned_from_one_volume_at_a_time(dataset):
    plan = plan_experiment(dataset, "sparsity", TINY, steps=[(1, 0, 0), (2, 0, 0)], meaning=MEANING)
    assert [str(trial) for trial in plan.trials] == [
        f"3D with BN, x=0 y=0 z={count}, {name}" for count in (1, 2) for name in ("a", "b")
    ]


def test_a_process_that_the_system_ends_is_said_with_a_way_out(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "_take_share", os._exit)
    trainings = Trainings(dataset, MEANING, TINY, tmp_path)
    with pytest.raises(unet3d.WorkError, match="fewer --workers"):
        list(trainings.do(plan_experiment(dataset, "full", TINY, meaning=MEANING).trials, 2, Quiet()))


def test_each_process_sees_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(trials, "gpus", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert _devices(3) == ["0", "1", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    assert _devices(2) == ["5", "7"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(trials, "gpus", lambda: 0)
    assert _devices(2) == ["", ""]


class Sleeping(Trainings):
    """The first training fails, the others take a minute."""

    def record(self, trial, listener=None):
        if trial == "0":
            raise unet3d.WorkError("no memory")
        time.sleep(60)
        (self.folder / trial).touch()


def test_where_one_training_fails_no_other_goes_on(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "_SECONDS_TO_END", 0.0)
    start = time.monotonic()
    with pytest.raises(unet3d.WorkError, match="no memory"):
        list(Sleeping(dataset, MEANING, TINY, tmp_path).do([str(number) for number in range(8)], 2, Quiet()))
    for process in multiprocessing.active_children():
        process.join(30)
    assert not multiprocessing.active_children()
    assert time.monotonic() - start < 60
    assert not list(tmp_path.iterdir())


def test_no_two_trainings_share_a_folder():
    network = NETWORKS[0]
    names = ("s-1", "s_1", "s 1", "S_1")
    folders = {Trial(Part(f"without {name}", {}), network).folder.lower() for name in names}
    assert len(folders) == len(names)


def test_a_class_that_nobody_painted_is_asked_of_no_training(dataset):
    """It is in dataset.json, and `check` warns."""
    named = replace(dataset, scheme=LabelScheme((0, 5, 7), ("background", "ball", "vessel"), unlabeled=9))
    plan = plan_experiment(named, "full", TINY)
    assert len(plan.trials) == 6
    assert any("vessel" in note for note in plan.notes)
