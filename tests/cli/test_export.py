import json
from pathlib import Path

import pytest

from keras_unet3d import api
from keras_unet3d.serving.served_folder import ServedFolder


@pytest.fixture
def asked(monkeypatch):
    """What `api.export` is called with; it exports nothing."""
    calls = []

    def export(models, folder, **options):
        calls.append((list(map(str, models)), str(folder), options))
        served = ServedFolder(folder.parent / "models.config", (folder.parent / "models.config",), (1, 4))
        return api.Export(folder / "4", is_new=options["label"] != "stable", served=served)

    monkeypatch.setattr("keras_unet3d.api.export", export)
    return calls


NOTHING = {"tile": None, "memory": None, "label": None}


def test_a_model_keeps_its_name_unless_told_otherwise(unet3d, model, asked):
    for source in (model, model / "3"):
        done = unet3d("export", source, "--models", "served")
        assert done.exit_code == 0, done.stderr
        assert asked.pop() == ([str(source)], "served/cells", NOTHING)
    assert "Model: served/cells/4\n" in done.stdout
    assert "Named in served/models.config; versions 1, 4 are served.\n" in done.stdout
    assert unet3d("export", model, "--name", "kidney", "--quiet").stdout == "models/kidney/4\n"
    assert asked.pop() == ([str(model)], "models/kidney", NOTHING)


def test_options_are_read(unet3d, model, asked):
    unet3d("export", model, model, "--name", "both", "--memory", "4GB", "--label", "stable")
    expected = NOTHING | {"memory": 4_000_000_000, "label": "stable"}
    assert asked.pop() == ([str(model), str(model)], "models/both", expected)
    done = unet3d("export", model, "--tile", "x=148 y=140 z=132", "--label", "stable")
    assert asked.pop()[2] == NOTHING | {"tile": (132, 140, 148), "label": "stable"}
    assert "(as it was)" in done.stdout


def test_for_machines_it_is_one_json_object(unet3d, model, asked):
    plain = json.loads(unet3d("export", model, "--label", "canary", "--json").stdout)
    assert plain == {
        "model": "models/cells/4",
        "new": True,
        "label": "canary",
        "config": "models/models.config",
        "written": ["models/models.config"],
        "served": [1, 4],
    }


def test_another_format_has_another_folder(unet3d, model, monkeypatch):
    monkeypatch.setattr("keras_unet3d.api.convert", lambda models, folder, form: folder / "1")
    done = unet3d("export", model, "--format", "openvino")
    assert done.stdout == "Model: models/cells-openvino/1/model.xml\n"
    assert unet3d("export", model, "--format", "onnx").stdout == "Model: models/cells-onnx/1/model.onnx\n"
    assert unet3d("export", model, "--format", "onnx", "--quiet").stdout == "models/cells-onnx/1\n"


def test_a_package_for_the_zoo_is_told_what_only_people_know(unet3d, model, monkeypatch):
    calls = []

    def package(models, folder, **options):
        calls.append((list(map(str, models)), str(folder), options))
        return folder / "1" / "cells.zip"

    monkeypatch.setattr("keras_unet3d.api.package", package)
    done = unet3d("export", model, "--format", "bioimageio")
    assert done.stdout == "Package: models/cells-bioimageio/1/cells.zip\n"
    options = {"name": "cells", "authors": (), "licence": None, "example": None}
    assert calls.pop() == ([str(model)], "models/cells-bioimageio", options)
    said = ["--author", "A. Person", "--author", "B. Person", "--license", "MIT", "--example", "a_c0.nii,a_c1.nii"]
    plain = json.loads(unet3d("export", model, "--format", "bioimageio", "--name", "other", *said, "--json").stdout)
    assert plain == {"package": "models/other-bioimageio/1/cells.zip", "new": True}
    example = (Path("a_c0.nii"), Path("a_c1.nii"))
    options = {"name": "other", "authors": ("A. Person", "B. Person"), "licence": "MIT", "example": example}
    assert calls.pop() == ([str(model)], "models/other-bioimageio", options)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Missing argument"),
        (["nothing"], "nothing: there is no such model"),
        (["models/cells", "models/cells"], "needs a name: --name"),
        (["models/cells", "--name", "3"], "Expected a name for a folder"),
        (["models/cells", "--tile", "x=1 y=1 z=1", "--memory", "1GB"], "only one of --tile and --memory"),
        (["models/cells", "--tile", "x=100 y=100 z=100", "--format", "openvino"], "belong to TensorFlow Serving"),
        (["models/cells", "--label", "stable", "--format", "bioimageio"], "belong to TensorFlow Serving"),
        (["models/cells", "--author", "A. Person", "--format", "onnx"], "belong to --format bioimageio, not to onnx"),
        (["models/cells", "--label", "3"], "Expected a label of letters"),
        (["models/cells", "--tile", "x=101 y=100 z=100"], "The next that it does: --tile 'x=108 y=100 z=100'"),
        (["models/cells", "--models", "file.txt"], "file.txt"),
    ],
)
def test_wrong_calls_say_what_is_wrong(unet3d, model, tmp_path, arguments, told):
    (tmp_path / "file.txt").touch()
    before = sorted(tmp_path.rglob("*"))
    done = unet3d("export", *arguments)
    assert done.exit_code == 2, done.stdout
    assert told in done.stderr
    assert sorted(tmp_path.rglob("*")) == before
