import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nnunetv2_strokesynth.papers.shared.switchable_norm import (
    SwitchableNorm2d,
    SwitchableNorm3d,
)

EPS = 1e-5
CASES = [(SwitchableNorm2d, (3, 4, 5, 6)), (SwitchableNorm3d, (2, 4, 3, 5, 6))]


def randomised(cls, num_features: int, seed: int = 0, **kwargs):
    """A norm whose every parameter differs from its start."""
    torch.manual_seed(seed)
    norm = cls(num_features, **kwargs)
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.add_(torch.randn_like(parameter))
    return norm


def softmax(values: np.ndarray) -> np.ndarray:
    return np.exp(values) / np.exp(values).sum()


def plain_formula(norm, x: np.ndarray, batch_mean=None, batch_var=None) -> np.ndarray:
    """Every statistic straight from the pixels, in float64."""
    spatial = tuple(range(2, x.ndim))
    shape = (1, -1, *(1,) * len(spatial))
    if batch_mean is None:
        batch_mean, batch_var = x.mean((0, *spatial)), x.var((0, *spatial))
    means = (
        x.mean(spatial, keepdims=True),
        x.mean((1, *spatial), keepdims=True),
        batch_mean.reshape(shape),
    )
    variances = (
        x.var(spatial, keepdims=True),
        x.var((1, *spatial), keepdims=True),
        batch_var.reshape(shape),
    )
    mean_share = softmax(norm.mean_weight.detach().double().numpy())
    var_share = softmax(norm.var_weight.detach().double().numpy())
    mean = sum(share * value for share, value in zip(mean_share, means, strict=True))
    var = sum(share * value for share, value in zip(var_share, variances, strict=True))
    out = (x - mean) / np.sqrt(var + EPS)
    if norm.weight is None:
        return out
    scale, shift = (p.detach().double().numpy().reshape(shape) for p in (norm.weight, norm.bias))
    return out * scale + shift


def images(shape, seed=0) -> torch.Tensor:
    """Each map with its own mean and spread, so that the three norms differ."""
    generator = torch.Generator().manual_seed(seed)
    per_map = (*shape[:2], *(1,) * (len(shape) - 2))
    spread = 0.5 + 2 * torch.rand(per_map, generator=generator)
    return spread * torch.randn(shape, generator=generator) + torch.randn(
        per_map, generator=generator
    )


@pytest.mark.parametrize(("cls", "shape"), CASES)
@pytest.mark.parametrize("affine", [True, False])
def test_training_equals_the_plain_formula(cls, shape, affine):
    norm = randomised(cls, shape[1], affine=affine)
    x = images(shape)
    np.testing.assert_allclose(
        norm(x).detach().numpy(), plain_formula(norm, x.double().numpy()), atol=1e-5
    )


