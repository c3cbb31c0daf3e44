"""Switchable normalisation: a learned blend of instance, layer and batch normalisation.

SLNet (``unet.py``) is built with it, so the trainers of Wang et al. 2020 and Song & Huang 2018 use
it. The product's networks have batch norm. On the CPU and on CUDA it runs as one autograd function
with a backward of its own (``switchable_norm_function.py``) over a few fused passes
(``switchable_norm_passes.py``), which saves its input and statistics per channel only; elsewhere,
and under a compiler, it is the plain formula.
"""

from __future__ import annotations

import math

import torch
from torch import distributed as dist
from torch import nn

from nnunetv2_strokesynth.losses.precision import wide
from nnunetv2_strokesynth.papers.shared.switchable_norm_function import (
    Moments,
    SwitchableNormFunction,
    batch_moments,
    blended,
    layer_moments,
)
from nnunetv2_strokesynth.papers.shared.switchable_norm_passes import (
    dense,
    map_moments,
)


class _SwitchableNorm(nn.Module):
    """Normalise with a learned mixture of instance, layer and batch statistics.

    ``mean = sum_k softmax(mean_weight)_k mean_k`` and ``var = sum_k softmax(var_weight)_k var_k``
    with k in (instance, layer, batch); the output is ``(x - mean) / sqrt(var + eps) * weight +
    bias``.

    Source: Luo et al. 2018 (arXiv 1806.10779). Choices: every variance is biased (1/N),
    ``running_var`` starts at 1 and ``momentum`` is the weight of the new value, as in PyTorch. So
    1x1 maps stay finite, and inference works after a few steps already. In distributed training the
    batch is that of all processes, as in ``SyncBatchNorm``, unless ``synchronise`` is False.

    Args:
        num_features: channels C of the input.
        eps: added to the variance.
        momentum: weight of the new batch statistics in the running ones.
        affine: whether to learn a scale and a shift per channel.
    """

    spatial_dims: int
    synchronise = True

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
        # A compiler fuses the formula by itself and cannot look into the hand-written function.
        fused = x.device.type in ("cpu", "cuda") and not torch.compiler.is_compiling()
        return self._fused(dense(x)) if fused else self._formula(x)

    def _fused(self, x: torch.Tensor) -> torch.Tensor:
        synchronise = self._shares_batch()
        with torch.no_grad():
            instance = Moments(*map_moments(x))
            batch, batch_share = self._batch_moments(instance, x, synchronise)
        return SwitchableNormFunction.apply(
            x,
            self.weight,
            self.bias,
            self.mean_weight,
            self.var_weight,
            instance,
            batch,
            batch_share,
            self.eps,
            synchronise,
        )

    def _formula(self, x: torch.Tensor) -> torch.Tensor:
        # Sums of squares overflow in float16, so statistics and the affine map are float32.
        values = wide(x)
        var_in, mean_in = torch.var_mean(values, dim=tuple(range(2, x.ndim)), correction=0)
        instance = Moments(mean_in, var_in)
        batch, _ = self._batch_moments(instance, x, self._shares_batch())
        shares = torch.softmax(self.mean_weight, dim=0), torch.softmax(self.var_weight, dim=0)
        mean, var = blended(instance, layer_moments(instance), batch, shares)
        scale = torch.rsqrt(var + self.eps)
        if self.weight is not None:
            scale = scale * self.weight
        shift = -mean * scale
        if self.bias is not None:
            shift = shift + self.bias
        per_map = (*mean.shape, *(1,) * self.spatial_dims)
        return (values * scale.view(per_map) + shift.view(per_map)).to(x.dtype)

    def _batch_moments(
        self, instance: Moments, x: torch.Tensor, synchronise: bool
    ) -> tuple[Moments, float | torch.Tensor | None]:
        """``batch_moments`` in training; otherwise the running statistics and None."""
        if not self.training:
            running = (self.running_mean[None], self.running_var[None])
            return Moments(*(t.to(instance.mean.dtype) for t in running)), None
        batch, batch_share = batch_moments(
            instance, math.prod(x.shape[2:]), synchronise=synchronise
        )
        with torch.no_grad():
            self.running_mean.lerp_(batch.mean[0].to(self.running_mean.dtype), self.momentum)
            self.running_var.lerp_(batch.var[0].to(self.running_var.dtype), self.momentum)
        return batch, batch_share

    def _shares_batch(self) -> bool:
        """Whether other processes hold samples of the same batch."""
        return (
            self.synchronise
            and self.training
            and dist.is_available()
            and dist.is_initialized()
            and dist.get_world_size() > 1
        )

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


class SwitchableNorm2d(_SwitchableNorm):
    """Switchable normalisation of (B, C, Y, X)."""

    spatial_dims = 2


class SwitchableNorm3d(_SwitchableNorm):
    """Switchable normalisation of (B, C, Z, Y, X)."""

    spatial_dims = 3
