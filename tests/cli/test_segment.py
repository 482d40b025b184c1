import json
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from keras_unet3d import PostProcessing, SegmentOptions
from keras_unet3d.api import SegmentationPlan
from keras_unet3d.errors import InputError, WorkError
from keras_unet3d.inference.planning import Demand, make_plan
from keras_unet3d.inference.postprocessing import ClassChange
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.network.work import NetworkSize
from keras_unet3d.volumes import read_image, read_labels


@pytest.fixture
def image(write):
    return write("a.nii.gz", np.zeros((6, 7, 8, 1), np.float32))


def test_all_that_is_wrong_with_files_comes_in_one_go_before_the_model(unet3d, image):
    done = unet3d("segment", "missing.nii.gz", "out.png")
    assert done.exit_code == 2
    assert "missing.nii.gz: there is no such file" in done.stderr
    assert "files ending in .png are not written" in done.stderr
    assert "models/unet3d" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["a.nii.gz"], "Received: 1 file,"),
        (["a.nii.gz", "b.nii.gz", "c.nii.gz"], "Received: 3 files,"),
        (["a.nii.gz", "b.nii,c.nii"], "one IN and one OUT"),
        (["a.nii.gz", "out.png"], "files ending in .png are not written"),
        (["a.nii.gz", "no/folder/out.nii"], "does not exist"),
        (["a.nii.gz", "a.nii.gz"], "is an input, which is never overwritten"),
        (["a.nii.gz", "--out-dir", "."], "is an input, which is never overwritten"),
        (["a.nii.gz", "sub/a.nii.gz", "--out-dir", "seg"], "would be written twice"),
        (["a.nii.gz", "b.nii.gz", "--out-dir", "seg", "--keep", "l.nii.gz"], "belong to one image"),
        (["a.nii.gz", "--out-dir", "a.nii.gz"], "is a file"),
        (["a.nii.gz", "b.nii.gz", "--out-dir", "seg", "--uncertainty", "u.nii.gz"], "belong to one image"),
        (["a.nii.gz", "b.nii.gz", "c.nii.gz", "--plan"], "Received: 3 files,"),
        (["a.nii.gz", "out.nii", "--probabilities", "out.nii"], "would be written twice"),
        (["a.nii.gz", "out.nii", "--uncertainty", "a.nii.gz"], "is an input, which is never overwritten"),
        (["a.nii.gz", "out.nii", "--uncertainty", "u.nii", "--probabilities", "u.nii"], "would be written twice"),
        (["a.nii.gz", "out.nii", "--uncertainty", "u.png"], "files ending in .png are not written"),
        (["a.nii.gz", "out.nii", "--region", "z=100"], "such as 'z=100:200 x=50:'. Received: 'z=100'"),
        (["a.nii.gz", "out.nii", "--region", "z=7:3"], "has a range without voxels"),
        (["a.nii.gz", "out.nii", "--level", "-1"], "-1 is not in the range"),
        (["a.nii.gz", "out.nii", "--memory", "6"], "Expected memory with its unit, such as 6GB or 6MB"),
        (["a.nii.gz", "out.nii", "--memory", "much"], "Expected memory above 0, such as 6GB"),
        (["a.nii.gz", "out.nii", "--precision", "float16"], "'float16' is not one of"),
        (["a.nii.gz", "out.nii", "--statistics", "moving"], "'moving' is not one of"),
        (["a.nii.gz", "out.nii", "--min-size", "0"], "Expected a smallest component above 0 mm³"),
        (["a.nii.gz", "out.nii", "--min-size", "nan"], "Expected a smallest component above 0 mm³"),
        (["a.nii.gz", "out.nii", "--model", "nothing", "--model", "models/unet3d"], "nothing: there is no such model"),
        (["a.nii.gz", "out.nii"], "models/unet3d: there is no such model"),
        (["a.nii.gz", "out.nii", "--model", "nothing"], "nothing: there is no such model"),
        (["a.nii.gz", "out.nii", "--server", "http://gpu:8501"], "'http://gpu:8501': is no server"),
        (["a.nii.gz", "out.nii", "--server", "gpu", "--version", "1", "--label", "stable"], "a version or a label"),
        (["a.nii.gz", "out.nii", "--server", "gpu", "--token", "sesame"], "Add --tls"),
        (["a.nii.gz", "out.nii", "--server", "gpu", "--deadline", "0"], "a deadline above 0 seconds"),
        (["a.nii.gz", "out.nii", "--server", "gpu", "--model", "a", "--model", "b"], "A server has one model"),
        (["a.nii.gz", "out.nii", "--token", "sesame"], "--token belongs to --server"),
    ],
)
def test_wrong_calls_are_found_before_any_work(unet3d, image, write, tmp_path, arguments, told):
    write("sub/a.nii.gz", np.zeros((6, 7, 8, 1), np.float32))
    before = sorted(tmp_path.rglob("*"))
    done = unet3d("segment", *arguments)
    assert done.exit_code == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_two_images_without_a_folder_do_not_cost_the_second(unet3d, image, write, model):
    other = write("b.nii.gz", np.random.default_rng(0).normal(size=(6, 7, 8, 1)).astype(np.float32))
    before = other.read_bytes()
    done = unet3d("segment", image, other, "--model", model)
    assert done.exit_code == 2
    assert "b.nii.gz: exists, and is no label map of this model" in done.stderr
    assert "--out-dir" in done.stderr
    assert other.read_bytes() == before


