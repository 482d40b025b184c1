import pytest

from keras_unet3d.volumes.units import read_unit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mm", ("mm", 1)),
        ("Millimeters", ("mm", 1)),
        ("um", ("µm", 1)),
        ("\u00b5m", ("µm", 1)),
        ("\u03bcm", ("µm", 1)),
        ("\\u00B5m", ("µm", 1)),
        ('"microns"', ("µm", 1)),
        ("inch", ("mm", 25.4)),
        ("angstrom", ("nm", 0.1)),
        ("pixel", ("", 1)),
        ("", ("", 1)),
        (None, ("", 1)),
    ],
)
def test_units_are_known_by_all_their_names(text, expected):
    assert read_unit(text) == expected
