"""The 3D U-Net of the paper's widths in PyTorch: zero-padded, as MONAI's users run it, or unpadded."""

from itertools import pairwise

import torch
from torch import nn

DEPTH = 3
EPSILON = 1e-3
"""Added to variances: Keras' value, so that one network's weights fit the other's."""


class UNet3D(nn.Module):
    """Figure 2 of Çiçek et al. 2016: the layers of `build_unet3d`, in the same order.

    Input shape:
        `(batch, channel, z, y, x)`, lengths that `build_unet3d` takes with the same padding.

    Output shape:
        `(batch, class, z, y, x)`: logits.
    """

    def __init__(self, channels: int = 3, classes: int = 3, filters: int = 32, padding: int = 1) -> None:
        super().__init__()
        widths = [channels, *(filters << level for level in range(1, DEPTH + 2))]
        self.down = nn.ModuleList(
            _two_convolutions(before, filters << level, after, padding)
            for level, (before, after) in enumerate(pairwise(widths))
        )
        self.pool = nn.MaxPool3d(2)
        self.up = nn.ModuleList(
            nn.ConvTranspose3d(below, below, 2, stride=2, bias=False) for below in reversed(widths[2:])
        )
        self.merge = nn.ModuleList(
            _two_convolutions(skip + below, skip, skip, padding) for skip, below in reversed(list(pairwise(widths[1:])))
        )
        self.logits = nn.Conv3d(widths[1], classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logits of a batch of windows."""
        skips = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else self.pool(x))
            skips.append(x)
        skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = up(x)
            x = merge(torch.cat([_centre(skips.pop(), x), x], dim=1))
        logits: torch.Tensor = self.logits(x)
        return logits


def build(channels: int, classes: int, filters: int, seed: int = 0, padding: int = 1) -> UNet3D:
    """A network ready to predict, its weights random (He et al. 2015), its tensors laid out channels last."""
    torch.manual_seed(seed)
    model = UNet3D(channels, classes, filters, padding)
    for module in model.modules():
        if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    nn.utils.convert_conv3d_weight_memory_format(model, torch.channels_last_3d)
    return model.eval()


def _centre(skip: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The part of a skip that lies where `x` does; all of it where both were zero-padded."""
    margins = [(long - short) // 2 for long, short in zip(skip.shape[2:], x.shape[2:], strict=True)]
    z, y, x_ = (slice(margin, margin + length) for margin, length in zip(margins, x.shape[2:], strict=True))
    return skip[:, :, z, y, x_]


def _two_convolutions(before: int, between: int, after: int, padding: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels_in, channels_out in ((before, between), (between, after)):
        layers += [
            nn.Conv3d(channels_in, channels_out, 3, padding=padding),
            nn.BatchNorm3d(channels_out, eps=EPSILON),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
