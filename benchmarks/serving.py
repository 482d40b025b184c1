"""A model on a server beside the same model here, in one run.

    python benchmarks/serving.py tiles models/kidney-phantom --size 'x=96 y=96 z=32'
    python benchmarks/serving.py tiles models/kidney-phantom --server localhost:8500 --model-name kidney-phantom
    python benchmarks/serving.py volume models/kidney-phantom --size 'x=248 y=244 z=64'
    python benchmarks/serving.py load models/kidney-phantom --clients 8 --requests 200

- tiles: a volume segmented here, by a server on this machine, and by a client that sends the paper's tiles one by one.
- volume: `segment_volume`, the whole way in the graph, against `unet3d segment`, each in a process of its own.
- load: clients that ask for tiles at once, and how long each request takes.

Without --server the stand-in of the tests is started, which needs tensorflow-serving-api: its replies are put together
in Python, number by number unless --content. Seconds are the median of so many runs after one that is not counted, from
an image in memory to its labels; local and served have the same processor to themselves, one after the other.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import product
from math import prod
from pathlib import Path
from statistics import median
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np

import keras_unet3d as unet3d
from keras_unet3d.network.sizes import AxisGeometry
from keras_unet3d.phantom import kidney
from keras_unet3d.serving import Access, Client, read_description
from keras_unet3d.volumes.axes import named, parse_named
from keras_unet3d.volumes.box import Box, read_mirrored

PAPER = (116, 132, 132)
FLOAT32 = unet3d.SegmentOptions(precision="float32")
STAND_IN = Path(__file__).parents[1] / "tests" / "serving" / "fake_server.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=("tiles", "volume", "load"))
    parser.add_argument("model", type=Path, help="the folder of the model that is served")
    parser.add_argument("--size", default="x=96 y=96 z=32", help="of the phantom")
    parser.add_argument("--server", help="a running one; else the stand-in of the tests")
    parser.add_argument("--model-name", default="model")
    parser.add_argument("--content", action="store_true", help="the stand-in replies with tensor_content")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--requests", type=int, default=200, help="of all clients together")
    parser.add_argument("--way", choices=WAYS, help="of the volume: this one, in this process")
    parser.add_argument("--labels", type=Path, help="where that way puts its labels")
    arguments = parser.parse_args()
    {"tiles": tiles, "volume": volume, "load": load}[arguments.table](arguments)


def phantom(arguments: argparse.Namespace) -> unet3d.Volume:
    z, y, x = (int(length) for length in parse_named(arguments.size))
    made = kidney((z, y, x))
    return unet3d.Volume(made.image, made.grid)


def tiles(arguments: argparse.Namespace) -> None:
    image = phantom(arguments)
    voxels = prod(image.grid.shape)
    loaded = unet3d.load_model(arguments.model)
    local, local_seconds = timed(lambda: unet3d.segment(image, model=loaded, options=FLOAT32), arguments.runs)
    print(f"Volume of {named(image.grid.shape)}, {image.voxels.shape[-1]} channels, {arguments.model}\n")
    print("| way | tiles | s | speed against local | bytes sent per voxel | received | labels that differ |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    show("local", len(local.plan.tiles), local_seconds, local_seconds)
    with served(arguments) as address:
        for in_flight in (1, 2):
            access = Access(in_flight=in_flight)
            with Client(address, arguments.model_name, folder=arguments.model, access=access) as client:
                segment = lambda client=client: unet3d.segment(image, model=client, options=FLOAT32)  # noqa: E731
                segment()
                before = (client.traffic.sent, client.traffic.received)
                result, seconds = timed(segment, arguments.runs, warm=False)
                each = [
                    (now - then) / arguments.runs / voxels
                    for now, then in zip((client.traffic.sent, client.traffic.received), before, strict=True)
                ]
                differ = np.count_nonzero(result.labels.voxels != local.labels.voxels)
                way = f"served, {in_flight} in flight"
                show(way, len(result.plan.tiles), seconds, local_seconds, *each, differ=differ)
        naive = Naive(address, arguments.model_name, arguments.model)
        labels, seconds = timed(lambda: naive.segment(image.voxels), 1, warm=False)
        each = [count / voxels for count in (naive.sent, naive.received)]
        differ = np.count_nonzero(labels != local.labels.voxels)
        show("the paper's tiles, one by one", naive.tiles, seconds, local_seconds, *each, differ=differ)


def volume(arguments: argparse.Namespace) -> None:
    """Peak memory is that of the whole process, with TensorFlow, the image and all results."""
    if arguments.way:
        image = phantom(arguments)
        model = unet3d.load_model(arguments.model)
        labels, seconds = timed(lambda: WAYS[arguments.way](model, image), arguments.runs)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        np.save(arguments.labels, labels)
        print(json.dumps({"seconds": seconds, "peak": peak}))
        return
    print(f"Volume of {arguments.size}, {arguments.model}\n")
    print("| way | s | peak GB | labels that differ |\n| --- | --- | --- | --- |")
    first = None
    for way in WAYS:
        with NamedTemporaryFile(suffix=".npy") as file:
            command = [sys.executable, __file__, "volume", str(arguments.model), f"--size={arguments.size}"]
            command += [f"--runs={arguments.runs}", f"--way={way}", f"--labels={file.name}"]
            found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            labels = np.load(file.name)
        first = labels if first is None else first
        differ = np.count_nonzero(labels != first)
        print(f"| {way} | {found['seconds']:.2f} | {found['peak'] / 1e9:.2f} | {differ} |", flush=True)


WAYS: dict[str, Callable[[Any, unet3d.Volume], Any]] = {
    "`unet3d segment`": lambda model, image: unet3d.segment(image, model=model, options=FLOAT32).labels.voxels,
    "`segment_volume`": lambda model, image: model.segment_volume(image.voxels),
}


def load(arguments: argparse.Namespace) -> None:
    """Every client has a connection of its own, and asks for its next tile when the last has come."""
    description = read_description(arguments.model)
    axes = description.geometry.geometry.axes
    shape = [_nearest(length, axis) for length, axis in zip((32, 64, 64), axes, strict=True)]
    channels = len(description.channels)
    tile = np.random.default_rng(0).normal(1000, 200, (1, *shape, channels)).astype(np.float32)
    intensity = np.float32([[[1000, 200]] * channels])
    expected = unet3d.load_model(arguments.model).probabilities(tile, intensity)

    with served(arguments) as address:

        def ask(number: int) -> list[float]:
            """Seconds of each request whose answer is right."""
            seconds = []
            with Client(address, arguments.model_name, folder=arguments.model) as client:
                for _ in range(number):
                    start = time.perf_counter()
                    found = client.probabilities(tile, intensity)
                    if np.allclose(found, expected, atol=1e-5):
                        seconds.append(time.perf_counter() - start)
            return seconds

        ask(1)
        print(f"Tiles of {named(tuple(shape))}, {channels} channels, {arguments.model}\n")
        print("| clients | requests | lost or wrong | tiles/s | median s | 90 % | 99 % | longest |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for clients in (1, arguments.clients):
            start = time.perf_counter()
            with ThreadPoolExecutor(clients) as pool:
                each = list(pool.map(ask, [len(part) for part in np.array_split(range(arguments.requests), clients)]))
            rate = arguments.requests / (time.perf_counter() - start)
            latencies = np.concatenate(each)
            lost = arguments.requests - len(latencies)
            shown = " | ".join(f"{value:.2f}" for value in np.quantile(latencies, [0.5, 0.9, 0.99, 1]))
            print(f"| {clients} | {arguments.requests} | {lost} | {rate:.1f} | {shown} |", flush=True)


def timed(work: Callable[[], Any], runs: int, *, warm: bool = True) -> tuple[Any, float]:
    """What it gives, and the median of the seconds that it takes."""
    if warm:
        work()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return result, median(seconds)


def show(way: str, tiles: int, seconds: float, local: float, *traffic: float, differ: int | None = None) -> None:
    sent, received = (f"{each:.1f}" for each in traffic) if traffic else ("–", "–")
    differing = "–" if differ is None else str(differ)
    print(
        f"| {way} | {tiles} | {seconds:.2f} | {local / seconds:.2f} | {sent} | {received} | {differing} |", flush=True
    )


@contextmanager
def served(arguments: argparse.Namespace) -> Iterator[str]:
    """The address of a server."""
    if arguments.server:
        yield arguments.server
        return
    folder = arguments.model.resolve()
    folder = folder.parent if (folder / "saved_model.pb").exists() else folder
    faults = "content" if arguments.content else ""
    command = [sys.executable, str(STAND_IN), f"--model={arguments.model_name}={folder}", f"--listen={faults}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            (port,) = json.loads(next(iter(process.stdout or ())))
            yield f"localhost:{port}"
        finally:
            process.kill()


class Naive:
    """What one writes first: mirror the volume, cut the paper's tiles, send one, wait, send the next."""

    def __init__(self, address: str, name: str, folder: Path) -> None:
        import grpc
        from tensorflow_serving.apis import prediction_service_pb2_grpc

        self._name, self._description = name, read_description(folder)
        limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(address, limits))
        self.tiles = self.sent = self.received = 0

    def segment(self, image: Any) -> Any:
        """The labels of a raw volume."""
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        description = self._description
        axes = description.geometry.geometry.axes
        tile = [_nearest(length, axis) for length, axis in zip(PAPER, axes, strict=True)]
        kept = [
            (length - 2 * axis.halo) // axis.multiple * axis.multiple for length, axis in zip(tile, axes, strict=True)
        ]
        intensity = description.intensities.of(image)[None]
        labels = np.empty(image.shape[:3], description.scheme.dtype)
        for start in product(*(range(0, length, step) for length, step in zip(image.shape[:3], kept, strict=True))):
            first = [at - axis.halo for at, axis in zip(start, axes, strict=True)]
            raw = read_mirrored(image, Box.at(first, tile)).astype(np.float32)[None]
            request = predict_pb2.PredictRequest()
            request.model_spec.name = self._name
            request.inputs["image"].CopyFrom(tf.make_tensor_proto(raw))
            request.inputs["intensity"].CopyFrom(tf.make_tensor_proto(intensity))
            reply = self._stub.Predict(request)
            self.tiles, self.sent = self.tiles + 1, self.sent + request.ByteSize()
            self.received += reply.ByteSize()
            found = tf.make_ndarray(reply.outputs["probabilities"])[0]
            inner = [axis.halo - axis.margin // 2 for axis in axes]
            stop = [min(at + step, length) for at, step, length in zip(start, kept, image.shape[:3], strict=True)]
            crop = tuple(slice(lead, lead + e - s) for lead, s, e in zip(inner, start, stop, strict=True))
            labels[Box(start, tuple(stop)).slices] = description.scheme.label_values(found[crop].argmax(axis=-1))
        return labels


def _nearest(length: int, axis: AxisGeometry) -> int:
    """The longest valid tile up to a length."""
    return max(n for n in range(axis.minimum, length + 1) if axis.is_valid(n))


if __name__ == "__main__":
    main()
