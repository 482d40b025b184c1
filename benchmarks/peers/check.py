"""That the peers compute what they are compared for: same network, whole volumes, right counts. No timing.

python benchmarks/peers/check.py
"""

from typing import Any

import numpy as np
import torch
from measurement import CHANNELS, CLASSES, Job, TimedNetwork
from medicai_window import build as build_keras
from medicai_window import segment as segment_with_medicai
from medicai_window import window_network as keras_network
from monai_window import segment as segment_with_monai
from monai_window import window_network as torch_network
from torch_unet3d import UNet3D
from torch_unet3d import build as build_torch

PARAMETERS = 19_074_627  # trainable, with batch normalisation
FILTERS = 4  # what follows holds at any width


def main() -> None:
    with torch.inference_mode():
        check_parameters()
        check_network()
        check_monai()
        check_medicai()
    check_extrapolation()
    print("The peers compute what they are compared for.")


def check_parameters() -> None:
    """The PyTorch network has the paper's widths."""
    found = sum(weights.numel() for weights in UNet3D(CHANNELS, CLASSES, 32).parameters())
    expect(found == PARAMETERS, f"the PyTorch network has {found} parameters, not {PARAMETERS}")


def check_network() -> None:
    """With one network's weights the PyTorch network answers as the Keras one does."""
    size = (16, 24, 32)
    tile = random_volume(size)
    model = build_keras(size, "float32", filters=FILTERS)
    rng = np.random.default_rng(1)
    model.set_weights([weights + 0.1 * rng.random(weights.shape) for weights in model.get_weights()])
    twin = build_torch(CHANNELS, CLASSES, FILTERS)
    copy_weights(model, twin)
    expected = keras_network(model)(tile)
    found = to_channels_last(torch_network(twin, "float32")(to_channels_first(tile)))
    difference = float(np.abs(found - expected).max() / np.ptp(expected))
    expect(difference < 1e-5, f"PyTorch and Keras differ by {difference:.1e} of the logits' range")


def check_monai() -> None:
    """One window is the forward pass; several cover the volume, 3 · 2 · 1 of them."""
    network = torch_network(build_torch(CHANNELS, CLASSES, FILTERS), "float32")
    one, several = jobs()
    volume = to_channels_first(random_volume(one.volume))
    plain = to_channels_last(network(volume))[0].argmax(axis=-1)
    check_labels("MONAI", segment_with_monai(volume, network, one), plain)
    timed = TimedNetwork(network)
    check_cover("MONAI", segment_with_monai(volume, timed, several), timed, plain)


def check_medicai() -> None:
    """As `check_monai`."""
    one, several = jobs()
    volume = random_volume(one.volume)
    network = keras_network(build_keras(one.window, "float32", filters=FILTERS))
    plain = network(volume)[0].argmax(axis=-1)
    check_labels("medicai", segment_with_medicai(volume, network, one), plain)
    timed = TimedNetwork(keras_network(build_keras(several.window, "float32", filters=FILTERS)))
    check_cover("medicai", segment_with_medicai(volume, timed, several), timed, plain)


def check_extrapolation() -> None:
    """Two of five windows evaluated: the other three are answered with zeros and counted by the mean."""
    timed = TimedNetwork(lambda window: window + 1, limit=2)
    answers = [timed(np.ones(3)) for _ in range(5)]
    timed.seconds[:] = [2.0, 4.0]
    expect([answer.sum() for answer in answers] == [6, 6, 0, 0, 0], "windows past the limit are not zeros")
    expect(timed.windows == 5 and timed.seconds_left_out == 9.0, f"extrapolated {timed.seconds_left_out} s, not 9 s")


def jobs() -> tuple[Job, Job]:
    """A window as large as the volume, and 3 along x, 2 along y, 1 along z with an overlap of at least a quarter."""
    volume = (24, 40, 72)
    return Job(volume, volume, 0.25, "float32", None), Job(volume, (24, 32, 32), 0.25, "float32", None)


def check_labels(peer: str, labels: np.ndarray, expected: np.ndarray) -> None:
    expect(labels.dtype == np.uint8 and labels.shape == expected.shape, f"{peer}: {labels.dtype} {labels.shape}")
    equal = float(np.mean(labels == expected))  # dividing by the sum of weights may turn a tie
    expect(equal > 0.9999, f"{peer}: one window agrees with the forward pass on {equal:.4%} of the voxels")


def check_cover(peer: str, labels: np.ndarray, timed: TimedNetwork, whole: np.ndarray) -> None:
    expect(timed.windows == len(timed.seconds) == 6, f"{peer}: {timed.windows} windows, not 6")
    expect(labels.shape == whole.shape, f"{peer}: labels of {labels.shape}")
    equal = float(np.mean(labels == whole))  # windows differ at their zero-padded borders
    expect(0.7 < equal < 1, f"{peer}: windows agree with the whole on {equal:.2%} of the voxels")


def copy_weights(model: Any, twin: Any) -> None:
    """Put the weights of the Keras network into the PyTorch one, layer by layer in the order of the forward pass."""
    layers = {layer.name: layer.get_weights() for layer in model.layers}
    names = [f"down{level}{step}" for level in range(3) for step in "ab"] + ["bottom_a", "bottom_b"]
    for name, block in zip(names, pairs(twin.down), strict=True):
        copy_block(layers, name, *block)
    names = [f"up{level}{step}" for level in (2, 1, 0) for step in "ab"]
    for name, block in zip(names, pairs(twin.merge), strict=True):
        copy_block(layers, name, *block)
    for level, up in zip((2, 1, 0), twin.up, strict=True):
        (kernel,) = layers[f"up{level}"]
        up.weight.copy_(torch.from_numpy(kernel).permute(4, 3, 0, 1, 2))
    copy_convolution(layers["logits"], twin.logits)


def pairs(blocks: Any) -> list[tuple[Any, Any]]:
    return [(block[start], block[start + 1]) for block in blocks for start in (0, 3)]


def copy_block(layers: dict[str, list[np.ndarray]], name: str, conv: Any, norm: Any) -> None:
    copy_convolution(layers[f"{name}_conv"], conv)
    targets = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    for target, source in zip(targets, layers[f"{name}_norm"], strict=True):
        target.copy_(torch.from_numpy(source))


def copy_convolution(weights: list[np.ndarray], conv: Any) -> None:
    kernel, bias = weights
    conv.weight.copy_(torch.from_numpy(kernel).permute(4, 3, 0, 1, 2))
    conv.bias.copy_(torch.from_numpy(bias))


def random_volume(size: tuple[int, int, int]) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((1, *size, CHANNELS), dtype=np.float32)


def to_channels_first(volume: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(volume).movedim(-1, 1).contiguous()


def to_channels_last(tensor: torch.Tensor) -> np.ndarray:
    return tensor.movedim(1, -1).numpy()


def expect(truth: bool, otherwise: str) -> None:
    if not truth:
        raise SystemExit(otherwise)


if __name__ == "__main__":
    main()
