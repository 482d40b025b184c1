"""What lies beside served models: a page whose clients work, and files that TensorFlow Serving's messages take."""

import re
import shutil
import time

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from keras_unet3d.errors import WorkError
from keras_unet3d.serving import Client
from keras_unet3d.serving.saved_model import load_model
from keras_unet3d.serving.served_folder import MERGED_TILES, name_to_server


@pytest.fixture(scope="module")
def folder(exported, tmp_path_factory):
    """A folder of one model, named to a server."""
    models = tmp_path_factory.mktemp("models")
    shutil.copytree(exported["moving"].path.parent, models / "kidney")
    name_to_server(models / "kidney" / "1", "stable")
    return models


def test_all_is_written_once(folder):
    names = {"README.md", "batching.config", "kidney", "models.config", "monitoring.config"}
    assert {each.name for each in folder.iterdir()} == names
    assert name_to_server(folder / "kidney" / "1").written == ()
    assert name_to_server(folder / "kidney" / "1", "canary").written == (folder / "models.config",)


def test_the_settings_of_batches_are_those_that_serving_reads(folder):
    """Its message has these fields, each a number in a message of its own (session_bundle_config.proto)."""
    file = descriptor_pb2.FileDescriptorProto(name="batching.proto", package="b")
    file.message_type.add(name="Number").field.add(name="value", number=1, label=1, type=3)
    parameters = file.message_type.add(name="Parameters")
    names = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
    for place, name in enumerate(names, 1):
        parameters.field.add(name=name, number=place, label=1, type=11, type_name=".b.Number")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName("b.Parameters"))()
    found = text_format.Parse((folder / "batching.config").read_text(encoding="utf-8"), message)
    assert [getattr(found, name).value for name in names] == [8, 5000, 64, 1]
    assert MERGED_TILES == 8


def test_the_page_is_about_this_model(folder):
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert "of 2 channels (lectin, nuclei)" in page
    assert "0 is structure 0, 7 is structure 7, 300 is structure 300" in page
    assert "http://localhost:8501/v1/models/kidney/metadata" in page
    assert "**None of this was run against the real server**" in page
    assert "{" not in re.sub(r"^```.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE)


def test_its_clients_run(folder, stand_in, tmp_path, monkeypatch):
    import keras_unet3d as unet3d

    page = (folder / "README.md").read_text(encoding="utf-8")
    ours, stubs = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    voxels = np.random.default_rng(0).normal(1000, 200, (9, 20, 21, 2)).astype(np.float32)
    unet3d.write_image(tmp_path / "scan.nii.gz", unet3d.Volume(voxels, unet3d.Grid(voxels.shape[:3])))
    monkeypatch.chdir(tmp_path)
    with stand_in({"kidney": folder / "kidney"}, [""]) as (address,):
        exec(compile(ours.replace("localhost:8500", address), "ours", "exec"), {})  # noqa: S102 - what a reader pastes
        found = {}
        exec(compile(stubs.replace("localhost:8500", address), "stubs", "exec"), found)  # noqa: S102
    model = load_model(folder / "kidney")
    expected = model.segment_volume(found["volume"])
    assert (found["labels"] != expected).mean() < 1e-4
    assert (unet3d.read_labels("labels.nii.gz").voxels != model.segment_volume(voxels)).mean() < 1e-3


def test_labels_move_without_a_request_lost(exported, stand_in, tmp_path):
    """A server reads the file again and again; it gives a label in use only to what it has loaded."""
    source = exported["moving"].path

    def export(version, label=None):
        folder = tmp_path / "models" / "kidney" / str(version)
        if not folder.exists():
            shutil.copytree(source, tmp_path / "unfinished")
            folder.parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "unfinished").rename(folder)
        name_to_server(folder, label)

    export(1, "stable")
    config = tmp_path / "models" / "models.config"
    with stand_in({}, [""], "--config", str(config)) as (address,):

        def answers(label=None):
            with Client(address, "kidney", label=label) as client:
                return client.version

        def wait_for(version, label=None):
            seen = {answers(label)}
            for _ in range(200):
                if version in seen:
                    return seen
                time.sleep(0.05)
                seen.add(answers(label))
            return pytest.fail(f"{label} is never of version {version}.")

        assert (answers("stable"), answers()) == (1, 1)
        export(2)
        wait_for(2)
        assert answers("stable") == 1
        export(2, "stable")
        assert wait_for(2, "stable") <= {1, 2}
        export(3, "canary")
        with pytest.raises(WorkError, match="Unrecognized servable version label: blue"):
            answers("blue")
        wait_for(3)
        wait_for(3, "canary")
        assert answers("stable") == 2
        export(3, "stable")
        wait_for(3, "stable")
