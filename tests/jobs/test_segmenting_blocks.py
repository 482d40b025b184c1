"""A volume that several processes segment has the labels of one, whatever happens to them."""

import json
import os
import shutil

import numpy as np
import pytest

import keras_unet3d as unet3d
from keras_unet3d.inference.unfinished import Unfinished
from keras_unet3d.jobs import dask_workers
from keras_unet3d.jobs.segmenting_blocks import BlockWorker
from keras_unet3d.serving.description import ModelDescription
from keras_unet3d.serving.export import export_model
from keras_unet3d.volumes.intensity import Intensities

pytest.importorskip("zarr", reason="zarr-python, the extra [zarr], is missing")

SHAPE = (20, 70, 200)
MANY = 100
"""Parts, of which most have nothing to do: blocks become as small as they can be."""


@pytest.fixture(scope="session")
def model(random_network, tmp_path_factory):
    """A zero-padded model of depth 1 on disk."""
    network = random_network(1, filters=2, depth=1, padding="same", normalization="batch")
    description = ModelDescription.model_validate(
        {
            "classes": [{"value": 10 * number, "name": name} for number, name in enumerate(("background", "a", "b"))],
            "channels": ["grey"],
            "normalization": "batch",
            "filters": 2,
            "geometry": {"padding": "same", "depth": 1},
        }
    )
    return export_model(network, tmp_path_factory.mktemp("models") / "cells", description)


@pytest.fixture
def image(tmp_path):
    z, y, x = np.meshgrid(*(np.arange(length) for length in SHAPE), indexing="ij")
    noise = np.random.default_rng(3).normal(0, 0.3, SHAPE)
    voxels = (np.sin(z / 5) + np.sin(y / 3) * np.cos(x / 4) + noise).astype(np.float32)[..., None]
    path = tmp_path / "brain.ome.zarr"
    unet3d.write_image(path, unet3d.Volume(voxels, unet3d.Grid(SHAPE, (2.0, 1.0, 0.5), unit="µm")))
    return path


def options(**asked):
    return unet3d.SegmentOptions(**{"precision": "float32", **asked})


def whole(image, model):
    return unet3d.segment(image, model=model, options=options()).labels


def begun(image, output, model):
    """The work of the last of many parts, which is none but to begin."""
    return unet3d.segment_in_blocks(image, output, model=model, executor=unet3d.Part(MANY, MANY), options=options())


def test_parts_make_one_image_of_which_the_last_tells_the_shares(image, model, tmp_path):
    output = tmp_path / "labels.ome.zarr"
    first = begun(image, output, model)
    assert (first.missing, first.shares) == (first.blocks, {})
    assert first.blocks > 2
    assert not output.exists()
    plans = []
    with pytest.raises(unet3d.InputError, match=r"planned for .* in each process; 10 MB may be taken"):
        unet3d.segment_in_blocks(image, output, model=model, executor=unet3d.Part(), options=options(memory=10**7))
    for number in range(first.blocks):
        part = unet3d.Part(number + 1, first.blocks)
        done = unet3d.segment_in_blocks(
            image, output, model=model, executor=part, options=options(), on_plan=plans.append
        )
        assert done.missing == first.blocks - number - 1
    assert {plan.plan.tiles for plan in plans} == {first.plan.plan.tiles}
    expected, found = whole(image, model), unet3d.read_labels(output)
    np.testing.assert_array_equal(found.voxels, expected.voxels)
    assert found.grid == expected.grid
    for (name, share), value in zip(done.shares.items(), (0, 10, 20), strict=True):
        assert share == np.count_nonzero(expected.voxels == value) / expected.voxels.size, name
    again = begun(image, output, model)
    assert (again.missing, again.plan, again.shares) == (0, None, done.shares)
    with pytest.raises(unet3d.InputError, match="exists already"):
        unet3d.segment_in_blocks(image, output, model=model, executor=unet3d.Part(), options=options(mirrored=True))


def test_intensities_are_those_of_the_whole_volume_and_found_once(image, model, tmp_path, monkeypatch):
    asked, measured = [], Intensities.of
    monkeypatch.setattr(Intensities, "of", lambda self, voxels: asked.append(voxels.shape) or measured(self, voxels))
    output = tmp_path / "labels.ome.zarr"
    for number in (1, 2, 3):
        unet3d.segment_in_blocks(image, output, model=model, executor=unet3d.Part(number, 3), options=options())
    assert asked == [(*SHAPE, 1)]


