"""What `segment` promises of every option, with networks that a hand could check."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import keras_unet3d as unet3d
from keras_unet3d.inference.budget import held_memory, parse_memory
from keras_unet3d.serving.description import ModelDescription
from keras_unet3d.serving.saved_model import LoadedModel

SHAPE = (64, 20, 24)
NAMES = ("background", "a", "b")


@pytest.fixture(scope="module")
def model(random_network):
    """Make a zero-padded model of depth 1 for one channel and three classes."""

    def make(name="model", *, seed=0, filters=2, classes=NAMES, **changes):
        description = ModelDescription.model_validate(
            {
                "classes": [{"value": 10 * number, "name": each} for number, each in enumerate(classes)],
                "channels": ["grey"],
                "normalization": "batch",
                "filters": filters,
                "geometry": {"padding": "same", "depth": 1},
            }
            | changes
        )
        network = random_network(
            1,
            len(classes),
            seed=seed,
            filters=filters,
            depth=1,
            padding="same",
            normalization=description.normalization,
        )
        return LoadedModel(Path(name), description, network)

    return make


@pytest.fixture(scope="module")
def one(model):
    return model()


@pytest.fixture
def image():
    """Noise with structure, in memory."""
    z, y, x = np.meshgrid(*(np.arange(length) for length in SHAPE), indexing="ij")
    noise = np.random.default_rng(3).normal(0, 0.3, SHAPE)
    voxels = (np.sin(z / 5) + np.sin(y / 3) * np.cos(x / 4) + noise).astype(np.float32)[..., None]
    return unet3d.Volume(voxels, unet3d.Grid(SHAPE, (2.0, 1.0, 0.5), unit="mm"))


@pytest.fixture
def file(tmp_path, image):
    unet3d.write_image(tmp_path / "image.nii", image)
    return tmp_path / "image.nii"


def options(**asked):
    return unet3d.SegmentOptions(precision="float32", **asked)


def unfinished(folder):
    return [entry.name for entry in folder.iterdir() if "unfinished" in entry.name]


def stop_at(share):
    """A user who presses Ctrl-C when so much is done."""

    def progress(done):
        if done >= share:
            raise KeyboardInterrupt

    return progress


def interrupted(file, output, model, share=0.4, **asked):
    """Segment until then; the error that ends it."""
    with pytest.raises(KeyboardInterrupt) as caught:
        unet3d.segment(file, output, model=model, options=options(**asked), progress=stop_at(share))
    return caught.value


def test_what_was_interrupted_and_resumed_is_what_was_not(file, tmp_path, one):
    whole = unet3d.segment(file, tmp_path / "whole.nii", model=one, options=options(uncertainty=tmp_path / "u1.nii"))
    files = {"uncertainty": tmp_path / "u2.nii"}
    error = interrupted(file, tmp_path / "labels.nii", one, **files)
    assert "--resume" in error.__notes__[0]
    assert unfinished(tmp_path) == [".labels.nii.unfinished"]
    assert not (tmp_path / "labels.nii").exists()
    assert not (tmp_path / "u2.nii").exists()

    plans, shares = [], []
    resumed = unet3d.segment(
        file,
        tmp_path / "labels.nii",
        model=one,
        options=options(resume=True, **files),
        on_plan=plans.append,
        progress=shares.append,
    )
    assert plans[0].done == shares[0] > 0.2
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert resumed.shares == whole.shares
    for one_file, other in (("whole.nii", "labels.nii"), ("u1.nii", "u2.nii")):
        assert (tmp_path / one_file).read_bytes() == (tmp_path / other).read_bytes()
    assert unfinished(tmp_path) == []


def test_what_is_done_is_not_computed_again(file, tmp_path, one, monkeypatch):
    from keras_unet3d.inference.network_predictor import NetworkStream

    pushed = []
    push = NetworkStream.push

    def counted(self, planes, *, last=False):
        pushed.append(len(planes))
        return push(self, planes, last=last)

    monkeypatch.setattr(NetworkStream, "push", counted)
    unet3d.segment(file, tmp_path / "whole.nii", model=one, options=options())
    at_once = sum(pushed)
    interrupted(file, tmp_path / "labels.nii", one, share=0.7)
    pushed.clear()
    unet3d.segment(file, tmp_path / "labels.nii", model=one, options=options(resume=True))
    assert at_once == SHAPE[0]
    assert sum(pushed) < 0.7 * at_once


def test_a_volume_in_memory_is_resumed_if_it_is_the_same(file, image, tmp_path, one):
    for held in (image, unet3d.read_image(file)):  # the second knows its file
        interrupted(held, tmp_path / "labels.nii", one)
        other = held.with_voxels(held.voxels + 1)
        with pytest.raises(unet3d.InputError, match="another image"):
            unet3d.segment(other, tmp_path / "labels.nii", model=one, options=options(resume=True))
        plans = []
        unet3d.segment(held, tmp_path / "labels.nii", model=one, options=options(resume=True), on_plan=plans.append)
        assert plans[0].done > 0


def test_without_resume_it_begins_again(file, tmp_path, one):
    interrupted(file, tmp_path / "labels.nii", one)
    shares = []
    unet3d.segment(file, tmp_path / "labels.nii", model=one, options=options(), progress=shares.append)
    assert shares[0] == 0
    assert unfinished(tmp_path) == []


def test_post_processing_may_be_another_when_it_is_resumed(file, tmp_path, one):
    """The network's classes stay on disk as they are: post-processing that was begun leaves no trace in them."""
    tidy = unet3d.PostProcessing(largest_component=True, fill_holes=True)
    other = unet3d.PostProcessing(min_size_mm3=20)
    whole = unet3d.segment(file, tmp_path / "whole.nii", model=one, options=options(post_processing=other))
    with pytest.raises(unet3d.InputError):  # when all tiles are there, the last of what is written fails
        unet3d.segment(
            file, tmp_path / "l.nii", model=one, options=options(post_processing=tidy, probabilities=tmp_path / "p.png")
        )
    unet3d.segment(
        file,
        tmp_path / "l.nii",
        model=one,
        options=options(post_processing=other, probabilities=tmp_path / "p.nii", resume=True),
    )
    assert (tmp_path / "whole.nii").read_bytes() == (tmp_path / "l.nii").read_bytes()
    assert whole.changes


