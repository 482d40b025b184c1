import numpy as np
import pytest
from unet3d_cli.score_tables import print_cases, print_notes
from unet3d_cli.tables import MOST_CASES, MOST_CLASSES
from unet3d_cli.terminal import Terminal

from keras_unet3d.annotation import LabelScheme
from keras_unet3d.metrics import CaseScores, Overlap, Ruler, Scores, ScoreTable, Surfaces
from keras_unet3d.volumes import Grid


def table(cases, classes=2, **grid):
    """Cases of a row of voxels, two of each class; of class 1 one was taken for background, and in the last both."""
    scheme = LabelScheme(tuple(range(classes)), ("background", *(f"class {index}" for index in range(1, classes))))
    grid = Grid((1, 1, 2 * classes), **grid or {"unit": "mm"})
    truth = np.repeat(np.arange(classes), 2).astype(np.int16).reshape(grid.shape)
    scored = []
    for number in range(cases):
        prediction = truth.copy()
        prediction[0, 0, 2 : 4 if number == cases - 1 else 3] = 0
        overlap = Overlap.of(truth, prediction, classes)
        surfaces = Surfaces.of(truth, prediction, classes, Ruler.of([grid]), background=0)
        scored.append(CaseScores(f"case {number}", overlap, Scores.of(overlap, scheme, surfaces)))
    return ScoreTable(scored, scheme)


def test_what_was_missed_is_counted_below_the_mean(capsys):
    """Class 1 lies one voxel of 1 mm beside in two of three cases, and is missed in the third: the worst one."""
    scores = table(3)
    print_cases(Terminal(), scores)
    print_notes(Terminal(), scores)
    out = capsys.readouterr().out
    assert "∞ in 1 of 3" in out
    assert "1 ± 0" in out
    assert next(line for line in out.splitlines() if line.startswith(" case 2")).split()[-2:] == ["∞", "0.000"]
    assert "within 1 mm" in out
    assert "The borders of background are those of the other classes" in out
    assert "Means over cases leave ∞ out" in out


def test_many_cases_and_classes_are_folded(capsys):
    print_cases(Terminal(), table(MOST_CASES + 1, MOST_CLASSES + 2))
    cases, spread = capsys.readouterr().out.split("Mean ±")
    assert "… and 1 case more; --csv FILE writes all of them." in cases
    assert "class 1" not in cases
    assert f"class {MOST_CLASSES + 1}" in spread


@pytest.mark.parametrize(
    ("grid", "told"),
    [
        ({"placed": False}, "distances are in voxels, as if these were cubes"),
        ({"spacing": (2.0, 1.0, 1.0)}, "a spacing without a unit: it was taken as mm"),
    ],
)
def test_what_files_do_not_say_is_said(capsys, grid, told):
    print_notes(Terminal(), table(1, **grid))
    assert told in capsys.readouterr().out
