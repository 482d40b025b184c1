import numpy as np
import pytest

from keras_unet3d.annotation.pictures import PALETTE, class_colours, slice_panel

RED, GREEN = (255, 0, 0), (0, 255, 0)


def panel(image, label_maps=(), axis="z", at=(0, 0, 0), **options):
    return slice_panel(image, label_maps, axis=axis, at=at, colours=options.pop("colours", (RED, GREEN)), **options)


def test_pixels_are_square_in_space():
    image = np.zeros((10, 20, 40, 1))
    spacing = (4.0, 2.0, 1.0)  # 40 × 40 × 40 in space
    for axis in "zyx":
        assert panel(image, axis=axis, spacing=spacing, longest=80).shape == (80, 80, 3)
    assert panel(image, axis="z", longest=80).shape == (40, 80, 3)
    assert panel(image, axis="y", longest=80).shape == (20, 80, 3)
    assert panel(image, axis="x", longest=80).shape == (40, 80, 3)


@pytest.mark.parametrize(("axis", "expected"), [("z", (255, 0, 0)), ("y", (0, 255, 0)), ("x", (0, 0, 255))])
def test_the_slice_goes_through_the_voxel_orthogonal_to_the_axis(axis, expected):
    labels = np.full((5, 6, 7), -1)
    labels[2, :, :], labels[:, 3, :], labels[:, :, 4] = 0, 1, 2
    labels[2, 3, 4] = -1
    shown = panel(
        np.zeros((5, 6, 7, 1)), [labels], axis=axis, at=(2, 3, 4), colours=[(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    )
    painted = shown[:, shown.shape[1] // 2 + 4 :]
    most = np.argmax(painted.reshape(-1, 3).astype(int).sum(axis=0))
    assert most == np.argmax(expected)


def test_contrast_runs_from_the_first_to_the_last_percentile_of_each_channel():
    ramp = np.linspace(0, 1, 101)
    ramp[-1] = 1e6  # one hot pixel takes no contrast from the others
    image = np.stack([ramp, 1000 + 5 * ramp], axis=-1)[None, None]
    shown = panel(image, longest=101)
    assert shown.shape == (1, 101, 3)
    np.testing.assert_array_equal(shown[0, [0, 50, 100], 0], [0, 128, 255])
    np.testing.assert_array_equal(shown[..., 0], shown[..., 1])
    assert not shown[..., 2].any()


@pytest.mark.parametrize("channels", [1, 4])
def test_other_numbers_of_channels_are_grey(channels):
    image = np.random.default_rng(0).normal(size=(1, 8, 8, channels))
    shown = panel(image, longest=8)
    assert (shown == shown[..., :1]).all()
    assert shown.min() < 60
    assert shown.max() > 190


def test_a_constant_image_is_black():
    assert not panel(np.full((3, 3, 3, 3), 7.0)).any()


def test_unlabelled_voxels_are_untouched_and_classes_translucent_with_a_contour():
    image = np.random.default_rng(0).uniform(size=(1, 9, 9, 3))
    labels = np.full((1, 9, 9), -1)
    labels[0, 2:7, 2:7] = 0
    shown = panel(image, [labels], longest=9)
    plain, gap, painted = shown[:, :9], shown[:, 9:13], shown[:, 13:]
    assert (gap == 255).all()
    unlabelled = labels[0] == -1
    np.testing.assert_array_equal(painted[unlabelled], plain[unlabelled])
    for side in (painted[6, 2:7], painted[2, 2:7], painted[2:7, 6], painted[2:7, 2]):
        np.testing.assert_array_equal(side, np.broadcast_to(RED, (5, 3)))
    np.testing.assert_allclose(painted[4, 4], 0.7 * plain[4, 4] + 0.3 * np.array(RED), atol=0.51)


def test_a_voxel_fills_its_own_pixels():
    labels = np.array([[[0, 1], [1, 0]]])
    shown = panel(np.zeros((1, 2, 2, 1)), [labels], longest=20)[:, 24:]
    np.testing.assert_array_equal(shown[3, 3], (76, 0, 0))
    np.testing.assert_array_equal(shown[3, 13], (0, 76, 0))
    np.testing.assert_array_equal(shown[13, 3], (0, 76, 0))


def test_classes_without_a_colour_get_one():
    assert class_colours([None, RED, None]) == [PALETTE[0], RED, PALETTE[2]]
    assert len(class_colours([None] * 30)) == 30