def test_another_image_another_model_or_a_changed_file_are_not_resumed(file, image, tmp_path, one, model):
    output = tmp_path / "labels.nii"
    interrupted(file, output, one)
    unet3d.write_image(tmp_path / "other.nii", image)
    with pytest.raises(unet3d.InputError, match=r"another image \(.*image\.nii; now .*other\.nii\)"):
        unet3d.segment(tmp_path / "other.nii", output, model=one, options=options(resume=True))
    with pytest.raises(unet3d.InputError, match="another model"):
        unet3d.segment(file, output, model=model("other"), options=options(resume=True))
    with pytest.raises(unet3d.InputError, match=r"another --tta \(False; now True\)"):
        unet3d.segment(file, output, model=one, options=options(resume=True, mirrored=True))
    assert unfinished(tmp_path) == [".labels.nii.unfinished"]
    unet3d.write_image(file, image.with_voxels(image.voxels + 1))
    with pytest.raises(unet3d.InputError, match=r"image\.nii has changed since"):
        unet3d.segment(file, output, model=one, options=options(resume=True))


def test_with_an_annotation_or_in_memory_another_image_is_not_resumed_either(file, image, tmp_path, one):
    output, annotation = tmp_path / "labels.nii", tmp_path / "annotation.nii"
    unet3d.write_labels(annotation, unet3d.Volume(np.full(SHAPE, 10, np.uint8), image.grid))
    changed = image.with_voxels(image.voxels + np.float32(1))
    with pytest.raises(KeyboardInterrupt):
        unet3d.segment(file, output, model=one, keep=annotation, options=options(), progress=stop_at(0.4))
    unet3d.write_image(file, changed)
    with pytest.raises(unet3d.InputError, match=r"image\.nii has changed since"):
        unet3d.segment(file, output, model=one, keep=annotation, options=options(resume=True))
    with pytest.raises(KeyboardInterrupt):
        unet3d.segment(file, output, model=one, keep=annotation, options=options(), progress=stop_at(0.4))
    said = "another meaning of unpainted voxels .what the file says; now --unlabeled 0"
    with pytest.raises(unet3d.InputError, match=said):
        unet3d.segment(
            file, output, model=one, keep=annotation, meaning=unet3d.Meaning(unlabeled=0), options=options(resume=True)
        )
    interrupted(image, output, one)
    with pytest.raises(unet3d.InputError, match="a volume in memory has changed since"):
        unet3d.segment(changed, output, model=one, options=options(resume=True))
    unet3d.segment(image, output, model=one, options=options(resume=True))


