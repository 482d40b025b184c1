"""A stand-in for `tensorflow_model_server`, for tests: a process that knows nothing of the package under test.

It speaks `PredictionService` and `ModelService` over gRPC, with the messages of tensorflow-serving-api and in the words
of the real server: replies number by number (`float_val`), versions by polling folders, labels, warm-up requests
replayed before a version is available, and the same status codes. It stands on several ports, each with its faults:

    python fake_server.py --model kidney=models/kidney --label kidney:stable=1 --listen '' --listen 'slow=2,die-after=3'

The ports come as one line of JSON on stdout, in the order of --listen. Stops when stdin ends. Faults of a port:

    content           replies hold tensor_content
    slow=S            every Predict takes S seconds more
    die-after=N       the port closes while it answers the Predict of a tile after the Nth; with restart=S it comes back
    exit-after=N      the whole process ends then, at once
    loading=S         UNAVAILABLE for the first S seconds after the first call
    unloaded=S        NOT_FOUND for so long, the version being one that is loading
    refuse=BYTES      no longer messages are taken
    version=N         replies say that version N gave them
    nonsense          replies are of another shape
    token=T           calls without it are UNAUTHENTICATED
    tls=CERT:KEY      of PEM files
"""

import argparse
import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import grpc
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
State = get_model_status_pb2.ModelVersionStatus
TILES = "serving_default"


class RefusedError(Exception):
    """A status of gRPC and its details."""

    def __init__(self, code, details):
        super().__init__(details)
        self.code, self.details = code, details


class Version:
    """A loaded SavedModel."""

    def __init__(self, number, folder):
        self.number = number
        self._loaded = tf.saved_model.load(str(folder))
        saved = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        self.signatures = saved.meta_graphs[0].signature_def
        self._warm_up(folder / "assets.extra" / "tf_serving_warmup_requests")

    def _warm_up(self, records):
        if records.exists():
            for record in tf.data.TFRecordDataset(str(records)):
                log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
                self.predict(log.predict_log.request)

    def predict(self, request):
        """The outputs that are asked for, by name."""
        name = request.model_spec.signature_name or TILES
        if name not in self.signatures:
            raise RefusedError(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        signature = self.signatures[name]
        if not signature.inputs:
            raise RefusedError(grpc.StatusCode.INTERNAL, "Expected at least one input Tensor in prediction signature.")
        if len(request.inputs) != len(signature.inputs):
            raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, "input size does not match signature")
        unknown = set(request.inputs) - set(signature.inputs)
        if unknown:
            details = f"input tensor alias not found in signature: {min(unknown)}"
            raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, details)
        lost = set(request.output_filter) - set(signature.outputs)
        if lost:
            details = f"output tensor alias not found in signature: {min(lost)}"
            raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, details)
        try:
            inputs = {alias: tf.constant(tf.make_ndarray(tensor)) for alias, tensor in request.inputs.items()}
            outputs = self._loaded.signatures[name](**inputs)
        except (tf.errors.InvalidArgumentError, TypeError, ValueError) as error:
            raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
        return {alias: outputs[alias].numpy() for alias in request.output_filter or signature.outputs}


