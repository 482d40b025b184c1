import json
import tomllib

import numpy as np
import pytest

from keras_unet3d import api
from keras_unet3d.annotation import LabelScheme
from keras_unet3d.metrics import CaseScores, Overlap, Scores, ScoreTable
from keras_unet3d.training.runtime import Machine


@pytest.fixture(autouse=True)
def without_tensorflow(monkeypatch):
    monkeypatch.setattr(
        "keras_unet3d.training.runtime.prepare_runtime",
        lambda _: Machine(has_gpu=False, devices=1, memory=10**12, bfloat16=False),
    )


def test_a_dry_run_says_which_cases_each_fold_leaves_out(unet3d, dataset):
    done = unet3d("fit", dataset, "--dry-run", "--folds", 2, "--minutes", 60)
    assert done.exit_code == 0, done.stderr
    assert "2 trainings of 26.7 minutes each, one for each fold; with scoring and export 60" in done.stderr
    plain = json.loads(unet3d("fit", dataset, "--dry-run", "--folds", 2, "--minutes", 60, "--json").stdout)
    assert sorted(plain["folds"]) == [["a"], ["b"]]
    assert plain["settings"]["minutes"] == 60
    settings = tomllib.loads(done.stdout)
    assert settings["hold_out"] == "nothing"
    assert "2 trainings of 7 steps each" in unet3d("fit", dataset, "--dry-run", "--folds", 2, "--steps", 7).stderr


@pytest.fixture
def fake(monkeypatch):
    """A cross-validation of fourteen cases that trains nothing."""

    def cross_validate(dataset, settings, *, folds, meaning, name, models, runs, listener):
        listener.planned(api.plan_cross_validation(dataset, settings, folds=folds, meaning=meaning))
        scheme = LabelScheme((0, 1), ("background", "cell"))
        overlaps = [Overlap(np.array([[90, n], [0, 10]])) for n in range(14)]
        cases = [
            CaseScores(f"case {n:02}", overlap, Scores.of(overlap, scheme), n % 2 + 1)
            for n, overlap in enumerate(overlaps)
        ]
        table = ScoreTable(cases, scheme)
        return api.CrossValidation(models / name / "1", runs / name / "1", table, 8, 0.5)

    monkeypatch.setattr("keras_unet3d.api.cross_validate", cross_validate)


def test_the_worst_cases_are_shown_and_the_spread_of_all(unet3d, dataset, fake):
    """Dice of the cell, 20 / (20 + n): 1 for the best of the cases, 0.606 for the worst."""
    done = unet3d("fit", dataset, "--folds", 2, "--steps", 4)
    assert done.exit_code == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["case", "13", "2", "0.933", "0.606", "0.769"] in lines
    assert [line[1] for line in lines if line[:1] == ["case"] and len(line) == 6][:2] == ["13", "12"]
    assert "… and 2 cases more in runs/unet3d/1/cross_validation.csv" in done.stdout
    dice = np.array([20 / (20 + n) for n in range(14)])
    assert f"{dice.mean():.3f} ± {dice.std(ddof=1):.3f}" in done.stdout
    assert "Model: models/unet3d/1" in done.stdout
    assert unet3d("fit", dataset, "--folds", 2, "--steps", 4, "--quiet").stdout == "models/unet3d/1\n"


def test_for_machines_it_is_one_json_object(unet3d, dataset, fake):
    plain = json.loads(unet3d("fit", dataset, "--folds", 2, "--steps", 4, "--json").stdout)
    assert len(plain["cross_validation"]["cases"]) == 14
    assert plain["cross_validation"]["classes"][1]["dice"]["cases"] == 14
    assert (plain["model"], plain["steps"], len(plain["folds"])) == ("models/unet3d/1", 8, 2)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--folds", 3], "up to the number of cases with labels, 2. Received: 3"),
        (["--folds", 1], "Expected 2 folds or more"),
        (["--folds", 2, "--hold-out", "slices"], "hold_out = 'slices' and folds exclude each other"),
        (["--folds", 2, "--profile"], "only one of --profile and --folds"),
    ],
)
def test_wrong_calls_say_what_is_wrong(unet3d, dataset, arguments, told):
    done = unet3d("fit", dataset, *arguments)
    assert done.exit_code == 2
    assert told in done.stderr
