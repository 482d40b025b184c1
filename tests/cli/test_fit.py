import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from unet3d_cli.fit import FLAGS

from keras_unet3d import api
from keras_unet3d.training.listener import StepReport
from keras_unet3d.training.runtime import Machine


@pytest.fixture(autouse=True)
def without_tensorflow(monkeypatch):
    monkeypatch.setattr(
        "keras_unet3d.training.runtime.prepare_runtime",
        lambda _: Machine(has_gpu=False, devices=1, memory=10**12, bfloat16=False),
    )


def files(folder):
    return sorted(path for path in Path(folder).rglob("*"))


def test_a_dry_run_shows_everything_and_writes_nothing(unet3d, dataset, tmp_path):
    before = files(tmp_path)
    done = unet3d("fit", dataset, "--dry-run", "--steps", 5)
    assert done.exit_code == 0, done.stderr
    assert files(tmp_path) == before
    for told in ("x=8 y=7 z=6", "x=0.5 y=1 z=2 mm", "dense", "network.padding = same", "672"):
        assert told in done.stderr
    settings = tomllib.loads(done.stdout)
    assert settings["network"]["filters"] == 16
    assert settings["network"]["unpooled"] == "x=0 y=1 z=1"  # voxels of x=0.5 y=1 z=2
    assert settings["tile"] == "x=8 y=7 z=6"


def test_a_dry_run_is_one_json_object_for_machines(unet3d, dataset):
    done = unet3d("fit", dataset, "--dry-run", "--json")
    plain = json.loads(done.stdout)
    assert set(plain) == {"data", "decisions", "settings", "warnings"}
    assert [row["name"] for row in plain["data"]["rows"]] == ["a", "b"]
    assert sum(plain["data"]["voxels"].values()) == 2 * 6 * 7 * 8
    assert plain["settings"]["minutes"] == 30
    assert {"setting", "value", "reason"} == set(plain["decisions"][0])


def test_what_a_dry_run_prints_is_a_config(unet3d, dataset, tmp_path):
    printed = unet3d("fit", dataset, "--dry-run", "--set", "augmentation.displacement_sigma=6").stdout
    config = tmp_path / "my.toml"
    config.write_text(printed, encoding="utf-8")
    plain = json.loads(unet3d("fit", dataset, "--dry-run", "--config", config, "--json").stdout)
    assert plain["settings"]["augmentation"]["displacement_sigma"] == 6
    assert [each["setting"] for each in plain["decisions"]] == ["hold_out"]


def test_a_channel_of_ct_gets_a_window_and_another_by_its_name(unet3d, dataset):
    (dataset / "dataset.json").write_text('{"channel_names": {"0": "CT"}}', encoding="utf-8")
    decided = json.loads(unet3d("fit", dataset, "--dry-run", "--json").stdout)
    assert "intensity.windows" in [each["setting"] for each in decided["decisions"]]
    window = decided["settings"]["intensity"]["windows"]["CT"]
    assert window["low"] < window["offset"] < window["high"]  # of noise around 0
    told = unet3d("fit", dataset, "--dry-run", "--set", "intensity.windows.CT=-0.5 0.25").stderr
    assert "intensity.windows = CT -0.5 to 0.25: as set" in told
    by_volume = json.loads(unet3d("fit", dataset, "--dry-run", "--json", "--set", "intensity.windows.CT=volume").stdout)
    assert by_volume["settings"]["intensity"]["windows"] == {"CT": "volume"}
    refused = unet3d("fit", dataset, "--dry-run", "--set", "intensity.windows.MRI=volume")
    assert refused.exit_code == 2
    assert "no channel is called so; there are CT" in refused.stderr


def test_flags_win_over_set_and_set_over_the_file(unet3d, dataset, tmp_path):
    config = tmp_path / "my.toml"
    config.write_text("seed = 1\nbatch_size = 3\nsteps = 9\n[network]\nfilters = 4\n", encoding="utf-8")
    arguments = ["--config", config, "--set", "seed=2", "--set", "network.filters=5", "--filters", 6, "--minutes", 2]
    settings = json.loads(unet3d("fit", dataset, "--dry-run", "--json", *arguments).stdout)["settings"]
    assert (settings["seed"], settings["batch_size"], settings["network"]["filters"]) == (2, 3, 6)
    assert settings["minutes"] == 2
    assert "steps" not in settings


def test_a_model_to_begin_with_decides_the_network(unet3d, dataset):
    model = Path(__file__).parents[2] / "models" / "kidney-phantom"
    done = unet3d("fit", dataset, "--dry-run", "--json", "--from", model)
    settings = json.loads(done.stdout)["settings"]
    described = json.loads((model / "1" / "assets.extra" / "unet3d.json").read_text(encoding="utf-8"))
    assert settings["start"] == str(model / "1")
    assert settings["network"]["filters"] == described["filters"]
    refused = unet3d("fit", dataset, "--dry-run", "--from", model, "--filters", described["filters"] + 1)
    assert refused.exit_code == 2
    assert "Leave network.filters out" in refused.stderr


