"""Small components go and holes close, class by class."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.errors import InputError
from keras_unet3d.inference.postprocessing import ClassChange, PostProcessing, background_of, postprocess
from keras_unet3d.volumes.volume import Grid

SHEARED = ((1.0, 0.6, 0.0), (0.0, 0.8, 0.0), (0.0, 0.0, 1.0))


def done(classes, settings, *, background=0, **space):
    grid = Grid(classes.shape, **{"unit": "mm", **space})
    result = classes.copy()
    return result, postprocess(result, settings, grid, background)


def empty(*shape, value=0):
    return np.full(shape, value, np.uint8)


def two_classes():
    """Class 1: 8 and 2 voxels; class 2: 6, 3 and 1."""
    classes = empty(5, 6, 12)
    classes[0:2, 0:2, 0:2] = 1
    classes[4, 5, 0:2] = 1
    classes[0, 0, 4:10] = 2
    classes[2, 2, 4:7] = 2
    classes[4, 0, 11] = 2
    return classes


def shell(inside=0):
    """A box of class 1 with walls one voxel thick around 2 voxels."""
    classes = empty(5, 5, 6)
    classes[1:4, 1:4, 1:5] = 1
    classes[2, 2, 2:4] = inside
    return classes


class TestComponents:
    def test_only_the_largest_component_of_each_class_stays(self):
        expected = two_classes()
        expected[4, 5, 0:2] = expected[2, 2, 4:7] = expected[4, 0, 11] = 0
        found, changes = done(two_classes(), PostProcessing(largest_component=True))
        np.testing.assert_array_equal(found, expected)
        assert changes == (ClassChange(1, 1, 2), ClassChange(2, 2, 4))

    def test_of_two_equal_ones_the_first_stays(self):
        classes = empty(1, 1, 5)
        classes[0, 0, [0, 1, 3, 4]] = 1
        found, _ = done(classes, PostProcessing(largest_component=True))
        assert found[0, 0].tolist() == [1, 1, 0, 0, 0]

    def test_components_below_the_smallest_volume_go(self):
        expected = two_classes()
        expected[4, 5, 0:2] = expected[4, 0, 11] = 0
        # 2 × 0.5 × 0.5 mm are 0.5 mm³: three voxels are not below 1.5 mm³, two are.
        found, changes = done(two_classes(), PostProcessing(min_size_mm3=1.5), spacing=(2.0, 0.5, 0.5))
        np.testing.assert_array_equal(found, expected)
        assert changes == (ClassChange(1, 1, 2), ClassChange(2, 1, 1))

    def test_the_largest_goes_too_where_it_is_too_small(self):
        found, changes = done(two_classes(), PostProcessing(largest_component=True, min_size_mm3=7))
        assert np.bincount(found.ravel()).tolist() == [360 - 8, 8]
        assert changes == (ClassChange(1, 1, 2), ClassChange(2, 3, 10))

    def test_voxels_that_share_a_corner_are_one_component(self):
        classes = empty(3, 3, 3)
        classes[0, 0, 0] = classes[1, 1, 1] = classes[2, 2, 2] = 1
        found, changes = done(classes, PostProcessing(largest_component=True, min_size_mm3=3))
        np.testing.assert_array_equal(found, classes)
        assert changes == (ClassChange(1),)

    def test_what_is_removed_becomes_the_background_that_the_model_has(self):
        classes = empty(1, 2, 6, value=2)
        classes[0, 0] = [0, 0, 2, 0, 1, 1]
        found, changes = done(classes, PostProcessing(min_size_mm3=2), background=2)
        assert found[0, 0].tolist() == [0, 0, 2, 2, 1, 1]
        assert changes == (ClassChange(0, 1, 1), ClassChange(1))

    def test_classes_above_255(self):
        classes = empty(1, 1, 6).astype(np.uint16)
        classes[0, 0] = [700, 700, 0, 700, 1, 1]
        found, changes = done(classes, PostProcessing(largest_component=True))
        assert found[0, 0].tolist() == [700, 700, 0, 0, 1, 1]
        assert found.dtype == np.uint16
        assert changes == (ClassChange(1), ClassChange(700, 1, 1))

    def test_a_component_across_the_parts_in_which_a_large_map_is_read(self):
        classes = empty(30, 200, 200)  # 1.2 million voxels
        classes[2:28, 50, 60] = 1
        classes[29, 199, 199] = classes[0, 0, 0] = 1
        found, changes = done(classes, PostProcessing(largest_component=True))
        assert changes == (ClassChange(1, 2, 2),)
        assert found.sum() == found[2:28, 50, 60].sum() == 26


class TestHoles:
    def test_enclosed_background_becomes_the_class_around_it(self):
        found, changes = done(shell(), PostProcessing(fill_holes=True))
        np.testing.assert_array_equal(found, shell(inside=1))
        assert changes == (ClassChange(1, filled_holes=1, filled_voxels=2),)

    def test_another_background_than_0_is_filled_too(self):
        classes = np.array([2, 0], np.uint8)[shell()]
        found, changes = done(classes, PostProcessing(fill_holes=True), background=2)
        np.testing.assert_array_equal(found, np.array([2, 0], np.uint8)[shell(inside=1)])
        assert changes == (ClassChange(0, filled_holes=1, filled_voxels=2),)

    def test_another_class_inside_stays(self):
        found, changes = done(shell(inside=2), PostProcessing(fill_holes=True))
        np.testing.assert_array_equal(found, shell(inside=2))
        assert changes == (ClassChange(1), ClassChange(2))

    def test_a_hole_between_two_classes_stays(self):
        classes = shell()
        classes[2, 2, 3] = 2
        found, _ = done(classes, PostProcessing(fill_holes=True))
        np.testing.assert_array_equal(found, classes)

    def test_a_way_out_over_a_face_is_none_over_an_edge(self):
        edge_open = shell()
        edge_open[2, 1, 1] = 0  # touches the hole at (2, 2, 2) by an edge, and the outside by a face
        assert done(edge_open, PostProcessing(fill_holes=True))[1] == (ClassChange(1, 0, 0, 1, 2),)
        face_open = shell()
        face_open[2, 2, 1] = 0
        assert done(face_open, PostProcessing(fill_holes=True))[1] == (ClassChange(1),)

    def test_a_hole_is_enclosed_in_three_dimensions(self):
        tube = empty(5, 5, 5)
        tube[:, 1:4, 1:4] = 1
        tube[:, 2, 2] = 0
        assert done(tube, PostProcessing(fill_holes=True))[1] == (ClassChange(1),)
        ring = tube[:1]
        assert done(ring, PostProcessing(fill_holes=True))[1] == (ClassChange(1),)

    @pytest.mark.parametrize("axis", [0, 1, 2])
    @pytest.mark.parametrize("end", [0, -1])
    def test_what_reaches_the_border_of_the_volume_is_not_enclosed(self, axis, end):
        classes = empty(4, 4, 4, value=1)
        place = [1, 1, 1]
        place[axis] = end
        classes[tuple(place)] = 0
        classes[2, 2, 2] = 0
        _, changes = done(classes, PostProcessing(fill_holes=True))
        assert changes == (ClassChange(1, filled_holes=1, filled_voxels=1),)

    def test_what_is_removed_is_filled_by_the_class_around_it(self):
        found, changes = done(shell(inside=2), PostProcessing(min_size_mm3=3, fill_holes=True))
        np.testing.assert_array_equal(found, shell(inside=1))
        assert changes == (ClassChange(1, 0, 0, 1, 2), ClassChange(2, 1, 2, 0, 0))


class TestVolume:
    @pytest.mark.parametrize(
        ("space", "expected"),
        [
            ({"unit": "mm", "spacing": (2.0, 1.0, 0.5)}, 10),
            ({"unit": "µm", "spacing": (100.0, 100.0, 100.0)}, 10_000),
            ({"unit": "mm", "spacing": (0.7, 0.7, 0.7)}, 30),  # 29.15 voxels
            ({"unit": "", "spacing": (2.0, 1.0, 0.5)}, 10),
            ({"unit": "cm", "spacing": (10.0, 10.0, 10.0)}, 1),
            ({"unit": "mm", "direction": SHEARED}, 13),  # a voxel of 0.8 mm³
        ],
    )
    def test_10_cubic_millimetres_in_voxels(self, space, expected):
        assert PostProcessing(min_size_mm3=10).fewest_voxels(Grid((4, 4, 4), **space)) == expected

    def test_the_rounding_of_a_header_takes_no_voxel_more(self):
        rounded = np.float32(0.9).item()  # 0.89999998
        grid = Grid((4, 4, 4), spacing=(1.0, 1.0, rounded), unit="mm")
        assert PostProcessing(min_size_mm3=2.7).fewest_voxels(grid) == 3

    def test_a_file_without_any_spacing_cannot_be_measured(self):
        plain = Grid((5, 6, 12), placed=False)
        classes = two_classes()
        with pytest.raises(InputError, match=r"neither spacing nor unit.*1\.5"):
            postprocess(classes, PostProcessing(min_size_mm3=1.5, largest_component=True), plain, 0)
        np.testing.assert_array_equal(classes, two_classes())
        assert postprocess(classes, PostProcessing(largest_component=True), plain, 0)[0].removed_voxels == 2

    def test_it_says_where_it_took_lengths_as_millimetres(self):
        grid = Grid((4, 4, 4), spacing=(2.0, 1.0, 0.5))
        text = PostProcessing(min_size_mm3=10).assumed_unit(grid)
        assert "x=0.5 y=1 z=2, was taken as mm" in text
        assert "10 voxels" in text
        assert not PostProcessing(largest_component=True).assumed_unit(grid)
        assert not PostProcessing(min_size_mm3=10).assumed_unit(Grid((4, 4, 4), unit="mm"))

    @pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), float("inf")])
    def test_a_size_that_is_none(self, size):
        with pytest.raises(InputError, match=str(size)):
            PostProcessing(min_size_mm3=size)

    def test_the_grid_of_another_volume(self):
        with pytest.raises(ValueError, match="x=6 y=5 z=5"):
            postprocess(shell(), PostProcessing(fill_holes=True), Grid((5, 5, 5)), 0)


class TestBackground:
    def test_the_name_counts_before_the_value(self):
        names = ("inside tubule", "tubule", " Background")
        assert background_of(LabelScheme((0, 1, 2), names)) == 2
        assert background_of(LabelScheme((-1, 0, 5), ("a", "b", "c"))) == 1

    def test_no_background(self):
        with pytest.raises(InputError, match=r"1 \(cell\), 2 \(wall\).*'background'"):
            background_of(LabelScheme((1, 2), ("cell", "wall"), unlabeled=0))


def test_nothing_is_wanted():
    assert not PostProcessing().wanted
    assert done(two_classes(), PostProcessing())[1] == ()
    for settings in (PostProcessing(largest_component=True), PostProcessing(True, 2.0, True), PostProcessing(False, 2)):
        assert settings.wanted


def test_only_background():
    assert done(empty(3, 3, 3), PostProcessing(True, 2.0, True))[1] == ()


settings_of_all_kinds = st.builds(PostProcessing, st.booleans(), st.none() | st.sampled_from([2.0, 4.0]), st.booleans())
maps = arrays.arrays(
    np.uint8, st.tuples(*[st.integers(1, 6)] * 3), elements=st.sampled_from([0, 1, 1, 1, 1, 1, 1, 2]), fill=st.nothing()
)


@given(maps, settings_of_all_kinds, st.sampled_from([0, 1, 2]))
def test_what_holds_for_every_map(classes, settings, background):
    found, changes = done(classes, settings, background=background)

    again, nothing = done(found, settings, background=background)
    np.testing.assert_array_equal(again, found)
    assert all(change == ClassChange(change.class_index) for change in nothing)

    # Removing makes background and nothing else; filling takes background and nothing else.
    remove = PostProcessing(settings.largest_component, settings.min_size_mm3)
    kept, _ = done(classes, remove, background=background)
    removed, filled = kept != classes, found != kept
    assert (kept[removed] == background).all()
    assert removed.sum() == sum(change.removed_voxels for change in changes)
    assert (kept[filled] == background).all()
    assert filled.sum() == sum(change.filled_voxels for change in changes)
    assert settings.fill_holes or not filled.any()


@given(maps, settings_of_all_kinds)
def test_the_order_of_the_classes_does_not_matter(classes, settings):
    swap = np.array([0, 2, 1], np.uint8)
    found, _ = done(classes, settings)
    swapped, _ = done(swap[classes], settings)
    np.testing.assert_array_equal(swapped, swap[found])


@given(maps)
def test_one_class_is_filled_as_scipy_fills_it(classes):
    from scipy import ndimage

    mask = (classes == 1).astype(np.uint8)
    np.testing.assert_array_equal(done(mask, PostProcessing(fill_holes=True))[0], ndimage.binary_fill_holes(mask))
