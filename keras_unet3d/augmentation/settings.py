"""How strongly samples are varied."""

from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, PlainSerializer

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.axes import AXES, named, parse_named


def _read_angles(value: Any) -> Any:
    return parse_named(value) if isinstance(value, str) else value


def _write_angles(angles: tuple[float, float, float]) -> str:
    """By axis, to the last digit: a training that continues reads them back."""
    return " ".join(f"{axis}={angle!r}" for axis, angle in reversed(list(zip(AXES, angles, strict=True))))


NamedAngles = Annotated[tuple[float, float, float], BeforeValidator(_read_angles), PlainSerializer(_write_angles)]
"""Angles about z, y, x in degrees; in files and options written ``"x=15.0 y=15.0 z=180.0"``."""


PAPER_SIGMA = 4.0
"""Voxels; Çiçek et al. 2016, section 3.2."""


@dataclass(frozen=True)
class AugmentationSettings:
    """Ranges that the parameters of a sample are drawn from; ``AugmentationSettings()`` suits most volumes.

    The deformation is the paper's (Çiçek et al. 2016, section 3.2). The paper names rotation, scaling and grey values
    without numbers: ours vary as much as most microscopes and scanners do and keep what is up, down, left and right,
    because labels may depend on it. Turn `mirror` on, and rotate by up to 180° about z, where they do not (tissue
    under a microscope). Ranges of factors are drawn evenly in their logarithm, so that ×2 is as likely as ×½.

    Attributes:
        displacement_sigma: standard deviation of the displacement at a control point, voxels; 0 deforms nothing. None
            is the paper's, `PAPER_SIGMA`; `unet3d fit` takes less for small volumes.
        displacement_spacing: voxels from one control point to the next.
        rotation_degrees: largest angle about the axes z, y and x, either way; a rotation in millimetres.
        scaling: smallest and largest magnification, the same along all axes.
        mirror: the axes along which one half of the samples is mirrored.
        gain: smallest and largest factor on the normalised intensities of a channel (mean 0, standard deviation 1).
        offset: largest shift of a channel up or down, in standard deviations.
        gamma: smallest and largest exponent of a channel's curve; its range in the tile stays.
        noise: largest standard deviation of noise added to a channel, in standard deviations.
    """

    displacement_sigma: float | None = None
    displacement_spacing: int = 32
    rotation_degrees: NamedAngles = (15.0, 15.0, 15.0)
    scaling: tuple[float, float] = (0.8, 1.25)
    mirror: tuple[str, ...] = ()
    gain: tuple[float, float] = (0.75, 1.33)
    offset: float = 0.25
    gamma: tuple[float, float] = (0.7, 1.4)
    noise: float = 0.1

    def __post_init__(self) -> None:
        if self.displacement_spacing < 4:
            raise InputError(
                "displacement_spacing, the voxels between two control points, is at least 4. "
                f"Received: {self.displacement_spacing}"
            )
        for name in ("displacement_sigma", "offset", "noise"):
            value = getattr(self, name)
            if value is not None and not (isfinite(value) and value >= 0):
                raise InputError(f"{name} is a number from 0 up; 0 turns it off. Received: {value}")
        if not all(0 <= angle <= 180 for angle in self.rotation_degrees):
            raise InputError(
                f"rotation_degrees are angles from 0 to 180 about each axis. Received: {named(self.rotation_degrees)}"
            )
        for name in ("scaling", "gain", "gamma"):
            low, high = getattr(self, name)
            if not 0.1 <= low <= high <= 10:
                raise InputError(
                    f"{name} is a smallest and a largest factor between 0.1 and 10; 1 to 1 turns it off. "
                    f"Received: {low:g} to {high:g}"
                )
        if unknown := [axis for axis in self.mirror if axis not in AXES]:
            raise InputError(f"mirror names axes out of z, y and x. Received: {', '.join(map(repr, unknown))}")

    @property
    def sigma(self) -> float:
        """Of the displacements, voxels."""
        return PAPER_SIGMA if self.displacement_sigma is None else self.displacement_sigma

    @classmethod
    def none(cls) -> Self:
        """Change nothing: every tile is what lies there in the volume."""
        return cls(
            displacement_sigma=0.0,
            rotation_degrees=(0.0, 0.0, 0.0),
            scaling=(1.0, 1.0),
            gain=(1.0, 1.0),
            offset=0.0,
            gamma=(1.0, 1.0),
            noise=0.0,
        )
