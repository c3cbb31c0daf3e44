"""Switchable normalisation: a learned blend of instance, layer and batch normalisation."""

from __future__ import annotations

import torch
from torch import nn


class _SwitchableNorm(nn.Module):
    """Normalise with a learned mixture of instance, layer and batch statistics.

    ``mean = sum_k softmax(mean_weight)_k mean_k`` and ``var = sum_k softmax(var_weight)_k var_k``
    with k in (instance, layer, batch); the output is ``(x - mean) / sqrt(var + eps) * weight +
    bias``.

    Source: Luo et al. 2018 (arXiv 1806.10779). Choices: every variance is biased (1/N),
    ``running_var`` starts at 1 and ``momentum`` is the weight of the new value, as in PyTorch. So
    1x1 maps stay finite and inference is sane after a few steps.

    Args:
        num_features: channels C of the input.
        eps: added to the variance.
        momentum: weight of the new batch statistics in the running ones.
        affine: whether to learn a scale and a shift per channel.
    """

    spatial_dims: int

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        *,
        affine: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None
        self.mean_weight = nn.Parameter(torch.ones(3))
        self.var_weight = nn.Parameter(torch.ones(3))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, *spatial) -> the same shape and dtype, always a new tensor."""
        if x.ndim != self.spatial_dims + 2 or x.shape[1] != self.num_features:
            raise ValueError(
                f"{type(self).__name__} expects (B, {self.num_features}) plus {self.spatial_dims} "
                f"spatial axes, found shape {tuple(x.shape)}."
            )
        # Sums of squares overflow in float16: statistics and the affine map are float32 under
        # autocast.
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        mean, var = self._blended_statistics(wide)
        scale = torch.rsqrt(var + self.eps)
        if self.weight is not None:
            scale = scale * self.weight
        shift = -mean * scale
        if self.bias is not None:
            shift = shift + self.bias
        per_map = (*mean.shape, *(1,) * self.spatial_dims)
        return (wide * scale.view(per_map) + shift.view(per_map)).to(x.dtype)

    def _blended_statistics(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance per map, (B, C) each; the image is read once.

        Layer and batch statistics follow from the instance ones by the law of total variance,
        which does not cancel as E[x^2] - E[x]^2 does.
        """
        var_in, mean_in = torch.var_mean(x, dim=tuple(range(2, x.ndim)), correction=0)
        between_channels, mean_ln = torch.var_mean(mean_in, dim=1, correction=0, keepdim=True)
        var_ln = var_in.mean(dim=1, keepdim=True) + between_channels
        mean_bn, var_bn = self._batch_statistics(mean_in, var_in)
        share_mean = torch.softmax(self.mean_weight, dim=0)
        share_var = torch.softmax(self.var_weight, dim=0)
        mean = share_mean[0] * mean_in + share_mean[1] * mean_ln + share_mean[2] * mean_bn
        var = share_var[0] * var_in + share_var[1] * var_ln + share_var[2] * var_bn
        return mean, var

    def _batch_statistics(
        self, mean_in: torch.Tensor, var_in: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance (C,) of the batch in training, the running ones otherwise."""
        if not self.training:
            return self.running_mean, self.running_var
        between_samples, mean_bn = torch.var_mean(mean_in, dim=0, correction=0)
        var_bn = var_in.mean(dim=0) + between_samples
        with torch.no_grad():
            self.running_mean.lerp_(mean_bn.to(self.running_mean.dtype), self.momentum)
            self.running_var.lerp_(var_bn.to(self.running_var.dtype), self.momentum)
        return mean_bn, var_bn

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


class SwitchableNorm2d(_SwitchableNorm):
    """Switchable normalisation of (B, C, Y, X)."""

    spatial_dims = 2


class SwitchableNorm3d(_SwitchableNorm):
    """Switchable normalisation of (B, C, Z, Y, X)."""

    spatial_dims = 3
