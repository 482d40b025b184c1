"""What every peer is asked to segment, and the one line that it answers with."""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.network.sizes import Geometry
from keras_unet3d.network.work import NetworkSize
from keras_unet3d.volumes.axes import named, parse_named

CHANNELS, CLASSES, FILTERS = 3, 3, 32  # the paper's network
PRECISIONS = ("float32", "bfloat16")
TILE, RETURNED = (116, 132, 132), (28, 44, 44)
"""The paper's: voxels along z, y, x that the unpadded network takes, and that it returns."""


@dataclass(frozen=True)
class Job:
    """One volume, and how to slide a window over it.

    Attributes:
        volume: voxels along z, y and x.
        window: voxels along z, y and x.
        overlap: share of a window that its neighbour covers too, along each axis.
        precision: of the network, one of `PRECISIONS`; windows are blended in float32.
        limit: windows that the network evaluates before the rest is extrapolated; None for all.
    """

    volume: tuple[int, int, int]
    window: tuple[int, int, int]
    overlap: float
    precision: str
    limit: int | None


def argument_parser(description: str | None) -> argparse.ArgumentParser:
    """The options that all peers share; `read_job` reads them."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    parser.add_argument("--volume", type=sizes, default=(64, 244, 248), help="such as 'x=248 y=244 z=64'")
    parser.add_argument("--window", type=sizes, default=(64, 128, 128), help="multiples of 8, 'x=128 y=128 z=64'")
    parser.add_argument("--overlap", type=float, default=0.25, help="of neighbouring windows along each axis")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--windows", type=_count, metavar="N", help="evaluate N windows only and extrapolate the rest")
    return parser


def read_job(arguments: argparse.Namespace) -> Job:
    """The job that the options of `argument_parser` describe."""
    return Job(arguments.volume, arguments.window, arguments.overlap, arguments.precision, arguments.windows)


def step_parser(description: str | None) -> argparse.ArgumentParser:
    """The options that all measurements of training steps share."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--steps", type=_count, default=3, help="whose median counts; one more comes before them")
    return parser


def tile_of() -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
    """One batch of noise of the paper's size: image, class index and weight, a third of the voxels labelled."""
    rng = np.random.default_rng(0)
    image = rng.standard_normal((1, *TILE, CHANNELS), np.float32)
    class_index = rng.integers(0, CLASSES, (1, *RETURNED)).astype(np.int32)
    return image, class_index, (rng.random(class_index.shape) < 0.3).astype(np.float32)


def step_report(arguments: argparse.Namespace, seconds: float) -> dict[str, Any]:
    """What `report` prints of training steps."""
    flop = 3 * NetworkSize(Geometry(), FILTERS, CHANNELS, CLASSES).flop(TILE)
    return {
        "precision": arguments.precision,
        "seconds": round(seconds, 3),
        "flop_per_second": round(float(flop) / seconds),
        "peak_rss_bytes": peak_resident_bytes(),
    }


class TimedNetwork:
    """A network that counts its windows and, past a limit, answers zeros at once.

    Everything around the network (cutting windows out, blending, labels) happens for all windows even then, in the
    memory that it takes.
    """

    def __init__(self, network: Callable[[Any], Any], limit: int | None = None) -> None:
        self._network = network
        self._limit = limit
        self._zeros: Any = None
        self.windows = 0
        self.seconds: list[float] = []

    def __call__(self, window: Any) -> Any:
        """The network's answer, or zeros in its shape."""
        self.windows += 1
        if self._limit is not None and len(self.seconds) >= self._limit:
            return self._zeros
        start = time.perf_counter()
        result = self._network(window)
        self.seconds.append(time.perf_counter() - start)
        if len(self.seconds) == self._limit:
            self._zeros = result * 0
        return result

    @property
    def seconds_left_out(self) -> float:
        """What the windows that were answered with zeros would have taken, by the mean of the others."""
        return (self.windows - len(self.seconds)) * sum(self.seconds) / max(len(self.seconds), 1)


def measure(job: Job, network: Callable[[Any], Any], segment: Callable[[Callable[[Any], Any]], Any]) -> dict[str, Any]:
    """Time one segmentation: windows, blending and labels; loading and warming up lie before it.

    Args:
        job: what is segmented.
        network: evaluates one window; warm already.
        segment: slides its argument, the network, over the volume and returns labels `(z, y, x)`.

    Returns:
        What `report` prints.

    Raises:
        RuntimeError: where the labels have another size than the volume.
    """
    timed = TimedNetwork(network, job.limit)
    start = time.perf_counter()
    labels = segment(timed)
    seconds = time.perf_counter() - start + timed.seconds_left_out
    if tuple(labels.shape) != job.volume:
        raise RuntimeError(f"Expected labels of {named(job.volume)}. Received: {tuple(labels.shape)}")
    return {
        "volume": named(job.volume),
        "window": named(job.window),
        "overlap": job.overlap,
        "precision": job.precision,
        "windows": timed.windows,
        "windows_evaluated": len(timed.seconds),
        "extrapolated": len(timed.seconds) < timed.windows,
        "seconds": round(seconds, 3),
        "network_seconds": round(sum(timed.seconds) + timed.seconds_left_out, 3),
        "voxels_per_second": round(job.volume[0] * job.volume[1] * job.volume[2] / seconds, 1),
        "peak_rss_bytes": peak_resident_bytes(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }


def report(peer: str, versions: dict[str, str], settings: dict[str, Any], measured: dict[str, Any]) -> None:
    """Print one line of JSON, the last of standard output."""
    print(json.dumps({"peer": peer, "versions": versions, "settings": settings, **measured}))


def peak_resident_bytes() -> int:
    """The most memory that this process ever held.

    On Linux the kernel's own mark of this program: `ru_maxrss` would also count the parent that started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        mark = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(mark.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def sizes(text: str) -> tuple[int, int, int]:
    """Read sizes with named axes, such as 'x=128 y=128 z=64', into z, y, x."""
    z, y, x = parse_named(text, minimum=1)
    return int(z), int(y), int(x)


def _count(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"Expected at least one window. Received: {text}")
    return int(text)
