"""Mean and variance of features that come in parts. Pure arithmetic."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Fixed = dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Mean and variance of each channel, by the name of the normalisation."""


class MomentSum:
    """Mean and variance of features that come in parts, in float64 (Chan, Golub and LeVeque 1979)."""

    def __init__(self, channels: int) -> None:
        """Begin with none."""
        self.count = 0
        self.mean: NDArray[np.float64] = np.zeros(channels)
        self._squares: NDArray[np.float64] = np.zeros(channels)

    def add(self, features: NDArray[Any]) -> None:
        """Count features ``(…, channel)``."""
        values = features.reshape(-1, features.shape[-1]).astype(np.float64)
        if not len(values):
            return
        mean = values.mean(axis=0)
        values -= mean
        squares = np.einsum("ij,ij->j", values, values)
        total = self.count + len(values)
        shift = mean - self.mean
        self.mean = self.mean + shift * (len(values) / total)
        self._squares += squares + shift**2 * (self.count * len(values) / total)
        self.count = total

    def moments(self, groups: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and variance of each channel; channels of one group share theirs."""
        mean = self.mean.reshape(groups, -1)
        of_group = mean.mean(axis=1, keepdims=True)
        variance = (self._squares / self.count).reshape(groups, -1) + (mean - of_group) ** 2
        of_channel = np.repeat(np.arange(groups), mean.shape[1])
        return (
            of_group[of_channel, 0].astype(np.float32),
            variance.mean(axis=1)[of_channel].astype(np.float32),
        )
