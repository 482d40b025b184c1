"""From raw intensities to what a network sees: by each volume, robust to outliers, or by windows that are fixed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from math import inf
from operator import add
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.volumes.value_sums import Bounds, Sums, measured, portions
from keras_unet3d.volumes.voxels import Voxels

INTENSITY_RULE: Final = (
    "mean and standard deviation of each channel over the whole volume, once values are drawn in to 10 standard "
    "deviations; normalised values are drawn in to 30"
)
"""How a model's description names the rule for channels without a window."""

LIMIT: Final = 10.0
"""Standard deviations from the mean beyond which no value counts for more when these are measured. Fewer than one voxel
in LIMIT², a hundredth, can lie there (Chebyshev's inequality): so many outliers are drawn in. Beside a share f of them
the others keep a spread of √(1 − LIMIT² f); where there are more, nothing is drawn in, and the others vanish."""

FARTHEST: Final = 3 * LIMIT
"""What normalised values are drawn in to. Bright nuclei lie beyond LIMIT, too, and keep their differences."""

REACH: Final = LIMIT * (1 + 1e-6)
"""A hair more, so that rounding does not decide which values lie beyond."""

ROUNDS: Final = 8
"""How often values are drawn in at most. One or two are usual: each takes out all that its bounds still let pass."""

SMALLEST_SCALE = float(np.finfo(np.float32).tiny)
"""A channel that varies less is constant."""


@dataclass(frozen=True)
class Window:
    """What becomes of a channel whose numbers mean the same in every volume, as Hounsfield units do.

    Attributes:
        low: raw; what lies below is drawn up to it.
        high: raw; what lies above is drawn down to it.
        offset: is subtracted.
        scale: divides what remains.
    """

    low: float
    high: float
    offset: float
    scale: float

    def __post_init__(self) -> None:
        if not (self.low < self.high and 0 < self.scale < inf):
            raise ValueError(f"a window has low < high and a scale above 0. Received: {self}")