def test_what_ended_before_any_work_leaves_nothing(file, tmp_path, one):
    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        unet3d.segment(file, tmp_path / "labels.nii", model=one, options=options(), on_plan=stop)
    assert not hasattr(caught.value, "__notes__")
    assert [entry.name for entry in tmp_path.iterdir()] == ["image.nii"]


def test_two_processes_do_not_write_one_output(file, tmp_path, one):
    def again(_):
        unet3d.segment(file, tmp_path / "labels.nii", model=one, options=options())

    with pytest.raises(unet3d.InputError, match="another process is segmenting into it"):
        unet3d.segment(file, tmp_path / "labels.nii", model=one, options=options(), on_plan=again)


def test_a_budget_that_is_too_small_is_refused_with_one_that_suffices(file, one):
    with pytest.raises(unet3d.InputError, match="100 MB were given") as caught:
        unet3d.plan_segmentation(file, model=one, options=options(memory=parse_memory("100MB")))
    smallest = parse_memory(re.search(r"at least ([\d.]+ [GM]B)", str(caught.value))[1])
    plan = unet3d.plan_segmentation(file, model=one, options=options(memory=smallest + 10**8))
    assert held_memory() < plan.plan.memory <= smallest + 10**8


def test_a_plan_is_the_one_that_is_followed(file, tmp_path, one):
    asked = options(memory=held_memory() + 10**9)
    planned = unet3d.plan_segmentation(file, model=one, options=asked)
    told = []
    done = unet3d.segment(file, tmp_path / "labels.nii", model=one, options=asked, on_plan=told.append)
    assert planned.plan.tiles == told[0].plan.tiles == done.plan.tiles
    assert planned.seconds > 0
    assert (planned.precision, planned.statistics, planned.done) == ("float32", "moving", 0)
    assert unfinished(tmp_path) == []


def test_several_models_are_averaged(image, one, model):
    models = [one, model(seed=1), model(seed=2)]
    wanted = options(probabilities=True)
    each = [unet3d.segment(image, model=member, options=wanted).probabilities.voxels for member in models]
    together = unet3d.segment(image, model=models, options=wanted)
    np.testing.assert_allclose(together.probabilities.voxels, np.mean(each, axis=0), atol=1e-6)
    np.testing.assert_array_equal(together.labels.voxels, 10 * together.probabilities.voxels.argmax(axis=-1))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"classes": NAMES[:2]}, "classes"),
        ({"channels": ["red"]}, "channels"),
        ({"geometry": {"padding": "same", "depth": 2}}, "geometry"),
    ],
)
def test_models_that_differ_are_not_averaged(image, one, model, changes, what):
    with pytest.raises(unet3d.InputError, match=f"other: its {what} differ"):
        unet3d.segment(image, model=[one, model("other", **changes)])


def test_tta_is_the_mean_over_the_axes_that_training_mirrored(image, one, model):
    """Mirrored along x and y: four times."""
    mirrored = model(mirrored_axes=("y", "x"))
    wanted = options(probabilities=True)
    each = []
    for axes in ((), (1,), (2,), (1, 2)):
        flipped = image.with_voxels(np.flip(image.voxels, axes))
        each.append(np.flip(unet3d.segment(flipped, model=one, options=wanted).probabilities.voxels, axes))
    found = unet3d.segment(image, model=mirrored, options=replace(wanted, mirrored=True)).probabilities.voxels
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-6)
    assert np.abs(found - each[0]).max() > 1e-3


