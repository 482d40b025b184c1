"""The spacing that all cases are resampled to, and why."""

import json
from pathlib import Path

import numpy as np
import pytest

from keras_unet3d.annotation.cases import AnnotatedCase
from keras_unet3d.errors import InputError
from keras_unet3d.serving.description import DESCRIPTION_FILE
from keras_unet3d.training.settings import Settings, read_settings
from keras_unet3d.training.working_spacing import labels_of, resampled_case, resampling_sentence, resolve_spacing
from keras_unet3d.volumes.spacing import Spacing
from keras_unet3d.volumes.volume import Grid, Volume

PHANTOM = Path(__file__).parents[2] / "models" / "kidney-phantom" / "1"


def case(spacing, unit="mm", shape=(4, 6, 6), *, placed=True):
    voxels = np.random.default_rng(0).normal(100, 7, (*shape, 1)).astype(np.float32)
    grid = Grid(shape, spacing, unit=unit, placed=placed)
    return AnnotatedCase("a", Volume(voxels, grid), np.arange(np.prod(shape), dtype=np.int16).reshape(shape) % 3)


def resolve(*spacings, unit="mm", **given):
    settings, decisions = resolve_spacing(Settings(**given), [case(each, unit) for each in spacings])
    return settings.resampled_to, " ".join(map(str, decisions))


def test_cases_that_are_alike_are_left_as_they_are():
    for spacings in ([(2, 1, 1)], [(2, 1, 1), (2.3, 1, 1), (2, 1, 0.9)]):
        found, told = resolve(*spacings)
        assert found is None
        assert told.startswith("working_spacing = none: ")
        assert "x=1 y=1 z=2 mm" in told


def test_cases_that_differ_are_resampled_to_the_median():
    found, told = resolve((1, 1, 1), (2.0, 1, 1), (2.5, 1, 1.05))
    assert found == Spacing((2, 1, 1), "mm")
    assert told == (
        "working_spacing = x=1 y=1 z=2 mm: the spacing along z is from 1 to 2.5 mm in the cases: all are resampled to "
        "the median"
    )


def test_an_axis_that_is_coarse_gets_the_tenth_percentile_but_is_never_finer_than_the_others():
    """Of eleven spacings from 1 to 11 the tenth percentile is the second."""
    found, told = resolve(*((float(z), 1.0, 1.0) for z in range(1, 12)))
    assert found == Spacing((2, 1, 1), "mm")
    assert "along z, which is coarse, the 10th percentile" in told
    assert resolve((0.2, 1, 1), (0.2, 1, 1), *[(5.0, 1, 1)] * 8)[0] == Spacing((1, 1, 1), "mm")


@pytest.mark.parametrize("wrong", [100.0, 0.01])
def test_a_header_that_must_be_wrong_is_refused_before_its_volume_is_made(wrong):
    for given in ({}, {"working_spacing": "x=1 y=1 z=1 mm"}):
        with pytest.raises(InputError, match=rf"voxels of x={wrong:g} .* 10 times .* x=1 y=1 z=1 mm") as refused:
            resolve(*[(1.0, 1.0, 1.0)] * 9, (wrong, wrong, wrong), **given)
        assert "--working-spacing" in str(refused.value)
    assert resolve(*[(1.0, 1.0, 1.0)] * 9, (wrong, wrong, wrong), working_spacing="none")[0] is None


def test_spacings_are_compared_in_the_unit_of_the_first_case():
    cases = [case((2, 1, 1), "µm"), case((0.002, 0.001, 0.001), "mm"), case((4, 1, 1), "µm")]
    assert resolve_spacing(Settings(), cases)[0].resampled_to == Spacing((2, 1, 1), "µm")
    assert resolve_spacing(Settings(), cases[:2])[0].resampled_to is None


@pytest.mark.parametrize(
    ("silent", "why"),
    [(case((1, 1, 1), "", placed=False), "carry no spacing"), (case((3, 1, 1), ""), "have no unit, and others have")],
)
def test_where_spacings_cannot_be_compared_nothing_is_resampled_and_it_is_said(silent, why):
    cases = [case((2, 1, 1)), silent, case((5, 1, 1))]
    settings, (decision,) = resolve_spacing(Settings(), cases)
    assert settings.working_spacing == "none"
    assert why in decision.reason
    with pytest.raises(InputError, match=f"working_spacing = 'x=1 y=1 z=1', but .*{why}"):
        resolve_spacing(Settings(working_spacing="x=1 y=1 z=1"), cases)


def test_what_is_set_is_taken_in_the_unit_of_the_data():
    assert resolve((2, 1, 1), working_spacing="x=1 y=1 z=1") == (Spacing((1, 1, 1), "mm"), "")
    assert resolve((2, 1, 1), working_spacing="x=500 y=500 z=500 µm") == (Spacing((0.5, 0.5, 0.5), "mm"), "")
    assert resolve((2, 1, 1), (9, 1, 1), working_spacing="none") == (None, "")


def test_settings_keep_it_as_it_is_used():
    """Written in six digits, it is the same when it is read again."""
    settings, _ = resolve_spacing(Settings(), [case((1 / 3, 1, 1)), case((1 / 3, 1, 1)), case((2, 1, 1))])
    assert Settings.model_validate(settings.model_dump()) == settings
    assert settings.resampled_to.edges[0] == 0.333333
    with pytest.raises(InputError, match="working_spacing"):
        read_settings(None, {"working_spacing": "x=1 y=1"})
    assert read_settings(None, preset="paper").working_spacing == "none"


def test_a_model_to_begin_with_decides_where_nothing_is_set(tmp_path):
    plain = json.loads((PHANTOM / DESCRIPTION_FILE).read_text(encoding="utf-8"))
    for name, resampled in (("any", False), ("one", True)):
        file = tmp_path / name / "1" / DESCRIPTION_FILE
        file.parent.mkdir(parents=True)
        (tmp_path / name / "1" / "saved_model.pb").touch()
        file.write_text(json.dumps(plain | {"resampled": resampled, "spacing": [3, 2, 2], "unit": "mm"}))
    found, told = resolve((2, 1, 1), start=str(tmp_path / "one"))
    assert found == Spacing((3, 2, 2), "mm")
    assert "the model to begin with" in told
    assert resolve((2, 1, 1), start=str(tmp_path / "one"), working_spacing="none")[0] is None
    assert resolve((2, 1, 1), start=str(tmp_path / "any"))[0] is None


def test_a_resampled_case_has_image_and_labels_on_one_grid():
    short, long = case((1, 1, 1), shape=(4, 6, 8)), case((1000, 1000, 2000), "µm", shape=(4, 6, 4))
    spacing = Spacing((1, 1, 2), "mm")
    found = resampled_case(short, spacing)
    assert found.image.grid == Grid((4, 6, 4), (1, 1, 2), (0.5, 0, 0), unit="mm")
    assert found.image.voxels.shape == (4, 6, 4, 1)
    assert found.class_index.shape == (4, 6, 4)
    np.testing.assert_array_equal(labels_of(short, spacing).class_index, found.class_index)
    assert resampled_case(long, spacing) is long
    assert resampled_case(short, None) is short
    assert resampling_sentence([short, long], spacing) == "1 of 2 cases is resampled to x=2 y=1 z=1 mm."
