"""Our messages against TensorFlow Serving's own: what one writes the other reads."""

import numpy as np
import pytest
from tensorflow.core.framework.tensor_pb2 import TensorProto

from keras_unet3d.errors import WorkError
from keras_unet3d.serving.protocol import message, parsed
from keras_unet3d.serving.tensors import as_array, as_tensor, as_text


def test_a_request_is_read_as_it_was_meant():
    predict = pytest.importorskip("tensorflow_serving.apis.predict_pb2")
    tiles = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 2, 2)
    request = message(
        "PredictRequest",
        model_spec=message("Model", name="kidney", version=message("Version", value=3), signature_name="describe"),
        inputs=[message("NamedTensor", key="image", value=as_tensor(tiles))],
        output_filter=["probabilities"],
    )
    read = predict.PredictRequest.FromString(request.SerializeToString())
    assert (read.model_spec.name, read.model_spec.version.value) == ("kidney", 3)
    assert read.model_spec.signature_name == "describe"
    assert list(read.output_filter) == ["probabilities"]
    tensor = read.inputs["image"]
    assert (tensor.dtype, [each.size for each in tensor.tensor_shape.dim]) == (1, list(tiles.shape))
    np.testing.assert_array_equal(np.frombuffer(tensor.tensor_content, np.float32), tiles.ravel())
    label = message("PredictRequest", model_spec=message("Model", name="kidney", version_label="stable"))
    assert predict.PredictRequest.FromString(label.SerializeToString()).model_spec.version_label == "stable"


def test_a_status_is_read_as_it_was_meant():
    status = pytest.importorskip("tensorflow_serving.apis.get_model_status_pb2")
    reply = status.GetModelStatusResponse()
    version = reply.model_version_status.add(version=7, state=status.ModelVersionStatus.LOADING)
    version.status.error_message = "no room"
    (read,) = parsed("StatusResponse", reply.SerializeToString()).model_version_status
    assert (read.version, read.state, read.status.error_message) == (7, 20, "no room")


def tensor(**fields):
    proto = TensorProto(dtype=1)
    for length in (2, 3):
        proto.tensor_shape.dim.add(size=length)
    for name, value in fields.items():
        setattr(proto, name, value) if isinstance(value, bytes) else getattr(proto, name).extend(value)
    return parsed("Tensor", proto.SerializeToString())


NUMBERS = np.float32([[1, 2, 3], [4, 5, 0.1]])


def test_numbers_are_read_in_both_forms():
    np.testing.assert_array_equal(as_array(tensor(float_val=NUMBERS.ravel()), (2, 3)), NUMBERS)
    np.testing.assert_array_equal(as_array(tensor(tensor_content=NUMBERS.tobytes()), (2, 3)), NUMBERS)
    np.testing.assert_array_equal(
        as_array(tensor(float_val=[1, 2]), (2, 3)),
        [[1, 2, 2], [2, 2, 2]],  # the last goes on
    )


@pytest.mark.parametrize(
    "wrong", [{}, {"float_val": range(7)}, {"tensor_content": NUMBERS.tobytes()[:-4]}, {"tensor_content": b"12345"}]
)
def test_too_few_or_too_many_numbers_are_an_error(wrong):
    with pytest.raises(ValueError, match=r"numbers|buffer"):
        as_array(tensor(**wrong), (2, 3))


def test_a_reply_takes_no_more_memory_than_what_was_asked_for():
    """One number and a shape would stand for 4 TB of it."""
    vast = tensor(float_val=[1])
    vast.tensor_shape.dim[0].size = 10**12
    with pytest.raises(ValueError, match=r"shape \(2, 3\)"):
        as_array(vast, (2, 3))


def test_what_is_no_message_is_said_to_come_from_the_server():
    with pytest.raises(WorkError, match=r"^gpu:8500: its answer is none of TensorFlow Serving"):
        parsed("PredictResponse", b"HTTP/1.1 404 Not Found", "gpu:8500")


@pytest.mark.parametrize("text", [b"", b"{}", b"x" * 127, b"y" * 128, b"z" * 20000])
def test_text_is_read_in_both_forms(text):
    length, groups = len(text), []
    while length > 127:
        groups.append(length % 128 + 128)
        length //= 128
    for fields in ({"string_val": [text]}, {"tensor_content": bytes([*groups, length]) + text}):
        proto = TensorProto(dtype=7, **fields)
        proto.tensor_shape.dim.add(size=1)
        assert as_text(parsed("Tensor", proto.SerializeToString())) == text
