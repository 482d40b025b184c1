import numpy as np
import pytest

from keras_unet3d.annotation import LabelScheme
from keras_unet3d.evaluation.comparison import Comparison, scores_of_all, write_comparison
from keras_unet3d.volumes import Grid, Volume

SCHEME = LabelScheme((0, 1), ("background", "<cell>"))


def compared(name, found):
    """4×4×4 voxels of which 8 are cell; `found` of them are predicted; slice z=1 is annotated."""
    truth = np.zeros((4, 4, 4), np.int16)
    truth[0, :2] = 1
    prediction = np.zeros_like(truth)
    prediction[0].ravel()[:found] = 1
    annotation = np.full_like(truth, -1)
    annotation[1] = truth[1]
    image = Volume(np.random.default_rng(0).normal(size=(4, 4, 4, 1)).astype(np.float32), Grid((4, 4, 4)))
    return Comparison(name, image, annotation, prediction, truth)


def test_voxels_of_all_volumes_count_together():
    scores = scores_of_all([compared("a", 8), compared("b", 2)], SCHEME)
    assert scores.classes[1].iou == pytest.approx(10 / 16)
    assert scores.classes[0].iou == pytest.approx(112 / 118)
    assert scores.voxels == 128


def test_the_report_scores_and_shows_every_volume(tmp_path):
    write_comparison(tmp_path / "report.html", "Title", ["Words."], [compared("a", 8), compared("b", 4)], SCHEME)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 2 * 3
    assert "<td>a</td><td>1.000</td><td>1.000</td><td>1.000</td>" in page
    assert "<td>b</td><td>0.933</td><td>0.500</td>" in page
    assert "all together" in page
    assert "&lt;cell&gt;" in page
    assert "slice z=1: annotated" in page
    assert "slice z=2: not annotated" in page
    assert "slice y=2: 25% of it annotated" in page
