import base64
import io

import numpy as np
from PIL import Image

from keras_unet3d.evaluation.case_view import AGREE, CONFUSED, MISSED, TOO_MUCH, UNKNOWN
from keras_unet3d.evaluation.slice_layers import (
    HEAT,
    KIND_COLOURS,
    LONGEST,
    Window,
    classes_source,
    coloured_source,
    disagreement_source,
    heat,
    image_source,
    layer_size,
    uncertainty_source,
)


def pixels(source, mode="RGBA"):
    form, data = source.split(";base64,")
    assert form in ("data:image/png", "data:image/webp")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert(mode)).astype(int)


def test_a_layer_has_square_pixels_in_space():
    assert layer_size((20.0, 40.0)) == (LONGEST // 2, LONGEST)
    assert layer_size((1000.0, 0.001)) == (LONGEST, 1)


def test_classes_are_translucent_within_a_contour_the_background_is_clear_and_the_unlabelled_dim():
    plane = np.array([[1, 1, 0, -1]] * 4)
    layer = pixels(classes_source(plane, [(9, 9, 9), (200, 100, 50)], 0, (40, 40)))
    assert layer[5, 2].tolist() == [200, 100, 50, round(0.35 * 255)]
    assert layer[5, 19].tolist() == [200, 100, 50, 255]  # next to the background
    assert layer[5, 25, 3] == 0
    assert layer[5, 38].tolist() == [0, 0, 0, round(0.55 * 255)]


def test_kinds_of_disagreement_differ_in_colour_and_in_pattern():
    kinds = np.array([[AGREE, MISSED, TOO_MUCH, CONFUSED, UNKNOWN, 0]], np.uint8)
    layer = pixels(disagreement_source(kinds, (32, 192)))
    parts = {kind: layer[:, 32 * place : 32 * (place + 1)] for place, kind in enumerate(kinds[0])}
    for kind, colour in KIND_COLOURS.items():
        assert (parts[kind][..., :3] == colour).all()
    assert [len(np.unique(parts[kind][..., 3])) for kind in (AGREE, MISSED, TOO_MUCH, CONFUSED)] == [1, 2, 1, 2]
    assert (parts[MISSED][..., 3] != parts[CONFUSED][..., 3]).any()
    assert (parts[0][..., 3] == 0).all()
    assert (parts[UNKNOWN][..., :3] == 0).all()


def test_uncertainty_grows_ever_brighter():
    assert heat(np.array([0.0, 1.0])).tolist() == [list(HEAT[0]), list(HEAT[-1])]
    ramp = np.arange(251, dtype=np.uint8)[None]
    brightness = pixels(uncertainty_source(ramp, (1, 251)), "L")[0]
    assert (np.diff(brightness) >= 0).all()
    assert len(np.unique(brightness)) > 25


def test_a_window_leaves_out_the_brightest_and_survives_a_constant_channel_and_what_is_no_number():
    image = np.zeros((10, 10, 10, 2), np.float32)
    image[..., 0] = np.arange(1000).reshape(10, 10, 10)
    image[0, 0, 0] = np.nan
    window = Window.of(image)
    assert 5 < window.low[0] < 15
    assert 990 < window.high[0] < 999
    assert window.high[1] > window.low[1]
    assert window.shares(np.array([[-5.0, 0.0], [np.nan, np.nan], [2000.0, 9.0]])).tolist() == [[0, 0], [0, 0], [1, 1]]


def test_an_image_is_shown_voxel_by_voxel_or_averaged_down():
    window = Window((0.0,), (1.0,))
    small = np.kron([[0.0, 1.0], [1.0, 0.0]], np.ones((8, 8)))[..., None]
    shown = pixels(image_source(small, window), "L")
    assert shown.shape == (16, 16)
    assert np.abs(shown - 255 * small[..., 0]).max() < 40  # of a lossy format
    assert pixels(image_source(np.zeros((2 * LONGEST, 10, 1)), window), "L").shape == (LONGEST, 10)


def test_two_channels_are_green_and_magenta_and_three_red_green_and_blue():
    flat = np.zeros((16, 16, 3), np.float32)
    flat[..., 0] = 1
    assert coloured_source(flat[..., :1], Window((0.0,), (1.0,))) is None
    red, green, blue = pixels(coloured_source(flat, Window((0.0,) * 3, (1.0,) * 3)), "RGB")[8, 8]
    assert red > 200
    assert max(green, blue) < 60
    red, green, blue = pixels(coloured_source(flat[..., :2], Window((0.0,) * 2, (1.0,) * 2)), "RGB")[8, 8]
    assert green > 200
    assert max(red, blue) < 60
