import numpy as np
import pytest
import torch

from nnunetv2_strokesynth.papers.gomez2023.grid_distortion import (
    GridDistortion,
    control_point_grid,
)


def in_pixels(grid):
    """(1, Y, X, 2) in grid_sample's coordinates -> rows and columns in pixels, (Y, X) each."""
    _, n_rows, n_columns, _ = grid.shape
    columns, rows = grid[0].double().unbind(-1)
    return ((rows + 1) * n_rows - 1) / 2, ((columns + 1) * n_columns - 1) / 2


def by_hand(shape, shifts):
    """Bilinear interpolation between the control points, in pixels: rows and columns."""
    n, m = shifts.shape[1] - 1, shifts.shape[2] - 1
    cell_y, cell_x = (shape[0] - 1) / n, (shape[1] - 1) / m
    rows, columns = np.empty(shape), np.empty(shape)
    for y, x in np.ndindex(shape):
        i, j = min(int(y / cell_y), n - 1), min(int(x / cell_x), m - 1)
        v, u = y / cell_y - i, x / cell_x - j
        moved = (
            (1 - v) * (1 - u) * shifts[:, i, j]
            + (1 - v) * u * shifts[:, i, j + 1]
            + v * (1 - u) * shifts[:, i + 1, j]
            + v * u * shifts[:, i + 1, j + 1]
        )
        rows[y, x] = y + moved[0] * cell_y
        columns[y, x] = x + moved[1] * cell_x
    return rows, columns


def test_grid_equals_interpolation_by_hand():
    shifts = np.random.default_rng(0).uniform(-0.2, 0.2, (2, 4, 5))
    grid = control_point_grid((10, 17), torch.from_numpy(shifts).float())
    for found, expected in zip(in_pixels(grid), by_hand((10, 17), shifts), strict=True):
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_a_moved_point_shows_what_lay_there():
    """On a 13 x 13 image with 3 cells the points lie on pixels 0, 4, 8, 12."""
    shifts = torch.zeros(2, 4, 4)
    shifts[0, 1, 2] = 0.25  # a quarter of a cell of four pixels down
    image = torch.arange(13.0)[None, :, None].expand(1, 13, 13).contiguous()
    grid = control_point_grid((13, 13), shifts)
    found = GridDistortion()._apply_to_image(image, grid=grid)
    assert found[0, 4, 8].item() == pytest.approx(5.0, abs=1e-4)
    assert found[0, 4, 6].item() == pytest.approx(4.5, abs=1e-4)
    torch.testing.assert_close(found[0, :, :5], image[0, :, :5], atol=1e-5, rtol=0)


def test_the_border_stays_and_no_cell_folds():
    torch.manual_seed(0)
    distort = GridDistortion(strength=0.24, n_cells=4)
    image = torch.zeros(1, 41, 33)
    for _ in range(50):
        rows, columns = in_pixels(distort.get_parameters(image=image)["grid"])
        for side, expected in ((rows[0], 0), (rows[-1], 40), (columns[:, 0], 0)):
            torch.testing.assert_close(side, torch.full_like(side, expected), atol=1e-4, rtol=0)
        assert (rows.diff(dim=0) > 0).all() and (columns.diff(dim=1) > 0).all()
        area = rows.diff(dim=0)[:, 1:] * columns.diff(dim=1)[1:]
        area -= rows.diff(dim=1)[1:] * columns.diff(dim=0)[:, 1:]
        assert (area > 0).all()


def test_strength_bounds_the_shift():
    torch.manual_seed(0)
    distort = GridDistortion(strength=0.1, n_cells=2)
    shifts = []
    for _ in range(200):
        rows, columns = in_pixels(distort.get_parameters(image=torch.zeros(1, 21, 21))["grid"])
        shifts += [(rows[10, 10] - 10).item(), (columns[10, 10] - 10).item()]
    assert -1 - 1e-4 < min(shifts) < -0.9 and 0.9 < max(shifts) < 1 + 1e-4  # a cell is 10 pixels


def test_image_and_labels_move_together():
    torch.manual_seed(0)
    labels = torch.zeros(1, 64, 64, dtype=torch.int16)
    labels[:, 20:40, 24:44] = 1
    found = GridDistortion()(image=labels.float(), segmentation=labels.clone())
    assert found["segmentation"].dtype == torch.int16
    assert not torch.equal(found["segmentation"], labels)
    agree = (found["image"] > 0.5) == (found["segmentation"] > 0)
    assert agree.float().mean() > 0.99


@pytest.mark.parametrize(("strength", "n_cells"), [(0.0, 5), (0.25, 5), (-0.1, 5), (0.2, 1)])
def test_distortions_that_fold_or_do_nothing_are_refused(strength, n_cells):
    with pytest.raises(ValueError, match=rf"found {strength} and {n_cells}"):
        GridDistortion(strength, n_cells)