@pytest.mark.parametrize("name", ["old.nii.gz", "old.seg.nrrd", "old.tif", "old.mha"])
def test_an_older_label_map_is_replaced(unet3d, image, write, model, fake, name):
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:4] = 5
    labels[:, 1] = 9 if name != "old.seg.nrrd" else 5  # unlabelled
    write(name, labels)
    assert unet3d("segment", image, name, "--model", model).exit_code == 0
    labels[0, 0, 0] = 4
    write(name, labels)
    done = unet3d("segment", image, name, "--model", model)
    assert done.exit_code == 2
    assert "is no label map of this model" in done.stderr


SHAPE = (6, 7, 8)
WARNING = "Look closely."
RESAMPLED = "a.nii.gz: resampled, and labels back."
BUDGET = 2 * 10**9


def planned(*, done=0.0, seconds=None):
    """A plan that nobody follows: several tiles, by its budget, of an image that is resampled."""
    size = NetworkSize(Geometry("valid", 3), filters=32, channels=1, classes=2)
    return SegmentationPlan(
        make_plan((64, 244, 248), Demand(size), BUDGET), "bfloat16", "moving", done, seconds, (WARNING,), RESAMPLED
    )


@pytest.fixture
def fake(monkeypatch):
    """Plan and segment everything but an image named bad, without a network; returns what was asked for."""
    asked = []

    def plan_segmentation(path, **options):
        asked.append((path, None, options))
        if "bad" in str(path):
            raise InputError(f"{path}: holds NaN.")
        return planned(seconds=75)

    def segment(path, output, *, on_plan, progress, **options):
        asked.append((path, output, options))
        if "bad" in str(path):
            raise InputError(f"{path}: holds NaN.")
        plan = planned(done=0.32)
        on_plan(plan)
        progress(0.32)
        return SimpleNamespace(
            shape=SHAPE,
            shares={"background": 0.25, "cell": 0.75},
            changes={"cell": ClassChange(1, 3, 120, 1, 14)} if options["options"].post_processing.wanted else {},
            plan=plan.plan,
            warnings=plan.warnings,
        )

    monkeypatch.setattr("keras_unet3d.api.segment", segment)
    monkeypatch.setattr("keras_unet3d.api.plan_segmentation", plan_segmentation)
    for room in ("keras_unet3d.api", "keras_unet3d.jobs.segmenting_cases"):
        monkeypatch.setattr(f"{room}.load_models", lambda paths: "the models, loaded once")
    return asked


def test_one_bad_image_does_not_stop_the_others(unet3d, image, write, model, fake):
    for name in ("bad.nii.gz", "c.nii.gz"):
        write(name, np.zeros((*SHAPE, 1), np.float32))
    done = unet3d("segment", "a.nii.gz", "bad.nii.gz", "c.nii.gz", "--out-dir", "new/seg", "--model", model, "--json")
    assert done.exit_code == 1
    plain = json.loads(done.stdout)
    assert [each["output"] for each in plain["segmented"]] == ["new/seg/a.nii.gz", "new/seg/c.nii.gz"]
    assert plain["segmented"][0]["shares"] == {"background": 0.25, "cell": 0.75}
    assert plain["models"] == [str(model / "3")]
    assert plain["failed"] == [{"image": "bad.nii.gz", "error": "bad.nii.gz: holds NaN."}]
    assert "Not segmented: bad.nii.gz" in done.stderr
    assert f"Warning: {WARNING}" in done.stderr
    assert {options["model"] for _, _, options in fake} == {"the models, loaded once"}


