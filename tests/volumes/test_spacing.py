"""A spacing is read as it is written, and compared in space."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.spacing import Spacing, median_spacing, unusual_spacing
from keras_unet3d.volumes.volume import Grid

edges = st.tuples(*[st.integers(1, 10**6).map(lambda number: number / 1000)] * 3)


@given(edges, st.sampled_from(["", "mm", "µm", "nm", "cm", "m"]))
def test_what_is_written_is_read(values, unit):
    spacing = Spacing(values, unit)
    assert Spacing.parse(str(spacing)).unit == unit
    assert Spacing.parse(str(spacing)).edges == pytest.approx(values, rel=1e-5)


def test_units_are_spelled_as_files_spell_them():
    assert Spacing.parse("z=2.5 y=1 x=1 microns") == Spacing((2.5, 1, 1), "µm")
    assert Spacing.parse("x=1, y=1, z=2 mm") == Spacing((2, 1, 1), "mm")
    assert Spacing.parse("x=1 y=1 z=1 inch") == Spacing((25.4, 25.4, 25.4), "mm")


@pytest.mark.parametrize("text", ["1 1 1", "x=1 y=1", "x=1 y=1 z=0", "x=1 y=1 z=inf", "x=1 y=1 z=nan", "x=1 y=1 z=1 k"])
def test_anything_else_is_refused(text):
    with pytest.raises(InputError, match="Received"):
        Spacing.parse(text)


def test_spacings_are_compared_in_space_and_where_a_unit_is_unknown_it_is_the_others():
    spacing = Spacing((2, 1, 1), "mm")
    assert spacing.is_same(Spacing((2000, 1000, 1005), "µm"))
    assert not spacing.is_same(Spacing((2000, 1000, 1020), "µm"))
    assert spacing.is_same(Spacing((2, 1, 1)))
    assert not spacing.is_same(Spacing((2, 1, 1), "µm"))


def grid(z, y, x, unit="mm"):
    return Grid((8, 8, 8), (z, y, x), unit=unit)


def test_a_spacing_far_from_what_was_trained_on_is_named():
    assert unusual_spacing(grid(2, 1, 1), (2.18, 1, 1), "mm") is None
    text = unusual_spacing(grid(5, 1, 1), (2.0, 1, 1), "mm")
    assert text is not None
    assert "x=1 y=1 z=5" in text
    assert "2.5 times along z" in text


def test_spacings_are_compared_in_space_where_units_are_known_and_by_their_ratios_where_not():
    assert unusual_spacing(grid(0.002, 0.001, 0.001), (2.0, 1.0, 1.0), "µm") is None
    assert unusual_spacing(grid(2, 1, 1), (2.0, 1.0, 1.0), "µm") is not None
    assert unusual_spacing(grid(2, 1, 1, unit=""), (0.02, 0.01, 0.01), "mm") is None
    assert unusual_spacing(grid(4, 1, 1, unit=""), (0.02, 0.01, 0.01), "mm") is not None
    assert unusual_spacing(grid(2, 1, 1), None, "mm") is None
    assert unusual_spacing(Grid((8, 8, 8)), (2.18, 1, 1), "") is None  # a plain TIFF says nothing


def test_the_median_spacing_is_in_one_unit():
    grids = [Grid((1, 1, 1), (2.0, 1.0, 1.0), unit="µm"), Grid((1, 1, 1), (0.004, 0.001, 0.003), unit="mm")]
    spacing, unit = median_spacing([*grids, grids[0]])
    assert unit == "µm"
    assert spacing == pytest.approx((2.0, 1.0, 1.0))
    assert median_spacing(grids)[0] == pytest.approx((3.0, 1.0, 2.0))
