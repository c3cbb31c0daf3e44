import pytest
import torch
from torch import nn
from torch.func import functional_call

from nnunetv2_strokesynth.papers.wang2020.discriminator import MultiScaleDiscriminator


def test_parameter_count():
    widths = [1, 64, 128, 256, 512, 1]
    one_scale = sum(16 * a * b + b for a, b in zip(widths, widths[1:], strict=False))
    with torch.device("meta"):
        count = sum(p.numel() for p in MultiScaleDiscriminator(1).parameters())
    assert count == 5_525_378 == 2 * one_scale


def test_widths_stop_at_eight_times_the_first():
    network = MultiScaleDiscriminator(2, 2, n_scales=1, n_layers=5)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [2, 4, 8, 16, 16, 16, 1]
    assert [m.stride[0] for m in convolutions] == [2, 2, 2, 2, 2, 1, 1]


def test_norm_after_all_but_first_and_last_convolution():
    patch = MultiScaleDiscriminator(1, 2).discriminators[0]
    inner = [nn.Conv2d, nn.InstanceNorm2d, nn.LeakyReLU]
    assert [type(m) for m in patch] == [nn.Conv2d, nn.LeakyReLU, *inner * 3, nn.Conv2d]
    assert {m.negative_slope for m in patch if isinstance(m, nn.LeakyReLU)} == {0.2}
    assert not any(m.affine for m in patch if isinstance(m, nn.InstanceNorm2d))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        # Strided layers: 160 -> 81 -> 41 -> 21, then 22, 23; halved 80 -> 41 -> 21 -> 11, 12, 13.
        ((160, 64), [(23, 11), (13, 7)]),
        ((32, 33), [(7, 7), (5, 5)]),
    ],
)
def test_one_score_map_per_scale(size, expected):
    torch.manual_seed(0)
    scores = MultiScaleDiscriminator(2, 4)(torch.randn(3, 2, *size))
    assert [score.shape for score in scores] == [(3, 1, *sides) for sides in expected]
    assert all(score.isfinite().all() for score in scores)


@pytest.mark.parametrize("n_scales", [1, 2, 5, 6])
def test_smallest_image_gives_no_single_pixel_map(n_scales):
    """The instance norm would raise on it in training."""
    network = MultiScaleDiscriminator(1, 2, n_scales=n_scales)
    side = max(32, 2**n_scales)
    scores = network(torch.randn(1, 1, side, side))
    assert len(scores) == n_scales
    with pytest.raises(ValueError, match=rf"at least {side} pixels, found \({side - 1}, {side}\)"):
        network(torch.randn(1, 1, side - 1, side))


def test_second_scale_sees_the_mean_of_neighbours_inside_the_image():
    network = MultiScaleDiscriminator(1, 2)
    seen = []
    network.discriminators[1].register_forward_pre_hook(lambda m, args: seen.append(args[0]))
    image = torch.rand(1, 1, 32, 32)
    network(image)
    assert seen[0].shape == (1, 1, 16, 16)
    torch.testing.assert_close(seen[0][0, 0, 0, 0], image[0, 0, :2, :2].mean())
    torch.testing.assert_close(seen[0][0, 0, 3, 5], image[0, 0, 5:8, 9:12].mean())


@pytest.mark.parametrize(
    ("scale", "index", "first", "last"),
    [
        # Pixels 8 i - 46 to 8 i + 23 (70 of them).
        (0, 10, 34, 103),
        # The same of the halved image, whose pixel p is the mean of 2 p - 1 to 2 p + 1.
        (1, 6, 3, 143),
    ],
)
def test_a_score_depends_on_its_patch_alone(scale, index, first, last):
    """Without the norms, whose statistics are over the whole image."""
    torch.manual_seed(0)
    network = MultiScaleDiscriminator(1, 4).double()
    for patch in network.discriminators:
        for position, layer in enumerate(patch):
            if isinstance(layer, nn.InstanceNorm2d):
                patch[position] = nn.Identity()
    image = torch.randn(1, 1, 160, 160, dtype=torch.float64)

    def score(changed_row: int | None = None) -> torch.Tensor:
        changed = image.clone()
        if changed_row is not None:
            changed[..., changed_row, first + 30] += 100
        with torch.no_grad():
            return network(changed)[scale][0, 0, index, index]

    unchanged = score()
    for row in (first - 1, last + 1, 159):
        torch.testing.assert_close(score(row), unchanged, rtol=0, atol=1e-13)
    for row in (first, (first + last) // 2, last):
        assert (score(row) - unchanged).abs() > 1e-9


def test_scores_are_linear():
    """The least-squares loss takes scores of any sign and size."""
    torch.manual_seed(0)
    network = MultiScaleDiscriminator(1, 4)
    image = torch.randn(1, 1, 32, 32)
    before = network(image)
    with torch.no_grad():
        for patch in network.discriminators:
            patch[-1].bias.add_(7)
    for score, old in zip(network(image), before, strict=True):
        torch.testing.assert_close(score, old + 7)


def test_every_parameter_gets_a_gradient():
    torch.manual_seed(0)
    network = MultiScaleDiscriminator(2, 4)
    sum(score.square().mean() for score in network(torch.randn(2, 2, 48, 32))).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_detached_parameters_pass_the_gradient_to_the_image_alone():
    torch.manual_seed(0)
    network = MultiScaleDiscriminator(1, 4)
    assert not list(network.buffers())
    frozen = {name: p.detach() for name, p in network.named_parameters()}
    image = torch.randn(2, 1, 32, 32, requires_grad=True)
    scores = functional_call(network, frozen, (image,))
    sum((score - 1).square().mean() for score in scores).backward()
    assert image.grad.isfinite().all() and image.grad.abs().max() > 0
    assert all(p.grad is None for p in network.parameters())
    for score, usual in zip(scores, network(image), strict=True):
        torch.testing.assert_close(score, usual)