def test_whatever_is_wrong_with_a_case_is_its_own(unet3d, image, write, model, fake, monkeypatch, tmp_path):
    """Files that are not there, or are no images; old outputs that are damaged, or no label maps; want of memory."""
    from keras_unet3d import api

    names = ["a.nii.gz", "b.nii.gz", "c.nii.gz", "d.nii.gz"]
    for name in names:
        write(name, np.zeros((*SHAPE, 1), np.float32))
    (tmp_path / "notes.txt").touch()
    write("seg/b.nii.gz", np.zeros((*SHAPE, 2), np.float32))
    (tmp_path / "seg" / "c.nii.gz").write_bytes(b"cut off")
    segment = api.segment

    def hungry(image, *arguments, **options):
        if str(image) == "d.nii.gz":
            raise MemoryError
        return segment(image, *arguments, **options)

    monkeypatch.setattr(api, "segment", hungry)
    call = ["segment", "missing.nii.gz", "notes.txt", *names[::-1], "--out-dir", "seg", "--model", model, "--json"]
    done = unet3d(*call)
    assert done.exit_code == 1
    plain = json.loads(done.stdout)
    assert [each["output"] for each in plain["segmented"]] == ["seg/a.nii.gz"]
    errors = {each["image"]: each["error"] for each in plain["failed"]}
    assert errors["d.nii.gz"] == "d.nii.gz: MemoryError: no message"
    assert "there is no such file" in errors["missing.nii.gz"]
    assert "notes.txt" in errors["notes.txt"]
    assert all("is no label map of this model" in errors[name] for name in ("b.nii.gz", "c.nii.gz"))
    own = unet3d(*call, "--part", "6/6")  # of which only the last is this part's
    assert (own.exit_code, json.loads(own.stdout)["failed"]) == (0, [])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["out.nii.gz"], "Name one, such as out.ome.zarr"),
        (["out.ome.zarr", "--report", "r.html"], "--report: not to be had from several processes"),
        (["out.ome.zarr", "--region", "z=:3"], "--region is segmented by one process"),
    ],
)
def test_a_wrong_call_starts_no_workers(unet3d, image, model, fake, monkeypatch, arguments, told):
    monkeypatch.setattr("keras_unet3d.jobs.dask_workers._connected", lambda *_: pytest.fail("started"))
    done = unet3d("segment", "a.nii.gz", *arguments, "--dask", "local:2", "--model", model)
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr


def test_what_is_there_is_not_segmented_again(unet3d, image, write, model, fake):
    """Unless the image, the options or the result are others by now."""
    fake_result = np.zeros(SHAPE, np.uint8)

    def again(*options):
        before = len(fake)
        done = unet3d("segment", "a.nii.gz", "c.nii.gz", "--out-dir", "seg", "--model", model, *options)
        assert done.exit_code == 0, done.stderr
        return [str(path) for path, _, _ in fake[before:]], done.stdout.splitlines()[-1]

    write("c.nii.gz", np.zeros((*SHAPE, 1), np.float32))
    assert again()[0] == ["a.nii.gz", "c.nii.gz"]
    assert again()[0] == ["a.nii.gz", "c.nii.gz"]  # the fake wrote nothing
    write("seg/a.nii.gz", fake_result)
    assert again() == (["c.nii.gz"], "1 of 2 images were segmented. 1 were there already.")
    write("seg/c.nii.gz", fake_result)
    assert again() == ([], "0 of 2 images were segmented. 2 were there already.")
    assert again("--fill-holes")[0] == ["a.nii.gz", "c.nii.gz"]
    write("c.nii.gz", np.ones((*SHAPE, 1), np.float32))
    assert again("--fill-holes")[0] == ["c.nii.gz"]