def test_tta_of_a_model_that_was_trained_without_mirroring_is_refused(image, one, model):
    with pytest.raises(unet3d.InputError, match="trained without mirrored tiles"):
        unet3d.segment(image, model=one, options=options(mirrored=True))
    with pytest.raises(unet3d.InputError, match="no axis was mirrored in the training of all"):
        unet3d.segment(
            image, model=[model(mirrored_axes=("x",)), model(mirrored_axes=("z",))], options=options(mirrored=True)
        )


def test_uncertainty_is_the_entropy_of_the_probabilities(file, tmp_path, one):
    wanted = options(probabilities=tmp_path / "p.nii", uncertainty=tmp_path / "u.nii")
    unet3d.segment(file, tmp_path / "labels.nii", model=one, options=wanted)
    p = unet3d.read_image(tmp_path / "p.nii").voxels.astype(np.float64)
    entropy = -(p * np.log(np.maximum(p, 1e-30))).sum(axis=-1) / np.log(3)
    found = unet3d.read_image(tmp_path / "u.nii")
    np.testing.assert_allclose(found.voxels[..., 0], entropy, atol=1e-5)
    assert found.grid.agrees(unet3d.read_image(file).grid)


def test_post_processing_says_what_it_did_to_each_class(image, one):
    plain = unet3d.segment(image, model=one, options=options())
    tidy = options(post_processing=unet3d.PostProcessing(largest_component=True))
    done = unet3d.segment(image, model=one, options=tidy)
    assert plain.changes == {}
    assert set(done.changes) <= {"a", "b"}
    before, after = plain.labels.voxels, done.labels.voxels
    for value, name in ((10, "a"), (20, "b")):
        removed = int((before == value).sum() - (after == value).sum())
        assert (done.changes[name].removed_voxels if name in done.changes else 0) == removed
    assert sum(done.shares.values()) == pytest.approx(1)
    assert done.shares["a"] == (after == 10).mean()


def test_a_smallest_volume_needs_an_image_that_says_how_large_its_voxels_are(image, one):
    without_space = unet3d.Volume(image.voxels, unet3d.Grid(SHAPE, placed=False))
    smallest = options(post_processing=unet3d.PostProcessing(min_size_mm3=2.5))
    with pytest.raises(unet3d.InputError, match="neither spacing nor unit"):
        unet3d.segment(without_space, model=one, options=smallest)


def test_results_that_are_written_need_an_output(image, one, tmp_path):
    for asked in (options(resume=True), options(uncertainty=tmp_path / "u.nii")):
        with pytest.raises(unet3d.InputError, match="name one"):
            unet3d.segment(image, model=one, options=asked)


def test_statistics_of_the_volume_are_not_gathered_again(file, tmp_path, model):
    """Less memory than one tile takes: the labels are resumed with the moments that were found."""
    grouped = model(normalization="group", filters=8)
    shape = (64, 160, 160)
    voxels = np.random.default_rng(0).normal(size=(*shape, 1)).astype(np.float32)
    unet3d.write_image(file, unet3d.Volume(voxels, unet3d.Grid(shape)))
    memory = held_memory() + 350 * 10**6
    output = tmp_path / "labels.nii"
    plans, shares = [], []
    interrupted(file, output, grouped, share=0.9, memory=memory)
    unet3d.segment(
        file,
        output,
        model=grouped,
        options=options(memory=memory + 10**9, resume=True),
        on_plan=plans.append,
        progress=shares.append,
    )
    assert plans[0].plan.demand.passes == 6
    assert plans[0].statistics == "volume"
    assert 0.5 < plans[0].done == shares[0] < 1
    assert shares[-1] == pytest.approx(1)


