"""The messages of TensorFlow Serving that a client needs, without TensorFlow: numbered as there, named as ours.

They are built when they are first used, in a pool of their own, so that they stand beside TensorFlow's in one process.
What a client does not read is left out, which Protocol Buffers allow: fields are known by their numbers alone. For the
same reason a map is a list of its entries here, and numbers that come packed are the bytes that they come as, which no
one needs to unpack one by one.

Sources: ``predict.proto``, ``prediction_log.proto``, ``model.proto``, ``get_model_metadata.proto`` and
``get_model_status.proto`` of tensorflow/serving; ``tensor.proto``, ``tensor_shape.proto`` and ``meta_graph.proto`` of
tensorflow.
"""

from functools import cache
from typing import Any, Final

from keras_unet3d.errors import WorkError

PREDICT: Final = "/tensorflow.serving.PredictionService/Predict"
METADATA: Final = "/tensorflow.serving.PredictionService/GetModelMetadata"
STATUS: Final = "/tensorflow.serving.ModelService/GetModelStatus"

FLOAT, STRING = 1, 7
"""Of TensorFlow's ``DataType``."""

AVAILABLE = 30
"""Of ``ModelVersionStatus.State``."""
STATES: Final = {10: "starting", 20: "loading", AVAILABLE: "available", 40: "being unloaded", 50: "unloaded"}

_PACKAGE = "keras_unet3d.serving"
_MESSAGES: Final = {
    "Dimension": "int64 size=1",
    "Shape": "repeated Dimension dim=2, bool unknown_rank=3",
    "Tensor": "int32 dtype=1, Shape tensor_shape=2, bytes tensor_content=4, repeated bytes float_val=5, "
    "repeated bytes string_val=8",
    "NamedTensor": "string key=1, Tensor value=2",
    "Version": "int64 value=1",
    "Model": "string name=1, Version version=2, string signature_name=3, string version_label=4",
    "PredictRequest": "Model model_spec=1, repeated NamedTensor inputs=2, repeated string output_filter=3",
    "PredictLog": "PredictRequest request=1",
    "PredictionLog": "PredictLog predict_log=6",
    "PredictResponse": "repeated NamedTensor outputs=1, Model model_spec=2",
    "MetadataRequest": "Model model_spec=1, repeated string metadata_field=2",
    "Anything": "string type_url=1, bytes value=2",
    "NamedAnything": "string key=1, Anything value=2",
    "MetadataResponse": "Model model_spec=1, repeated NamedAnything metadata=2",
    "TensorInfo": "int32 dtype=2, Shape tensor_shape=3",
    "NamedTensorInfo": "string key=1, TensorInfo value=2",
    "Signature": "repeated NamedTensorInfo inputs=1, repeated NamedTensorInfo outputs=2",
    "NamedSignature": "string key=1, Signature value=2",
    "Signatures": "repeated NamedSignature signature_def=1",
    "StatusRequest": "Model model_spec=1",
    "Problem": "int32 error_code=1, string error_message=2",
    "VersionStatus": "int64 version=1, int32 state=2, Problem status=3",
    "StatusResponse": "repeated VersionStatus model_version_status=1",
}
REPLIES: Final = {
    PREDICT: "PredictResponse",
    METADATA: "MetadataResponse",
    STATUS: "StatusResponse",
}
"""What each method answers."""


def message(kind: str, /, **fields: Any) -> Any:
    """Make a message of one of these kinds."""
    return _classes()[kind](**fields)


def parsed(kind: str, content: bytes, source: str = "A server") -> Any:
    """Read a message of one of these kinds.

    Raises:
        WorkError: if it is none, naming its source.
    """
    from google.protobuf.message import DecodeError

    try:
        return _classes()[kind].FromString(content)
    except DecodeError as error:
        raise WorkError(f"{source}: its answer is none of TensorFlow Serving ({error}).") from error


@cache
def _classes() -> dict[str, Any]:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="keras_unet3d/serving.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        described = file.message_type.add(name=name)
        for field in fields.split(", "):
            *repeated, kind, numbered = field.split()
            of_name, number = numbered.split("=")
            added = described.field.add(name=of_name, number=int(number), label=3 if repeated else 1)
            if kind in _MESSAGES:
                added.type, added.type_name = added.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                added.type = getattr(added, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES
    }
