"""A run that continues keeps what was decided, but for what may change; cases of several spacings become one."""

import json
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest

import keras_unet3d as unet3d
from keras_unet3d.jobs.fit_plan import FitPlan
from keras_unet3d.jobs.fit_run import continued
from keras_unet3d.jobs.trained_model import name_trained
from keras_unet3d.training.plan import Decision
from keras_unet3d.training.settings import Settings, read_settings
from keras_unet3d.volumes.spacing import Spacing


def plan(settings):
    decisions = (Decision("batch_size", "2", "as always"), Decision("recompute", "true", "memory is short now"))
    return FitPlan(None, None, settings, decisions)


def test_what_was_decided_stays_and_only_such_decisions_are_said():
    decided = Settings(batch_size=4, recompute=False)
    found = continued(plan(Settings(batch_size=2, recompute=True)), decided, Settings())
    assert found.settings == decided
    assert found.decisions == ()
    again = continued(plan(Settings(batch_size=4, recompute=True)), decided, Settings())
    assert [each.setting for each in again.decisions] == ["batch_size"]


def test_what_changes_rounding_only_is_taken_as_given_now():
    decided = Settings(batch_size=4, recompute=False)
    given = Settings(recompute=True, augment_on="cpu", seed=9)
    settings = continued(plan(Settings(batch_size=4, recompute=True, augment_on="cpu")), decided, given).settings
    assert (settings.recompute, settings.augment_on, settings.batch_size, settings.seed) == (True, "cpu", 4, 0)


def test_a_models_config_that_broke_meanwhile_takes_no_training_away(tmp_path):
    said = []
    (tmp_path / "models.config").write_text("}", encoding="utf-8")
    name_trained(tmp_path / "unet3d" / "1", SimpleNamespace(say=said.append))
    assert len(said) == 1
    assert said[0].startswith(f"TensorFlow Serving is not told of it: {tmp_path / 'models.config'}: tells")


@pytest.fixture
def ct(tmp_path):
    """Two cases, dark around an organ of 100 HU; one was recorded with far more air around it."""
    (tmp_path / "ct" / "images").mkdir(parents=True)
    (tmp_path / "ct" / "labels").mkdir()
    labels = np.zeros((8, 16, 16), np.uint8)
    labels[2:6, 4:12, 4:12] = 1
    for name, air in (("a", -100), ("b", -1000)):
        voxels = np.where(labels, 100, air) + np.random.default_rng(0).normal(0, 10, labels.shape)
        image = unet3d.Volume(voxels.astype(np.float32)[..., None], unet3d.Grid(labels.shape))
        unet3d.write_image(tmp_path / "ct" / "images" / f"{name}.nii.gz", image)
        unet3d.write_labels(tmp_path / "ct" / "labels" / f"{name}.nii.gz", image.with_voxels(labels))
    description = {"labels": {"background": 0, "organ": 1}, "channel_names": {"0": "CT"}}
    (tmp_path / "ct" / "dataset.json").write_text(json.dumps(description))
    return tmp_path / "ct"


@pytest.mark.slow
def test_ct_is_trained_exported_and_segmented_with_one_window(ct, tmp_path):
    settings = read_settings(
        None, {"steps": 2, "network.filters": 2, "network.depth": 1, "tile": "x=16 y=16 z=8", "hold_out": "cases"}
    )
    fitted = unet3d.fit(ct, settings, models=tmp_path / "models", runs=tmp_path / "runs")
    assert 'base_path: "/models/unet3d"' in (tmp_path / "models" / "models.config").read_text(encoding="utf-8")
    training = unet3d.load_model(fitted.model).description.training
    assert len(training["learned_from"]) == 1  # the other case is held out
    assert training["curves"]["validated"]["step"] == [1, 2]
    page = fitted.report.read_text(encoding="utf-8")
    for shown in (
        "compared where it was held out",
        "<figcaption>Disagreement</figcaption>",
        "<figcaption>Uncertainty</figcaption>",
        'class="view"',
    ):
        assert shown in page
    model = unet3d.load_model(fitted.model)
    (window,) = model.description.intensities.windows.values()
    assert 70 < window.low < window.offset < window.high < 130
    assert read_settings(fitted.run / "settings.toml").intensity.windows == {"CT": window}
    for name in "ab":
        file = ct / "images" / f"{name}.nii.gz"
        voxels = unet3d.read_image(file).voxels
        found = unet3d.segment(file, model=model, options=unet3d.SegmentOptions(probabilities=True))
        sure = np.ptp(found.probabilities.voxels, axis=-1) > 1e-4
        np.testing.assert_array_equal(model.segment_volume(voxels)[sure], found.labels.voxels[sure])
        np.testing.assert_allclose(model.served_intensity(voxels), [[window.offset, window.scale]], rtol=1e-6)


