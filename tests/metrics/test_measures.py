from dataclasses import fields

from keras_unet3d.metrics import OVERLAP_MEASURES, SURFACE_MEASURES, ClassScore
from keras_unet3d.metrics.measures import ASSD, SURFACE_DICE


def test_every_measure_is_a_number_of_a_class():
    keys = [measure.key for measure in (*OVERLAP_MEASURES, *SURFACE_MEASURES)]
    assert keys == [field.name for field in fields(ClassScore)][4:]


def test_lengths_are_titled_with_their_unit():
    assert ASSD.titled("mm") == "ASSD (mm)"
    assert SURFACE_DICE.titled("mm") == "surface Dice"
    assert SURFACE_DICE.of_surfaces
    assert not OVERLAP_MEASURES[0].of_surfaces
