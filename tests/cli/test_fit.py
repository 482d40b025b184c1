import json
import tomllib
from pathlib import Path

import pytest
from unet3d_cli.fit import FLAGS


@pytest.fixture(autouse=True)
def without_tensorflow(monkeypatch):
    monkeypatch.setattr("keras_unet3d.training.runtime.prepare_runtime", lambda: False)


def files(folder):
    return sorted(path for path in Path(folder).rglob("*"))


def test_a_dry_run_shows_everything_and_writes_nothing(unet3d, dataset, tmp_path):
    before = files(tmp_path)
    done = unet3d("fit", dataset, "--dry-run", "--steps", 5)
    assert done.exit_code == 0, done.stderr
    assert files(tmp_path) == before
    for told in ("x=8 y=7 z=6", "x=0.5 y=1 z=2 mm", "dense", "network.padding = same", "672"):
        assert told in done.stdout
    settings = tomllib.loads(done.stdout[done.stdout.index("steps = 5") :])
    assert settings["network"]["filters"] == 16
    assert settings["tile"] == "x=8 y=8 z=8"


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
    config.write_text(printed[printed.index("minutes = ") :], encoding="utf-8")
    plain = json.loads(unet3d("fit", dataset, "--dry-run", "--config", config, "--json").stdout)
    assert plain["settings"]["augmentation"]["displacement_sigma"] == 6
    assert plain["decisions"] == []


def test_flags_win_over_set_and_set_over_the_file(unet3d, dataset, tmp_path):
    config = tmp_path / "my.toml"
    config.write_text("seed = 1\nbatch_size = 3\nsteps = 9\n[network]\nfilters = 4\n", encoding="utf-8")
    arguments = ["--config", config, "--set", "seed=2", "--set", "network.filters=5", "--filters", 6, "--minutes", 2]
    settings = json.loads(unet3d("fit", dataset, "--dry-run", "--json", *arguments).stdout)["settings"]
    assert (settings["seed"], settings["batch_size"], settings["network"]["filters"]) == (2, 3, 6)
    assert settings["minutes"] == 2
    assert "steps" not in settings


def test_every_flag_sets_what_it_says(unet3d, dataset):
    values = {
        "steps": 3,
        "seed": 4,
        "filters": 5,
        "padding": "same",
        "normalization": "group",
        "statistics": "current",
        "tile": "x=24 y=16 z=8",
        "batch_size": 2,
        "learning_rate": 0.5,
        "precision": "mixed_bfloat16",
        "augmentation": "compiled",
        "hold_out": "nothing",
    }
    assert set(values) == set(FLAGS) - {"minutes"}
    arguments = [part for name, value in values.items() for part in (f"--{name.replace('_', '-')}", value)]
    settings = json.loads(unet3d("fit", dataset, "--dry-run", "--json", *arguments).stdout)["settings"]
    for name, value in values.items():
        found = settings
        for part in FLAGS[name].split("."):
            found = found[part]
        assert found == value, name


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