@dataclass(frozen=True)
class Intensities:
    """How a network wants the raw intensities of its channels.

    Attributes:
        windows: of the channels that have one, by their number. The others are measured in each volume
            (`volume_intensity`), and their normalised values drawn in to ±`FARTHEST`.
    """

    windows: Mapping[int, Window] = field(default_factory=dict, hash=False)

    @classmethod
    def as_they_are(cls, channels: int) -> "Intensities":
        """For images that are normalised already."""
        return cls(dict.fromkeys(range(channels), Window(-inf, inf, 0.0, 1.0)))

    def of(self, image: Voxels, measured: Callable[[Voxels], NDArray[np.float32]] | None = None) -> NDArray[np.float32]:
        """Offset and scale ``(channel, 2)`` of a raw volume; it is not read where every channel has a window.

        Args:
            image: raw ``(z, y, x, channel)``.
            measured: in place of `volume_intensity`, for a part of a volume that is known.
        """
        channels = image.shape[3]
        if len(self.windows) == channels:
            return self.with_windows(np.ones((channels, 2), np.float32))
        return self.with_windows((measured or volume_intensity)(image))

    def with_windows(self, intensity: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same, of another network's volume perhaps, with the offset and scale of every window."""
        fixed = intensity.copy()
        for number, window in self.windows.items():
            fixed[number] = window.offset, window.scale
        return fixed

    def bounds(self, channels: int) -> tuple[Any, Any]:
        """Lowest and highest normalised value: numbers, or float32 ``(channel,)`` where windows differ."""
        if not self.windows:
            return -FARTHEST, FARTHEST
        low, high = np.full(channels, -FARTHEST, np.float32), np.full(channels, FARTHEST, np.float32)
        for number, window in self.windows.items():
            low[number] = (window.low - window.offset) / window.scale
            high[number] = (window.high - window.offset) / window.scale
        return low, high

    def normalised(self, raw: Any, intensity: Any, clip: Callable[[Any, Any, Any], Any] = np.clip) -> Any:
        """Subtract the offset, divide by the scale, and draw in what lies beyond the bounds.

        Args:
            raw: float32 ``(batch, z, y, x, channel)``, an array or a tensor.
            intensity: float32 ``(batch, channel, 2)`` of the volume each tile comes from.
            clip: for tensors ``tf.clip_by_value``; all else is written with operators.
        """
        values = (raw - intensity[:, None, None, None, :, 0]) / intensity[:, None, None, None, :, 1]
        return clip(values, *self.bounds(raw.shape[-1]))

    def normalise(
        self, image: NDArray[np.float32], measured: Callable[[Voxels], NDArray[np.float32]] | None = None
    ) -> None:
        """The same for a whole volume ``(z, y, x, channel)``, or a part of one that is `measured`, in place."""
        intensity = self.of(image, measured)
        image -= intensity[:, 0]
        image /= intensity[:, 1]
        np.clip(image, *self.bounds(image.shape[-1]), out=image)


PER_VOLUME: Final = Intensities()
"""Every channel measured in each volume."""


def volume_intensity(image: Voxels, measure: Callable[[Bounds], Iterable[Sums]] | None = None) -> NDArray[np.float32]:
    """Offset and scale of a whole volume, robust to outliers, in float64, with little of it in memory.

    They are the mean and standard deviation of the channel's values once those beyond `LIMIT` of these standard
    deviations are drawn in to there (winsorised). Without any they are the plain ones, found in one pass; else every
    round is one more. Up to a hundredth of the values can be outliers (`LIMIT`). Where all other values are the same,
    as in a mask with few voxels set, they are the plain ones.

    Args:
        image: raw ``(z, y, x, channel)``, any number type, in memory or in a file.
        measure: what is `measured` of each of the `portions`, in their order, where others do it than this process.

    Returns:
        float32 ``(channel, 2)``: offset, and scale, or 1 for a constant channel.
    """
    channels = image.shape[3]

    def here(bounds: Bounds) -> Iterable[Sums]:
        return (measured(image, box, bounds) for box in portions(image))

    zero = np.asarray(image[:1, :1, :1], dtype=np.float64).reshape(channels)
    bounds = Bounds(zero, np.full(channels, -inf), np.full(channels, inf))
    within = reduce(add, (measure or here)(bounds))
    plain = offset, scale = _moments(within)
    open_ = np.ones(channels, bool)
    for _ in range(ROUNDS):
        low, high = np.maximum(bounds.low, offset - REACH * scale), np.minimum(bounds.high, offset + REACH * scale)
        open_ &= (within.least < low) | (within.greatest > high)
        if not open_.any():
            break
        bounds = Bounds(zero, low, high)
        within = reduce(add, (measure or here)(bounds))
        varies = within.least < within.greatest
        offset, scale = (
            np.where(open_, np.where(varies, new, usual), old)
            for new, usual, old in zip(_moments(within), plain, (offset, scale), strict=True)
        )
        open_ &= varies
    scale = np.where(scale < SMALLEST_SCALE, 1.0, scale)
    return np.stack([zero + offset, scale], axis=-1).astype(np.float32)


def drawn_in(below: Any, above: Any, mean: Any, variance: Any, sqrt: Callable[[Any], Any] = np.sqrt) -> tuple[Any, Any]:
    """Mean m and standard deviation s of values of which those beyond some bounds are drawn in to m ± `LIMIT` · s.

    With the shares p below and q above, and the mean μ and variance σ² of the values between, the two definitions

        m = (1 − p − q) μ + p (m − LIMIT s) + q (m + LIMIT s)
        s² = (1 − p − q) (σ² + (μ − m)²) + (p + q) LIMIT² s²

    are solved for m and s. Taking the moments of drawn-in values again and again comes to the same, in many passes.

    Args:
        below: share of the values.
        above: share of the values.
        mean: of those between, float64 arrays or tensors, all of one shape.
        variance: of those between.
        sqrt: for tensors ``tf.sqrt``; all else is written with operators.
    """
    between = 1 - below - above
    lean = LIMIT * (above - below) / between
    scale = sqrt(between * variance / (1 - LIMIT * LIMIT * (below + above) - between * lean * lean))
    return mean + lean * scale, scale


def _moments(sums: Sums) -> tuple[Any, Any]:
    """Mean and standard deviation of all values, those beyond the bounds drawn in."""
    voxels = sums.below + sums.above + sums.count
    return drawn_in(sums.below / voxels, sums.above / voxels, sums.mean, sums.squares / sums.count)
