import json
from pathlib import Path

import numpy as np
import pytest

from keras_unet3d.annotation import LabelScheme
from keras_unet3d.api import Report
from keras_unet3d.metrics import CaseScores, Overlap, Scores, ScoreTable

SCHEME = LabelScheme((0, 1), ("background", "cell"))


@pytest.fixture
def asked(monkeypatch):
    """What `report` was asked for; it makes up two cases where there is a dataset."""
    calls = []

    def report(model, dataset, output, *, meaning, say):
        calls.append((model, dataset, output, meaning))
        say("Segmenting a …")
        overlaps = {"good": Overlap(np.array([[2, 0], [0, 2]])), "bad": Overlap(np.array([[2, 0], [1, 1]]))}
        scores = [CaseScores(name, overlap, Scores.of(overlap, SCHEME)) for name, overlap in overlaps.items()]
        return Report(output, model / "3", ScoreTable(scores, SCHEME) if dataset else None)

    monkeypatch.setattr("keras_unet3d.api.report", report)
    return calls


def test_a_model_alone(unet3d, asked):
    done = unet3d("report", "models/cells")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "Report: report.html  (open it in a browser)\n"
    assert asked[0][:3] == (Path("models/cells"), None, Path("report.html"))


def test_a_dataset_is_scored_and_the_worst_case_is_named(unet3d, asked):
    done = unet3d("report", "models/cells", "data", "--out", "new.html", "--unlabeled", 3)
    assert done.stderr == "Segmenting a …\n"
    assert "Worst: bad, 0.733" in done.stdout
    assert done.stdout.endswith("Report: new.html  (open it in a browser)\n")
    assert asked[0][1:3] == (Path("data"), Path("new.html"))
    assert asked[0][3].unlabeled == 3
    plain = json.loads(unet3d("report", "models/cells", "data", "--json").stdout)
    assert plain["report"] == "report.html"
    assert [case["case"] for case in plain["scores"]["cases"]] == ["bad", "good"]


def test_pairs_of_files_are_a_dataset(unet3d, write, asked):
    image, labels = (
        write("a.nii.gz", np.zeros((2, 3, 4, 1), np.float32)),
        write("b.nii.gz", np.zeros((2, 3, 4), np.uint8)),
    )
    assert unet3d("report", "models/cells", "--image", image, "--annotation", labels).exit_code == 0
    assert asked[0][1].cases[0].images == (image,)


def test_what_is_wrong_is_said_in_a_sentence(unet3d, model):
    assert unet3d("report", "nowhere").exit_code == 2
    done = unet3d("report", model, "--out", "report.pdf")
    assert done.exit_code == 2
    assert "report.pdf: a page is called" in done.stderr
    written = unet3d("report", model, "--out", "cells.html")
    assert written.exit_code == 0, written.stderr
    assert "100 labelled voxels" not in Path("cells.html").read_text(encoding="utf-8")
    assert "1,000 labelled voxels of 2 cases" in Path("cells.html").read_text(encoding="utf-8")
