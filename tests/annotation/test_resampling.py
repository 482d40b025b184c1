"""Labels on voxels of another length: none is invented, and no annotated slice is lost."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.annotation.labels import UNLABELED
from keras_unet3d.annotation.resampling import resampled_labels
from keras_unet3d.volumes import Grid
from keras_unet3d.volumes.resampling import resampled_grid
from keras_unet3d.volumes.spacing import Spacing

steps = st.tuples(*[st.sampled_from([0.4, 0.5, 1.0, 1.3, 2.0, 2.5, 4.0])] * 3)
shapes = st.tuples(*[st.integers(1, 9)] * 3)


def resample(labels, step):
    """To voxels that are so many of the old ones long, along z, y, x."""
    grid = Grid(labels.shape, unit="mm")
    return resampled_labels(labels, grid, resampled_grid(grid, Spacing(step, "mm")))


def along_x(*labels):
    return np.array(labels, np.int16).reshape(1, 1, -1)


def sparse(shape):
    """Of three classes, a fifth of the voxels labelled."""
    rng = np.random.default_rng(sum(shape))
    return np.where(rng.random(shape) < 0.2, rng.integers(0, 3, shape), UNLABELED).astype(np.int16)


def by_hand(labels, step):
    """What every new voxel may be, by looking at all those of the source."""
    shape = resampled_grid(Grid(labels.shape, unit="mm"), Spacing(step, "mm")).shape
    for index in np.ndindex(shape):
        inside = []
        for axis in range(3):
            place = (index[axis] + 0.5) * step[axis] - 0.5
            apart = np.abs(np.arange(labels.shape[axis]) - place)
            low = -np.inf if index[axis] == 0 else place - step[axis] / 2
            high = np.inf if index[axis] == shape[axis] - 1 else place + step[axis] / 2
            near = [n for n in range(labels.shape[axis]) if low - 1e-6 <= n <= high + 1e-6 or n == apart.argmin()]
            inside.append([(n, apart[n] ** 2) for n in near])
        candidates = [
            (dz + dy + dx, labels[z, y, x])
            for z, dz in inside[0]
            for y, dy in inside[1]
            for x, dx in inside[2]
            if labels[z, y, x] != UNLABELED
        ]
        nearest = min((far for far, _ in candidates), default=None)
        allowed = {int(label) for far, label in candidates if far - nearest < 1e-6}
        yield index, allowed or {UNLABELED}


@given(st.tuples(*[st.integers(1, 6)] * 3), steps)
def test_it_is_the_nearest_label_in_the_voxel(shape, step):
    labels = sparse(shape)
    found = resample(labels, step)
    for index, allowed in by_hand(labels, step):
        assert int(found[index]) in allowed


@given(shapes, steps)
def test_no_class_appears_and_dense_labels_stay_dense(shape, step):
    labels = sparse(shape)
    assert set(np.unique(resample(labels, step))) <= set(np.unique(labels)) | {UNLABELED}
    dense = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    found = resample(dense, step)
    assert (found != UNLABELED).all()
    for axis in range(3):  # the nearest of each: in order, none twice where voxels get longer
        first = np.moveaxis(np.array(np.unravel_index(found, shape)[axis]), axis, 0)
        assert (np.diff(first, axis=0) >= (1 if step[axis] > 1 else 0)).all()


@given(shapes, steps, st.data())
def test_every_annotated_slice_labels_a_whole_plane_at_least(shape, step, data):
    axis = data.draw(st.integers(0, 2))
    index = data.draw(st.integers(0, shape[axis] - 1))
    labels = np.full(shape, UNLABELED, np.int16)
    np.moveaxis(labels, axis, 0)[index] = 7
    planes = np.moveaxis(resample(labels, step), axis, 0) == 7
    whole = planes.reshape(len(planes), -1).all(axis=1)
    assert whole.any()
    assert (whole == planes.reshape(len(planes), -1).any(axis=1)).all()


def test_half_as_long_voxels_have_each_label_twice():
    assert resample(along_x(0, UNLABELED, 2), (1, 1, 0.5)).ravel().tolist() == [0, 0, UNLABELED, UNLABELED, 2, 2]


def test_the_nearest_label_wins_and_what_holds_none_is_unlabelled():
    """Voxels of three: the middle one's label if it has one, else that of its only neighbour with one."""
    u = UNLABELED
    assert resample(along_x(1, 0, 2, u, u, 2, u, u, u, 1, u, u), (1, 1, 3)).ravel().tolist() == [0, 2, u, 1]


def test_the_last_slice_is_not_lost_where_voxels_do_not_fill_the_volume():
    """Five voxels make two of two; the fifth belongs to the last."""
    u = UNLABELED
    assert resample(along_x(u, u, u, u, 3), (1, 1, 2.3)).ravel().tolist() == [u, 3]


def test_nearest_is_nearest_in_space():
    """A neighbour along z is farther than two along x where slices are thick."""
    labels = np.full((3, 1, 5), UNLABELED, np.int16)
    labels[0, 0, 2], labels[1, 0, 4] = 1, 2
    thick = Grid(labels.shape, (5.0, 1.0, 1.0), unit="mm")
    longer = resampled_grid(thick, Spacing((15, 1, 5), "mm"))
    assert resampled_labels(labels, thick, longer).ravel().tolist() == [2]
