import math
from dataclasses import fields

import pytest

from keras_unet3d.metrics import OVERLAP_MEASURES, SURFACE_MEASURES, ClassScore
from keras_unet3d.metrics.measures import ASSD, IOU, SURFACE_DICE, VOLUME_DIFFERENCE


def test_every_measure_is_a_number_of_a_class():
    keys = [measure.key for measure in (*OVERLAP_MEASURES, *SURFACE_MEASURES)]
    assert keys == [field.name for field in fields(ClassScore)][4:]


def test_lengths_are_titled_with_their_unit():
    assert ASSD.titled("mm") == "ASSD (mm)"
    assert SURFACE_DICE.titled("mm") == "surface Dice"
    assert SURFACE_DICE.of_surfaces
    assert not OVERLAP_MEASURES[0].of_surfaces


@pytest.mark.parametrize(
    ("measure", "score", "text"),
    [
        (IOU, 0.25, "0.250"),
        (IOU, math.nan, "–"),
        (ASSD, 1234.5, "1,230"),
        (ASSD, 0.012345, "0.0123"),
        (ASSD, math.inf, "∞"),
        (VOLUME_DIFFERENCE, 0.1234, "+12.3%"),
        (VOLUME_DIFFERENCE, -0.5, "-50.0%"),
        (VOLUME_DIFFERENCE, math.inf, "∞"),
    ],
)
def test_a_score_is_written_as_its_measure_is(measure, score, text):
    assert measure.text(score) == text
