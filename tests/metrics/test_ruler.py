from dataclasses import replace

import numpy as np
import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.metrics import Ruler
from keras_unet3d.volumes import Grid
from keras_unet3d.volumes.length import Length

MRI = Grid((4, 5, 6), (2.5, 1, 0.5), (10, 20, 30), unit="mm")
BARE = Grid((4, 5, 6), placed=False)


def test_the_tolerance_is_in_the_unit_of_the_grid_and_else_the_longest_edge():
    assert Ruler.of([MRI]) == Ruler(MRI, "mm", 2.5)
    assert Ruler.of([MRI], Length(2)).tolerance == 2
    assert Ruler.of([MRI], Length(500, "µm")).tolerance == pytest.approx(0.5)


def test_what_one_file_leaves_out_the_other_says():
    assert Ruler.of([BARE, MRI]) == Ruler.of([MRI, BARE]) == Ruler.of([MRI])
    assert Ruler.of([replace(MRI, unit=""), MRI]) == Ruler.of([MRI])


def test_a_spacing_without_a_unit_is_in_mm_and_said_to_be():
    ruler = Ruler.of([replace(MRI, unit="")], Length(1, "cm"))
    assert (ruler.unit, ruler.tolerance, ruler.assumed) == ("mm", 10, True)
    assert not Ruler.of([MRI]).assumed


def test_where_nothing_is_said_distances_are_in_voxels():
    ruler = Ruler.of([BARE])
    assert (ruler.unit, ruler.tolerance, ruler.steps.tolist()) == ("voxels", 1, [1, 1, 1])
    assert Ruler.of([BARE], Length(2), unit="mm").tolerance == 2
    with pytest.raises(InputError, match="2 mm cannot be measured in them"):
        Ruler.of([BARE], Length(2, "mm"))


def test_another_unit_is_converted_to():
    ruler = Ruler.of([MRI], Length(1, "mm"), unit="µm")
    assert (ruler.unit, ruler.tolerance, ruler.steps.tolist()) == ("µm", 1000, [2500, 1000, 500])
    assert Ruler.of([MRI], unit="voxels").unit == "mm"


def test_steps_are_the_spacing_in_any_orientation_and_vectors_where_axes_are_sheared():
    """A step of z of length 2 that leans by 1 along x is √(3) up and 1 aside."""
    turned = Grid((4, 5, 6), (2, 1, 0.5), direction=((0, -0.6, 0.8), (1, 0, 0), (0, 0.8, 0.6)), unit="mm")
    assert Ruler.of([turned]).steps.tolist() == [2, 1, 0.5]
    affine = np.array([[0.5, 0, 1, 0], [0, 1, 0, 0], [0, 0, np.sqrt(3), 0], [0, 0, 0, 1]])
    sheared = Ruler.of([Grid.from_affine((4, 5, 6), affine, "mm")])
    np.testing.assert_allclose(sheared.steps, [[1, 0, np.sqrt(3)], [0, 1, 0], [0.5, 0, 0]], atol=1e-12)
