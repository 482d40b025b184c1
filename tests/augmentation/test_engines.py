import subprocess
import sys
import warnings

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from keras_unet3d.augmentation import engines
from keras_unet3d.augmentation.engines import choose_engine
from keras_unet3d.augmentation.parameters import draw_map, rotation_matrix, sample_generator
from keras_unet3d.augmentation.settings import AugmentationSettings
from keras_unet3d.errors import InputError
from keras_unet3d.volumes.box import Box

WILD = AugmentationSettings(rotation_degrees=(180, 30, 30), scaling=(0.7, 1.4), mirror=("z", "y", "x"))

# Tile, label tile, settings, spacing (z, y, x).
CASES = {
    "inside, labels everywhere": (Box.at((10, 10, 10), (20, 24, 28)), None, AugmentationSettings(), (1, 1, 1)),
    "smaller labels": (Box.at((2, 5, 9), (36, 40, 44)), Box.at((12, 15, 19), (16, 20, 24)), WILD, (1, 1, 1)),
    "labels not in the middle": (Box.at((4, 4, 4), (25, 26, 27)), Box.at((5, 20, 4), (3, 4, 27)), WILD, (1, 1, 1)),
    "partly outside": (Box.at((-20, 30, -5), (40, 40, 33)), None, WILD, (1, 1, 1)),
    "larger than the volume": (Box.at((-30, -20, -10), (100, 92, 92)), None, WILD, (1, 1, 1)),
    "anisotropic": (Box.at((3, 3, 3), (17, 40, 41)), Box.at((7, 13, 13), (9, 20, 21)), WILD, (5, 0.8, 1.1)),
    "fine control points": (
        Box.at((0, 0, 0), (40, 40, 40)),
        None,
        AugmentationSettings(displacement_spacing=10, displacement_sigma=2),
        (1, 1, 1),
    ),
    "one voxel thick": (Box.at((20, 5, 5), (1, 40, 40)), None, AugmentationSettings(), (1, 1, 1)),
}


def reference(image, class_index, coordinate_map, label_tile):
    """The tile and its labels by SciPy, at the positions of the NumPy reference, in float64."""
    sources = coordinate_map.source_positions()
    channels = [map_coordinates(channel, sources, order=1, mode="mirror") for channel in np.moveaxis(image, -1, 0)]
    nearest = np.floor(coordinate_map.source_positions(label_tile) + 0.5).astype(int)
    size = np.reshape(class_index.shape, (3, 1, 1, 1))
    inside = ((nearest >= 0) & (nearest < size)).all(axis=0)
    labels = np.where(inside, class_index[tuple(np.clip(nearest, 0, size - 1))], -1)
    return np.stack(channels, axis=-1), labels


@pytest.mark.parametrize("case", CASES)
def test_both_engines_are_the_reference(engine, volume, case):
    image, class_index = volume
    tile, label_tile, chosen, spacing = CASES[case]
    label_tile = label_tile or tile
    coordinate_map = draw_map(chosen, sample_generator(11, 0, 0), tile, spacing)
    resampled, labels = engine.resample(image, class_index, coordinate_map, label_tile)
    expected, expected_labels = reference(image, class_index, coordinate_map, label_tile)
    assert resampled.dtype == np.float32
    assert labels.dtype == np.int16
    np.testing.assert_allclose(resampled, expected, atol=1e-4 * np.ptp(image))
    assert labels.shape == label_tile.shape
    assert (labels == expected_labels).mean() >= 0.999
    assert len(np.unique(expected_labels)) > 1


@pytest.mark.parametrize("case", CASES)
def test_the_engines_are_equal(volume, case):
    pytest.importorskip("elasticdeform", exc_type=(ImportError, AttributeError))
    image, class_index = volume
    tile, label_tile, chosen, spacing = CASES[case]
    coordinate_map = draw_map(chosen, sample_generator(23, 1, 4), tile, spacing)
    one, labels = choose_engine("compiled").resample(image, class_index, coordinate_map, label_tile or tile)
    other, other_labels = choose_engine("elasticdeform").resample(
        image, class_index, coordinate_map, label_tile or tile
    )
    np.testing.assert_allclose(one, other, atol=1e-3 * np.ptp(image))
    assert (labels == other_labels).mean() >= 0.999


def test_the_identity_changes_no_bit(engine, volume, inner_tile):
    image, class_index = volume
    nothing = draw_map(AugmentationSettings.none(), sample_generator(0, 0, 0), inner_tile, (3.0, 1.0, 0.7))
    resampled, labels = engine.resample(image, class_index, nothing, inner_tile)
    np.testing.assert_array_equal(resampled, image[inner_tile.slices])
    np.testing.assert_array_equal(labels, class_index[inner_tile.slices])


def test_outside_the_image_is_mirrored_and_the_labels_are_unlabelled(engine):
    image = np.arange(4, dtype=np.float32).reshape(1, 1, 4, 1)
    class_index = np.array([[[0, 1, 2, 1]]], dtype=np.int16)
    tile = Box((0, 0, -3), (1, 1, 7))
    nothing = draw_map(AugmentationSettings.none(), sample_generator(0, 0, 0), tile, (1.0, 1.0, 1.0))
    resampled, labels = engine.resample(image, class_index, nothing, tile)
    assert resampled.ravel().tolist() == [3, 2, 1, 0, 1, 2, 3, 2, 1, 0]
    assert labels.ravel().tolist() == [-1, -1, -1, 0, 1, 2, 1, -1, -1, -1]


