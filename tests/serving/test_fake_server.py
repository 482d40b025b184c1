"""The stand-in for TensorFlow Serving, asked by the stubs of tensorflow-serving-api as any engineer would."""

import json
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import tensorflow as tf

from keras_unet3d.serving.saved_model import load_model

INTENSITY = np.float32([[[1000, 200], [990, 210]]])


@pytest.fixture
def call(ports):
    """Call a method of a port; the status code where it refuses."""
    from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

    def ask(method, request, faults=""):
        with grpc.insecure_channel(ports[faults], [("grpc.max_receive_message_length", -1)]) as channel:
            stubs = (
                prediction_service_pb2_grpc.PredictionServiceStub(channel),
                model_service_pb2_grpc.ModelServiceStub(channel),
            )
            try:
                return next(getattr(stub, method) for stub in stubs if hasattr(stub, method))(request, timeout=20)
            except grpc.RpcError as error:
                return error.code()

    return ask


def predict(signature="serving_default", model="moving", version=None, label=None, **inputs):
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    if version is not None:
        request.model_spec.version.value = version
    if label is not None:
        request.model_spec.version_label = label
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def test_numbers_come_one_by_one_unless_asked_otherwise(call, exported, noise):
    model, tile = load_model(exported["moving"].path), noise(20, 22, 18)[None]
    expected = model.probabilities(tile, INTENSITY)
    for faults, as_bytes in (("", False), ("content", True)):
        reply = call("Predict", predict(image=tile, intensity=INTENSITY), faults).outputs["probabilities"]
        assert bool(reply.tensor_content) == as_bytes == (not reply.float_val)
        np.testing.assert_allclose(tf.make_ndarray(reply), expected, atol=1e-6)


def test_every_signature_answers(call, exported, noise):
    model, image = load_model(exported["moving"].path), noise(9, 8, 7)
    reply = call("Predict", predict("segment_volume", image=image))
    assert len(reply.outputs["labels"].int_val) == image[..., 0].size
    np.testing.assert_array_equal(tf.make_ndarray(reply.outputs["labels"]), model.segment_volume(image))
    reply = call("Predict", predict("intensity", image=image))
    np.testing.assert_allclose(tf.make_ndarray(reply.outputs["intensity"]), model.served_intensity(image), rtol=1e-6)
    reply = call("Predict", predict("describe", batch=np.zeros(2, np.float32)))
    texts = [json.loads(text) for text in tf.make_ndarray(reply.outputs["description"])]
    assert [text["channels"] for text in texts] == [["lectin", "nuclei"]] * 2
    assert reply.model_spec.version.value == 1


def test_it_refuses_as_the_server_does(call, noise):
    tile, codes = noise(20, 22, 18)[None], grpc.StatusCode
    assert call("Predict", predict(model="liver", image=tile)) is codes.NOT_FOUND
    assert call("Predict", predict(version=2, image=tile)) is codes.NOT_FOUND
    assert call("Predict", predict(label="canary", image=tile)) is codes.INVALID_ARGUMENT
    assert call("Predict", predict("regress", image=tile)) is codes.FAILED_PRECONDITION
    assert call("Predict", predict(image=tile)) is codes.INVALID_ARGUMENT
    assert call("Predict", predict(image=tile, strength=INTENSITY)) is codes.INVALID_ARGUMENT
    assert call("Predict", predict(image=tile[:, :19], intensity=INTENSITY)) is codes.INVALID_ARGUMENT
    large = np.zeros((1, 34, 36, 38, 2), np.float32)
    assert call("Predict", predict(image=large, intensity=INTENSITY), "refuse=100000") is codes.RESOURCE_EXHAUSTED
    assert call("Predict", predict(image=tile, intensity=INTENSITY), "token=sesame") is codes.UNAUTHENTICATED


def test_it_tells_of_versions_and_signatures(call):
    from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "moving"
    (version,) = call("GetModelStatus", request).model_version_status
    assert (version.version, version.state) == (1, get_model_status_pb2.ModelVersionStatus.AVAILABLE)
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name, request.model_spec.version_label = "moving", "stable"
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert call("GetModelMetadata", request).metadata["signature_def"].Unpack(signatures)
    assert {"serving_default", "segment_volume", "intensity", "describe"} <= set(signatures.signature_def)


def test_nothing_is_lost_among_many(call, exported, noise):
    """Forty requests of eight clients at a time, each with its own answer."""
    model = load_model(exported["moving"].path)
    tiles = [noise(20, 22, 18)[None] + number for number in range(40)]
    with ThreadPoolExecutor(8) as clients:
        replies = list(clients.map(lambda tile: call("Predict", predict(image=tile, intensity=INTENSITY)), tiles))
    assert len(replies) == 40
    for tile, reply in zip(tiles[::13], replies[::13], strict=True):
        found = tf.make_ndarray(reply.outputs["probabilities"])
        np.testing.assert_allclose(found, model.probabilities(tile, INTENSITY), atol=1e-6)
