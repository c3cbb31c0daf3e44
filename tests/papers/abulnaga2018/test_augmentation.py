import math

import numpy as np
import pytest
import torch

from nnunetv2_strokesynth.papers.abulnaga2018.augmentation import (
    InPlaneAffine,
    affine_grid,
    covering_sides,
)


def grid(sides_in, sides_out=None, *, angle_deg=0.0, shift_px=(0.0, 0.0), scale=1.0):
    return affine_grid(
        sides_in, sides_out or sides_in, angle_deg=angle_deg, shift_px=shift_px, scale=scale
    )


def apply(sample: dict, used: torch.Tensor) -> dict:
    sides = tuple(used.shape[1:3])
    return InPlaneAffine(sides).apply(dict(sample), grid=used)


def oracle(image: np.ndarray, sides_out, angle_deg, shift_px, scale) -> np.ndarray:
    """Bilinear, pixel by pixel; 0 outside. Where a pixel comes from: undo shift, turn, scale."""
    centre_in = (np.array(image.shape) - 1) / 2
    centre_out = (np.array(sides_out) - 1) / 2
    a = math.radians(angle_deg)
    turn = np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
    padded = np.pad(image, 60)
    out = np.empty(sides_out)
    for index in np.ndindex(*sides_out):
        origin = np.linalg.solve(scale * turn, np.array(index) - centre_out - shift_px)
        y, x = origin + centre_in + 60
        i, j = int(np.floor(y)), int(np.floor(x))
        corners = padded[i : i + 2, j : j + 2]
        out[index] = np.array([1 - y + i, y - i]) @ corners @ np.array([1 - x + j, x - j])
    return out


@pytest.mark.parametrize(
    ("angle_deg", "shift_px", "scale"),
    [(0, (0, 0), 1), (10, (0, 0), 1), (0, (1.5, -2.25), 1), (0, (0, 0), 0.9), (-7, (2, 1), 1.1)],
)
@pytest.mark.parametrize("sides_out", [(12, 15), (8, 10), (17, 9)])
def test_image_equals_numpy(angle_deg, shift_px, scale, sides_out):
    image = np.random.default_rng(0).random((12, 15))
    used = grid((12, 15), sides_out, angle_deg=angle_deg, shift_px=shift_px, scale=scale)
    found = apply({"image": torch.from_numpy(image)[None]}, used)["image"]
    expected = oracle(image, sides_out, angle_deg, np.array(shift_px), scale)
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-4)


def test_whole_pixel_shift_moves_and_fills():
    labels = torch.arange(20, dtype=torch.int16).reshape(1, 4, 5)
    sample = {"image": labels.float(), "segmentation": labels}
    found = apply(sample, grid((4, 5), shift_px=(1, 2)))
    moved = torch.zeros(1, 4, 5)
    moved[:, 1:, 2:] = labels[:, :-1, :-2].float()
    torch.testing.assert_close(found["image"], moved, atol=1e-4, rtol=0)
    expected = torch.full((1, 4, 5), -1, dtype=torch.int16)
    expected[:, 1:, 2:] = labels[:, :-1, :-2]
    assert torch.equal(found["segmentation"], expected)


def test_a_quarter_turn_takes_the_y_axis_to_the_x_axis():
    image = torch.zeros(1, 5, 5)
    image[0, 4, 2] = 1  # at the end of the y axis
    found = apply({"image": image}, grid((5, 5), angle_deg=90.0))["image"]
    assert found[0, 2, 4] == pytest.approx(1, abs=1e-5)


def test_scale_above_1_enlarges():
    labels = torch.zeros(1, 40, 40, dtype=torch.int16)
    labels[:, 10:30, 15:25] = 1
    for scale in (0.9, 1.1):
        found = apply({"segmentation": labels}, grid((40, 40), scale=scale))["segmentation"]
        assert (found == 1).sum().item() == pytest.approx(200 * scale**2, rel=0.06)


def test_image_dwi_and_labels_move_together_in_every_slice():
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002  (what nnU-Net's loaders draw from)
    labels = torch.full((1, 3, 48, 40), -1, dtype=torch.int16)
    labels[:, :, 4:44, 4:36] = 0
    labels[:, :, 8:24, 20:30] = 1
    labels[:, 2] = labels[:, 2].flip(-1)
    inside = (labels > 0).float()
    sample = {"image": inside.repeat(2, 1, 1, 1), "regression_target": inside.clone()}
    found = InPlaneAffine((3, 32, 24))(segmentation=labels, **sample)
    assert found["image"].shape == (2, 3, 32, 24)
    assert found["segmentation"].shape == (1, 3, 32, 24)
    assert found["segmentation"].dtype == torch.int16
    assert torch.equal(found["segmentation"][:, 0], found["segmentation"][:, 1])
    assert not torch.equal(found["segmentation"][:, 0], found["segmentation"][:, 2])
    for name in ("image", "regression_target"):
        agree = (found[name] > 0.5) == (found["segmentation"] > 0)
        assert agree.float().mean() > 0.99


def test_parameters_are_uniform_within_the_papers_bounds():
    np.random.seed(0)  # noqa: NPY002
    drawn = []
    image = torch.zeros(1, 101, 51)
    for _ in range(1500):
        points = InPlaneAffine((101, 51)).get_parameters(image=image)["grid"][0]
        # In pixels of the image, about its centre; the middle and its neighbours tell all.
        points = points * torch.tensor([51 / 2, 101 / 2])
        step = points[51, 25] - points[50, 25]  # one pixel down
        scale = 1 / step.norm().item()
        angle = -math.degrees(math.atan2(step[0], step[1]))
        turned = math.radians(angle)
        x, y = (-scale * points[50, 25]).tolist()
        shift_y = math.cos(turned) * y - math.sin(turned) * x
        shift_x = math.sin(turned) * y + math.cos(turned) * x
        drawn.append((angle, shift_y / 101, shift_x / 51, scale))
    for values, (low, high) in zip(
        np.transpose(drawn), [(-10, 10), (-0.1, 0.1), (-0.1, 0.1), (0.9, 1.1)], strict=True
    ):
        share = (values - low) / (high - low)
        assert share.min() > -1e-3 and share.max() < 1 + 1e-3
        histogram = np.histogram(share, bins=5, range=(0, 1))[0] / len(share)
        np.testing.assert_allclose(histogram, 0.2, atol=0.05)


@pytest.mark.parametrize("sides", [(64, 64), (96, 72)])
def test_covering_sides_hold_everything_and_not_much_more(sides):
    covering = covering_sides(sides)
    reach = torch.zeros(2)
    for angle in (-10.0, 10.0):
        for signs in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
            shift = [0.1 * sign * side for sign, side in zip(signs, sides, strict=True)]
            used = grid(covering, sides, angle_deg=angle, shift_px=shift, scale=0.9)
            reach = torch.maximum(reach, used.abs().amax(dim=(0, 1, 2)))
    assert (reach <= 1).all() and (reach > 0.96).all()
