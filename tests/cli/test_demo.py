import json
from pathlib import Path

import numpy as np
import pytest

from keras_unet3d.annotation import LabelScheme
from keras_unet3d.api import Demonstration
from keras_unet3d.metrics import Overlap, Scores


@pytest.fixture
def fake(monkeypatch):
    """A demo that only says something; of four voxels three are right: IoU ⅔ and ½."""
    scores = Scores.of(Overlap(np.array([[2, 0], [1, 1]])), LabelScheme((0, 1), ("background", "cell")))

    def demo(out, *, listener, **_options):
        listener.say("Working …")
        return Demonstration(out / "data", out / "models" / "m" / "1", out / "segmented", out / "report.html", scores)

    monkeypatch.setattr("keras_unet3d.api.demo", demo)


def test_the_result_is_the_last_line(unet3d, fake):
    done = unet3d("demo")
    assert done.exit_code == 0
    assert done.stdout.endswith("\nmean IoU 0.58\n")
    for told in ("demo/report.html", "demo/segmented", "unet3d info demo/models/m", "--model demo/models/m"):
        assert told in done.stdout
    assert done.stderr == "Working …\n"
    assert unet3d("demo", "--quiet").stdout == "mean IoU 0.58\n"


def test_for_machines_it_is_one_json_object(unet3d, fake):
    plain = json.loads(unet3d("demo", "--json").stdout)
    assert Path(plain["model"]) == Path("demo/models/m/1")
    assert plain["scores"]["mean"]["iou"] == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_it_touches_no_folder_that_it_did_not_make(unet3d, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years", encoding="utf-8")
    done = unet3d("demo", "--out", "mine")
    assert done.exit_code == 2
    assert "--out" in done.stderr
    assert (tmp_path / "mine" / "thesis.txt").read_text(encoding="utf-8") == "years"


def test_minutes_and_steps_contradict_each_other(unet3d):
    assert unet3d("demo", "--minutes", "1", "--steps", "1").exit_code == 2