def ball(folder, name, spacing, unit="mm", size=24):
    """A bright ball in a cube of `size` mm, on voxels of any spacing; every fourth slice of z is annotated."""
    shape = tuple(round(size / edge) for edge in spacing)
    z, y, x = np.meshgrid(*((np.arange(n) + 0.5) * e for n, e in zip(shape, spacing, strict=True)), indexing="ij")
    inside = (z - 12) ** 2 + (y - 11) ** 2 + (x - 13) ** 2 < 8**2
    noise = np.random.default_rng(len(name)).normal(0, 0.2, shape)
    labels = np.full(shape, 9, np.uint8)
    labels[1::4] = inside[1::4]
    grid = unet3d.Grid(shape, spacing, (7.0, -3.0, 5.0), unit="mm").in_unit(unit)
    image = unet3d.Volume((inside + noise).astype(np.float32)[..., None], grid)
    for part, voxels in (("images", image), ("labels", image.with_voxels(labels))):
        (folder / part).mkdir(parents=True, exist_ok=True)
        (unet3d.write_labels if part == "labels" else unet3d.write_image)(folder / part / f"{name}.nii.gz", voxels)
    return folder / "images" / f"{name}.nii.gz"


class Told:
    """What a training says."""

    def __init__(self):
        self.sentences, self.plans = [], []

    def say(self, sentence):
        self.sentences.append(sentence)

    def planned(self, plan):
        self.plans.append(plan)

    def __getattr__(self, _):
        return lambda *_, **__: None


@pytest.mark.slow
def test_cases_of_several_spacings_are_learned_on_one_and_an_image_of_another_is_segmented_on_its_own(tmp_path):
    for name, spacing, unit in (("a", (2, 1, 1), "mm"), ("bb", (2, 1.5, 1), "µm"), ("ccc", (1, 1, 1), "mm")):
        ball(tmp_path / "balls", name, spacing, unit)
    new = ball(tmp_path / "new", "dddd", (3, 0.75, 0.8))
    tiny = {"steps": 3, "tile": "x=16 y=16 z=8", "network.filters": 2, "network.depth": 1, "batch_size": 1}
    told = Told()
    result = unet3d.fit(
        tmp_path / "balls",
        read_settings(None, tiny | {"network.normalization": "instance"}),
        meaning=unet3d.Meaning(unlabeled=9),
        models=tmp_path / "models",
        runs=tmp_path / "runs",
        listener=told,
    )
    assert "2 of 3 cases are resampled to x=1 y=1 z=2 mm." in told.sentences
    (plan,) = told.plans
    assert plan.settings.resampled_to == Spacing((2, 1, 1), "mm")
    assert [case.class_index.shape for case in plan.dataset] == [(12, 24, 24), (12, 16, 24), (24, 24, 24)]
    description = unet3d.load_model(result.model).description
    assert (description.resampled, description.spacing, description.unit) == (True, (2, 1, 1), "mm")
    assert read_settings(result.run / "settings.toml").resampled_to == Spacing((2, 1, 1), "mm")
    page = result.report.read_text(encoding="utf-8")
    assert "The volume that went worst, compared where it was held out." in page
    ranked = [page.index(f'<th scope="row">{name}</th>', page.index("worst first</h2>")) for name in ("a", "bb", "ccc")]
    shown = min(zip(ranked, ("a", "bb", "ccc"), strict=True))[1]
    assert f"Slices of {shown}</h2>" in page
    assert shown != "a"  # the first

    plans = []
    done = unet3d.segment(new, tmp_path / "dense.nii.gz", model=result.model, on_plan=plans.append)
    image, labels = (nibabel.load(path) for path in (new, tmp_path / "dense.nii.gz"))
    assert labels.shape == image.shape == (30, 32, 8, 1)[:3]
    np.testing.assert_array_equal(labels.affine, image.affine)
    assert labels.header.get_xyzt_units() == image.header.get_xyzt_units()
    assert set(np.unique(np.asarray(labels.dataobj))) <= {0, 1}
    assert "from voxels of x=0.8 y=0.75 z=3 mm to the model's x=1 y=1 z=2 mm" in plans[0].resampled
    assert done.warnings == ()

    dry = unet3d.plan_fit(
        tmp_path / "balls",
        read_settings(None, tiny | {"start": str(result.model), "working_spacing": "none"}),
        meaning=unet3d.Meaning(unlabeled=9),
    )
    assert dry.settings.working_spacing == "none"