class TwoWorkers:
    """As workers of dask: the one that plans is not the one that prepares."""

    workers = 2

    def __init__(self):
        self.each = [BlockWorker(), BlockWorker()]

    def takes(self, number):
        return True

    def begin(self, request, wait):
        self.each[0].begin(request, wait, prepare=False)
        return self.each[1].begin(request, wait)

    def compute(self, request, numbers, looked):
        self.computed = list(numbers)
        for number in numbers:
            self.each[number % 2].compute(request, [number], looked)

    def release(self):
        pass


def test_who_computes_takes_what_is_decided_as_it_is_now(image, model, tmp_path, monkeypatch):
    """A worker knows the plan from before the intensities were found; a segmentation may be removed and made again."""
    expected, asked, measured = whole(image, model), [], Intensities.of
    monkeypatch.setattr(Intensities, "of", lambda self, voxels: asked.append(voxels.shape) or measured(self, voxels))
    output, workers, states = tmp_path / "labels.ome.zarr", TwoWorkers(), []
    folder = tmp_path / ".labels.ome.zarr.unfinished"
    compute = workers.compute

    def look(request, numbers, looked):
        compute(request, numbers, looked)
        states.append({name: (folder / name).exists() for name in ("shared.json", "intensity.json", "begun.json")})
        if len(states) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(workers, "compute", look)
    for call in range(3):
        try:
            unet3d.segment_in_blocks(image, output, model=model, executor=workers, options=options())
        except KeyboardInterrupt:
            shutil.rmtree(folder)  # the user does
            continue
        np.testing.assert_array_equal(unet3d.read_labels(output).voxels, expected.voxels)
        shutil.rmtree(output)
        assert len(workers.computed) > 1
        assert call
    assert states == [dict.fromkeys(("shared.json", "intensity.json", "begun.json"), True)] * 3
    assert asked == [(*SHAPE, 1)] * 3


def test_a_worker_that_waits_keeps_nobody_out_and_lets_go_when_its_work_ends(image, model, tmp_path):
    output, workers = tmp_path / "labels.ome.zarr", TwoWorkers()
    unet3d.segment_in_blocks(image, output, model=model, executor=workers, options=options())
    unet3d.segment_in_blocks(image, tmp_path / "a.ome.zarr", model=model, executor=unet3d.Part(1, 2), options=options())
    with pytest.raises(unet3d.InputError, match="begun by several processes"):  # none of which is at it now
        Unfinished(tmp_path / "a.ome.zarr", {}, resume=False)
    assert all(each._held is not None for each in workers.each)

    def release(_):
        for each in workers.each:
            each.release()  # one of them is at work

    again = tmp_path / "again.ome.zarr"
    unet3d.segment_in_blocks(image, again, model=model, executor=workers, options=options(), progress=release)
    assert [each._held for each in workers.each] == [None, None]
    np.testing.assert_array_equal(unet3d.read_labels(again).voxels, unet3d.read_labels(output).voxels)


def test_an_image_whose_voxels_are_others_is_another(image, model, tmp_path, monkeypatch):
    output = tmp_path / "labels.ome.zarr"
    begun(image, output, model)
    file = next(file for file in (image / "0").rglob("*") if file.is_file() and file.name != "zarr.json")
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 10**10))
    with pytest.raises(unet3d.InputError, match="has changed since"):
        begun(image, output, model)
    shutil.rmtree(tmp_path / ".labels.ome.zarr.unfinished")
    monkeypatch.setattr("keras_unet3d.jobs.sameness.MANY_FILES", 1)  # too many to look at
    begun(image, output, model)
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 10**10))
    begun(image, output, model)
    os.utime(image / "zarr.json", ns=(0, file.stat().st_mtime_ns + 10**10))
    with pytest.raises(unet3d.InputError, match="has changed since"):
        begun(image, output, model)


def test_labels_go_into_their_image_whose_folder_may_change_meanwhile(image, model):
    output = image / "labels" / "cells"
    begun(image, output, model)
    done = unet3d.segment_in_blocks(image, output, model=model, executor=unet3d.Part(), options=options())
    assert done.missing == 0
    np.testing.assert_array_equal(unet3d.read_labels(output).voxels, whole(image, model).voxels)
    told = json.loads((image / "labels" / "zarr.json").read_text())
    assert told["attributes"]["ome"]["labels"] == ["cells"]


