"""A tiled result is that of the whole, wherever the tiles lie and however many planes are computed at a time."""

import signal
import threading
import time
import warnings
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.inference.axis import axis_tiling, shortest_of_many
from keras_unet3d.inference.ensemble import Ensemble
from keras_unet3d.inference.network_predictor import NetworkPredictor
from keras_unet3d.inference.results import HeldVoxels, Results
from keras_unet3d.inference.segmentation import TileWork, segment_voxels
from keras_unet3d.inference.tiles import TilePlan, all_tilings, one_tile
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.volumes.intensity import Intensities, Window, volume_intensity

GEOMETRIES = [
    Geometry("valid", 1),
    Geometry("same", 1),
    Geometry("valid", 2),
    Geometry("same", 2),
    Geometry("valid", 2, (1, 0, 0)),
    Geometry("same", 2, (2, 0, 0)),
    Geometry("same", 2, (0, 1, 1)),
    Geometry("valid", 3, (3, 1, 1)),
    Geometry("valid", 2, dimensions=2),
]


@pytest.fixture(scope="module")
def predictors(random_network):
    return {
        geometry: NetworkPredictor(
            random_network(2, filters=2, normalization="batch", **asdict(geometry)),
            geometry,
        )
        for geometry in GEOMETRIES
    }


def tiles_of(shape, geometry, *, longer=0, slab=None):
    """Tiles that are a few multiples longer than the shortest."""
    longest = [shortest_of_many(axis) + longer * axis.multiple for axis in geometry.axes]
    return TilePlan(tuple(map(axis_tiling, shape[:3], longest, geometry.axes)), slab)


def noise(shape, channels=2):
    return np.random.default_rng(7).normal(100, 30, (*shape, channels)).astype(np.float32)


def both(image, predictor, plan):
    """Class index and probabilities."""
    probabilities = np.full((*image.shape[:3], predictor.classes), np.nan, dtype=np.float32)
    return segment_voxels(image, predictor, plan, probabilities=HeldVoxels(probabilities)), probabilities


def assert_same(found, expected):
    """As seam-free is defined: probabilities to rounding, labels unless the two best are within 1e-5."""
    (classes, probabilities), (whole_classes, whole) = found, expected
    np.testing.assert_allclose(probabilities, whole, atol=1e-5)
    best = np.sort(whole, axis=-1)
    differing = classes != whole_classes
    assert (best[..., -1] - best[..., -2])[differing].max(initial=0) < 1e-5
    assert differing.sum() <= classes.size / 1e6


def assert_same_as_whole(image, predictor, plan):
    assert_same(both(image, predictor, plan), both(image, predictor, one_tile(image.shape, predictor.geometry)))