@pytest.mark.slow
def test_a_large_ome_zarr_trains_by_its_labelled_parts_from_the_command_line(tmp_path, monkeypatch):
    """Of three images, in a folder; one is annotated within itself, and one is small."""
    pytest.importorskip("zarr", reason="zarr-python, the extra [zarr], is missing")
    from click.testing import CliRunner
    from unet3d_cli.main import main

    from keras_unet3d.annotation import neighbourhoods
    from keras_unet3d.jobs import fit_report
    from keras_unet3d.volumes import Grid, Volume, write_image, write_labels

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)  # a table is as wide as it is
    monkeypatch.setattr(fit_report, "MOST_VOXELS", 1000)
    monkeypatch.setattr(neighbourhoods, "LARGE", 1 << 20)
    monkeypatch.setattr(neighbourhoods, "MARGIN", 8)
    rng = np.random.default_rng(0)
    for name, shape in (("a", (80, 90, 100)), ("b", (20, 20, 20))):
        image = rng.normal(size=(*shape, 1)).astype(np.float32)
        labels = np.zeros(shape, np.uint8)
        labels[4:9, 4:16, 4:16] = 1 + (image[4:9, 4:16, 4:16, 0] > 0)
        labels[-9:-5, -16:-4, -16:-4] = 1 + (image[-9:-5, -16:-4, -16:-4, 0] > 0)
        (tmp_path / "study" / "images").mkdir(parents=True, exist_ok=True)
        (tmp_path / "study" / "labels").mkdir(exist_ok=True)
        write_image(tmp_path / "study" / "images" / f"{name}.ome.zarr", Volume(image, Grid(shape, unit="mm")))
        write_labels(tmp_path / "study" / "labels" / f"{name}.ome.zarr", Volume(labels, Grid(shape, unit="mm")))

    def run(*arguments):
        done = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert done.exit_code == 0, done.output
        return done.stdout

    checked = run("check", "study", "--unlabeled", 0)
    small = ("--steps", 2, "--filters", 2, "--padding", "same", "--tile", "x=16 y=16 z=8", "--batch-size", 1)
    small += ("--set", "network.depth=1")
    report = json.loads(run("fit", "study", "--unlabeled", 0, *small, "--precision", "float32", "--json"))
    assert report["steps"] == 2
    (page,) = (tmp_path / "runs").rglob("report.html")
    text = page.read_text(encoding="utf-8")
    assert "compared where it was held out. This is its middle, x=" in text
    rows = json.loads(run("info", "models/unet3d", "--json"))["training"]["data"]["rows"]
    assert [row["name"] for row in rows] == ["a x=4:16 y=4:16 z=4:9", "a x=84:96 y=74:86 z=71:75", "b"]
    assert [row["labelled"] for row in rows] == [5 * 12 * 12, 4 * 12 * 12, 9 * 12 * 12]
    assert all(row["name"] in checked for row in rows), checked
