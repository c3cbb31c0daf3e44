"""Switchable normalisation's statistics, and its autograd function with a written-out backward."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import distributed as dist
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from nnunetv2_strokesynth.papers.shared.switchable_norm_passes import (
    dense,
    gradient_sums,
    input_gradient,
    scaled_maps,
)


class Moments(NamedTuple):
    """A mean and a biased variance, (B, C) or what broadcasts to it."""

    mean: torch.Tensor
    var: torch.Tensor


def merged_moments(parts: Moments, dim: int) -> Moments:
    """Moments of the union of equally large parts along one axis, which stays with length 1.

    The law of total variance loses no digits, as E[x^2] - E[x]^2 would. ``torch.var_mean`` takes
    ten times as long on arrays as small as these.
    """
    mean = parts.mean.mean(dim=dim, keepdim=True)
    scatter = parts.var + (parts.mean - mean).square()
    return Moments(mean, scatter.mean(dim=dim, keepdim=True))


def layer_moments(instance: Moments) -> Moments:
    """Moments over the channels of each sample, (B, 1), from those of the maps, (B, C)."""
    return merged_moments(instance, dim=1)


def batch_moments(
    instance: Moments, n_pixels: int, *, synchronise: bool
) -> tuple[Moments, float | torch.Tensor]:
    """Moments over the samples of each channel, (1, C), and one map's share of the batch's pixels.

    Args:
        instance: moments of this process' samples, (B, C).
        n_pixels: pixels of one map.
        synchronise: whether the batch is that of all processes of the default group; they may
            differ in number and size of samples.
    """
    batch = merged_moments(instance, dim=0)
    n_samples = len(instance.mean)
    if not synchronise:
        return batch, 1 / n_samples
    count = batch.mean.new_full((1, 1), n_samples * n_pixels)
    rows = _rows_of_all_ranks(torch.cat((count, *batch), dim=1))
    counts, (means, variances) = rows[:, :1], rows[:, 1:].chunk(2, dim=1)
    weights = counts / counts.sum()
    mean = (weights * means).sum(dim=0, keepdim=True)
    var = (weights * (variances + (means - mean).square())).sum(dim=0, keepdim=True)
    return Moments(mean, var), n_pixels / counts.sum()


def _rows_of_all_ranks(row: torch.Tensor) -> torch.Tensor:
    """Gather a row of each rank, differentiably: (1, K) -> (ranks, K).

    Each rank adds a matrix that is zero except for its own row.
    """
    before, after = dist.get_rank(), dist.get_world_size() - dist.get_rank() - 1
    return _SumOverRanks.apply(F.pad(row, (0, 0, before, after)))


class _SumOverRanks(torch.autograd.Function):
    """The sum over all processes, on each of them; the gradient is summed alike. Traceable."""

    @staticmethod
    def forward(ctx, values: torch.Tensor) -> torch.Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, grad: torch.Tensor) -> torch.Tensor:
        total = grad.clone()
        dist.all_reduce(total)
        return total


def blended(
    instance: Moments, layer: Moments, batch: Moments, shares: tuple[torch.Tensor, torch.Tensor]
) -> Moments:
    """``mean = sum_k shares[0]_k mean_k``, ``var = sum_k shares[1]_k var_k``, (B, C) each."""
    return Moments(
        *(
            share[0] * of_instance + share[1] * of_layer + share[2] * of_batch
            for share, of_instance, of_layer, of_batch in zip(
                shares, instance, layer, batch, strict=True
            )
        )
    )


class SwitchableNormFunction(torch.autograd.Function):
    """The whole normalisation; it keeps the input and (B, C) statistics for the backward.

    The instance and batch moments are passed in as constants (``map_moments``, ``batch_moments``),
    but the gradient with respect to ``x`` takes into account that they depend on ``x``.
    """

    @staticmethod
    def forward(
        ctx,
        x: torch.Tensor,
        weight: torch.Tensor | None,
        bias: torch.Tensor | None,
        mean_weight: torch.Tensor,
        var_weight: torch.Tensor,
        instance: Moments,
        batch: Moments,
        batch_share: float | torch.Tensor | None,
        eps: float,
        synchronise: bool,
    ) -> torch.Tensor:
        """``(x - mean) / sqrt(var + eps) * weight + bias``, always a new tensor.

        Args:
            ctx: of autograd.
            x: (B, C, *spatial), dense; the result has its layout and dtype.
            weight, bias: (C,) or None.
            mean_weight, var_weight: (3,), logits of the shares of instance, layer and batch.
            instance: (B, C).
            batch: (1, C); the batch's or the running ones.
            batch_share: one map's share in the batch's pixels; None for running statistics.
            eps: added to the variance.
            synchronise: whether other processes' samples are in ``batch``.
        """
        shares = torch.softmax(mean_weight, dim=0), torch.softmax(var_weight, dim=0)
        layer = layer_moments(instance)
        mean, var = blended(instance, layer, batch, shares)
        rstd = torch.rsqrt(var + eps)
        scale = rstd if weight is None else rstd * weight
        shift = torch.zeros_like(mean) if bias is None else bias.to(mean.dtype).expand_as(mean)
        ctx.save_for_backward(x, weight, rstd, *shares, mean, var, *instance, *layer, *batch)
        ctx.batch_share, ctx.synchronise = batch_share, synchronise
        return scaled_maps(x, mean, scale.to(mean.dtype), shift)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of x, weight, bias, mean_weight and var_weight; None for the rest."""
        x, weight, rstd, *saved = ctx.saved_tensors
        shares, blend, instance, layer, batch = (
            Moments(*pair) for pair in zip(saved[::2], saved[1::2], strict=True)
        )
        grad = dense(grad, like=x)
        scale = rstd if weight is None else rstd * weight
        # y = (x - mean) * scale + bias
        sum_grad, of_scale = gradient_sums(grad, x, instance.mean)
        of_scale = of_scale + (instance.mean - blend.mean) * sum_grad
        of_blend = Moments(-scale * sum_grad, -0.5 * scale * rstd.square() * of_scale)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_instance = _through_moments(
                of_blend, shares, instance, layer, batch, ctx.batch_share, ctx.synchronise
            )
            # mean = sum(x) / N and var = sum((x - mean)^2) / N
            per_pixel = instance.mean.numel() / x.numel()
            of_x = input_gradient(
                grad,
                x,
                instance.mean,
                scale=scale.to(rstd.dtype),
                slope=2 * per_pixel * of_instance.var,
                offset=per_pixel * of_instance.mean,
            )
        of_weight = None if weight is None else (of_scale * rstd).sum(dim=0)
        of_bias = sum_grad.sum(dim=0) if ctx.needs_input_grad[2] else None
        of_logits = _of_logits(of_blend, shares, blend, (instance, layer, batch))
        return of_x, of_weight, of_bias, *of_logits, *(None,) * 5


