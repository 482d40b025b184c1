"""A sample is decided by seed, step and index; unlabelled voxels weigh nothing; tiles lie where they say."""

import itertools
import tracemalloc
import warnings

import numpy as np
import pytest

from keras_unet3d.augmentation.engines import choose_engine
from keras_unet3d.training import pipeline
from keras_unet3d.training.pipeline import ATTEMPTS, TrainingBatches, moment_images
from keras_unet3d.training.sampling import TrainingVolume

WEIGHTS = (2.0, 3.0, 5.0)


@pytest.fixture(scope="module")
def noise():
    """A volume of noise, labelled with three classes in two thirds of its voxels."""
    rng = np.random.default_rng(3)
    labels = rng.integers(-1, 3, (20, 18, 22)).astype(np.int16)
    image = rng.standard_normal((20, 18, 22, 2)).astype(np.float32)
    return TrainingVolume("noise", image, labels, (2.0, 1.0, 1.0))


def batches_of(settings, volumes, count, first_step=0, weights=WEIGHTS):
    with TrainingBatches(settings, volumes, weights, first_step) as batches:
        return [tuple(tensor.numpy() for tensor in next(batches)) for _ in range(count)]


def assert_same(some, others):
    for batch, other in zip(some, others, strict=True):
        for tensor, expected in zip(batch, other, strict=True):
            np.testing.assert_array_equal(tensor, expected)


def require(engine):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if choose_engine(engine).name != engine:
            pytest.skip(f"{engine} cannot be imported here")


@pytest.mark.parametrize("engine", ["compiled", "elasticdeform"])
def test_a_resumed_run_sees_the_batches_that_it_would_have_seen(resolved, noise, engine):
    require(engine)
    settings = resolved({"engine": engine, "batch_size": 2})
    whole = batches_of(settings, [noise], 5)
    assert_same(batches_of(settings, [noise], 2, first_step=3), whole[3:])
    images = [image for batch in whole for image in batch[0]]
    assert all(not np.array_equal(a, b) for a, b in itertools.combinations(images, 2))


def test_another_seed_gives_other_batches(resolved, noise):
    ours, others = (batches_of(resolved({"seed": seed}), [noise], 3) for seed in (0, 1))
    assert all(not np.array_equal(a[0], b[0]) for a, b in zip(ours, others, strict=True))


def test_both_engines_give_the_same_batches(resolved, noise):
    require("elasticdeform")
    ours, others = (
        batches_of(resolved({"engine": engine, "tile": "x=16 y=16 z=16"}), [noise], 4)
        for engine in ("compiled", "elasticdeform")
    )
    for (image, class_index, weight), (image_2, class_index_2, weight_2) in zip(ours, others, strict=True):
        np.testing.assert_allclose(image, image_2, atol=1e-3 * np.ptp(image_2))
        assert np.mean((class_index != class_index_2) | (weight != weight_2)) <= 1e-3


def test_weights_are_0_exactly_where_nothing_is_labelled(resolved, noise, unchanged):
    """The tile is as large as the volume, and nothing is augmented: every voxel is known."""
    labels = noise.class_index[:16, :16, :16]
    volume = TrainingVolume("cut", noise.image[:16, :16, :16], labels, (1, 1, 1))
    ((image, class_index, weight),) = batches_of(resolved(unchanged | {"tile": "x=16 y=16 z=16"}), [volume], 1)
    np.testing.assert_array_equal(image[0], volume.image)
    np.testing.assert_array_equal(weight[0], np.array([*WEIGHTS, 0], np.float32)[labels])
    np.testing.assert_array_equal(class_index[0], np.where(labels < 0, 0, labels))


def test_augmented_voxels_weigh_what_their_class_does(resolved, noise):
    for _, class_index, weight in batches_of(resolved({"tile": "x=16 y=16 z=16"}), [noise], 4):
        labelled = weight > 0
        assert 0 < labelled.mean() < 1
        np.testing.assert_array_equal(weight[labelled], np.take(WEIGHTS, class_index[labelled]))
        assert (class_index[~labelled] == 0).all()


@pytest.fixture
def attempts(monkeypatch):
    """Collects the number of every attempt at a sample."""
    seen = []
    usual = pipeline.sample_generator

    def spy(seed, step, index, attempt=0):
        seen.append(attempt)
        return usual(seed, step, index, attempt)

    monkeypatch.setattr(pipeline, "sample_generator", spy)
    return seen


