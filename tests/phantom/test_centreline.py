import numpy as np
import pytest

from keras_unet3d.phantom.centreline import STEP, TIGHTEST_BEND, pronephros, vessels

EXTENT = np.array([80.0, 200.0, 220.0])


@pytest.fixture(scope="module")
def tubule():
    return pronephros(EXTENT, np.random.default_rng(0))


def test_points_lie_a_step_apart(tubule):
    for tube in tubule:
        np.testing.assert_allclose(np.linalg.norm(np.diff(tube.points, axis=0), axis=1), STEP)
        assert len(tube.outer) == len(tube.lumen) == len(tube.points)


def test_no_bend_is_so_tight_that_the_wall_would_fold(tubule):
    for tube in tubule:
        heading = np.diff(tube.points, axis=0) / STEP
        turned = np.arccos(np.clip(np.sum(heading[1:] * heading[:-1], axis=1), -1, 1))
        radius_of_the_bends = STEP * 10 / np.convolve(turned, np.ones(10), "valid")
        assert np.median(radius_of_the_bends) > 0.5 * TIGHTEST_BEND


def test_the_centre_line_stays_in_the_recorded_volume(tubule):
    points = np.concatenate([tube.points for tube in tubule])
    inside = ((points > 0) & (points < EXTENT)).all(axis=1)
    assert inside.mean() > 0.97


def test_branches_begin_on_the_first_half_of_the_trunk(tubule):
    trunk, *branches = tubule
    assert branches
    for branch in branches:
        distance = np.linalg.norm(trunk.points - branch.points[0], axis=1)
        assert distance.min() == 0
        assert np.argmin(distance) <= len(trunk.points) / 2
        assert len(branch.points) < len(trunk.points)


def test_a_lumen_leaves_a_wall(tubule):
    for tube in tubule:
        assert (tube.lumen > 2).all()
        assert (tube.outer - tube.lumen > 2).all()


def test_the_tubule_keeps_clear_of_itself(tubule):
    trunk = tubule[0].points
    apart = np.linalg.norm(trunk[:, None] - trunk, axis=2)
    far_along = np.abs(np.subtract.outer(np.arange(len(trunk)), np.arange(len(trunk)))) > 60
    assert np.mean(apart[far_along] < 2 * tubule[0].lumen.mean()) < 0.01


def test_vessels_are_solid_and_fill_their_share(tubule):
    share = 0.05
    grown = vessels(EXTENT, tubule, share, (6.0, 10.0), np.random.default_rng(1))
    assert all((tube.lumen == 0).all() for tube in grown)
    filled = sum(np.pi * np.mean(tube.outer) ** 2 * STEP * len(tube.points) for tube in grown)
    assert 0.8 * share < filled / np.prod(EXTENT) < 1.5 * share