def test_another_annotation_that_is_kept_makes_another_result(unet3d, image, write, model, fake):
    def calls(*options):
        before = len(fake)
        done = unet3d("segment", "a.nii.gz", "--out-dir", "seg", "--model", model, *options)
        assert done.exit_code == 0, done.stderr
        return len(fake) - before

    write("kept.nii.gz", np.zeros(SHAPE, np.uint8))
    calls("--keep", "kept.nii.gz")
    write("seg/a.nii.gz", np.zeros(SHAPE, np.uint8))
    assert calls("--keep", "kept.nii.gz") == 0
    write("kept.nii.gz", np.full(SHAPE, 5, np.uint8))
    assert calls("--keep", "kept.nii.gz") == 1
    assert calls() == 1
    assert calls("--probabilities", "chances.nii.gz") == 1  # a file of its own


def test_one_image_is_read_before_its_model_is_loaded(unet3d, image, model, fake):
    done = unet3d("segment", "a.nii.gz", "out.mha", "--model", model, "--quiet")
    assert done.exit_code == 0
    assert (done.stdout, done.stderr) == ("", f"Warning: {WARNING}\n")
    assert fake[0][2]["model"] == [model / "3"]


@pytest.mark.parametrize("version", ["", "3", "3/"])
def test_a_model_is_named_with_or_without_its_version(unet3d, image, model, fake, version):
    (model / "2").mkdir()
    done = unet3d("segment", "a.nii.gz", "out.mha", "--model", f"{model}/{version}")
    assert done.exit_code == 0
    assert done.stderr.startswith(f"Model: {model}/3\n")


def test_a_bad_image_alone_is_a_wrong_input(unet3d, write, model, fake):
    write("bad.nii.gz", np.zeros((*SHAPE, 1), np.float32))
    done = unet3d("segment", "bad.nii.gz", "out.mha", "--model", model)
    assert done.exit_code == 2
    assert done.stderr.endswith("Error: bad.nii.gz: holds NaN.\n")


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        ([], SegmentOptions()),
        (["--memory", "1.5GB", "--precision", "float32"], SegmentOptions(memory=1_500_000_000, precision="float32")),
        (["--statistics", "current", "--tta", "--resume"], SegmentOptions(None, "auto", "current", True, resume=True)),
        (["--largest-component"], SegmentOptions(post_processing=PostProcessing(largest_component=True))),
        (["--min-size", "2.5"], SegmentOptions(post_processing=PostProcessing(min_size_mm3=2.5))),
        (["--fill-holes"], SegmentOptions(post_processing=PostProcessing(fill_holes=True))),
    ],
)
def test_every_flag_asks_for_its_own_option(unet3d, image, model, fake, flags, options):
    done = unet3d("segment", "a.nii.gz", "out.mha", "--model", model, *flags)
    assert done.exit_code == 0, done.stderr
    assert [each["options"] for _, _, each in fake] == [options]


def test_files_beside_the_labels_and_several_models(unet3d, image, model, fake):
    shutil.copytree(model, model.with_name("others"))
    files = ["--probabilities", "p.nii", "--uncertainty", "u.nii"]
    done = unet3d("segment", "a.nii.gz", "out.mha", "--model", model, "--model", f"{model.parent}/others", *files)
    assert done.exit_code == 0, done.stderr
    ((_, _, asked),) = fake
    assert asked["model"] == [model / "3", model.parent / "others" / "3"]
    assert (str(asked["options"].probabilities), str(asked["options"].uncertainty)) == ("p.nii", "u.nii")
    assert "p.nii: probabilities of background, cell." in done.stdout
    assert "u.nii: uncertainty" in done.stdout