@pytest.mark.parametrize("axis", [0, 2], ids="zx")
@pytest.mark.parametrize(
    ("geometry", "lengths"),
    list(
        zip(
            GEOMETRIES,
            [(15, 15), (28, 28), (16, 16), (60, 60), (10, 16), (24, 60), (60, 32), (4, 12), (5, 16)],
            strict=True,
        )
    ),
    ids=str,
)
def test_tiles_of_every_length_of_an_axis_give_what_the_whole_gives(geometry, lengths, axis, predictors):
    length = lengths[axis // 2]
    shape = [5, 6, 7]
    shape[axis] = length
    image = noise(shape)
    tilings = all_tilings(length, geometry.axes[axis])
    assert len(tilings) >= 3
    whole = both(image, predictors[geometry], one_tile(shape, geometry))
    assert len(np.unique(whole[0])) >= 2
    for i, tiling in enumerate(tilings):
        axes = list(one_tile(shape, geometry).axes)
        axes[axis] = tiling
        plan = TilePlan(tuple(axes), 2 * geometry.axes[0].multiple * (i % 3) or None)
        assert_same(both(image, predictors[geometry], plan), whole)


@pytest.mark.parametrize(
    ("geometry", "shape"),
    list(
        zip(
            GEOMETRIES,
            [
                *[(9, 11, 8), (19, 20, 21), (6, 11, 8), (54, 55, 57)],
                *[(5, 11, 8), (22, 55, 57), (54, 29, 31), (3, 5, 7), (3, 11, 8)],
            ],
            strict=True,
        )
    ),
    ids=str,
)
def test_tiles_that_meet_along_all_axes_give_what_the_whole_gives(geometry, shape, predictors):
    z, y, x = (all_tilings(length, axis)[1] for length, axis in zip(shape, geometry.axes, strict=True))
    plan = TilePlan((z, y, x), geometry.coarsest)
    assert plan.counts == (2, 2, 2)
    assert_same_as_whole(noise(shape), predictors[geometry], plan)


@settings(max_examples=15)
@given(st.sampled_from(GEOMETRIES), st.tuples(*[st.integers(1, 25)] * 3), st.integers(4, 8), st.integers(0, 5))
def test_volumes_of_every_size_come_out_as_in_one_tile(predictors, geometry, shape, longer, slab):
    plan = tiles_of(shape, geometry, longer=longer, slab=slab * geometry.axes[0].multiple or None)
    assert_same_as_whole(noise(shape), predictors[geometry], plan)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_few_voxels_are_enough(n, geometry, predictors):
    for shape in [(n, 1, 1), (1, n, 2)]:
        assert_same_as_whole(noise(shape), predictors[geometry], tiles_of(shape, geometry, slab=geometry.coarsest))


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_the_papers_depth(padding, random_network):
    geometry = Geometry(padding)
    predictor = NetworkPredictor(random_network(1, filters=2, padding=padding), geometry)
    image = noise((6, 25, 4) if padding == "valid" else (6, 120, 10), 1)
    plan = tiles_of(image.shape, geometry, slab=8)
    assert plan.counts[1] == 3
    assert_same_as_whole(image, predictor, plan)


def test_the_outside_is_mirrored_by_hand(predictors):
    geometry = GEOMETRIES[0]
    image = noise((5, 12, 7))
    intensity = predictors[geometry].intensities.of(image)
    padded = np.pad(image, [(8, 8 + 1), (8, 8), (8, 8 + 1), (0, 0)], mode="reflect")  # outputs are even
    expected = predictors[geometry].start(intensity).push(padded, last=True)[:5, :, :7]
    _, found = both(image, predictors[geometry], one_tile(image.shape, geometry))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_gain_and_offset_of_the_recording_do_not_matter(predictors):
    image = noise((9, 9, 9)).round()
    predictor = predictors[GEOMETRIES[0]]
    plan = one_tile(image.shape, predictor.geometry)
    recorded = (image * 16 + 512).astype(np.uint16)
    np.testing.assert_allclose(both(image, predictor, plan)[1], both(recorded, predictor, plan)[1], atol=1e-4)


def test_a_slab_at_a_time(predictors):
    class Watched:
        def __init__(self, predictor):
            self.geometry, self.classes, self.tile_dependent = predictor.geometry, predictor.classes, False
            self.intensities, self._start, self.seen = predictor.intensities, predictor.start, []

        def start(self, intensity):
            self._stream = self._start(intensity)
            return self

        def push(self, planes, *, last=False):
            self.seen.append((planes.shape, planes.dtype, last))
            return self._stream.push(planes, last=last)

    watched = Watched(predictors[GEOMETRIES[0]])
    plan = tiles_of((20, 20, 20), GEOMETRIES[0], longer=4, slab=8)
    steps = []
    segment_voxels(
        noise((20, 20, 20)).astype(np.uint16), watched, plan, progress=lambda done, whole: steps.append((done, whole))
    )
    depth, rows, columns = plan.tile
    slabs = [min(8, depth - z) for z in range(0, depth, 8)]
    assert watched.seen == [
        ((planes, rows, columns, 2), np.float32, number + 1 == len(slabs)) for number, planes in enumerate(slabs)
    ] * len(plan)
    assert steps[-1] == (8000, 8000)
    assert steps == sorted(steps)


def test_a_plan_for_another_volume_or_network_is_refused(predictors):
    geometry = GEOMETRIES[0]
    with pytest.raises(ValueError, match="x=5 y=5 z=5"):
        segment_voxels(noise((5, 5, 5)), predictors[geometry], one_tile((5, 5, 6), geometry))
    with pytest.raises(ValueError, match="depth=2"):
        segment_voxels(noise((5, 5, 5)), predictors[geometry], one_tile((5, 5, 5), Geometry("valid", 2)))


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_two_predictors_share_the_tiles_and_give_what_one_gives(geometry, predictors):
    image = noise((6, 65, 7))
    plan = tiles_of(image.shape, geometry, longer=2, slab=geometry.coarsest)
    assert len(plan) >= 2
    whole = both(image, predictors[geometry], one_tile(image.shape, geometry))
    classes, probabilities = np.zeros(image.shape[:3], np.uint8), np.zeros((*image.shape[:3], 3), np.float32)
    threads, boxes = set(), []
    together = threading.Barrier(2)

    class Device:
        """Waits with its first tile until the other has one, too."""

        def __init__(self, predictor):
            self.geometry, self._start, self._first = predictor.geometry, predictor.start, True

        def start(self, intensity):
            threads.add(threading.current_thread())
            if self._first:
                self._first = False
                together.wait(60)
            return self._start(intensity)

    TileWork(
        image,
        plan,
        predictors[geometry].intensities.of(image),
        Results(HeldVoxels(classes), HeldVoxels(probabilities)),
        lambda _, box: boxes.append(box),
    ).run([Device(predictors[geometry]), Device(predictors[geometry])])
    assert len(threads) == 2
    assert sum(np.prod(box.shape) for box in boxes) == classes.size
    assert_same((classes, probabilities), whole)


def test_a_predictor_that_fails_stops_the_others(predictors):
    geometry = GEOMETRIES[0]

    class Broken:
        def __init__(self):
            self.geometry = geometry

        def start(self, _):
            raise RuntimeError("no memory")

    image = noise((30, 30, 30))
    plan = tiles_of(image.shape, geometry, slab=2)
    work = TileWork(
        image,
        plan,
        predictors[geometry].intensities.of(image),
        Results(HeldVoxels(np.zeros(image.shape[:3], np.uint8))),
        lambda *_: None,
    )
    with pytest.raises(RuntimeError, match="no memory"):
        work.run([predictors[geometry], Broken()])


def writing_threads():
    return [each for each in threading.enumerate() if each.name.startswith(("device", "write", "read"))]


@pytest.mark.parametrize("devices", [1, 2])
def test_ctrl_c_waits_for_a_slab_not_for_the_volume(devices):
    geometry, image = GEOMETRIES[0], noise((40, 40, 40))
    plan = tiles_of(image.shape, geometry)
    started = []

    class Device:
        """Presses Ctrl-C when it gets the fifth tile."""

        def __init__(self):
            self.geometry = geometry

        def start(self, _):
            started.append(threading.current_thread())
            if len(started) == 5:
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            return self

        def push(self, planes, *, last):
            time.sleep(0.01)
            return np.zeros((*geometry.output_lengths(planes.shape[:3]), 3), np.float32)

    work = TileWork(
        image, plan, np.ones((2, 2)), Results(HeldVoxels(np.zeros(image.shape[:3], np.uint8))), lambda *_: None
    )
    with pytest.raises(KeyboardInterrupt):
        work.run([Device() for _ in range(devices)])
    assert len(started) < 100 < len(plan)
    assert writing_threads() == []


@pytest.mark.parametrize("part", ["reading", "writing", "telling"])
def test_what_fails_in_another_thread_is_raised_and_leaves_no_thread(part, predictors):
    geometry, image = GEOMETRIES[0], noise((12, 12, 12))

    class Failing(HeldVoxels):
        def __getitem__(self, place):
            return self.fail("reading") or super().__getitem__(place)

        def write(self, box, voxels):
            self.fail("writing")

        def fail(self, where):
            if where == part:
                raise OSError(f"{where} failed")

    store = Failing(image if part == "reading" else np.zeros(image.shape[:3], np.uint8))
    work = TileWork(
        store if part == "reading" else image,
        tiles_of(image.shape, geometry, longer=2, slab=2),
        predictors[geometry].intensities.of(image),
        Results(HeldVoxels(np.zeros(image.shape[:3], np.uint8)) if part == "reading" else store),
        lambda *_: store.fail("telling"),
    )
    for networks in ([predictors[geometry]], [predictors[geometry]] * 2):
        with pytest.raises(OSError, match=f"{part} failed"):
            work.run(networks)
        assert writing_threads() == []


@settings(max_examples=10)
@given(st.sampled_from(GEOMETRIES), st.integers(0, 30), st.integers(2, 4))
def test_a_tile_whose_first_planes_are_written_goes_on_where_it_was(predictors, geometry, written, longer):
    image = noise((31, 3, 9))
    plan = tiles_of(image.shape, geometry, longer=longer, slab=geometry.coarsest)
    whole = both(image, predictors[geometry], one_tile(image.shape, geometry))
    progress = {number: min(written, tile.write.shape[0]) for number, tile in enumerate(plan)}
    classes, probabilities = np.full(image.shape[:3], 99, np.uint8), np.zeros((*image.shape[:3], 3), np.float32)
    for number, tile in enumerate(plan):
        start = tile.write.start[0]
        done = (slice(start, start + progress[number]), *tile.write.slices[1:])
        classes[done], probabilities[done] = whole[0][done], whole[1][done]
    done_again = []
    TileWork(
        image,
        plan,
        predictors[geometry].intensities.of(image),
        Results(HeldVoxels(classes), HeldVoxels(probabilities)),
        lambda number, box: done_again.append((number, box)),
        progress,
    ).run([predictors[geometry]])
    assert_same((classes, probabilities), whole)
    for number, tile in enumerate(plan):
        planes = sum(box.shape[0] for of_tile, box in done_again if of_tile == number)
        assert planes <= tile.write.shape[0] - progress[number] + geometry.axes[0].multiple - 1


def test_an_ensemble_gives_the_mean_of_its_members(random_network):
    geometry = Geometry("valid", 1)
    members = [
        NetworkPredictor(
            random_network(2, filters=2, depth=1, padding="valid", normalization=normalization, seed=seed), geometry
        )
        for seed, normalization in enumerate([None, "instance", "batch"])
    ]
    image = noise((9, 7, 12))
    plan = TilePlan(one_tile(image.shape, geometry).axes, 4)
    each = [both(image, member, plan)[1] for member in members]
    found = both(image, Ensemble(members), plan)
    np.testing.assert_allclose(found[1], np.mean(each, axis=0), atol=1e-6)
    assert Ensemble(members).tile_dependent
    with pytest.raises(ValueError, match="one geometry"):
        Ensemble([members[0], NetworkPredictor(random_network(2, filters=2, depth=2), Geometry("valid", 2))])


def test_an_ensemble_measures_no_channel_for_which_all_members_have_windows(random_network):
    ours, theirs = Window(-1, 1, 0.5, 2), Window(0, 3, 1, 4)
    network = random_network(2, filters=2, depth=1, padding="valid", normalization="batch")

    def member(windows):
        return NetworkPredictor(network, Geometry("valid", 1), intensities=Intensities(windows))

    class Unread:
        shape = (9, 9, 9, 2)

    whole = Ensemble([member({0: ours, 1: ours}), member({0: theirs, 1: theirs})])
    np.testing.assert_array_equal(whole.intensities.of(Unread()), [[0.5, 2], [0.5, 2]])
    some = Ensemble([member({0: ours, 1: ours}), member({1: theirs})])
    assert some.intensities.windows == {1: ours}
    image = noise((9, 7, 12))
    measured = some.intensities.of(image)
    np.testing.assert_array_equal(measured[0], volume_intensity(image)[0])  # the second member's
    # What each member makes of it is what it makes of the volume alone.
    plan = TilePlan(one_tile(image.shape, Geometry("valid", 1)).axes, 4)
    each = [both(image, one, plan)[1] for one in some.members]
    np.testing.assert_allclose(both(image, some, plan)[1], np.mean(each, axis=0), atol=1e-6)


def test_statistics_of_the_tile_warn_where_there_are_several(random_network):
    geometry = Geometry("same", 1)
    predictor = NetworkPredictor(
        random_network(2, filters=2, depth=1, padding="same", normalization="instance"), geometry
    )
    image = noise((9, 60, 9))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        segment_voxels(image, predictor, one_tile(image.shape, geometry))
    with pytest.warns(UserWarning, match="takes 22 of them"):
        segment_voxels(image, predictor, tiles_of(image.shape, geometry))


@pytest.mark.parametrize("normalization", ["instance", None])
def test_bfloat16_rounds_and_agrees(normalization, random_network):
    geometry = Geometry("valid", 1)
    model = random_network(2, filters=4, depth=1, padding="valid", normalization=normalization)
    image = noise((9, 20, 12))
    plan = TilePlan(one_tile(image.shape, geometry).axes, 4)
    exact, rounded = (
        both(image, NetworkPredictor(model, geometry, precision=precision), plan)[1]
        for precision in ("float32", "bfloat16")
    )
    assert np.abs(exact - rounded).max() > 0
    assert np.abs(exact - rounded).mean() < 0.02
