"""The interpolating cubic B-spline of the displacement, along one axis, as small dense matrices.

Control values lie one unit apart at 0 … k − 1 and are mirrored about the first and the last (SciPy's ``mirror``), as in
elasticdeform. A spline that takes these values is ``B(u) @ inv(B(control points)) @ values``; the inverse is what
filters (Unser 1999, "Splines: a perfect fit for signal and image processing") do recursively on long signals, and is
folded here into a matrix of k columns. Along z, y and x these matrices are applied one after the other.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.volumes.mirroring import fold

REFINEMENT = 4
"""Knots of `bounding_points` per control point of the spline: bounds are then tight to about a voxel."""


@lru_cache(maxsize=256)
def interpolation_matrix(start: int, stop: int, spacing: int, count: int) -> NDArray[np.float64]:
    """The matrix ``(stop − start, count)`` from control values to the spline's value at each voxel.

    Args:
        start: the first voxel, counted from the first control point.
        stop: behind the last voxel; all voxels lie between the first and the last control point.
        spacing: voxels from one control point to the next.
        count: control points, at least 2.
    """
    matrix = _basis(np.arange(start, stop) / spacing, count) @ _prefilter(count)
    # Where a control point lies on a voxel, the spline has exactly its value: no rounding, so that 0 stays 0.
    on_control_point = np.arange(start, stop) % spacing == 0
    matrix[on_control_point] = np.eye(count)[np.arange(start, stop)[on_control_point] // spacing]
    matrix.flags.writeable = False
    return matrix


@lru_cache(maxsize=256)
def bounding_points(start: int, stop: int, spacing: int, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points ``(n,)`` among these voxels and a matrix ``(n, count)`` from control values to numbers around the spline.

    The numbers are the coefficients of the same spline on finer knots that begin and end with the voxels. A B-spline
    is a weighted mean of its coefficients, so it never leaves their range (the convex hull property; de Boor 1978).
    The points are where each coefficient acts (Greville's abscissae): add any linear function of the voxel to the
    spline, and its values at the points to the numbers, and the same holds.

    Args: as `interpolation_matrix`; the points are counted from the first control point, too.
    """
    if stop - start == 1:
        return np.array([start], dtype=np.float64), interpolation_matrix(start, stop, spacing, count)
    from scipy.interpolate import BSpline

    distance = spacing / REFINEMENT
    inner = distance * np.arange(np.floor(start / distance) + 1, np.ceil((stop - 1) / distance))
    knots = np.concatenate([[start] * 4, inner, [stop - 1] * 4])
    points = (knots[1:-3] + knots[2:-2] + knots[3:-1]) / 3
    values = _basis(points / spacing, count) @ _prefilter(count)
    matrix = np.linalg.solve(BSpline.design_matrix(points, knots, 3).toarray(), values)
    return points, matrix.astype(np.float64, copy=False)


def _basis(positions: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The matrix from B-spline coefficients to values at `positions`, in units of the knot distance."""
    matrix = np.zeros((len(positions), count))
    rows = np.arange(len(positions))
    for neighbour in range(-1, 3):
        knot = np.floor(positions).astype(np.intp) + neighbour
        distance = np.abs(positions - knot)
        near = 2 / 3 - distance**2 + distance**3 / 2
        far = np.maximum(2 - distance, 0) ** 3 / 6
        np.add.at(matrix, (rows, fold(knot, count)), np.where(distance < 1, near, far))
    return matrix


@lru_cache(maxsize=64)
def _prefilter(count: int) -> NDArray[np.float64]:
    """The matrix from control values to B-spline coefficients."""
    of_control_points = _basis(np.arange(count, dtype=np.float64), count)
    return np.linalg.inv(of_control_points).astype(np.float64, copy=False)
