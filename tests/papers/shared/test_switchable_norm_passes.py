"""Every pass over the image against NumPy in float64."""

import numpy as np
import pytest
import torch

from nnunetv2_strokesynth.papers.shared import switchable_norm_passes as passes

SHAPES = [(3, 4, 5, 6), (2, 3, 2, 3, 4), (2, 3, 1, 1), (1, 1, 3, 5)]


def image(shape, seed=0, *, last=False, dtype=torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = 2 * torch.randn(shape, generator=generator) + 1
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return x.to(dtype).to(memory_format=formats[len(shape)] if last else torch.contiguous_format)


def coefficients(shape, n: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(9)
    return [torch.randn(shape[:2], generator=generator) for _ in range(n)]


def wide(t: torch.Tensor, ndim: int = 0) -> np.ndarray:
    """In float64; per-map values with ``ndim`` axes."""
    values = t.detach().double().numpy()
    return values.reshape(*values.shape, *(1,) * (ndim - values.ndim))


def spatial(x: torch.Tensor) -> tuple[int, ...]:
    return tuple(range(2, x.ndim))


def same_layout(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Strides along axes of length 1 say nothing."""
    strides = [[n for n, size in zip(t.stride(), t.shape, strict=True) if size > 1] for t in (a, b)]
    return a.shape == b.shape and strides[0] == strides[1]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_map_moments(shape, last):
    x = image(shape, last=last)
    mean, var = passes.map_moments(x)
    assert mean.shape == var.shape == shape[:2]
    np.testing.assert_allclose(mean, wide(x).mean(spatial(x)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(var, wide(x).var(spatial(x)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("block_pixels", [1, 64, 200, 10**6])
def test_map_moments_do_not_depend_on_the_blocks(block_pixels, monkeypatch):
    monkeypatch.setattr(passes, "_BLOCK_PIXELS", block_pixels)
    x = image((3, 7, 8, 8))
    mean, var = passes.map_moments(x)
    np.testing.assert_allclose(mean, wide(x).mean((2, 3)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(var, wide(x).var((2, 3)), rtol=1e-5)


@pytest.mark.parametrize("last", [False, True])
def test_moments_of_a_large_mean_and_of_a_constant(last):
    x = image((2, 3, 32, 32), last=last)
    x[0] += 1000
    x[1, 2] = 3.3
    mean, var = passes.map_moments(x)
    np.testing.assert_allclose(mean, wide(x).mean((2, 3)), rtol=1e-6)
    np.testing.assert_allclose(var, wide(x).var((2, 3)), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_scaled_maps(shape, last):
    x, (mean, scale, shift) = image(shape, last=last), coefficients(shape, 3)
    out = passes.scaled_maps(x, mean, scale, shift)
    mean, scale, shift = (wide(t, x.ndim) for t in (mean, scale, shift))
    np.testing.assert_allclose(out, (wide(x) - mean) * scale + shift, rtol=1e-5, atol=1e-5)
    assert same_layout(out, x)
    assert not out._is_view()


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_sums(shape, last):
    x, grad = image(shape, last=last), image(shape, 1, last=last)
    (mean,) = coefficients(shape, 1)
    sums, products = passes.gradient_sums(grad, x, mean)
    np.testing.assert_allclose(sums, wide(grad).sum(spatial(x)), rtol=1e-5, atol=1e-5)
    expected = (wide(grad) * (wide(x) - wide(mean, x.ndim))).sum(spatial(x))
    np.testing.assert_allclose(products, expected, rtol=1e-5, atol=1e-5)


def test_sums_of_large_maps_stay_exact():
    """Added up in one row, float32 is 1e-4 off at this size."""
    x = image((1, 2, 1024, 1024)).relu()
    sums, products = passes.gradient_sums(x, x, torch.zeros(1, 2))
    np.testing.assert_allclose(sums, wide(x).sum((2, 3)), rtol=3e-6)
    np.testing.assert_allclose(products, np.square(wide(x)).sum((2, 3)), rtol=3e-6)


@pytest.mark.parametrize(
    ("n_pixels", "n_rows"), [(1, 1), (1024, 1), (1025, 5), (4096, 4), (1200, 2), (3 * 1021, 3)]
)
def test_rows_are_equal_and_short(n_pixels, n_rows):
    assert passes._n_rows(n_pixels) == n_rows


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_input_gradient(shape, last):
    x, grad = image(shape, last=last), image(shape, 1, last=last)
    mean, scale, slope, offset = coefficients(shape, 4)
    out = passes.input_gradient(grad, x, mean, scale=scale, slope=slope, offset=offset)
    mean, scale, slope, offset = (wide(t, x.ndim) for t in (mean, scale, slope, offset))
    expected = wide(grad) * scale + (wide(x) - mean) * slope + offset
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)
    assert same_layout(out, x)


@pytest.mark.parametrize("least_scale", [0.0, 1e-30, -1.0])
def test_input_gradient_on_cuda(least_scale, monkeypatch):
    """The kernel's formula stands in for it, per channel of (1, maps, pixels)."""

    def kernel(grad, x, mean, invstd, weight, sum_dy, sum_dy_xmu, count):
        assert count.dtype == torch.int32
        mean, invstd, weight, sum_dy, sum_dy_xmu = (
            t[:, None] for t in (mean, invstd, weight, sum_dy, sum_dy_xmu)
        )
        centred = grad - sum_dy / count - (x - mean) * invstd**2 * sum_dy_xmu / count
        return centred * invstd * weight

    monkeypatch.setattr(torch, "batch_norm_backward_elemt", kernel)
    x, grad = image((3, 4, 5, 6)), image((3, 4, 5, 6), 1)
    mean, scale, slope, offset = coefficients(x.shape, 4)
    scale[1, 2] = least_scale
    out = passes._input_gradient_cuda(grad, x, mean, scale, slope, offset)
    mean, scale, slope, offset = (wide(t, 4) for t in (mean, scale, slope, offset))
    expected = wide(grad) * scale + (wide(x) - mean) * slope + offset
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(dtype, last):
    """Squares and sums exceed float16; the results are those of float32, rounded at the end."""
    x, grad = (image((2, 3, 16, 16), s, last=last, dtype=dtype) * 300 for s in (0, 1))
    mean, var = passes.map_moments(x)
    assert mean.dtype == var.dtype == torch.float32
    np.testing.assert_allclose(var, wide(x).var((2, 3)), rtol=1e-4)
    sums, products = passes.gradient_sums(grad, x, mean)
    assert sums.dtype == products.dtype == torch.float32
    np.testing.assert_allclose(sums, wide(grad).sum((2, 3)), rtol=1e-4)
    coefficient = torch.full((2, 3), 1e-3)
    out = passes.scaled_maps(x, mean, coefficient, coefficient)
    of_x = passes.input_gradient(
        grad, x, mean, scale=coefficient, slope=-coefficient, offset=coefficient
    )
    assert out.dtype == of_x.dtype == dtype
    centred = wide(x) - wide(mean, 4)
    rounding = torch.finfo(dtype).eps
    np.testing.assert_allclose(wide(out), 1e-3 * (centred + 1), rtol=rounding, atol=1e-6)
    expected = 1e-3 * (wide(grad) - centred + 1)
    np.testing.assert_allclose(wide(of_x), expected, rtol=rounding, atol=1e-6)


def test_dense_layouts():
    x = image((2, 3, 4, 5))
    last = x.to(memory_format=torch.channels_last)
    assert passes.dense(x) is x
    assert passes.dense(last) is last
    assert passes.dense(x, like=last).stride() == last.stride()
    assert passes.dense(last, like=x).is_contiguous()
    assert passes.dense(x.transpose(2, 3)).is_contiguous()
    assert passes.dense(x[:1, :1, :1, :1].expand_as(x), like=last).stride() == last.stride()
