import numpy as np

from keras_unet3d.phantom.cells import nearest_cell, tissue_cells, wall_cells
from keras_unet3d.phantom.centreline import STEP, Tube


def test_between_two_cells_the_border_is_halfway():
    cells = np.array([[0.0, 0, 0], [0, 0, 10]])
    places = np.array([[0.0, 0, 5], [0, 0, 2], [0, 0, 9], [0, 3, 2]])
    to_cell, to_border, cell = nearest_cell(cells, places)
    np.testing.assert_allclose(to_border, [0, 3, 4, 3], atol=1e-12)
    np.testing.assert_allclose(to_cell, [5, 2, 1, np.sqrt(13)])
    np.testing.assert_array_equal(cell[1:], [0, 1, 0])


def test_wall_cells_form_one_layer_inside_the_wall():
    points = np.stack([np.full(60, 50.0), np.full(60, 50.0), STEP * np.arange(60.0)], axis=1)
    tube = Tube(points, np.full(60, 15.0), np.full(60, 8.0))
    cells = wall_cells([tube], np.random.default_rng(0))
    radius = np.linalg.norm(cells[:, :2] - 50, axis=1)
    assert abs(radius.mean() - (8 + 0.55 * 7)) < 0.3
    assert ((radius > 8) & (radius < 15)).mean() > 0.99
    area_per_cell = 2 * np.pi * radius.mean() * STEP * 60 / len(cells)
    assert 60 < area_per_cell < 95  # about 9 µm by 9 µm


def test_tissue_cells_reach_every_corner():
    extent = np.array([40.0, 50.0, 60.0])
    cells = tissue_cells(extent, np.random.default_rng(0))
    corners = np.stack(np.meshgrid(*([0, edge] for edge in extent)), axis=-1).reshape(-1, 3)
    distance = nearest_cell(cells, np.concatenate([corners, extent * np.random.default_rng(1).uniform(size=(99, 3))]))[
        0
    ]
    assert distance.max() < 18
