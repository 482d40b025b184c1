"""Distances between borders: by hand, by their symmetries, and against the packages that others measure with."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from keras_unet3d.annotation import UNLABELED
from keras_unet3d.metrics import Ruler, SurfaceDistances, Surfaces
from keras_unet3d.volumes import Grid

SPACINGS = ((1.0, 1.0, 1.0), (2.5, 1.0, 0.75))


def cube(start, stop, shape=(12, 12, 12)):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*ends) for ends in zip(start, stop, strict=True))] = True
    return mask


def ellipsoids():
    """Two that differ in place and size; one reaches the first plane of z, the other the last of x."""
    z, y, x = np.mgrid[:12, :24, :20]
    truth = ((z - 5) / 5) ** 2 + ((y - 10) / 8) ** 2 + ((x - 9) / 7) ** 2 <= 1
    prediction = ((z - 6) / 4) ** 2 + ((y - 12) / 9) ** 2 + ((x - 12) / 8) ** 2 <= 1
    return truth, prediction


def measured(distances, tolerance=1.0):
    return [distances.hausdorff, distances.hausdorff_95, distances.assd, distances.surface_dice(tolerance)]


def test_two_single_voxels_are_as_far_apart_as_their_centres():
    """Three voxels of 2 mm along z and two of 0.5 mm along x: √(36 + 1)."""
    distances = SurfaceDistances.between(cube((1, 1, 1), (2, 2, 2)), cube((4, 1, 3), (5, 2, 4)), (2, 1, 0.5))
    assert measured(distances) == [pytest.approx(math.sqrt(37))] * 3 + [0]
    assert distances.surface_dice(6.1) == 1


def test_a_cube_that_is_moved_by_one_voxel():
    """A cube of 3³ has 26 border voxels, all but its centre; it is moved along z by one voxel, 2.5 mm.

    The truth's first plane, 9 voxels, lies 2.5 mm before the prediction's. Of its second plane the 8 around its centre,
    and of its third the 8 around the prediction's centre, are border of both. That centre is border of the truth, too,
    and 1 mm from the prediction's.
    """
    truth, prediction = cube((2, 2, 2), (5, 5, 5)), cube((3, 2, 2), (6, 5, 5))
    distances = SurfaceDistances.between(truth, prediction, (2.5, 1, 1))
    assert sorted(distances.from_truth) == [0] * 16 + [1] + [2.5] * 9
    assert sorted(distances.from_prediction) == [0] * 16 + [1] + [2.5] * 9
    assert distances.hausdorff == distances.hausdorff_95 == 2.5
    assert distances.assd == pytest.approx((1 + 9 * 2.5) / 26)
    assert [distances.surface_dice(tolerance) for tolerance in (0, 1, 2.5)] == [16 / 26, 17 / 26, 1]


def test_the_95th_percentile_is_that_of_the_worse_direction():
    """A plate of 10×10 voxels, and the same with one voxel 3 above: of its 101 distances all but one are 0.

    The 95th percentile of each direction is 0, where the largest is 3. With a stick of ten voxels above the plate, at 2
    to 11, its 110 distances are 100 zeros and 2 to 11: the percentile is at 0.95 · 109 = 103.55, between 5 and 6.
    """
    plate = cube((1, 0, 0), (2, 10, 10), (14, 10, 10))
    voxel = plate | cube((4, 5, 5), (5, 6, 6), plate.shape)
    distances = SurfaceDistances.between(plate, voxel, (1, 1, 1))
    assert (distances.hausdorff, distances.hausdorff_95) == (3, 0)
    stick = plate | cube((3, 5, 5), (13, 6, 6), plate.shape)
    distances = SurfaceDistances.between(plate, stick, (1, 1, 1))
    assert distances.from_truth.max() == 0
    assert distances.hausdorff_95 == pytest.approx(5.55)


def test_the_border_of_the_volume_is_one_of_its_mask():
    """A mask that fills the volume has the faces as its border: 6³ voxels less the 4³ inside."""
    full = np.ones((6, 6, 6), bool)
    assert SurfaceDistances.between(full, full, (1, 1, 1)).from_truth.size == 6**3 - 4**3


def test_a_single_slice_is_measured_as_an_image():
    """A square of 4² has 12 border pixels; along z there are no neighbours."""
    square = cube((0, 2, 2), (1, 6, 6), (1, 9, 9))
    distances = SurfaceDistances.between(square, np.roll(square, 1, axis=2), (5, 1, 1))
    assert distances.from_truth.size == 12
    assert distances.hausdorff == 1


def test_what_is_in_neither_has_no_score_and_what_is_in_one_is_infinitely_far():
    empty, one = np.zeros((4, 4, 4), bool), cube((1, 1, 1), (3, 3, 3), (4, 4, 4))
    assert np.isnan(measured(SurfaceDistances.between(empty, empty, (1, 1, 1)))).all()
    for pair in ((empty, one), (one, empty)):
        assert measured(SurfaceDistances.between(*pair, (1, 1, 1)), tolerance=100) == [math.inf] * 3 + [0]


def test_headers_round_spacings_and_the_tolerance_knows():
    """0.1 mm in 32 bits is 0.10000000149; a border one voxel away is within 0.1 mm of it."""
    here, there = cube((1, 1, 1), (2, 2, 2)), cube((2, 1, 1), (3, 2, 2))
    assert SurfaceDistances.between(here, there, (float(np.float32(0.1)), 1, 1)).surface_dice(0.1) == 1


masks = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).random((2, 5, 6, 7)) < np.random.default_rng(seed).uniform(0.05, 0.6)
)


@settings(max_examples=25)
@given(masks, st.sampled_from(SPACINGS))
def test_they_are_the_distances_of_scipys_distance_transform_over_the_whole_volume(pair, spacing):
    borders = [np.pad(mask, 1) & ~ndimage.binary_erosion(np.pad(mask, 1)) for mask in pair]
    distances = SurfaceDistances.between(*pair, spacing)
    for found, one, other in ((distances.from_truth, *borders), (distances.from_prediction, *borders[::-1])):
        expected = ndimage.distance_transform_edt(~other, sampling=spacing)[one]
        if other.any():
            np.testing.assert_allclose(found, expected, rtol=1e-12)


@settings(max_examples=25)
@given(masks, st.sampled_from(SPACINGS), st.tuples(*[st.integers(0, 3)] * 3))
def test_neither_exchanging_the_masks_nor_moving_them_changes_anything_and_a_scale_scales(pair, spacing, place):
    truth, prediction = pair
    found = measured(SurfaceDistances.between(truth, prediction, spacing), 1.5)
    assert measured(SurfaceDistances.between(prediction, truth, spacing), 1.5) == pytest.approx(found, nan_ok=True)
    moved = [np.pad(mask, [(at, 3 - at) for at in place]) for mask in pair]
    assert measured(SurfaceDistances.between(*moved, spacing), 1.5) == pytest.approx(found, nan_ok=True)
    scaled = SurfaceDistances.between(truth, prediction, [4 * edge for edge in spacing])
    assert measured(scaled, 6.0) == pytest.approx([4 * one for one in found[:3]] + found[3:], nan_ok=True)
    if truth.any():
        assert measured(SurfaceDistances.between(truth, truth, spacing), 0) == [0, 0, 0, 1]


def test_sheared_axes_are_measured_in_space():
    """One step of z leans by one of x: from (0, 0, 0) to (1, 0, 0) it is √2, and to (1, 0, −1) 1 again."""
    steps = np.array([[1.0, 0, 1], [0, 1, 0], [1, 0, 0]])
    here = cube((1, 1, 2), (2, 2, 3))
    assert SurfaceDistances.between(here, cube((2, 1, 2), (3, 2, 3)), steps).hausdorff == pytest.approx(math.sqrt(2))
    assert SurfaceDistances.between(here, cube((2, 1, 1), (3, 2, 2)), steps).hausdorff == pytest.approx(1)


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_classes_in_their_boxes_are_as_in_the_whole_volume(seed):
    rng = np.random.default_rng(seed)
    truth, prediction = rng.integers(0, 4, (2, 5, 6, 7)).astype(np.int16)
    truth[truth == 3] = 0  # one that only the prediction has
    grid = Grid((5, 6, 7), (2.5, 1, 0.75), unit="mm")
    found = Surfaces.of(truth, prediction, 5, Ruler.of([grid]), background=0)
    assert found.distances[0] is None
    for index in range(1, 5):
        whole = SurfaceDistances.between(truth == index, prediction == index, grid.spacing)
        np.testing.assert_array_equal(found.distances[index].from_truth, whole.from_truth)
        np.testing.assert_array_equal(found.distances[index].from_prediction, whole.from_prediction)
    assert np.isnan(found.distances[4].assd)


def test_sparse_labels_have_no_borders():
    truth = np.zeros((3, 3, 3), np.int16)
    ruler = Ruler.of([Grid(truth.shape)])
    with pytest.raises(ValueError, match="Expected maps of one shape"):
        Surfaces.of(truth, truth[1:], 1, ruler)
    with pytest.raises(ValueError, match="Expected masks of one shape"):
        SurfaceDistances.between(truth > 0, truth[1:] > 0, (1, 1, 1))
    truth[1] = UNLABELED
    with pytest.raises(ValueError, match="dense"):
        Surfaces.of(truth, np.zeros_like(truth), 1, ruler)


# What medpy 0.5.2, MONAI 1.6.1 and surface-distance 0.1 say of `ellipsoids`, by spacing. Kept here, so that it is also
# checked where they are not installed.
HD = {SPACINGS[0]: 5.0, SPACINGS[1]: 5.836308764964376}  # all three
ASSD = {SPACINGS[0]: 1.5763105344035937, SPACINGS[1]: 1.8879307809408412}  # medpy and MONAI
HD95_OF_MONAI = {SPACINGS[0]: 4.123105525970459, SPACINGS[1]: 5.05593729019165}  # in 32 bits
HD95_OF_MEDPY = {SPACINGS[0]: 3.584333826415041, SPACINGS[1]: 4.242640687119285}  # of both directions together
HD95_OF_SURFACE_DISTANCE = {SPACINGS[0]: 3.7416573867739413, SPACINGS[1]: 3.913118960624632}  # by area
SURFACE_DICE_OF_MONAI = {  # within 1, 1.5 and 2.5
    SPACINGS[0]: (0.42081448435783386, 0.5429864525794983, 0.8337104320526123),
    SPACINGS[1]: (0.3257918655872345, 0.46380090713500977, 0.7047511339187622),
}


@pytest.mark.parametrize("spacing", SPACINGS)
def test_hd_hd95_assd_and_surface_dice_are_those_of_monai_and_hd_and_assd_those_of_medpy(spacing):
    distances = SurfaceDistances.between(*ellipsoids(), spacing)
    assert distances.hausdorff == pytest.approx(HD[spacing], rel=1e-12)
    assert distances.assd == pytest.approx(ASSD[spacing], rel=1e-12)
    assert distances.hausdorff_95 == pytest.approx(HD95_OF_MONAI[spacing], rel=1e-6)
    found = [distances.surface_dice(tolerance) for tolerance in (1, 1.5, 2.5)]
    assert found == pytest.approx(SURFACE_DICE_OF_MONAI[spacing], rel=1e-6)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_other_definitions_of_hd95_give_other_numbers_of_the_same_distances(spacing):
    distances = SurfaceDistances.between(*ellipsoids(), spacing)
    together = np.concatenate([distances.from_truth, distances.from_prediction])
    assert np.percentile(together, 95) == pytest.approx(HD95_OF_MEDPY[spacing], rel=1e-12)
    assert distances.hausdorff_95 > max(HD95_OF_MEDPY[spacing], HD95_OF_SURFACE_DISTANCE[spacing])


@pytest.mark.parametrize("spacing", SPACINGS)
def test_medpy_still_says_so(spacing):
    medpy = pytest.importorskip("medpy.metric.binary", reason="medpy is not installed")
    truth, prediction = ellipsoids()
    assert medpy.hd(prediction, truth, voxelspacing=spacing) == pytest.approx(HD[spacing], rel=1e-12)
    assert medpy.hd95(prediction, truth, voxelspacing=spacing) == pytest.approx(HD95_OF_MEDPY[spacing], rel=1e-12)
    assert medpy.assd(prediction, truth, voxelspacing=spacing) == pytest.approx(ASSD[spacing], rel=1e-12)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_monai_still_says_so(spacing):
    monai = pytest.importorskip("monai.metrics", reason="MONAI is not installed")
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    truth, prediction = (torch.tensor(mask[None, None]) for mask in ellipsoids())
    options = {"include_background": True, "spacing": spacing}
    hausdorff = [monai.compute_hausdorff_distance(prediction, truth, percentile=q, **options) for q in (None, 95)]
    assert [float(each) for each in hausdorff] == pytest.approx([HD[spacing], HD95_OF_MONAI[spacing]], rel=1e-6)
    assd = monai.compute_average_surface_distance(prediction, truth, symmetric=True, **options)
    assert float(assd) == pytest.approx(ASSD[spacing], rel=1e-6)
    dice = [float(monai.compute_surface_dice(prediction, truth, [limit], **options)) for limit in (1, 1.5, 2.5)]
    assert dice == pytest.approx(SURFACE_DICE_OF_MONAI[spacing], rel=1e-6)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_surface_distance_still_says_so(spacing):
    package = pytest.importorskip("surface_distance", reason="surface-distance is not installed")
    distances = package.compute_surface_distances(*ellipsoids(), spacing)
    assert package.compute_robust_hausdorff(distances, 100) == pytest.approx(HD[spacing])
    assert package.compute_robust_hausdorff(distances, 95) == pytest.approx(HD95_OF_SURFACE_DISTANCE[spacing])
