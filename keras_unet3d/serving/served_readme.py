"""The page that lies in a folder of served models, for whoever starts the server and whoever asks it."""

from importlib.metadata import PackageNotFoundError, version

from keras_unet3d.serving.description import ModelDescription

# ruff: noqa: E501 - the lines of a page

_PAGE = """# Models for TensorFlow Serving

Each folder is a model, `<name>/<version>/`: a SavedModel that needs nothing but TensorFlow. `unet3d export` and `unet3d fit` add
versions and name them in `models.config`; this page and the other files are yours to change. The models were made with TensorFlow
{tensorflow}: take a server of the same version or a newer one. **None of this was run against the real server**, which is to be had
only as a Docker image: models of this kind were loaded by the function that it loads them with, and the Python clients called a
stand-in.

## Start the server

In this folder:

```sh
docker run --rm -p 8500:8500 -p 8501:8501 -v "$PWD:/models:ro" tensorflow/serving \\
    --model_config_file=/models/models.config --model_config_file_poll_wait_seconds=60 \\
    --allow_version_labels_for_unavailable_models=true --monitoring_config_file=/models/monitoring.config
```

8500 is gRPC, 8501 REST. On a GPU: `docker run --gpus all … tensorflow/serving:latest-gpu`. It loads a new version by itself, warms it
up with the requests in the version's folder, and lets go of the old one then.

| file | what it says |
| --- | --- |
| `models.config` | which models, which versions, and what these are called |
| `monitoring.config` | numbers for Prometheus at `http://localhost:8501/monitoring/prometheus/metrics` |
| `batching.config` | how requests are merged, with `--enable_batching --batching_parameters_file=/models/batching.config`: for many clients that send tiles to a GPU. Not for `segment_volume`: the server merges along the first axis, which is z |

`unet3d export MODEL --label canary` gives the new version a label, and `unet3d export models/{name}/2 --label stable` gives one to a
version that is there. A model with labels is served in its labelled versions and the newest. A label that moves stays with the old
version until the server has loaded the new one and read `models.config` again, here after 60 seconds; the old one goes with the next
export.

## Is it there?

```sh
curl http://localhost:8501/v1/models/{name}             # which versions, and whether they are loaded
curl http://localhost:8501/v1/models/{name}/metadata    # signatures
```

Volumes go by gRPC: REST would write each number out.

## Segment

```sh
unet3d segment scan.nii.gz labels.nii.gz --server localhost:8500 --model-name {name}
```

This is `pip install 'keras-unet3d[serving]'`, without TensorFlow. It sends tiles of volumes of any size, and keeps the grid of the image;
in Python:

```python
import keras_unet3d as unet3d

with unet3d.serving.Client("localhost:8500", "{name}") as client:
    unet3d.segment("scan.nii.gz", "labels.nii.gz", model=client)
```

Any other client sends a raw volume `[z, y, x, channel]` of {channels} to `segment_volume`, as float32, and gets its
labels `[z, y, x]`: {classes}. With the stubs of `pip install tensorflow-serving-api`:

```python
import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

volume = np.random.default_rng(0).normal(1000, 200, (20, 48, 48, {count})).astype(np.float32)  # z, y, x, channel

request = predict_pb2.PredictRequest()
request.model_spec.name, request.model_spec.signature_name = "{name}", "segment_volume"
request.inputs["image"].CopyFrom(tf.make_tensor_proto(volume))
any_size = [("grpc.max_receive_message_length", -1)]  # 4 MiB unless told so
with grpc.insecure_channel("localhost:8500", any_size) as channel:
    reply = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=300)
labels = tf.make_ndarray(reply.outputs["labels"])
assert labels.shape == volume.shape[:3]
```

In C++, with what `protoc` and its gRPC plugin make of `tensorflow_serving/apis/prediction_service.proto`
([tensorflow/serving](https://github.com/tensorflow/serving), which takes `tensorflow/core/framework/*.proto` of
[tensorflow](https://github.com/tensorflow/tensorflow)); not compiled here:

```cpp
#include <grpcpp/grpcpp.h>

#include <stdexcept>
#include <vector>

#include "tensorflow_serving/apis/prediction_service.grpc.pb.h"

// Labels, in the order z, y, x, of raw voxels in the order z, y, x, channel.
std::vector<int> Segment(const std::vector<float>& voxels, int z, int y, int x) {{
  grpc::ChannelArguments any_size;
  any_size.SetMaxReceiveMessageSize(-1);  // 4 MiB unless told so
  auto channel = grpc::CreateCustomChannel("localhost:8500", grpc::InsecureChannelCredentials(), any_size);

  tensorflow::serving::PredictRequest request;
  request.mutable_model_spec()->set_name("{name}");
  request.mutable_model_spec()->set_signature_name("segment_volume");
  tensorflow::TensorProto& image = (*request.mutable_inputs())["image"];
  image.set_dtype(tensorflow::DT_FLOAT);
  for (int length : {{z, y, x, {count}}}) image.mutable_tensor_shape()->add_dim()->set_size(length);
  image.set_tensor_content(voxels.data(), voxels.size() * sizeof(float));

  grpc::ClientContext context;
  tensorflow::serving::PredictResponse reply;
  auto stub = tensorflow::serving::PredictionService::NewStub(channel);
  grpc::Status status = stub->Predict(&context, request, &reply);
  if (!status.ok()) throw std::runtime_error(status.error_message());
  const auto& labels = reply.outputs().at("labels").int_val();
  return {{labels.begin(), labels.end()}};
}}
```

A message holds 2 GB. What is larger goes tile by tile to `serving_default`, with the `intensity` of the whole volume;
`assets.extra/unet3d.json` in a version's folder, or the signature `describe`, says which tiles a model takes.
"""


def served_readme(name: str, description: ModelDescription) -> str:
    """The page, with a model for its examples."""
    channels, classes = description.channels, description.classes
    return _PAGE.format(
        name=name,
        tensorflow=_tensorflow(),
        count=len(channels),
        channels=f"{len(channels)} channel{'s' if len(channels) > 1 else ''} ({', '.join(channels)})",
        classes=", ".join(f"{each.value} is {each.name}" for each in classes[:5]) + (", …" if len(classes) > 5 else ""),
    )


def _tensorflow() -> str:
    """The version of TensorFlow, without its patch."""
    try:
        return ".".join(version("tensorflow").split(".")[:2])
    except PackageNotFoundError:  # of another distribution, as tensorflow-cpu
        import tensorflow as tf

        return ".".join(tf.__version__.split(".")[:2])
