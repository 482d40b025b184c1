"""What a server asks a model while it loads it: read by Serving's own messages, run by TensorFlow alone."""

import pytest
import tensorflow as tf

from keras_unet3d.errors import WorkError
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.serving import warm_up
from keras_unet3d.serving.export import export_model
from keras_unet3d.serving.warm_up import WARM_UP_FILE, read_warm_up, warm_up_shapes

SIGNATURES = ["serving_default", "segment_volume", "intensity", "describe"]


@pytest.mark.parametrize("name", ["moving", "current", "padded", "group"])
def test_every_signature_answers_what_serving_reads(name, exported):
    """Every reply has as many rows as its request: a server that merges requests refuses others."""
    log = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2").PredictionLog
    file = exported[name].path / WARM_UP_FILE
    assert file.stat().st_size < 1000
    records = [log.FromString(record.numpy()).predict_log.request for record in tf.data.TFRecordDataset(str(file))]
    assert [record.model_spec.signature_name for record in records] == SIGNATURES
    loaded = tf.saved_model.load(str(exported[name].path))
    for record in records:
        assert [list(tensor.float_val) for tensor in record.inputs.values()] == [[1.0]] * len(record.inputs)
        inputs = {key: tf.constant(tf.make_ndarray(tensor)) for key, tensor in record.inputs.items()}
        (output,) = loaded.signatures[record.model_spec.signature_name](**inputs).values()
        assert {len(output)} == {len(array) for array in inputs.values()}


def test_they_are_read_back_as_they_were_written(exported):
    found = {
        name: {key: array.shape for key, array in inputs.items()}
        for name, inputs in read_warm_up(exported["padded"].path)
    }
    assert found == warm_up_shapes(exported["padded"].description)
    for _, inputs in read_warm_up(exported["padded"].path):
        assert all((array == 1).all() for array in inputs.values())


def test_tiles_are_the_smallest_that_the_network_takes(describe):
    paper = describe(Geometry("valid", 3), filters=32)
    assert warm_up_shapes(paper)["serving_default"]["image"] == (1, 92, 92, 92, 2)
    flat = describe(Geometry("same", 3, (1, 0, 0)))
    assert warm_up_shapes(flat)["serving_default"]["image"] == (1, 4, 8, 8, 2)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (
            {"serving_default": {"image": (1, 19, 20, 20, 2), "intensity": (1, 2, 2)}},
            "warm-up request of serving_default",
        ),
        ({"serving_default": {"picture": (1, 20, 20, 20, 2)}}, "warm-up request of serving_default fails"),
        ({"intensity": {"image": (3, 8, 8, 2)}}, "intensity has a reply that makes no sense"),
    ],
)
def test_a_request_that_fails_is_not_published(wrong, told, tmp_path, describe, random_network, monkeypatch):
    monkeypatch.setattr(warm_up, "warm_up_shapes", lambda _: wrong)
    network = random_network(2, filters=2, depth=1, normalization="batch")
    with pytest.raises(WorkError, match=told):
        export_model(network, tmp_path / "model", describe(tile=(22, 22, 22)))
    assert list((tmp_path / "model").iterdir()) == []


def test_a_damaged_file_is_a_sentence(exported, tmp_path):
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / WARM_UP_FILE).write_bytes((exported["moving"].path / WARM_UP_FILE).read_bytes()[:-3])
    with pytest.raises(WorkError, match="cannot be read"):
        list(read_warm_up(tmp_path))
