import torch

from nnunetv2_strokesynth.papers.shared.radial_distortion import (
    RadialDistortion,
    distortion_grid,
)


def test_no_distortion_is_the_identity():
    image = torch.rand(2, 7, 9)
    distort = RadialDistortion()
    found = distort._apply_to_image(image, grid=distortion_grid((7, 9), 0.0))
    torch.testing.assert_close(found, image)


def test_a_pixel_shows_what_was_farther_out():
    """A point at radius r shows the image at r (1 + k r^2): on the x axis of a ramp in x."""
    n, k = 101, 0.2
    x = (torch.arange(n) + 0.5) * 2 / n - 1
    ramp = x.expand(1, n, n).contiguous()
    found = RadialDistortion()._apply_to_image(ramp, grid=distortion_grid((n, n), k))
    middle = n // 2
    inside = x.abs() < 0.85  # farther out it would look beyond the image
    torch.testing.assert_close(
        found[0, middle][inside], (x * (1 + k * x**2))[inside], atol=1e-4, rtol=1e-4
    )


def test_image_dwi_and_labels_move_together():
    labels = torch.zeros(1, 64, 64, dtype=torch.int16)
    labels[:, 8:20, 40:56] = 1
    sample = {
        "image": labels.float(),
        "regression_target": labels.float(),
        "segmentation": labels.clone(),
    }
    found = RadialDistortion().apply(sample, grid=distortion_grid((64, 64), 0.25))
    assert found["segmentation"].dtype == torch.int16
    assert set(found["segmentation"].unique().tolist()) == {0, 1}
    assert not torch.equal(found["segmentation"], labels)
    for name in ("image", "regression_target"):
        agree = (found[name] > 0.5) == (found["segmentation"] > 0)
        assert agree.float().mean() > 0.995


def test_a_missing_dwi_stays_missing():
    sample = {
        "image": torch.rand(1, 8, 8),
        "regression_target": torch.full((1, 8, 8), torch.nan),
        "segmentation": torch.zeros(1, 8, 8, dtype=torch.int16),
    }
    assert RadialDistortion()(**sample)["regression_target"].isnan().all()


def test_strength_bounds_the_distortion():
    torch.manual_seed(0)
    image = torch.rand(1, 4, 4)
    distort = RadialDistortion(strength=0.1)
    corners = [distort.get_parameters(image=image)["grid"][0, 0, 0, 0].item() for _ in range(200)]
    straight = distortion_grid((4, 4), 0.0)[0, 0, 0, 0].item()
    most = abs(distortion_grid((4, 4), 0.1)[0, 0, 0, 0].item() - straight)
    offsets = [abs(corner - straight) for corner in corners]
    assert max(offsets) <= most and max(offsets) > 0.9 * most and min(offsets) < 0.1 * most
