import pytest
from unet3d_cli.tables import MOST_CASES, MOST_CLASSES, print_summary, shown
from unet3d_cli.terminal import Terminal

from keras_unet3d.annotation import CaseSummary, TrainingSummary


def summary(cases, classes):
    voxels = {f"class {number}": 10 for number in range(classes)}
    labelled = 10 * classes
    row = {
        "dense": False,
        "shape": (10, 10, 10),
        "spacing": (1.0, 1.0, 1.0),
        "unit": "mm",
        "slices": {"z": 2, "y": 0, "x": 1},
    }
    rows = tuple(
        CaseSummary(f"case {n}", labelled=labelled, share=labelled / 1000, voxels=voxels, **row) for n in range(cases)
    )
    total = {name: count * cases for name, count in voxels.items()}
    return TrainingSummary(rows, total, dict.fromkeys(voxels, 1 / classes), 3 * cases, ("ct",))


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
        assert f"{10 * classes / 1000:.1%} of all voxels" in text


def test_a_score_that_is_none_is_a_dash():
    assert [shown(0.12345), shown(None), shown(float("nan"))] == ["0.123", "–", "–"]