def test_no_tile_is_without_labels_when_they_are_one_slice_at_the_border(resolved, noise, attempts):
    labels = np.full(noise.class_index.shape, -1, np.int16)
    labels[:, :, 0] = 1
    volume = TrainingVolume("slice", noise.image, labels, (1, 1, 1))
    settings = resolved({"augmentation.displacement_sigma": 20.0, "augmentation.displacement_spacing": 8})
    assert all((weight > 0).any() for _, _, weight in batches_of(settings, [volume], 40))
    assert max(attempts) > 0  # some were drawn again


def test_no_tile_is_without_labels_when_they_are_one_voxel(resolved, noise, attempts):
    labels = np.full(noise.class_index.shape, -1, np.int16)
    labels[10, 10, 10] = 2
    volume = TrainingVolume("voxel", noise.image, labels, (1, 1, 1))
    settings = resolved({"augmentation.scaling": (0.1, 0.1)})  # one voxel in a thousand is met
    assert all((weight == WEIGHTS[2]).any() for _, _, weight in batches_of(settings, [volume], 10))
    assert max(attempts) == ATTEMPTS - 1  # the last, which deforms nothing


@pytest.mark.parametrize(("depth", "size", "margin"), [(1, 20, 8), (3, 92, 44)])
def test_the_labels_of_an_unpadded_network_lie_in_the_middle_of_its_input(resolved, unchanged, depth, size, margin):
    """Image and label of a voxel are both its number."""
    numbers = np.arange(12 * 10 * 14).reshape(12, 10, 14)
    volume = TrainingVolume("numbers", numbers[..., None].astype(np.float32), numbers.astype(np.int16), (1, 1, 1))
    settings = resolved(
        unchanged
        | {"network.padding": "valid", "network.depth": depth, "tile": f"x={size} y={size} z={size}", "batch_size": 2}
    )
    for image, class_index, weight in batches_of(settings, [volume], 2, weights=[1.0] * numbers.size):
        assert image.shape == (2, size, size, size, 1)
        assert class_index.shape == (2, *[size - 2 * margin] * 3)
        assert (weight == 1).all()
        inside = slice(margin, -margin)
        np.testing.assert_array_equal(image[:, inside, inside, inside, 0], class_index)


def test_moments_are_collected_over_tiles_that_nobody_augmented(resolved, noise):
    settings = resolved({"batch_size": 2})
    images, again = (moment_images(settings, [noise]) for _ in range(2))
    windows = np.lib.stride_tricks.sliding_window_view(noise.image, (8, 8, 8), axis=(0, 1, 2))
    for batch, same in zip(images, again, strict=True):
        np.testing.assert_array_equal(batch, same)
        for tile in batch:
            assert (windows == np.moveaxis(tile, -1, 0)).all(axis=(3, 4, 5, 6)).sum() == 1


def test_no_second_copy_of_a_volume_is_made(resolved):
    """40 batches of 8×8×8 need far less than the volume, 8 MB."""
    image = np.zeros((128, 128, 128, 1), np.float32)
    labels = np.full(image.shape[:3], -1, np.int16)
    labels[64] = 1
    volume = TrainingVolume("large", image, labels, (1, 1, 1))
    batches_of(resolved({}), [volume], 1)  # imports and compiles, which takes more
    tracemalloc.start()
    try:
        batches_of(resolved({}), [volume], 5)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < image.nbytes / 4


LEAVES_EARLY = """
import itertools
import time
import numpy as np
from keras_unet3d.errors import WorkError
from keras_unet3d.training import pipeline
from keras_unet3d.training.sampling import TrainingVolume
from keras_unet3d.training.settings import read_settings

settings = read_settings(None, {"steps": 9, "tile": "x=8 y=8 z=8", "batch_size": 2, "network.padding": "same"})
volume = TrainingVolume("a", np.zeros((9, 9, 9, 1), np.float32), np.ones((9, 9, 9), np.int16), (1, 1, 1))
usual = pipeline.draw_map

def slow(*arguments):
    number = next(counter)
    time.sleep(0.02)
    if number >= failing > 0:
        raise RuntimeError("no such displacement")
    return usual(*arguments)

pipeline.draw_map = slow
for failing in (0, 0, 0, 5):
    counter = itertools.count(1)
    try:
        with pipeline.TrainingBatches(settings, [volume], [1, 1]) as batches:
            for _ in range(1 if not failing else 9):
                next(batches)
    except WorkError as error:
        print(error)
    del batches
with pipeline.TrainingBatches(settings, [volume], [1, 1]):
    pass
print("left")
"""


def test_leaving_early_ends_the_threads_and_an_error_in_one_is_said(run_alone):
    """In a process of its own: where a thread is left over, the interpreter hangs."""
    said = run_alone(LEAVES_EARLY, timeout=60)
    assert said.splitlines() == ["A training tile could not be made (RuntimeError: no such displacement).", "left"]