def _through_moments(
    of_blend: Moments,
    shares: Moments,
    instance: Moments,
    layer: Moments,
    batch: Moments,
    batch_share: float | torch.Tensor | None,
    synchronise: bool,
) -> Moments:
    """Gradient of the instance moments, (B, C), from that of the blended ones.

    The instance moments enter the blend directly, through their means over the channels (layer) and
    through their means over the batch. The last term of each comes from the variance of the
    instance means about ``layer.mean`` or ``batch.mean``.
    """
    layer_mean, layer_var = (
        share[1] * grad.mean(dim=1, keepdim=True)
        for share, grad in zip(shares, of_blend, strict=True)
    )
    mean = shares.mean[0] * of_blend.mean + layer_mean
    mean = mean + 2 * layer_var * (instance.mean - layer.mean)
    var = shares.var[0] * of_blend.var + layer_var
    if batch_share is None:
        return Moments(mean, var)
    totals = torch.stack([grad.sum(dim=0, keepdim=True) for grad in of_blend])
    if synchronise:
        dist.all_reduce(totals)
    batch_mean, batch_var = (
        share[2] * batch_share * total for share, total in zip(shares, totals, strict=True)
    )
    mean = mean + batch_mean + 2 * batch_var * (instance.mean - batch.mean)
    return Moments(mean, var + batch_var)


def _of_logits(
    of_blend: Moments, shares: Moments, blend: Moments, moments: tuple[Moments, Moments, Moments]
) -> list[torch.Tensor]:
    """Gradients of mean_weight and var_weight, (3,) each.

    Through the softmax, ``share_k * sum(grad * (moment_k - blend))``.
    """
    return [
        share * torch.stack([torch.sum(grad * (moment - blend_)) for moment in of_kinds])
        for grad, share, blend_, of_kinds in zip(
            of_blend, shares, blend, zip(*moments, strict=True), strict=True
        )
    ]
