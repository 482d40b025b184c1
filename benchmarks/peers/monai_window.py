"""MONAI's `sliding_window_inference` around a zero-padded PyTorch U-Net of the paper's widths.

    python benchmarks/peers/monai_window.py --volume 'x=248 y=244 z=64' --window 'x=128 y=128 z=64' --precision bfloat16

Prints one line of JSON. Gaussian blending, one window at a time, channels_last_3d.
"""

from collections.abc import Callable

import monai
import numpy as np
import torch
from measurement import CHANNELS, CLASSES, FILTERS, Job, argument_parser, measure, read_job, report
from monai.inferers import sliding_window_inference
from numpy.typing import NDArray
from torch_unet3d import build

Network = Callable[[torch.Tensor], torch.Tensor]


def window_network(model: torch.nn.Module, precision: str) -> Network:
    """The forward pass of a window `(1, channel, z, y, x)`, float32 in, logits in the network's precision out."""
    dtype = getattr(torch, precision)
    model = model.to(dtype)

    def network(window: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = model(window.to(dtype, memory_format=torch.channels_last_3d))
        return logits

    return network


def segment(volume: torch.Tensor, network: Network, job: Job) -> NDArray[np.uint8]:
    """Labels `(z, y, x)` of a volume `(1, channel, z, y, x)`."""
    logits = sliding_window_inference(volume, job.window, 1, network, overlap=job.overlap, mode="gaussian")
    labels: NDArray[np.uint8] = logits[0].argmax(dim=0).to(torch.uint8).numpy()
    return labels


def main() -> None:
    job = read_job(argument_parser(__doc__).parse_args())
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        network = window_network(build(CHANNELS, CLASSES, FILTERS), job.precision)
        volume = torch.randn((1, CHANNELS, *job.volume), generator=generator)
        network(torch.zeros((1, CHANNELS, *job.window)))  # what oneDNN prepares at the first call
        measured = measure(job, network, lambda timed: segment(volume, timed, job))
    settings = {"blending": "gaussian", "layout": "channels_last_3d", "windows_at_once": 1}
    report("monai", {"monai": monai.__version__, "torch": torch.__version__}, settings, measured)


if __name__ == "__main__":
    main()