def test_every_flag_sets_what_it_says(unet3d, dataset):
    values = {
        "steps": 3,
        "seed": 4,
        "filters": 5,
        "padding": "same",
        "normalization": "group",
        "statistics": "current",
        "working_spacing": "x=2 y=1 z=4 mm",
        "tile": "x=24 y=16 z=8",
        "batch_size": 4,
        "accumulate": 2,
        "devices": "all",
        "learning_rate": 0.5,
        "precision": "mixed_bfloat16",
        "augmentation": "compiled",
        "augment_on": "device",
        "hold_out": "nothing",
    }
    assert set(values) == set(FLAGS) - {"minutes", "start"}
    arguments = [part for name, value in values.items() for part in (f"--{name.replace('_', '-')}", value)]
    settings = json.loads(unet3d("fit", dataset, "--dry-run", "--json", *arguments).stdout)["settings"]
    for name, value in values.items():
        found = settings
        for part in FLAGS[name].split("."):
            found = found[part]
        assert found == value, name


@pytest.fixture
def fake(monkeypatch):
    """A training that reads and plans, and trains nothing."""

    def fit(dataset, settings, *, meaning, name, models, runs, listener, profile):
        listener.planned(api.plan_fit(dataset, settings, meaning=meaning))
        listener.say("Nothing is held out for validation: as set.")
        listener.step(StepReport(4, 1.0, 0.5, 0.25, 2.0, 0.0, 0.0))
        return api.FitResult(models / name / "1", runs / name / "1", None, 4, 0.5)

    monkeypatch.setattr("keras_unet3d.api.fit", fit)


def test_the_next_command_is_right_for_an_image_in_several_files(unet3d, write, fake):
    for channel in (0, 1):
        write(f"my data/images/a_c{channel}.nii.gz", np.ones((6, 7, 8, 1), np.float32))
    write("my data/labels/a.nii.gz", np.indices((6, 7, 8)).sum(0).astype(np.uint8) % 2)
    done = unet3d("fit", "my data", "--steps", 4)
    assert done.exit_code == 0, done.stderr
    image = "my data/images/a_c0.nii.gz,my data/images/a_c1.nii.gz"
    assert f"Next:  unet3d segment '{image}' labels.nii.gz\n       tensorboard --logdir runs\n" in done.stdout
    named = unet3d("fit", "my data", "--steps", 4, "--name", "b").stdout
    assert "labels.nii.gz --model models/b\n" in named


def test_where_nobody_watches_results_go_to_stdout_and_the_way_to_stderr(unet3d, dataset, fake):
    done = unet3d("fit", dataset, "--steps", 4)
    assert "Model: models/unet3d/1" in done.stdout
    assert "x=8 y=7 z=6" in done.stdout
    assert "Training 100%: step 4, loss 0.500, IoU 0.25, 2 steps/s, 0% waiting for data, 0:00 left\n" in done.stderr
    assert "held out" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert unet3d("fit", dataset, "--steps", 4, "--quiet").stdout == "models/unet3d/1\n"


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_for_machines_a_training_is_one_json_object(unet3d, dataset, fake, quiet):
    plain = json.loads(unet3d("fit", dataset, "--steps", 4, "--json", *quiet).stdout)
    assert (plain["model"], plain["steps"], plain["minutes"]) == ("models/unet3d/1", 4, 0.5)
    assert plain["held_out"] is None
    assert plain["settings"]["steps"] == 4


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Received: neither"),
        (["data", "--image", "a.nii", "--annotation", "b.nii"], "Received: both"),
        (["data", "--minutes", "1", "--steps", "1"], "only one of --minutes and --steps"),
        (["data", "--name", "a/b"], "Expected a name"),
        (["data", "--name", "3"], "Expected a name"),
        (["data", "--set", "network.filterz=3"], "network.filterz: no such setting"),
        (["data", "--filters", "0"], "network.filters: "),
        (["data", "--tile", "64 64 32"], "such as 'x=64 y=64 z=32'"),
        (["data", "--tile", "x=90 y=92 z=92", "--padding", "valid"], "tile x=90"),
        (["data", "--annotated-slices", "12"], "'z=12,31 y=80'"),
        (["data", "--annotated-slices", "z=1", "--dense"], "Give only one of them"),
        (["nothing"], "nothing: there is no such folder"),
        (["data", "--config", "nothing.toml"], "nothing.toml: not readable as TOML"),
        (["data", "--models", "file.txt"], "file.txt"),
    ],
)
def test_wrong_calls_say_what_is_wrong(unet3d, dataset, tmp_path, arguments, told):
    (tmp_path / "file.txt").touch()
    before = files(tmp_path)
    done = unet3d("fit", *arguments)
    assert done.exit_code == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert files(tmp_path) == before