def test_what_is_done_is_said_before_and_after(unet3d, image, model, fake):
    done = unet3d("segment", "a.nii.gz", "out.mha", "--model", model, "--fill-holes")
    for told in (
        f"\n{RESAMPLED}\n",
        "for a volume of x=248 y=244 z=64",
        "times the work of a single tile",
        "Computing in bfloat16; statistics of normalisation: those of training.",
        "Resuming: 32% of the work was there already.",
    ):
        assert told in done.stderr
    assert "out.mha: x=8 y=7 z=6; background 25.0%, cell 75.0%; " in done.stdout
    assert "cell: 3 components (120 voxels) removed, 1 hole (14 voxels) filled." in done.stdout
    ((one,),) = [
        json.loads(unet3d("segment", "a.nii.gz", "out.mha", "--model", model, "--fill-holes", "--json").stdout)[
            "segmented"
        ]
    ]
    assert one["changes"] == {
        "cell": {"removed_components": 3, "removed_voxels": 120, "filled_holes": 1, "filled_voxels": 14}
    }
    assert (one["plan"]["precision"], one["plan"]["statistics"], one["plan"]["done"]) == ("bfloat16", "moving", 0.32)
    assert one["warnings"] == [WARNING]


def test_a_plan_writes_nothing_and_needs_no_output(unet3d, image, model, fake, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    done = unet3d("segment", "a.nii.gz", "--plan", "--model", model)
    assert done.exit_code == 0, done.stderr
    lines = dict(line.strip().split(": ", 1) for line in done.stdout.splitlines()[1:])
    assert lines["volume"].strip() == "x=248 y=244 z=64"
    assert lines["resampled"].strip() == RESAMPLED
    assert re.fullmatch(r" *\d+ \(x=\d y=\d z=1\) of x=\d+ y=\d+ z=156, \d+ planes at a time", lines["tiles"])
    assert "times that of a single tile" in lines["work"]
    assert lines["memory"].endswith("2.0 GB may be taken")
    assert lines["time"].endswith("about 1:15")
    assert f"Warning: {WARNING}" in done.stderr
    several = unet3d("segment", "a.nii.gz", "a.nii.gz", "--out-dir", "new", "--plan", "--model", model)
    assert several.exit_code == 2  # both would be new/a.nii.gz
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("shared", [["--dask", "local:3"], ["--part", "1/3"]])
def test_a_plan_for_several_processes_starts_none(unet3d, networks, write, monkeypatch, shared):
    monkeypatch.setattr("keras_unet3d.jobs.dask_workers._connected", lambda *_: pytest.fail("started"))
    write("wide.nii", np.random.default_rng(0).normal(size=(6, 80, 260, 1)).astype(np.float32))
    call = ["segment", "wide.nii", "--plan", "--json", "--model", "models/cells", "--precision", "float32"]
    alone, several = (json.loads(unet3d(*call, *options).stdout)["planned"][0] for options in ([], shared))
    assert (alone["tiles"], alone["overhead"]) == (1, 1)
    assert several["tiles"] > 1
    assert several["overhead"] > 1


def test_the_json_of_a_plan_has_numbers_and_named_axes(unet3d, image, write, model, fake, tmp_path):
    write("c.nii.gz", np.zeros((*SHAPE, 1), np.float32))
    done = unet3d("segment", "a.nii.gz", "c.nii.gz", "--out-dir", "new", "--plan", "--json", "--model", model)
    assert done.exit_code == 0, done.stderr
    plain = json.loads(done.stdout)
    assert [each["image"] for each in plain["planned"]] == ["a.nii.gz", "c.nii.gz"]
    assert not (tmp_path / "new").exists()
    plan = plain["planned"][0]
    assert plan["volume"] == {"x": 248, "y": 244, "z": 64}
    assert plan["resampled"] == RESAMPLED
    assert plan["tile"]["z"] == 64 + 88 + 4
    assert plan["tiles"] == plan["counts"]["x"] * plan["counts"]["y"] * plan["counts"]["z"] > 1
    assert plan["slab"] % 8 == 0
    assert plan["overhead"] > 1
    assert plan["flop"] > 1e11
    assert plan["memory_bytes"] <= plan["budget_bytes"] == BUDGET
    assert (plan["seconds"], plan["precision"], plan["statistics"]) == (75, "bfloat16", "moving")


def test_an_error_says_that_work_can_be_continued(unet3d, image, model, monkeypatch):
    def segment(*_, **__):
        error = WorkError("out.mha: could not be written (No space left on device).")
        error.add_note("What is done is kept: continue with --resume.")
        raise error

    monkeypatch.setattr("keras_unet3d.api.segment", segment)
    done = unet3d("segment", "a.nii.gz", "out.mha", "--model", model)
    assert done.exit_code == 1
    assert done.stderr.endswith("(No space left on device).\nWhat is done is kept: continue with --resume.\n")


@pytest.fixture
def networks(monkeypatch, random_network, model):
    """Two models of the folder `models`, zero-padded of depth 1, that can be loaded: cells (as described), mirrored."""
    from keras_unet3d.serving.description import DESCRIPTION_FILE, read_description
    from keras_unet3d.serving.saved_model import LoadedModel
    from keras_unet3d.serving.versions import version_folder

    def describe(name, **changes):
        file = model.with_name(name) / "3" / DESCRIPTION_FILE
        file.parent.mkdir(parents=True, exist_ok=True)
        plain = json.loads((model / "3" / DESCRIPTION_FILE).read_text(encoding="utf-8")) | changes
        file.write_text(json.dumps(plain))
        (model.with_name(name) / "3" / "saved_model.pb").touch()

    small = {"geometry": {"padding": "same", "depth": 1}, "filters": 2}
    describe("cells", **small)
    describe("mirrored", **small, mirrored_axes=["x"])
    describe("red", **small, channels=["red"])
    network = random_network(1, 2, filters=2, depth=1, padding="same", normalization="batch")
    monkeypatch.setattr(
        "keras_unet3d.serving.saved_model.load_model",
        lambda path: LoadedModel(version_folder(path), read_description(path), network),
    )


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--memory", "100MB"], "needs a memory budget of at least"),
        (["--tta"], "models/cells/3: was trained without mirrored tiles"),
        (["--tta", "--model", "models/mirrored"], "was trained without mirrored tiles"),
        (["--model", "models/red"], "models/red/3: its channels differ from those of models/cells/3"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing(unet3d, networks, write, tmp_path, flags, told):
    write("a.nii", np.random.default_rng(0).normal(size=(*SHAPE, 1)).astype(np.float32))
    before = sorted(tmp_path.rglob("*"))
    done = unet3d("segment", "a.nii", "out.nii", "--model", "models/cells", *flags)
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_an_image_without_spacing_has_no_mm3(unet3d, networks, tmp_path):
    import tifffile

    tifffile.imwrite(tmp_path / "a.tif", np.random.default_rng(0).normal(size=SHAPE).astype(np.float32))
    done = unet3d("segment", "a.tif", "out.tif", "--model", "models/cells", "--min-size", "5")
    assert done.exit_code == 2
    assert "The image says neither spacing nor unit" in done.stderr
    assert unet3d("segment", "a.tif", "out.tif", "--model", "models/cells", "--fill-holes").exit_code == 0


def test_all_options_together(unet3d, networks, write):
    write("a.nii", np.random.default_rng(0).normal(size=(*SHAPE, 1)).astype(np.float32))
    flags = ["--largest-component", "--min-size", "1e-3", "--fill-holes", "--precision", "bfloat16", "--memory", "64GB"]
    flags += ["--uncertainty", "u.nii", "--probabilities", "p.nii", "--statistics", "current"]
    done = unet3d("segment", "a.nii", "out.nii", "--model", "models/mirrored", "--tta", *flags, "--json")
    assert done.exit_code == 0, done.stderr
    (one,) = json.loads(done.stdout)["segmented"]
    assert one["plan"]["tiles"] == 1
    assert one["plan"]["budget_bytes"] == 64 * 10**9
    assert one["plan"]["precision"] == "bfloat16"
    assert set(np.unique(read_labels("out.nii").voxels)) <= {0, 5}
    assert read_image("u.nii").voxels.shape == (*SHAPE, 1)
    assert read_image("p.nii").voxels.shape == (*SHAPE, 2)


def test_a_plan_of_a_network_needs_no_work(unet3d, networks, write, tmp_path):
    write("a.nii", np.random.default_rng(0).normal(size=(*SHAPE, 1)).astype(np.float32))
    done = unet3d("segment", "a.nii", "--plan", "--json", "--model", "models/cells", "--precision", "float32")
    assert done.exit_code == 0, done.stderr
    (plan,) = json.loads(done.stdout)["planned"]
    assert plan["volume"] == {"x": 8, "y": 7, "z": 6}
    assert plan["overhead"] == 1
    assert 0 < plan["seconds"] < 60
    assert plan["statistics"] == "moving"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nii", "models"]
