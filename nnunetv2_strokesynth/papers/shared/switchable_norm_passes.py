"""The four passes over the image that switchable normalisation needs.

A map is one channel of one sample. The kernels of batch normalisation, applied to the B * C maps
as if they were the channels of a single sample, read and write a contiguous image once; an image
in channels_last takes more passes. Coefficients and sums are (B, C), float32 for images in half
precision. For the CPU and CUDA.
"""

from __future__ import annotations

import math
from functools import cache

import torch

from nnunetv2_strokesynth.losses.precision import wide

aten = torch.ops.aten

# The CPU's kernel for gradient_sums adds up in single precision, one number per vector lane: over
# 2 million pixels its sums are off by 1e-3, over 1024 by 1e-6.
_LONGEST_ROW = 1024
# Per thread: 4 MiB of float32. Larger blocks do not fit in the cache; smaller ones gain nothing and
# make the threads wait for each other more often.
_BLOCK_PIXELS = 2**20
# A smaller scale is replaced by this one: what it adds to the gradient is lost in rounding anyway.
_LEAST_SCALE = 1e-20


def dense(x: torch.Tensor, like: torch.Tensor | None = None) -> torch.Tensor:
    """(B, C, *spatial) in its own layout, or that of ``like``: contiguous or channels_last.

    The tensor itself where its layout is that one already, else a copy; contiguous where the
    layout is neither.
    """
    like = x if like is None else like
    last = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    is_last = like.is_contiguous(memory_format=last) and not like.is_contiguous()
    return x.contiguous(memory_format=last if is_last else torch.contiguous_format)


def map_moments(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and biased variance per map, (B, C) each; a large mean costs no digits."""
    if not x.is_contiguous():
        var, mean = torch.var_mean(wide(x), dim=tuple(range(2, x.ndim)), correction=0)
    elif x.is_cuda:
        mean, var = aten.batch_norm_update_stats(_maps(x), None, None, 0.0)
    else:
        mean, var = _map_moments_cpu(_maps(x))
    return mean.view(x.shape[:2]), var.view(x.shape[:2])


def _map_moments_cpu(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The same for (1, maps, pixels), three times as fast as batch normalisation's statistics.

    It calls group normalisation, each map a group, for its vectorised Welford loop. It discards
    the normalised image, which stays in the cache because the work is done block by block.
    """
    n_pixels = maps.shape[2]
    block = max(1, torch.get_num_threads() * _BLOCK_PIXELS // max(1, n_pixels))
    moments = []
    for part in maps.split(block, dim=1):
        n_maps, eps = part.shape[1], 0.0
        _, mean, rstd = aten.native_group_norm(
            wide(part), None, None, 1, n_maps, n_pixels, n_maps, eps
        )
        moments.append((mean, rstd.pow(-2)))
    return tuple(torch.cat(part, dim=1) for part in zip(*moments, strict=True))


def scaled_maps(
    x: torch.Tensor, mean: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor
) -> torch.Tensor:
    """``(x - mean) * scale + shift`` as a new tensor (no view) in the layout and dtype of x.

    Args:
        x: (B, C, *spatial).
        mean, scale, shift: (B, C).
    """
    if not x.is_contiguous():
        shift = torch.addcmul(shift, mean, scale, value=-1)
        return (wide(x) * _per_map(scale, x)).add_(_per_map(shift, x)).to(x.dtype)
    mean, scale, shift = (t.reshape(-1) for t in (mean, scale, shift))
    one = torch.ones_like(mean)
    out, _, _ = aten.native_batch_norm(
        _maps(_kernel_input(x)), scale, shift, mean, one, False, 0.0, 0.0
    )
    # In-place activations follow: autograd refuses them on a view made inside a custom function.
    return aten._unsafe_view(out, x.shape).to(x.dtype)


def gradient_sums(
    grad: torch.Tensor, x: torch.Tensor, mean: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """``sum(grad)`` and ``sum(grad * (x - mean))`` per map, (B, C) each.

    Args:
        grad, x: (B, C, *spatial) of the same layout and dtype.
        mean: (B, C).
    """
    if not x.is_contiguous():
        spatial, grad = tuple(range(2, x.ndim)), wide(grad)
        product = (wide(x) - _per_map(mean, x)).mul_(grad)
        return grad.sum(dim=spatial), product.sum(dim=spatial)
    n_rows = 1 if x.is_cuda else _n_rows(math.prod(x.shape[2:]))
    dy, rows = (_maps(_kernel_input(t), n_rows) for t in (grad, x))
    centre = mean.reshape(-1, 1).expand(-1, n_rows).reshape(-1)
    one = torch.ones_like(centre)
    # They are the gradients of a batch norm's bias and of its weight, with an invstd of 1.
    _, products, sums = aten.native_batch_norm_backward(
        dy, rows, one, None, None, centre, one, True, 0.0, (False, True, True)
    )
    return tuple(t.view(*mean.shape, n_rows).sum(dim=2) for t in (sums, products))


def input_gradient(
    grad: torch.Tensor,
    x: torch.Tensor,
    mean: torch.Tensor,
    *,
    scale: torch.Tensor,
    slope: torch.Tensor,
    offset: torch.Tensor,
) -> torch.Tensor:
    """``grad * scale + (x - mean) * slope + offset`` in the layout and dtype of x.

    Args:
        grad, x: (B, C, *spatial) of the same layout and dtype.
        mean, scale, slope, offset: (B, C).
    """
    if x.is_cuda and x.is_contiguous():
        return _input_gradient_cuda(grad, x, mean, scale, slope, offset)
    out = scaled_maps(wide(x), mean, slope, offset)
    return out.addcmul_(wide(grad), _per_map(scale, x)).to(x.dtype)


def _input_gradient_cuda(
    grad: torch.Tensor,
    x: torch.Tensor,
    mean: torch.Tensor,
    scale: torch.Tensor,
    slope: torch.Tensor,
    offset: torch.Tensor,
) -> torch.Tensor:
    """The same in one kernel, that of SyncBatchNorm, which exists on CUDA only.

    It computes ``(grad - sum_dy / count - (x - mean) * invstd^2 * sum_dy_xmu / count) * invstd *
    weight`` per channel.
    """
    mean, scale, slope, offset = (t.reshape(-1) for t in (mean, scale, slope, offset))
    scale = torch.where(scale.abs() < _LEAST_SCALE, _LEAST_SCALE, scale)
    one, count = torch.ones_like(mean), torch.ones(1, dtype=torch.int32, device=x.device)
    out = torch.batch_norm_backward_elemt(
        _maps(grad), _maps(x), mean, one, scale, -offset / scale, -slope / scale, count
    )
    return out.view(x.shape)


@cache
def _n_rows(n_pixels: int) -> int:
    """The fewest equal rows of at most ``_LONGEST_ROW`` pixels that a map divides into."""
    longest = max(1, min(n_pixels, _LONGEST_ROW))
    return n_pixels // next(n for n in range(longest, 0, -1) if n_pixels % n == 0)


def _maps(x: torch.Tensor, n_rows: int = 1) -> torch.Tensor:
    """A contiguous image as one sample whose channels are the maps, or rows of them."""
    batch, channels, *spatial = x.shape
    return x.view(1, batch * channels * n_rows, math.prod(spatial) // n_rows)


def _kernel_input(x: torch.Tensor) -> torch.Tensor:
    """In float32 at least on the CPU; CUDA's kernels widen by themselves, pixel by pixel."""
    return x if x.is_cuda else wide(x)


def _per_map(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return values.reshape(*values.shape, *(1,) * (x.ndim - 2))
