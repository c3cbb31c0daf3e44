"""The written-out backward against numeric gradients and against autograd on the plain formula."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nnunetv2_strokesynth.networks.strokesynth_net import planned_networks
from nnunetv2_strokesynth.papers.shared import switchable_norm_function as function_module
from nnunetv2_strokesynth.papers.shared.switchable_norm import (
    SwitchableNorm2d,
    SwitchableNorm3d,
)
from nnunetv2_strokesynth.papers.shared.switchable_norm_function import (
    Moments,
    SwitchableNormFunction,
)

LAYOUTS = [
    (SwitchableNorm2d, (2, 3, 2, 3), torch.contiguous_format),
    (SwitchableNorm2d, (2, 3, 2, 3), torch.channels_last),
    (SwitchableNorm2d, (1, 3, 2, 2), torch.contiguous_format),
    (SwitchableNorm2d, (3, 2, 1, 1), torch.contiguous_format),
    (SwitchableNorm3d, (2, 2, 2, 2, 3), torch.contiguous_format),
    (SwitchableNorm3d, (2, 2, 2, 2, 3), torch.channels_last_3d),
]


def old_forward(norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The formula of release 0.1, every operation left to autograd: the oracle."""
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    var_in, mean_in = torch.var_mean(wide, dim=tuple(range(2, x.ndim)), correction=0)
    between_channels, mean_ln = torch.var_mean(mean_in, dim=1, correction=0, keepdim=True)
    var_ln = var_in.mean(dim=1, keepdim=True) + between_channels
    mean_bn, var_bn = norm.running_mean, norm.running_var
    if norm.training:
        between_samples, mean_bn = torch.var_mean(mean_in, dim=0, correction=0)
        var_bn = var_in.mean(dim=0) + between_samples
        with torch.no_grad():
            norm.running_mean.lerp_(mean_bn.to(norm.running_mean.dtype), norm.momentum)
            norm.running_var.lerp_(var_bn.to(norm.running_var.dtype), norm.momentum)
    share_mean = torch.softmax(norm.mean_weight, dim=0)
    share_var = torch.softmax(norm.var_weight, dim=0)
    mean = share_mean[0] * mean_in + share_mean[1] * mean_ln + share_mean[2] * mean_bn
    var = share_var[0] * var_in + share_var[1] * var_ln + share_var[2] * var_bn
    scale = torch.rsqrt(var + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight
    shift = -mean * scale
    if norm.bias is not None:
        shift = shift + norm.bias
    per_map = (*mean.shape, *(1,) * (x.ndim - 2))
    return (wide * scale.view(per_map) + shift.view(per_map)).to(x.dtype)


def randomised(cls, num_features: int, **kwargs) -> nn.Module:
    torch.manual_seed(0)
    norm = cls(num_features, **kwargs)
    with torch.no_grad():
        for tensor in (*norm.parameters(), norm.running_mean, norm.running_var):
            tensor.add_(torch.rand_like(tensor))
    return norm


def image(shape, memory_format=torch.contiguous_format, seed=0) -> torch.Tensor:
    torch.manual_seed(seed)
    per_map = (*shape[:2], *(1,) * (len(shape) - 2))
    x = (0.5 + torch.rand(per_map)) * torch.randn(shape) + torch.randn(per_map)
    return x.to(memory_format=memory_format)


def run_gradcheck(norm: nn.Module, x: torch.Tensor) -> bool:
    names, parameters = zip(*norm.named_parameters(), strict=True)

    def run(x, *values):
        return torch.func.functional_call(norm, dict(zip(names, values, strict=True)), (x,))

    return torch.autograd.gradcheck(run, (x, *parameters))


def gradients(norm: nn.Module, x: torch.Tensor, forward=None) -> list[torch.Tensor]:
    """Output, gradient of the input and of every parameter under one random weighting."""
    x = x.detach().requires_grad_()
    out = norm(x) if forward is None else forward(norm, x)
    torch.manual_seed(3)
    out.backward(torch.randn(out.shape).to(out.dtype))
    found = [out.detach(), x.grad, *(p.grad.clone() for p in norm.parameters())]
    norm.zero_grad()
    return found


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize(("cls", "shape", "memory_format"), LAYOUTS)
def test_gradcheck(cls, shape, memory_format, affine, training):
    norm = randomised(cls, shape[1], affine=affine, eps=1e-2).double().train(training)
    assert run_gradcheck(norm, image(shape, memory_format).double().requires_grad_())


@pytest.mark.parametrize("lost", ["layer", "batch", "spread", "share"])
def test_gradcheck_catches_a_planted_error(lost, monkeypatch):
    honest = function_module._through_moments

    def wrong(of_blend, shares, instance, layer, batch, batch_share, synchronise):
        if lost == "layer":
            shares = Moments(*(s * torch.tensor([1.0, 0.0, 1.0]) for s in shares))
        if lost == "batch":
            batch_share = None
        if lost == "spread":
            layer = instance
        if lost == "share":
            batch_share = 2 * batch_share
        return honest(of_blend, shares, instance, layer, batch, batch_share, synchronise)

    monkeypatch.setattr(function_module, "_through_moments", wrong)
    norm = randomised(SwitchableNorm2d, 3).double()
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        run_gradcheck(norm, image((2, 3, 2, 3)).double().requires_grad_())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("batch", [1, 3])
def test_equals_autograd_on_the_plain_formula(batch, memory_format, training):
    norms = [randomised(SwitchableNorm2d, 5).train(training) for _ in range(2)]
    x = image((batch, 5, 48, 40), memory_format)
    found, expected = gradients(norms[0], x), gradients(norms[1], x, old_forward)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    for name, buffer in norms[0].named_buffers():
        torch.testing.assert_close(buffer, norms[1].get_buffer(name), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_constant_images_become_the_bias(value):
    norm = randomised(SwitchableNorm2d, 3)
    out, *grads = gradients(norm, torch.full((2, 3, 6, 4), value))
    bias = norm.bias.detach()[:, None, None].expand_as(out)
    # 1e-7 of 7, divided by sqrt(eps)
    torch.testing.assert_close(out, bias, atol=1e-3, rtol=0)
    assert all(grad.isfinite().all() for grad in grads)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_memory_format_is_kept(memory_format):
    x = image((2, 4, 5, 6), memory_format)
    # The gradient arrives in the other layout, and expanded.
    for grad in (torch.ones(()).expand(2, 4, 5, 6), image((2, 4, 5, 6), torch.channels_last)):
        leaf = x.detach().requires_grad_()
        out = randomised(SwitchableNorm2d, 4)(leaf)
        assert out.is_contiguous(memory_format=memory_format)
        (of_x,) = torch.autograd.grad(out, leaf, grad)
        assert of_x.is_contiguous(memory_format=memory_format)
        (expected,) = torch.autograd.grad(
            old_forward(randomised(SwitchableNorm2d, 4), leaf), leaf, grad
        )
        torch.testing.assert_close(of_x, expected, atol=1e-5, rtol=1e-4)


def test_an_input_in_neither_layout():
    x = image((2, 4, 6, 6)).transpose(1, 3)[:, ::2]
    norms = [randomised(SwitchableNorm2d, 3) for _ in range(2)]
    found, expected = gradients(norms[0], x), gradients(norms[1], x, old_forward)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    norms = [randomised(SwitchableNorm2d, 4) for _ in range(2)]
    x = (100 * image((2, 4, 16, 16))).to(dtype)
    found = gradients(norms[0], x)
    expected = gradients(norms[1], x, old_forward)
    assert found[0].dtype == found[1].dtype == dtype
    for parameter, ours, theirs in zip(norms[0].parameters(), found[2:], expected[2:], strict=True):
        assert ours.dtype == parameter.dtype == torch.float32
        torch.testing.assert_close(ours, theirs, atol=1e-2, rtol=1e-3)
    for ours, theirs in zip(found[:2], expected[:2], strict=True):
        torch.testing.assert_close(ours, theirs, atol=torch.finfo(dtype).eps, rtol=1e-2)


def test_autocast_normalises_in_float32():
    conv, norm = nn.Conv2d(2, 3, 1), randomised(SwitchableNorm2d, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = conv(image((2, 2, 8, 8)))
        out = norm(features)
    assert out.dtype == features.dtype == torch.bfloat16
    out.float().sum().backward()
    assert {p.grad.dtype for p in norm.parameters()} == {torch.float32}
    twin = randomised(SwitchableNorm2d, 3)
    torch.testing.assert_close(out, old_forward(twin, features), atol=1e-2, rtol=1e-2)
    torch.testing.assert_close(norm.running_var, twin.running_var)


@pytest.mark.parametrize("training", [True, False])
def test_keeps_the_input_and_statistics_only(training):
    x = image((2, 8, 32, 32)).requires_grad_()
    norm = randomised(SwitchableNorm2d, 8).train(training)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        F.leaky_relu_(norm(x), 0.01)  # keeps its result, as it does after every norm
    of_image_size = [t for t in kept if t.numel() >= x.numel()]
    assert len(of_image_size) == 2
    assert any(t.data_ptr() == x.data_ptr() for t in of_image_size)
    rest = sum(t.numel() for t in kept if t.numel() < x.numel())
    assert 0 < rest <= 5 * 16 + 8 * 8


def test_only_what_is_asked_for_gets_a_gradient():
    norm = randomised(SwitchableNorm2d, 3)
    norm(image((2, 3, 4, 4))).sum().backward()  # an input without gradient: the first layer
    assert all(p.grad is not None for p in norm.parameters())
    frozen = randomised(SwitchableNorm2d, 3).requires_grad_(False)
    x = image((2, 3, 4, 4)).requires_grad_()
    frozen(x).square().sum().backward()
    assert x.grad.abs().sum() > 0
    with torch.no_grad():
        assert norm(x).grad_fn is None


def test_no_second_derivative_but_an_error():
    x = image((2, 3, 4, 4)).requires_grad_()
    out = randomised(SwitchableNorm2d, 3)(x).square().sum()
    (of_x,) = torch.autograd.grad(out, x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        of_x.sum().backward()


def test_eager_uses_the_function_and_a_compiler_the_formula():
    norm, x = randomised(SwitchableNorm2d, 3), image((2, 3, 4, 4))
    assert type(norm(x).grad_fn).__name__ == f"{SwitchableNormFunction.__name__}Backward"
    torch._dynamo.reset()
    seen = []

    def backend(graph, _):
        seen.extend(str(node.target) for node in graph.graph.nodes)
        return graph.forward

    torch.compile(norm, backend=backend, fullgraph=True)(x)
    assert any("var_mean" in name for name in seen)
    assert not any("autograd_function" in name or "native_group_norm" in name for name in seen)


def test_compiled_gradients_are_the_same():
    torch._dynamo.reset()
    norm, twin = (randomised(SwitchableNorm2d, 4) for _ in range(2))
    compiled = torch.compile(twin, backend="aot_eager", fullgraph=True)
    x = image((2, 4, 9, 7))
    found = gradients(norm, x)
    for ours, theirs in zip(found, gradients(compiled, x), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_state_dict_is_that_of_old_checkpoints():
    norm = SwitchableNorm2d(4)
    assert {name: tuple(t.shape) for name, t in norm.state_dict().items()} == {
        "weight": (4,),
        "bias": (4,),
        "mean_weight": (3,),
        "var_weight": (3,),
        "running_mean": (4,),
        "running_var": (4,),
    }


def test_a_whole_network_computes_what_it_did(architectures, monkeypatch):
    torch.manual_seed(0)
    network = planned_networks(
        architectures["PlainConvUNet"],
        "wang2020",
        2,
        segmenter_norm=SwitchableNorm2d,
        with_context_encoder=False,
    )
    x = torch.randn(2, 12, 32, 32)

    def run(training: bool):
        torch.manual_seed(1)
        network.train(training).zero_grad()
        logits = network(x)
        logits.square().mean().backward()
        return logits.detach(), [p.grad.clone() for p in network.parameters()]

    start = {name: t.clone() for name, t in network.state_dict().items()}
    results = []
    for forward in (SwitchableNorm2d.forward, old_forward):
        monkeypatch.setattr(SwitchableNorm2d, "forward", forward)
        network.load_state_dict(start)
        results.append([run(training) for training in (True, False)])
    for (ours, our_grads), (theirs, their_grads) in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
        for a, b in zip(our_grads, their_grads, strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-3)
