"""Training steps of the paper's network on the paper's tile in PyTorch, channels_last_3d.

    python benchmarks/peers/torch_step.py --precision bfloat16 --steps 3

Prints one line of JSON. bfloat16 is `torch.autocast`, whose weights stay in float32 as ours do.
"""

import os
import time
from typing import Any

import numpy as np
import torch
from measurement import CHANNELS, CLASSES, FILTERS, report, step_parser, step_report, tile_of
from torch.nn import functional
from torch_unet3d import build


def main() -> None:
    arguments = step_parser(__doc__).parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    image, class_index, weight = (torch.from_numpy(array) for array in tile_of())
    image = image.permute(0, 4, 1, 2, 3).contiguous(memory_format=torch.channels_last_3d)
    class_index = class_index.long()
    model = build(CHANNELS, CLASSES, FILTERS, padding=0).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=arguments.precision == "bfloat16"):
            logits = model(image)
        loss = loss_of(logits.float(), class_index, weight)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 12.0)
        optimizer.step()
        return float(loss)

    seconds = []
    for _ in range(arguments.steps + 1):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    settings: dict[str, Any] = {"memory_format": "channels_last_3d"}
    report("pytorch", {"torch": torch.__version__}, settings, step_report(arguments, float(np.median(seconds[1:]))))


def loss_of(logits: torch.Tensor, class_index: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Weighted cross entropy and masked soft Dice, as ours."""
    cross_entropy = (functional.cross_entropy(logits, class_index, reduction="none") * weight).sum() / weight.sum()
    mask = (weight > 0).float()[:, None]
    probability = logits.softmax(dim=1) * mask
    truth = functional.one_hot(class_index, CLASSES).permute(0, 4, 1, 2, 3) * mask
    both, either = (probability * truth).sum((0, 2, 3, 4)), (probability + truth).sum((0, 2, 3, 4))
    return cross_entropy + 1 - (2 * both / either).mean()


if __name__ == "__main__":
    main()
