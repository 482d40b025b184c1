"""A segmentation is what the plain Keras networks give, whatever the plan, the budget and the number of networks."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from keras_unet3d.annotation.labels import UNLABELED, LabelScheme
from keras_unet3d.errors import InputError
from keras_unet3d.inference import devices, job
from keras_unet3d.inference.budget import parse_memory
from keras_unet3d.inference.delivery import Delivery
from keras_unet3d.inference.job import Member, SegmentationJob
from keras_unet3d.inference.options import SegmentOptions
from keras_unet3d.inference.plan_choice import choose_plan
from keras_unet3d.inference.planning import Demand
from keras_unet3d.inference.postprocessing import PostProcessing, postprocess
from keras_unet3d.inference.unfinished import Unfinished
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.network.work import NetworkSize
from keras_unet3d.volumes import intensity
from keras_unet3d.volumes.intensity import PER_VOLUME, Intensities, Window, volume_intensity
from keras_unet3d.volumes.volume import Grid, Volume

pytestmark = pytest.mark.usefixtures("compiled_once")

HELD = 10**8
PLENTY = 10**10
SIZE = NetworkSize(Geometry("valid", 1), filters=4, channels=1, classes=3)
SCHEME = LabelScheme((0, 5, 7), ("background", "a", "b"))
SHAPE = (20, 14, 12)


@pytest.fixture(autouse=True)
def held(monkeypatch):
    """This process seems to hold as much at every moment, so that a budget is one number."""
    monkeypatch.setattr(job, "held_memory", lambda: HELD)


@pytest.fixture(scope="module")
def member(random_network):
    """Make a member of an ensemble: an unpadded network of depth 1."""
    networks = {}

    def make(name="cells", *, seed=0, normalization="batch", agrees=False, mirrored=()):
        if (seed, normalization) not in networks:
            networks[seed, normalization] = random_network(
                1, filters=4, depth=1, normalization=normalization, seed=seed
            )
        return Member(name, networks[seed, normalization], SIZE, agrees, mirrored)

    return make


def volume(shape=SHAPE):
    rng = np.random.default_rng(2)
    ramp = np.linspace(0, 3, shape[1])[None, :, None, None]  # tiles differ in brightness
    return Volume((rng.normal(0, 1, (*shape, 1)) + ramp).astype(np.float32), Grid(shape, unit="mm"))


def planned(members, shape=SHAPE, *, in_memory=False, unfinished=None, **asked):
    asked = {"memory": PLENTY, "precision": "float32"} | asked
    members = members if isinstance(members, list) else [members]
    return SegmentationJob(
        volume(shape), members, SegmentOptions(**asked), SCHEME, Delivery(unfinished, results_count=in_memory)
    )


def outcome(job):
    """Labels and probabilities."""
    segmented = job.run()
    return segmented.labels[:, :, :], segmented.probabilities[:, :, :]


def by_hand(network, image, tile, flipped=(), intensities=PER_VOLUME):
    """Softmax of the plain network for the mirrored, normalised volume, which is flipped before and back after."""
    read = tile.read
    around = [(-low, high - n) for low, high, n in zip(read.start, read.stop, image.shape, strict=False)]
    padded = np.pad(image, [*around, (0, 0)], mode="reflect")
    raw = intensities.normalised(padded[None], intensities.of(image)[None])
    axes = [axis + 1 for axis in flipped]
    logits = np.flip(np.asarray(network(np.flip(raw, axes).copy())), axes)[0]
    z, y, x, _ = image.shape
    powers = np.exp(logits - logits.max(-1, keepdims=True))[:z, :y, :x]
    return powers / powers.sum(-1, keepdims=True)


def assert_same_labels(labels, others, probabilities):
    """Labels of two plans differ at most where the two best probabilities are within 1e-5."""
    best = np.sort(probabilities, axis=-1)
    assert (best[..., -1] - best[..., -2])[labels != others].max(initial=0) < 1e-5


def budget_for_several_tiles(members=1, *, normalizations=0, statistics="volume"):
    """The largest budget, as far as that is a step down from another, that one tile does not fit."""
    demand, budget, tiles = Demand(SIZE, members=members), PLENTY, 1
    while tiles == 1:
        plan = choose_plan(SHAPE, demand, budget, HELD, normalizations=normalizations, statistics=statistics)
        budget, tiles = plan.memory - 1, len(plan.tiles)
    return plan.memory


# Statistics


def test_a_volume_that_fits_one_tile_is_normalised_by_its_own_statistics_in_one_pass(member):
    one = member(normalization="instance")
    found = planned(one, probabilities=True)
    assert (len(found.plan.tiles), found.plan.tiles.slab, found.plan.demand.passes) == (1, None, 0)
    assert (found.statistics, found.warnings) == ("volume", [])
    _, probabilities = outcome(found)
    expected = by_hand(one.network, volume().voxels, found.plan.tiles[0])
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)


def test_statistics_of_the_volume_do_not_depend_on_the_budget(member):
    one = member(normalization="instance")
    budget = budget_for_several_tiles(normalizations=6)
    found, whole = planned(one, probabilities=True, memory=budget), planned(one, probabilities=True)
    assert (found.plan.demand.passes, found.plan.demand.whole_tiles) == (6, False)
    assert len(found.plan.tiles) > 1
    assert "6 passes" in found.warnings[0]
    (labels, probabilities), (expected_labels, expected) = outcome(found), outcome(whole)
    np.testing.assert_allclose(probabilities, expected, atol=2e-4)
    assert (labels == expected_labels).mean() > 0.999


def test_current_statistics_over_several_tiles_depend_on_them_and_warn(member):
    one = member(normalization="instance")
    budget = budget_for_several_tiles(normalizations=6, statistics="current")
    several = planned(one, statistics="current", memory=budget, probabilities=True)
    assert several.statistics == "current"
    assert len(several.plan.tiles) > 1
    assert f"takes {len(several.plan.tiles)} of them" in several.warnings[0]
    assert "--statistics volume" in several.warnings[0]
    single = planned(one, statistics="current", probabilities=True)
    assert single.warnings == []
    assert np.abs(outcome(several)[1] - outcome(single)[1]).max() > 0.01


def test_frozen_statistics_are_said_to_be_moving(member):
    found = planned(member(), statistics="current")
    assert (found.statistics, found.warnings, found.plan.demand.whole_tiles) == ("moving", [], False)


# Several networks


def test_mirrored_tiles_and_several_models_are_averaged_as_by_hand(member):
    """Only the axis that all saw mirrored, y, is mirrored: two networks, each twice."""
    members = [member(mirrored=("z", "y")), member(seed=3, normalization=None, mirrored=("y", "x"))]
    found = planned(members, mirrored=True, probabilities=True)
    assert found.plan.demand.members == 4
    labels, probabilities = outcome(found)
    image, tile = volume().voxels, found.plan.tiles[0]
    each = [by_hand(one.network, image, tile, axes) for one in members for axes in ((), (1,))]
    np.testing.assert_allclose(probabilities, np.mean(each, axis=0), atol=1e-5)
    np.testing.assert_array_equal(labels, np.array(SCHEME.values)[probabilities.argmax(-1)])
    assert len(np.unique(labels)) >= 2


@pytest.mark.parametrize("normalization", ["batch", "instance"])
def test_every_model_of_an_ensemble_gets_the_intensities_that_it_knows(normalization, member):
    """One measures the volume, two have windows of their own; statistics of the volume are gathered with them, too."""
    rules = [PER_VOLUME, Intensities({0: Window(-1.0, 4.0, 1.0, 2.0)}), Intensities({0: Window(0.0, 2.0, 0.5, 0.5)})]
    members = [
        replace(member(seed=seed, normalization=normalization), intensities=rule) for seed, rule in enumerate(rules)
    ]
    found = planned(members, probabilities=True)
    each = [by_hand(one.network, volume().voxels, found.plan.tiles[0], intensities=one.intensities) for one in members]
    np.testing.assert_allclose(outcome(found)[1], np.mean(each, axis=0), atol=1e-5)
    assert np.abs(each[1] - by_hand(members[1].network, volume().voxels, found.plan.tiles[0])).max() > 0.1
    several = budget_for_several_tiles(3, normalizations=len(found._networks[0][0].normalizations))
    np.testing.assert_allclose(
        outcome(planned(members, memory=several, probabilities=True))[1], np.mean(each, axis=0), atol=1e-5
    )


def test_a_volume_is_not_measured_for_a_model_that_has_windows(member, monkeypatch):
    measured = []
    monkeypatch.setattr(intensity, "volume_intensity", lambda image: measured.append(1) or volume_intensity(image))
    outcome(planned(replace(member(), intensities=Intensities({0: Window(-1.0, 4.0, 1.0, 2.0)})), probabilities=True))
    assert not measured
    outcome(planned(member(), probabilities=True))
    assert measured


def test_the_budget_changes_the_tiles_and_nothing_else(member):
    members = [member(mirrored=("x",)), member(seed=6, mirrored=("x",))]
    asked = {"mirrored": True, "probabilities": True}
    small, large = planned(members, memory=budget_for_several_tiles(4), **asked), planned(members, **asked)
    assert len(small.plan.tiles) > len(large.plan.tiles) == 1
    (labels, probabilities), (expected_labels, expected) = outcome(small), outcome(large)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    assert_same_labels(labels, expected_labels, expected)


def test_mirroring_that_training_did_not_know_is_refused_naming_the_models(member):
    with pytest.raises(InputError, match=r"^old: was trained without mirrored tiles"):
        planned([member("new", mirrored=("x",)), member("old")], mirrored=True)
    with pytest.raises(InputError, match=r"^one, other: no axis was mirrored in the training of all"):
        planned([member("one", mirrored=("x",)), member("other", mirrored=("z",))], mirrored=True)


# Precision


@pytest.mark.parametrize(
    ("asked", "able", "agree", "expected"),
    [
        ("auto", True, (True, True), "bfloat16"),
        ("auto", True, (True, False), "float32"),
        ("auto", False, (True, True), "float32"),
        ("bfloat16", False, (False, False), "bfloat16"),
        ("float32", True, (True, True), "float32"),
    ],
)
def test_bfloat16_is_taken_where_it_was_asked_for_or_is_faster_and_agrees(
    asked, able, agree, expected, member, monkeypatch
):
    monkeypatch.setattr(devices, "has_bfloat16", lambda _: able)
    assert planned([member(agrees=each) for each in agree], precision=asked).precision == expected


def test_bfloat16_gives_other_numbers_and_nearly_the_same_probabilities(member):
    (_, exact), (_, rounded) = (
        outcome(planned(member(), precision=each, probabilities=True)) for each in ("float32", "bfloat16")
    )
    assert 0 < np.abs(exact - rounded).mean() < 0.02


# What comes out


@pytest.mark.parametrize(("biases", "expected"), [((3.0, 3.0, 3.0), 1), ((0.0, 200.0, 0.0), 0)])
def test_uncertainty_is_1_where_all_classes_are_equal_and_0_where_one_is_sure(biases, expected, random_network):
    network = random_network(1, filters=2, depth=1)
    logits = network.get_layer("logits")
    logits.kernel.assign(0 * logits.kernel)
    logits.bias.assign(biases)
    sure = Member("sure", network, NetworkSize(Geometry("valid", 1), 2, 1, 3), False, ())
    found = planned(sure, (5, 4, 3), uncertainty="u.nii").run()
    assert found.uncertainty.shape == (5, 4, 3, 1)
    np.testing.assert_allclose(found.uncertainty[:, :, :], expected, atol=1e-6)


def test_uncertainty_of_an_ensemble_is_the_entropy_of_the_mean(member):
    found = planned([member(), member(seed=6)], probabilities=True, uncertainty="u.nii").run()
    mean = found.probabilities[:, :, :].astype(np.float64)
    entropy = -(mean * np.log(np.maximum(mean, 1e-30))).sum(-1) / np.log(3)
    np.testing.assert_allclose(found.uncertainty[:, :, :][..., 0], entropy, atol=1e-5)
    assert entropy.max() - entropy.min() > 0.1


def test_results_on_disk_are_those_in_memory_and_are_read_part_by_part(member, tmp_path):
    asked = {"probabilities": True, "uncertainty": "u.nii"}
    held = planned(member(), **asked).run()
    with Unfinished(tmp_path / "labels.nii", {}, resume=False) as unfinished:
        found = planned(member(), unfinished=unfinished, **asked).run()
        files = sorted(path.name for path in unfinished.folder.glob("*.raw"))
        assert files == ["classes.raw", "probabilities.raw", "uncertainty.raw"]
        part = (slice(3, 9), slice(0, 14), slice(2, 5))
        for name in ("labels", "probabilities", "uncertainty"):
            np.testing.assert_array_equal(getattr(found, name)[part], getattr(held, name)[part])
        np.testing.assert_array_equal(found.counts, held.counts)


def test_what_is_kept_is_put_over_what_was_post_processed(member):
    """A lone voxel that was painted is no component to be removed, and is counted."""
    tidy = PostProcessing(largest_component=True, fill_holes=True)
    raw = planned(member()).run().labels[:, :, :]
    classes = np.searchsorted(SCHEME.values, raw).astype(np.uint8)
    changes = postprocess(classes, tidy, volume().grid, 0)
    assert any(change.removed_voxels for change in changes)

    kept = np.full(SHAPE, UNLABELED, np.int16)
    removed = tuple(np.argwhere((classes == 0) & (raw != 0))[0])
    kept[removed], kept[0, 0, 0] = SCHEME.values.index(raw[removed]), 2
    classes[kept != UNLABELED] = kept[kept != UNLABELED]
    found = planned(member(), post_processing=tidy).run(kept)
    np.testing.assert_array_equal(found.labels[:, :, :], np.array(SCHEME.values)[classes])
    assert found.changes == changes
    assert found.counts.tolist() == [(classes == index).sum() for index in range(3)]


def test_labels_of_300_classes_take_two_bytes(random_network):
    network = random_network(1, 300, filters=2, depth=1)
    logits = network.get_layer("logits")
    logits.bias.assign(np.arange(300) == 299)
    logits.kernel.assign(0 * logits.kernel)
    many = Member("many", network, NetworkSize(Geometry("valid", 1), 2, 1, 300), False, ())
    scheme = LabelScheme(tuple(range(300)), tuple(map(str, range(300))))
    kept = np.full((3, 4, 5), UNLABELED, np.int16)
    kept[1, 2, 3] = 256
    found = SegmentationJob(volume((3, 4, 5)), [many], SegmentOptions(precision="float32"), scheme).run(kept)
    assert found.labels.dtype == np.uint16
    assert found.labels[1:2, 2:3, 3:5].tolist() == [[[256, 299]]]
    assert (found.counts[256], found.counts[299]) == (1, 59)


@pytest.mark.parametrize("normalization", ["batch", "instance"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 7), (9, 1, 1)])
def test_a_voxel_a_plane_and_a_line_are_volumes(shape, normalization, member):
    found = planned(member(normalization=normalization), shape, probabilities=True).run()
    probabilities = found.probabilities[:, :, :]
    assert probabilities.shape == (*shape, 3)
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)
    assert found.counts.sum() == np.prod(shape)


@pytest.mark.parametrize("normalization", ["batch", "instance"])
def test_progress_goes_from_0_to_1_over_statistics_and_labels(normalization, member):
    one = member(normalization=normalization)
    shares = []
    found = planned(one, memory=budget_for_several_tiles(normalizations=6 * (normalization == "instance")))
    assert found.done == 0
    found.run(progress=shares.append)
    assert shares[0] == 0
    assert shares[-1] == pytest.approx(1)
    assert all(later >= earlier for earlier, later in pairwise(shares))
    assert max(later - earlier for earlier, later in pairwise(shares)) < 0.5


@pytest.mark.parametrize("statistics", ["volume", "current"])
def test_the_time_that_it_will_take_is_above_0(statistics, member):
    assert planned(member(normalization="instance"), (5, 4, 3), statistics=statistics).seconds > 0


# Memory


@pytest.mark.parametrize(
    ("normalization", "asked"),
    [
        ("batch", {}),
        ("batch", {"precision": "bfloat16"}),
        ("batch", {"mirrored": True}),
        ("instance", {}),
        ("instance", {"statistics": "current"}),
    ],
)
def test_the_smallest_budget_that_is_named_works_and_less_does_not(normalization, asked, member):
    one = member(normalization=normalization, mirrored=("z", "y", "x"))
    shape = (200, 900, 800)
    with pytest.raises(InputError) as caught:
        planned_without_voxels(one, shape, memory=HELD, **asked)
    smallest = parse_memory(re.search(r"at least ([\d.]+ [GM]B)", str(caught.value))[1])
    assert planned_without_voxels(one, shape, memory=smallest, **asked).plan.memory <= smallest
    with pytest.raises(InputError, match="at least"):
        planned_without_voxels(one, shape, memory=smallest - 10**8, **asked)


def test_components_need_the_label_map_in_memory(member):
    shape = (500, 500, 1000)  # 0.1 GB held, and 7 bytes for each voxel: 1.85 GB
    tidy = PostProcessing(fill_holes=True)
    with pytest.raises(InputError, match=r"x=1000 y=500 z=500.*takes 1\.9 GB; 1\.8 GB may be taken"):
        planned_without_voxels(member(), shape, memory=1_840_000_000, post_processing=tidy)
    assert planned_without_voxels(member(), shape, memory=1_850_000_000, post_processing=tidy).plan.memory < 1.85e9


def test_results_in_memory_are_part_of_the_budget(member):
    """A byte for the class, four for each of three probabilities, four for the uncertainty: 17 a voxel."""
    shape = (100, 100, 100)
    asked = {"probabilities": True, "uncertainty": "u.nii"}
    on_disk, in_memory = (
        planned_without_voxels(member(), shape, in_memory=each, **asked).plan.memory for each in (False, True)
    )
    assert in_memory - on_disk == 17 * 10**6


def planned_without_voxels(one, shape, *, in_memory=False, **asked):
    """Plan for a volume that takes no memory itself."""
    empty = Volume(np.broadcast_to(np.float32(0), (*shape, 1)), Grid(shape, unit="mm"))
    asked = {"memory": PLENTY, "precision": "float32"} | asked
    return SegmentationJob(empty, [one], SegmentOptions(**asked), SCHEME, Delivery(results_count=in_memory))
