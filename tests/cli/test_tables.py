from dataclasses import replace

import pytest
from unet3d_cli.tables import MOST_CASES, MOST_CLASSES, print_summary
from unet3d_cli.terminal import Terminal

from keras_unet3d.annotation import CaseSummary, ClassIntensity, TrainingSummary


def summary(cases, classes, *, dense=False):
    voxels = {f"class {number}": 10 for number in range(classes)}
    labelled = 10 * classes
    row = {
        "dense": dense,
        "shape": (10, 10, 10),
        "spacing": (1.0, 1.0, 1.0),
        "unit": "mm",
        "slices": {"z": 2, "y": 0, "x": 1},
    }
    row["volume"] = dict.fromkeys(voxels, 1234.5) if dense else {}
    rows = tuple(
        CaseSummary(f"case {n}", labelled=labelled, share=labelled / 1000, voxels=voxels, **row) for n in range(cases)
    )
    seen = dict.fromkeys(voxels, (ClassIntensity(-0.5, 0.25),))
    total = {name: count * cases for name, count in voxels.items()}
    return TrainingSummary(rows, total, dict.fromkeys(voxels, 1 / classes), 3 * cases, ("ct",), seen)


@pytest.mark.parametrize("cases", [1, MOST_CASES, MOST_CASES + 1])
@pytest.mark.parametrize("classes", [2, MOST_CLASSES + 1])
def test_few_cases_have_rows_and_many_are_folded(capsys, cases, classes):
    print_summary(Terminal(), summary(cases, classes))
    text = capsys.readouterr().out
    assert ("case 0 " in text) == (cases <= MOST_CASES)
    assert f"{10 * classes * cases:,}" in text
    assert "class 0" in text
    assert "1 channel: ct." in text
    if cases > MOST_CASES:
        assert f"{cases} cases of x=10 y=10 z=10, 0 dense" in text
        assert f"{3 * cases} annotated slices in others" in text
        assert f"{10 * classes / 1000:.1%}." in text


def test_classes_show_how_large_and_how_bright_they_are(capsys):
    print_summary(Terminal(), summary(2, 2, dense=True))
    text = capsys.readouterr().out
    assert "median mm³" in text
    assert "1,230" in text
    assert "-0.50 ± 0.25" in text


def test_a_class_without_labels_has_no_intensity(capsys):
    few = summary(1, 2)
    print_summary(Terminal(), replace(few, intensities={**few.intensities, "class 1": ()}))
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.strip().startswith("class 1")]
    assert row.split()[-1] == "–"