class Model:
    """A folder of versions, of which the newest is served, and those that have a label; or certain ones."""

    def __init__(self, folder, labels, only=None):
        self._folder, self._labels, self._only = folder, labels, only
        self._lock = threading.Lock()
        self._available, self.states = {}, {}
        self.poll()

    def poll(self):
        """Load what is new, then unload what is old."""
        found = {int(each.name): each for each in self._folder.iterdir() if each.is_dir() and each.name.isdigit()}
        wanted = {number for number in found if number == max(found) or number in self._labels.values()}
        if self._only is not None:
            wanted = set(found) & self._only
        for number in sorted(wanted - set(self.states)):
            self.states[number] = (State.LOADING, "")
            try:
                version = Version(number, found[number])
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it is not served
                self.states[number] = (State.END, str(error))
            else:
                with self._lock:
                    self._available[number] = version
                self.states[number] = (State.AVAILABLE, "")
        if wanted & set(self._available):
            for number in set(self._available) - wanted:
                with self._lock:
                    del self._available[number]
                self.states[number] = (State.END, "")

    def told(self, labels, only):
        """Take what a configuration says that has changed.

        All labels or none: one that is of another version already moves only to a version that is available. Then the
        versions are loaded; labels that could not move will when it is read again.
        """
        moved = {key for key in labels if self._labels.get(key, labels[key]) != labels[key]}
        if all(labels[key] in self._available for key in moved):
            self._labels = labels
        self._only = only
        self.poll()

    def version(self, spec):
        """The version that a request means."""
        choice = spec.WhichOneof("version_choice")
        number = max(self._available, default=None)
        if choice == "version_label":
            if spec.version_label not in self._labels:
                raise RefusedError(
                    grpc.StatusCode.INVALID_ARGUMENT, f"Unrecognized servable version label: {spec.version_label}"
                )
            number = self._labels[spec.version_label]
        elif choice == "version":
            number = spec.version.value
        with self._lock:
            if number not in self._available:
                asked = f"Latest({spec.name})" if choice is None else f"Specific({spec.name}, {number})"
                raise RefusedError(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {asked}")
            return self._available[number]


class Port(prediction_service_pb2_grpc.PredictionServiceServicer, model_service_pb2_grpc.ModelServiceServicer):
    """One port with its faults, and the services behind it."""

    def __init__(self, models, faults):
        self._models, self._faults = models, faults
        self._lock, self._tiles, self._first_call = threading.Lock(), 0, None
        self._server = None
        self.number = self._open(0)

    def _open(self, port):
        options = list(UNLIMITED)
        if "refuse" in self._faults:
            options[0] = ("grpc.max_receive_message_length", int(self._faults["refuse"]))
        self._server = grpc.server(ThreadPoolExecutor(8), options=[*options, ("grpc.so_reuseport", 0)])
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(self, self._server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(self, self._server)
        if "tls" in self._faults:
            certificate, key = (Path(each).read_bytes() for each in self._faults["tls"].split(":"))
            number = self._server.add_secure_port(
                f"localhost:{port}", grpc.ssl_server_credentials([(key, certificate)])
            )
        else:
            number = self._server.add_insecure_port(f"localhost:{port}")
        self._server.start()
        return number

    def _die(self):
        if "exit-after" in self._faults:
            os._exit(1)
        self._server.stop(0)
        if "restart" in self._faults:
            threading.Timer(float(self._faults["restart"]), lambda: self._open(self.number)).start()

    def _fault(self, request, context):
        with self._lock:
            self._first_call = self._first_call or time.monotonic()
        since = time.monotonic() - self._first_call
        if since < float(self._faults.get("loading", 0)):
            raise RefusedError(grpc.StatusCode.UNAVAILABLE, "not ready yet")
        if since < float(self._faults.get("unloaded", 0)):
            raise RefusedError(grpc.StatusCode.NOT_FOUND, "Servable not found for request")
        wanted = self._faults.get("token")
        if wanted and ("authorization", f"Bearer {wanted}") not in context.invocation_metadata():
            raise RefusedError(grpc.StatusCode.UNAUTHENTICATED, "who are you?")
        if isinstance(request, predict_pb2.PredictRequest):
            time.sleep(float(self._faults.get("slow", 0)))
            if request.model_spec.signature_name in ("", TILES):
                with self._lock:
                    self._tiles += 1
                    dies = self._tiles == 1 + int(self._faults.get("die-after", self._faults.get("exit-after", -2)))
                if dies:
                    self._die()

    def _model(self, spec):
        if spec.name not in self._models:
            raise RefusedError(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: Latest({spec.name})")
        return self._models[spec.name]

    def _answer(self, request, context, answer):
        try:
            self._fault(request, context)
            return answer()
        except RefusedError as refused:
            context.abort(refused.code, refused.details)

    def Predict(self, request, context):  # noqa: N802
        def answer():
            version = self._model(request.model_spec).version(request.model_spec)
            reply = predict_pb2.PredictResponse()
            reply.model_spec.name = request.model_spec.name
            reply.model_spec.version.value = int(self._faults.get("version", version.number))
            reply.model_spec.signature_name = request.model_spec.signature_name or TILES
            for alias, array in version.predict(request).items():
                cut = "nonsense" in self._faults and array.ndim > 1
                reply.outputs[alias].CopyFrom(self._tensor(array[:, 1:] if cut else array))
            return reply

        return self._answer(request, context, answer)

    def _tensor(self, array):
        """As the server writes it."""
        proto = tf.make_tensor_proto(array)  # tensor_content, save for strings and single numbers
        field = {"float32": "float_val", "uint8": "int_val", "uint16": "int_val", "int32": "int_val"}.get(
            array.dtype.name
        )
        if "content" not in self._faults and field is not None:
            proto.ClearField("tensor_content")
            getattr(proto, field)[:] = array.ravel().tolist()
        return proto

    def GetModelMetadata(self, request, context):  # noqa: N802
        def answer():
            if list(request.metadata_field) != ["signature_def"]:
                raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, "Metadata field is not supported")
            version = self._model(request.model_spec).version(request.model_spec)
            reply = get_model_metadata_pb2.GetModelMetadataResponse()
            reply.model_spec.name = request.model_spec.name
            reply.model_spec.version.value = version.number
            signatures = get_model_metadata_pb2.SignatureDefMap()
            for name, signature in version.signatures.items():
                signatures.signature_def[name].CopyFrom(signature)
            reply.metadata["signature_def"].Pack(signatures)
            return reply

        return self._answer(request, context, answer)

    def GetModelStatus(self, request, context):  # noqa: N802
        if request.model_spec.name not in self._models:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Could not find any versions of model {request.model_spec.name}")
        reply = get_model_status_pb2.GetModelStatusResponse()
        for number, (state, problem) in self._models[request.model_spec.name].states.items():
            status = reply.model_version_status.add(version=number, state=state)
            if "unloaded" in self._faults:
                status.state = State.LOADING
            if problem:
                status.status.error_code, status.status.error_message = 2, problem
        return reply


def told_by(config, mounted):
    """Folder, labels and versions of each model in a file as --model_config_file takes it, by its name."""
    for model in text_format.Parse(config.read_text(encoding="utf-8"), ModelServerConfig()).model_config_list.config:
        policy = model.model_version_policy
        only = set(policy.specific.versions) if policy.HasField("specific") else None
        yield model.name, Path(model.base_path.replace("/models", str(mounted), 1)), dict(model.version_labels), only


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", action="append", default=[], help="NAME=FOLDER")
    parser.add_argument("--config", type=Path, help="models.config, whose folder is mounted at /models")
    parser.add_argument("--label", action="append", default=[], help="NAME:LABEL=VERSION")
    parser.add_argument("--poll", type=float, default=0.3, help="seconds")
    parser.add_argument("--listen", action="append", required=True, help="faults of a port")
    arguments = parser.parse_args()
    labels = {}
    for each in arguments.label:
        (name, label), number = each.partition("=")[0].split(":"), int(each.partition("=")[2])
        labels.setdefault(name, {})[label] = number
    models = {}
    for each in arguments.model:
        name, _, folder = each.partition("=")
        models[name] = Model(Path(folder), labels.get(name, {}))
    if arguments.config:
        for name, *others in told_by(arguments.config, arguments.config.parent):
            models[name] = Model(*others)
    ports = [
        Port(models, {name: value for name, _, value in (fault.partition("=") for fault in faults.split(","))})
        for faults in arguments.listen
    ]
    sys.stdout.write(json.dumps([port.number for port in ports]) + "\n")
    sys.stdout.flush()

    def poll():
        while True:
            time.sleep(arguments.poll)
            if arguments.config:
                for name, _, *others in told_by(arguments.config, arguments.config.parent):
                    models[name].told(*others)
            for model in models.values():
                model.poll()

    threading.Thread(target=poll, daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