@pytest.mark.parametrize(("cls", "shape"), CASES)
def test_inference_uses_the_running_statistics(cls, shape):
    norm = randomised(cls, shape[1], momentum=0.3)
    running_mean, running_var = np.zeros(shape[1]), np.ones(shape[1])
    axes = (0, *range(2, len(shape)))
    for seed in (1, 2, 3):
        x = images(shape, seed)
        norm(x)
        running_mean = 0.7 * running_mean + 0.3 * x.double().numpy().mean(axes)
        running_var = 0.7 * running_var + 0.3 * x.double().numpy().var(axes)
    norm.eval()
    x = images(shape, 4)
    expected = plain_formula(norm, x.double().numpy(), running_mean, running_var)
    np.testing.assert_allclose(norm(x).detach().numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(norm.running_var.numpy(), running_var, rtol=1e-5)


@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_a_one_hot_choice_is_that_norm(chosen):
    x = images((3, 4, 5, 6))
    norm = SwitchableNorm2d(4)
    with torch.no_grad():
        for logits in (norm.mean_weight, norm.var_weight):
            logits.fill_(-50)
            logits[chosen] = 50
    expected = (
        F.instance_norm(x, eps=EPS),
        F.layer_norm(x, x.shape[1:], eps=EPS),
        F.batch_norm(x, None, None, training=True, eps=EPS),
    )[chosen]
    torch.testing.assert_close(norm(x), expected, atol=1e-5, rtol=1e-5)


def test_means_and_variances_are_chosen_separately():
    x = images((3, 4, 5, 6))
    norm = SwitchableNorm2d(4)
    with torch.no_grad():
        norm.mean_weight.copy_(torch.tensor([50.0, -50.0, -50.0]))
        norm.var_weight.copy_(torch.tensor([-50.0, 50.0, -50.0]))
    expected = (x - x.mean((2, 3), keepdim=True)) / (
        x.var((1, 2, 3), keepdim=True, correction=0) + EPS
    ).sqrt()
    torch.testing.assert_close(norm(x), expected, atol=1e-5, rtol=1e-5)


def test_an_untrained_norm_infers_with_unit_variance():
    norm = SwitchableNorm2d(2).eval()
    with torch.no_grad():
        for logits in (norm.mean_weight, norm.var_weight):
            logits.copy_(torch.tensor([-50.0, -50.0, 50.0]))
    x = images((1, 2, 3, 3))
    torch.testing.assert_close(norm(x), x / (1 + EPS) ** 0.5)


@pytest.mark.parametrize("training", [True, False])
def test_gradients(training):
    norm = randomised(SwitchableNorm2d, 3).double().train(training)
    x = images((2, 3, 2, 3)).double().requires_grad_()
    names, parameters = zip(*norm.named_parameters(), strict=True)
    assert set(names) == {"weight", "bias", "mean_weight", "var_weight"}

    def run(x, *values):
        return torch.func.functional_call(norm, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *parameters))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("training", [True, False])
def test_one_pixel_maps_stay_finite(batch, training):
    norm = randomised(SwitchableNorm2d, 4).train(training)
    x = images((batch, 4, 1, 1)).requires_grad_()
    out = norm(x)
    out.square().sum().backward()
    assert out.isfinite().all()
    assert x.grad.isfinite().all()
    assert norm.running_var.isfinite().all()


def test_result_may_be_changed_in_place():
    norm = randomised(SwitchableNorm2d, 4)
    x = images((2, 4, 3, 3)).requires_grad_()
    before = x.detach().clone()
    F.leaky_relu_(norm(x), 0.01).sum().backward()
    assert torch.equal(x.detach(), before)
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_statistics_of_half_precision_input_are_float32(dtype):
    norm = randomised(SwitchableNorm2d, 4)
    # Squares of 1000 and more exceed float16's 65504.
    x = (1000 * images((2, 4, 8, 8))).to(dtype)
    expected = plain_formula(norm, x.double().numpy())
    out = norm(x)
    assert out.dtype == dtype
    assert norm.running_var.dtype == torch.float32
    np.testing.assert_allclose(out.detach().double().numpy(), expected, rtol=1e-2, atol=1e-2)


def test_large_mean_does_not_cancel_the_variance():
    norm = SwitchableNorm2d(2)
    x = images((2, 2, 16, 16)) + 1000
    np.testing.assert_allclose(
        norm(x).detach().numpy(), plain_formula(norm, x.double().numpy()), atol=1e-3
    )


def test_compiled_module_gives_the_same():
    norm, twin = (randomised(SwitchableNorm2d, 4) for _ in range(2))
    compiled = torch.compile(twin, backend="aot_eager", fullgraph=True)
    for training in (True, False):
        norm.train(training)
        twin.train(training)
        x = images((2, 4, 5, 6), seed=int(training))
        torch.testing.assert_close(compiled(x), norm(x))
    torch.testing.assert_close(twin.running_var, norm.running_var)


def test_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"SwitchableNorm2d expects \(B, 4\).*\(2, 3, 5, 5\)"):
        SwitchableNorm2d(4)(torch.zeros(2, 3, 5, 5))
    with pytest.raises(ValueError, match="3 spatial axes"):
        SwitchableNorm3d(4)(torch.zeros(2, 4, 5, 5))