def test_who_comes_after_another_call_has_the_image_of_that(image, model, tmp_path):
    """Its folder is gone while this one waits."""
    output = tmp_path / "labels.ome.zarr"

    class TooLate(unet3d.Part):
        def begin(self, request, wait):
            unet3d.segment_in_blocks(image, output, model=model, executor=unet3d.Part(), options=options())
            raise FileNotFoundError(output)

    found = unet3d.segment_in_blocks(image, output, model=model, executor=TooLate(), options=options())
    assert found.missing == 0
    assert sum(found.shares.values()) == pytest.approx(1)
    with pytest.raises(unet3d.WorkError, match=r"is gone\. Call again"):
        unet3d.segment_in_blocks(
            image, tmp_path / "b.ome.zarr", model=model, executor=TooLate(), options=options(precision="bfloat16")
        )


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"report": "page.html"}, "--report: not to be had from several processes"),
        ({"statistics": "current"}, "--statistics current"),
        ({"post_processing": unet3d.PostProcessing(fill_holes=True)}, "--fill-holes: not to be had"),
    ],
)
def test_what_needs_the_whole_is_refused_before_anything_is_written(image, model, tmp_path, asked, told):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(unet3d.InputError, match=told):
        unet3d.segment_in_blocks(
            image, tmp_path / "a.ome.zarr", model=model, executor=unet3d.Part(), options=options(**asked)
        )
    with pytest.raises(unet3d.InputError, match=r"OME-Zarr image. Name one, such as a\.ome\.zarr"):
        unet3d.segment_in_blocks(image, tmp_path / "a.nii.gz", model=model, executor=unet3d.Part())
    assert sorted(tmp_path.iterdir()) == before


def test_workers_do_what_another_process_began_and_are_replaced_where_they_die(image, model, tmp_path, monkeypatch):
    """One is killed as soon as the first block is marked."""
    import signal

    pytest.importorskip("distributed", reason="distributed, of the extra [distributed], is missing")
    monkeypatch.setattr(dask_workers, "SECONDS_BETWEEN_LOOKS", 0.05)
    output = tmp_path / "labels.ome.zarr"
    blocks = begun(image, output, model).blocks
    killed = []

    def measure_nothing():
        Intensities.kept, Intensities.of = Intensities.of, None

    def measure_again():
        Intensities.of = Intensities.kept

    with unet3d.Dask("local:2") as workers:

        def kill(share):
            if share > 0 and not killed:
                killed.extend(workers._client.run(os.getpid).values())
                os.kill(killed[0], signal.SIGKILL)

        done = unet3d.segment_in_blocks(image, output, model=model, executor=workers, options=options(), progress=kill)
        assert killed
        assert (done.missing, done.blocks) == (0, blocks)
        np.testing.assert_array_equal(unet3d.read_labels(output).voxels, whole(image, model).voxels)

        from_beginning = tmp_path / "from_beginning.ome.zarr"  # intensities are measured by the workers, once
        workers._client.wait_for_workers(2)
        workers._client.run(measure_nothing)
        noted = tmp_path / ".from_beginning.ome.zarr.unfinished" / "begun.json"
        unet3d.segment_in_blocks(
            image,
            from_beginning,
            model=model,
            executor=workers,
            options=options(),
            progress=lambda share: share == 1 or noted.exists() or pytest.fail("is not begun any more"),
        )
        workers._client.run(measure_again)
        np.testing.assert_array_equal(unet3d.read_labels(from_beginning).voxels, whole(image, model).voxels)

        folder = tmp_path / "many"
        folder.mkdir()
        (tmp_path / "bad.nii.gz").write_bytes(b"no image")
        cases = [
            unet3d.Case((file,), folder / name)
            for file, name in ((image, "a.nii.gz"), (tmp_path / "bad.nii.gz", "b.nii.gz"), (image, "c.nii.gz"))
        ]
        results = {
            result.case.output.name: result
            for result in unet3d.segment_cases(cases, model=model, options=options(), executor=workers)
        }
        assert {name: bool(result.error) for name, result in results.items()} == {
            "a.nii.gz": False,
            "b.nii.gz": True,
            "c.nii.gz": False,
        }
        assert "bad.nii.gz: is cut off, damaged or no NIfTI" in results["b.nii.gz"].error
        again = list(unet3d.segment_cases(cases[::2], model=model, options=options(), executor=workers))
        assert [result.there for result in again] == [True, True]
    expected = whole(image, model).voxels
    for name in ("a.nii.gz", "c.nii.gz"):
        np.testing.assert_array_equal(unet3d.read_labels(folder / name).voxels, expected)