def test_a_level_is_segmented_as_the_image_that_it_is(tmp_path, one):
    pytest.importorskip("zarr", reason="zarr-python, the extra [zarr], is missing")
    grid = unet3d.Grid((8, 8, 300), (2.0, 2.0, 1.0), unit="µm")
    voxels = np.random.default_rng(0).normal(size=(*grid.shape, 1)).astype(np.float32)
    brain = tmp_path / "brain.ome.zarr"
    unet3d.write_image(brain, unet3d.Volume(voxels, grid))
    unet3d.segment(brain, tmp_path / "labels.nii", model=one, options=options(level=1))
    labels, coarse = unet3d.read_labels(tmp_path / "labels.nii"), unet3d.read_image(brain / "1")
    assert coarse.grid.shape == (8, 8, 150)
    assert labels.grid.matches(coarse.grid)
    alone = unet3d.segment(coarse, model=one, options=options())
    np.testing.assert_array_equal(labels.voxels, alone.labels.voxels)
    assert unet3d.plan_segmentation(brain, model=one, options=options(level=1)).plan.tiles.volume == (8, 8, 150)
    with pytest.raises(unet3d.InputError, match="A volume in memory has one resolution"):
        unet3d.segment(coarse, model=one, options=options(level=1))


REGION = unet3d.Region(z=(20, 33), x=(9, None))
PART = np.s_[20:33, :, 9:]


def test_a_region_is_that_part_of_all_results_where_it_lies(tmp_path, image, one):
    turned = ((0.6, -0.8, 0.0), (0.8, 0.6, 0.0), (0.0, 0.0, 1.0))
    grid = replace(image.grid, origin=(-30.0, 40.0, 5.0), direction=turned)
    whole_image = replace(image, grid=grid)
    for suffix in (".nii.gz", ".nrrd", ".tif"):
        file = tmp_path / f"image{suffix}"
        unet3d.write_image(file, whole_image)
        results = {}
        for name, region in (("whole", None), ("part", REGION)):
            paths = [tmp_path / f"{name}_{what}{suffix}" for what in ("labels", "chances", "unsure")]
            asked = options(probabilities=paths[1], uncertainty=paths[2], region=region)
            done = unet3d.segment(file, paths[0], model=one, options=asked)
            results[name] = unet3d.read_labels(paths[0]), *map(unet3d.read_image, paths[1:])
        assert done.shape == (13, 20, 15)
        assert sum(done.shares.values()) == pytest.approx(1)
        np.testing.assert_array_equal(results["part"][0].voxels, results["whole"][0].voxels[PART])
        for part, whole in zip(results["part"], results["whole"], strict=True):
            np.testing.assert_allclose(part.voxels, whole.voxels[PART], atol=1e-5)
            assert part.grid.shape == (13, 20, 15)
            np.testing.assert_allclose(
                part.grid.affine @ [0, 0, 0, 1], whole.grid.affine @ [9, 0, 20, 1], rtol=1e-5, atol=1e-4
            )
            np.testing.assert_allclose(part.grid.direction, whole.grid.direction, atol=1e-6)


def test_a_region_of_a_nifti_keeps_both_of_its_places(tmp_path, image, one):
    import nibabel

    header = nibabel.Nifti1Header()
    header.set_data_shape(SHAPE[::-1])
    header.set_sform(np.array([[0, -0.5, 0, 3], [1, 0, 0, 4], [0, 0, 2, 5], [0, 0, 0, 1]]), code=4)
    header.set_qform(np.diag([0.5, 1, 2, 1]) + np.array([[0, 0, 0, 7]] * 3 + [[0] * 4]), code=1)
    voxels = image.voxels[..., 0].transpose(2, 1, 0)
    nibabel.save(nibabel.Nifti1Image(voxels, None, header), tmp_path / "image.nii")
    unet3d.segment(tmp_path / "image.nii", tmp_path / "part.nii", model=one, options=options(region=REGION))
    whole, part = (nibabel.load(tmp_path / name) for name in ("image.nii", "part.nii"))
    for place in ("get_sform", "get_qform"):
        of_whole, code = getattr(whole, place)(coded=True)
        of_part, code_of_part = getattr(part, place)(coded=True)
        assert code_of_part == code > 0
        np.testing.assert_allclose(of_part @ [1, 2, 3, 1], of_whole @ [10, 2, 23, 1], rtol=1e-6)


