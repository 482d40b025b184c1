"""medicai's `SlidingWindowInference` around the zero-padded Keras U-Net of this project, on TensorFlow.

    python benchmarks/peers/medicai_window.py --volume 'x=248 y=244 z=64' --window 'x=128 y=128 z=64'

Prints one line of JSON. Gaussian blending, one window at a time, bfloat16 by Keras' `mixed_bfloat16` policy as in
medicai's guides. The network is ours, so the inference procedures are compared.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

from collections.abc import Callable
from importlib.metadata import version

import keras
import numpy as np
import tensorflow as tf
from measurement import CHANNELS, CLASSES, FILTERS, Job, argument_parser, measure, read_job, report
from medicai.utils import SlidingWindowInference
from numpy.typing import NDArray

from keras_unet3d.network.unet import build_unet3d

Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class Predict:
    """What medicai asks of a model: `predict`."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def predict(self, windows: NDArray[np.float32], verbose: int = 0) -> NDArray[np.float32]:  # noqa: ARG002
        """Logits of windows `(batch, z, y, x, channel)`."""
        return self._network(windows)


def build(window: tuple[int, int, int], precision: str, *, filters: int = FILTERS, xla: bool = False) -> keras.Model:
    """The network for windows of one size, logits in float32 as medicai's own models give them.

    Args:
        window: voxels along z, y and x.
        precision: float32 or bfloat16.
        filters: channels after the first convolution.
        xla: leave `jit_compile` at Keras' default, "auto", which means XLA here too.
    """
    keras.mixed_precision.set_global_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    unet = build_unet3d((*window, CHANNELS), CLASSES, filters=filters, padding="same", seed=0)
    logits = keras.layers.Activation("linear", dtype="float32")(unet.output)
    model = keras.Model(unet.input, logits)
    model.compile(jit_compile="auto" if xla else False)
    return model


def window_network(model: keras.Model) -> Network:
    """The prediction of windows as medicai asks for it."""
    return lambda windows: model.predict(windows, verbose=0)


def segment(volume: NDArray[np.float32], network: Network, job: Job) -> NDArray[np.uint8]:
    """Labels `(z, y, x)` of a volume `(1, z, y, x, channel)`."""
    slide = SlidingWindowInference(
        Predict(network),
        num_classes=CLASSES,
        roi_size=job.window,
        sw_batch_size=1,
        overlap=job.overlap,
        mode="gaussian",
    )
    labels: NDArray[np.uint8] = slide(volume)[0].argmax(axis=-1).astype(np.uint8)
    return labels


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--xla", action="store_true", help="Keras' default of compile(); slower on the CPU")
    arguments = parser.parse_args()
    job = read_job(arguments)
    network = window_network(build(job.window, job.precision, xla=arguments.xla))
    volume = np.random.default_rng(0).standard_normal((1, *job.volume, CHANNELS), dtype=np.float32)
    network(np.zeros((1, *job.window, CHANNELS), np.float32))  # traces the graph
    measured = measure(job, network, lambda timed: segment(volume, timed, job))
    settings = {"blending": "gaussian", "compiled": "xla" if arguments.xla else "graph", "windows_at_once": 1}
    versions = {"medicai": version("medicai"), "keras": keras.__version__, "tensorflow": tf.__version__}
    report("medicai", versions, settings, measured)


if __name__ == "__main__":
    main()
