"""Where the tubes run: self-avoiding, curling centre lines, as a growing tubule finds its way."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

STEP = 2.0
"""Distance between two points of a centre line, µm."""

TIGHTEST_BEND = 22.0
"""Smallest radius of a bend, µm: wider than the tubule, whose wall would fold otherwise."""

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tube:
    """A tube around a centre line; a solid cord where `lumen` is 0.

    Attributes:
        points: (point, 3) positions z, y, x in µm, `STEP` apart.
        outer: (point,) radius of the outer surface, µm.
        lumen: (point,) radius of the hollow inside, µm.
    """

    points: Points
    outer: NDArray[np.float64]
    lumen: NDArray[np.float64]


def pronephros(extent: Points, rng: np.random.Generator) -> list[Tube]:
    """One long, coiled tubule, and the branches (towards the nephrostomes) that join it near its beginning.

    Args:
        extent: edges of the recorded volume along z, y, x, µm. The length grows with the volume, the calibre does not.
        rng: decides everything.
    """
    outer, lumen, share = 15.0, 7.8, 0.17
    length = max(share * float(np.prod(extent)) / (np.pi * outer**2), 120.0)
    branches = int(np.clip(length / 300, 1, 3))
    twig = min(110.0, length / 4)
    start = extent * rng.uniform(0.25, 0.75, 3)
    trunk = _wander(start, _direction(rng), length - branches * twig, extent, np.empty((0, 3)), rng)
    lines = [trunk]
    for root in np.linspace(0, 0.4 * len(trunk), branches, dtype=int):
        away = np.cross(trunk[root + 1] - trunk[root], _direction(rng))
        lines.append(_wander(trunk[root], away, twig, extent, np.concatenate(lines), rng))
    return [_calibrated(line, outer, lumen, rng) for line in lines]


def vessels(
    extent: Points, among: Sequence[Tube], share: float, radius: tuple[float, float], rng: np.random.Generator
) -> list[Tube]:
    """Short solid tubes that keep clear of what is there already.

    Args:
        extent: edges of the recorded volume along z, y, x, µm.
        among: tubes to avoid.
        share: of the volume that they fill, about.
        radius: smallest and largest, µm.
        rng: decides everything.
    """
    lines = [tube.points for tube in among]
    grown: list[Tube] = []
    left = share * float(np.prod(extent))
    while left > 0:
        calibre = rng.uniform(*radius)
        taken = np.concatenate(lines)
        starts = extent * rng.uniform(size=(12, 3))
        start = starts[np.argmax(_nearest_of(taken, starts))]
        line = _wander(start, _direction(rng), rng.uniform(40, 140), extent, taken, rng)
        lines.append(line)
        grown.append(_calibrated(line, calibre, 0.0, rng))
        left -= np.pi * calibre**2 * STEP * len(line)
    return grown


def _wander(
    start: Points, heading: Points, length: float, extent: Points, taken: Points, rng: np.random.Generator
) -> Points:
    """Grow a centre line: at each step the least crowded of some directions around a helix that changes slowly."""
    clearance, directions = 38.0, 16
    recent = round(2.2 * clearance / STEP)  # points of its own end, which no line can keep clear of
    # A branch begins inside of what it leaves.
    taken = taken[np.sum((taken - start) ** 2, axis=1) > (1.2 * clearance) ** 2]
    line = np.empty((max(round(length / STEP), 2) + 1, 3))
    line[0] = start
    heading = heading / np.linalg.norm(heading)
    side = np.cross(heading, _direction(rng))
    for step in range(1, len(line)):
        side += 0.35 * rng.standard_normal(3)
        side -= heading * (side @ heading)
        side /= np.linalg.norm(side)
        headings = heading + STEP / TIGHTEST_BEND * (0.6 * side + 0.7 * rng.standard_normal((directions, 3)))
        headings /= np.linalg.norm(headings, axis=1, keepdims=True)
        # It takes the radius of a bend to turn away from what is in front.
        ahead = line[step - 1] + TIGHTEST_BEND * headings
        crowd = _beyond(ahead, extent)
        for others in (taken, line[: max(step - recent, 0)]):
            crowd += np.maximum(clearance - _nearest_of(others, ahead), 0) ** 2
        heading = headings[np.argmin(crowd)]
        line[step] = line[step - 1] + STEP * heading
    return line


def _beyond(places: Points, extent: Points) -> Points:
    """A penalty for places outside of the volume, or so near to its border that the tubule would leave it."""
    border = np.minimum(18.0, extent / 4)
    beyond = np.maximum(border - places, 0) + np.maximum(places - (extent - border), 0)
    return np.asarray(4 * np.sum(beyond**2, axis=1))


def _nearest_of(points: Points, places: Points) -> Points:
    """For each of `places` the distance to the nearest of `points`, about; infinite where there are none."""
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(places, points[::3]).min(axis=1, initial=np.inf))


def _calibrated(line: Points, outer: float, lumen: float, rng: np.random.Generator) -> Tube:
    """Give a centre line radii that vary slowly along it, by about a tenth."""
    swell = 1 + 0.1 * _slow(len(line), 30, rng)
    open_ = 1 + 0.12 * _slow(len(line), 15, rng)
    return Tube(line, outer * swell, lumen * swell * open_)


def _slow(length: int, scale: float, rng: np.random.Generator) -> NDArray[Any]:
    """Smooth noise of unit variance along a line, clipped to two standard deviations."""
    from scipy.ndimage import gaussian_filter1d

    noise = gaussian_filter1d(rng.standard_normal(length), scale, mode="wrap")
    return np.asarray(np.clip(noise * np.sqrt(2 * np.sqrt(np.pi) * scale), -2, 2))


def _direction(rng: np.random.Generator) -> Points:
    """A direction, uniform over the sphere."""
    vector = rng.standard_normal(3)
    return vector / np.linalg.norm(vector)