def test_a_region_is_planned_resumed_and_reported_like_a_volume(file, tmp_path, one):
    asked = {"region": REGION, "report": tmp_path / "report.html"}
    whole = unet3d.segment(file, tmp_path / "whole.nii", model=one, options=options(region=REGION))
    planned = unet3d.plan_segmentation(file, model=one, options=options(region=REGION))
    assert planned.plan.tiles == whole.plan.tiles
    assert planned.plan.tiles.volume == (30, 20, 24)
    assert planned.region == (
        "x=9:24 y=0:20 z=20:33 of x=24 y=20 z=64, for which x=0:24 y=0:20 z=12:42 of x=24 y=20 z=64 goes through the "
        "network."
    )
    interrupted(file, tmp_path / "labels.nii", one, share=0.6, **asked)
    with pytest.raises(unet3d.InputError, match=r"another region \(z=20:33 y=: x=9:; now z=: y=: x=9:\)"):
        unet3d.segment(
            file,
            tmp_path / "labels.nii",
            model=one,
            options=options(resume=True, **asked | {"region": unet3d.Region(x=(9, None))}),
        )
    unet3d.segment(file, tmp_path / "labels.nii", model=one, options=options(resume=True, **asked))
    assert (tmp_path / "labels.nii").read_bytes() == (tmp_path / "whole.nii").read_bytes()
    assert "x=15 y=20 z=13" in (tmp_path / "report.html").read_text()


def test_an_annotation_of_the_volume_stays_in_a_region_of_it(file, image, tmp_path, one):
    painted = np.zeros(SHAPE, np.uint8)
    painted[25] = 20
    unet3d.write_labels(tmp_path / "a.nii", unet3d.Volume(painted, image.grid))
    meaning = unet3d.Meaning(annotated_slices=unet3d.AnnotatedSlices(z=(25,)))
    kept = unet3d.segment(
        file, model=one, keep=tmp_path / "a.nii", meaning=meaning, options=options(region=REGION)
    ).labels.voxels
    plain = unet3d.segment(file, model=one, options=options(region=REGION)).labels.voxels
    assert (kept[5] == 20).all()
    np.testing.assert_array_equal(np.delete(kept, 5, axis=0), np.delete(plain, 5, axis=0))


def test_what_a_region_cannot_have_is_refused_before_the_work(file, one, model):
    def refused(model, match, **asked):
        with pytest.raises(unet3d.InputError, match=match):
            unet3d.plan_segmentation(file, model=model, options=options(**asked))

    refused(one, r"image\.nii: has x=24 y=20 z=64; the region .* reaches outside", region=unet3d.Region(z=(60, 65)))
    refused(model(normalization="group"), "statistics of the whole volume, which are not gathered", region=REGION)
    planned = unet3d.plan_segmentation(
        file, model=model(normalization="group"), options=options(region=REGION, statistics="current")
    )
    assert "labels of a region can differ" in planned.warnings[-1]


def test_several_processes_segment_a_level_and_no_region(tmp_path, one):
    pytest.importorskip("zarr", reason="zarr-python, the extra [zarr], is missing")
    from keras_unet3d.jobs.executors import Part
    from keras_unet3d.jobs.segmenting_blocks import segment_in_blocks

    grid = unet3d.Grid((8, 8, 300), (2.0, 2.0, 1.0), unit="µm")
    voxels = np.random.default_rng(0).normal(size=(*grid.shape, 1)).astype(np.float32)
    brain, output = tmp_path / "brain.ome.zarr", tmp_path / "labels.ome.zarr"
    unet3d.write_image(brain, unet3d.Volume(voxels, grid))
    with pytest.raises(unet3d.InputError, match="--region is segmented by one process"):
        segment_in_blocks(brain, output, executor=Part(), model=one, options=options(region=REGION))
    segment_in_blocks(brain, output, executor=Part(), model=one, options=options(level=1))
    labels = unet3d.read_labels(output)
    assert labels.grid.matches(unet3d.read_image(brain / "1").grid)
    alone = unet3d.segment(brain, model=one, options=options(level=1)).labels.voxels
    assert (labels.voxels == alone).mean() > 0.999