def test_a_constant_stays_constant(engine, volume):
    tile = Box.at((-10, 3, 30), (30, 31, 32))
    coordinate_map = draw_map(WILD, sample_generator(2, 0, 0), tile, (2.0, 1.0, 1.0))
    constant = np.full((40, 52, 60, 1), 0.1, dtype=np.float32)
    resampled, labels = engine.resample(constant, np.full((40, 52, 60), 2, np.int16), coordinate_map, tile)
    np.testing.assert_allclose(resampled, 0.1, rtol=1e-6)
    assert set(np.unique(labels)) == {-1, 2}


def test_a_ramp_shows_the_displacement_itself(engine):
    # An image whose intensity is its x coordinate reads, after deformation, the x coordinate of the source.
    image = np.broadcast_to(np.arange(90, dtype=np.float32)[:, None], (90, 90, 90, 1)).copy()
    tile = Box.at((30, 30, 30), (30, 30, 30))
    coordinate_map = draw_map(AugmentationSettings(), sample_generator(6, 0, 0), tile, (1.0, 1.0, 1.0))
    assert min(coordinate_map.source_box.start) >= 0
    assert max(coordinate_map.source_box.stop) <= 90
    resampled, _ = engine.resample(image, np.zeros((90, 90, 90), np.int16), coordinate_map, tile)
    np.testing.assert_allclose(resampled[..., 0], coordinate_map.source_positions()[2], atol=1e-4)


def test_a_translation_by_whole_voxels(engine, volume, rigid_map, inner_tile):
    image, class_index = volume
    resampled, labels = engine.resample(image, class_index, rigid_map(inner_tile, shift=(2, -3, 5)), inner_tile)
    moved = inner_tile.shifted((2, -3, 5))
    np.testing.assert_allclose(resampled, image[moved.slices], atol=1e-5)
    np.testing.assert_array_equal(labels, class_index[moved.slices])


def test_a_quarter_turn_about_z(engine, volume, rigid_map, inner_tile):
    image, class_index = volume
    quarter = rotation_matrix((90, 0, 0), (2.0, 1.0, 1.0))
    resampled, labels = engine.resample(image, class_index, rigid_map(inner_tile, quarter), inner_tile)
    np.testing.assert_allclose(resampled, np.rot90(image[inner_tile.slices], axes=(1, 2)), atol=1e-5)
    np.testing.assert_array_equal(labels, np.rot90(class_index[inner_tile.slices], axes=(1, 2)))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_mirroring_is_a_flip_of_the_tile(engine, volume, rigid_map, inner_tile, axis):
    image, class_index = volume
    signs = np.ones(3)
    signs[axis] = -1
    resampled, labels = engine.resample(image, class_index, rigid_map(inner_tile, np.diag(signs)), inner_tile)
    np.testing.assert_allclose(resampled, np.flip(image[inner_tile.slices], axis), atol=1e-6)
    np.testing.assert_array_equal(labels, np.flip(class_index[inner_tile.slices], axis))


def test_the_volume_is_left_as_it_was(engine, volume, inner_tile):
    image, class_index = volume
    before, labels_before = image.copy(), class_index.copy()
    engine.resample(image, class_index, draw_map(WILD, sample_generator(0, 0, 0), inner_tile, (1, 1, 1)), inner_tile)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(class_index, labels_before)


def test_elasticdeform_refuses_control_points_that_do_not_reach_the_sources(volume):
    elastic = pytest.importorskip("keras_unet3d.augmentation.elastic", exc_type=(ImportError, AttributeError))
    tile = Box.at((0, 0, 0), (33, 33, 33))
    displacement = np.full((3, 2, 2, 2), 5.0)
    coordinate_map = engines.CoordinateMap(tile, np.eye(3), displacement, (0, 0, 0))
    with pytest.raises(ValueError, match="x=5:38 y=5:38 z=5:38"):
        elastic.ElasticdeformEngine().resample(*volume, coordinate_map, tile)


def test_the_default_is_the_compiled_engine():
    assert choose_engine().name == choose_engine("auto").name == choose_engine("compiled").name == "compiled"


def test_an_unknown_engine_is_refused():
    with pytest.raises(InputError, match="Received: 'numba'"):
        choose_engine("numba")


def test_without_elasticdeform_the_compiled_engine_serves_and_one_warning_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "elasticdeform", None)
    monkeypatch.delitem(sys.modules, "keras_unet3d.augmentation.elastic", raising=False)
    engines._elasticdeform_engine.cache_clear()
    try:
        with pytest.warns(UserWarning, match="compiled augmentation"):
            assert choose_engine("elasticdeform").name == "compiled"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert choose_engine("elasticdeform").name == "compiled"
    finally:
        engines._elasticdeform_engine.cache_clear()


def test_two_processes_make_the_same_tile():
    code = """
import hashlib
import numpy as np
from keras_unet3d.augmentation.engines import choose_engine
from keras_unet3d.augmentation.parameters import draw_map, sample_generator
from keras_unet3d.augmentation.settings import AugmentationSettings
from keras_unet3d.volumes.box import Box

image = np.random.default_rng(0).random((20, 20, 20, 1), dtype=np.float32)
tile = Box.at((2, 2, 2), (16, 16, 16))
drawn = draw_map(AugmentationSettings(), sample_generator(1, 2, 3), tile, (1.0, 1.0, 1.0))
resampled, labels = choose_engine().resample(image, (image[..., 0] > 0.5).astype(np.int16), drawn, tile)
print(hashlib.sha256(resampled.tobytes() + labels.tobytes()).hexdigest())
"""
    hashes = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        for _ in range(2)
    ]
    assert hashes[0] == hashes[1]
    assert len(hashes[0]) == 64
