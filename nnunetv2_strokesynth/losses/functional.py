"""The maths of the losses. Everything is computed in float32 or wider, under autocast too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from scipy.special import expit
from torch.nn import functional as F

_ROOT_EPS = 1e-8
_MIN_DICE = 1e-6
_MIN_PROB = 1e-7
_MAX_TABLE = 2**20  # squared pixels: patches of up to 724 x 724


def lesion_weight_map(lesion: np.ndarray, w: float = 1.5, decay_px: float = 50.0) -> np.ndarray:
    """Weight map A: w inside the lesion, falling from 1 to 0.5 with the distance outside.

    Args:
        lesion: bool (Y, X), or (..., Y, X) for a stack, in which distances stay within the slice.
        w: weight of lesion pixels, at least 1.
        decay_px: D, in pixels.

    Returns:
        float32 of the same shape: w inside, ``0.5 + sigmoid(-distance / decay_px)`` outside, with
        the Euclidean distance to the lesion in pixels. 0.5 everywhere in a slice without lesion.

    Source: Wang et al. 2020, Eq. 9. The paper does not define slices without lesion; 0.5 is the
    limit for a lesion infinitely far away.
    """
    lesion = np.asarray(lesion, dtype=bool)
    if lesion.ndim < 2 or w < 1 or decay_px <= 0:
        raise ValueError(
            "lesion_weight_map expects a (..., Y, X) array, w >= 1 and decay_px > 0, found shape "
            f"{lesion.shape}, w = {w}, decay_px = {decay_px}."
        )
    weight = np.full(lesion.shape, 0.5, dtype=np.float32)
    for index in np.ndindex(lesion.shape[:-2]):
        if lesion[index].any():
            _weigh(_squared_distance_px(lesion[index]), w, decay_px, out=weight[index])
    return weight


def _squared_distance_px(inside: np.ndarray) -> np.ndarray:
    """To the nearest pixel inside: bool (Y, X) -> int32 (Y, X)."""
    y, x = _pixels(*inside.shape)
    nearest_y, nearest_x = distance_transform_edt(
        ~inside, return_distances=False, return_indices=True
    )
    nearest_y -= y
    nearest_y *= nearest_y
    nearest_x -= x
    nearest_x *= nearest_x
    nearest_y += nearest_x
    return nearest_y


@lru_cache(maxsize=4)
def _pixels(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixels' y and x: int32 (Y, 1), (1, X)."""
    y, x = np.ogrid[:rows, :columns]
    return y.astype(np.int32), x.astype(np.int32)


def _weigh(squared_px: np.ndarray, w: float, decay_px: float, *, out: np.ndarray) -> None:
    """Weights from squared distances to the lesion, int (Y, X), into ``out`` (Y, X).

    Squared distances are whole numbers, and a patch holds few different ones: to look the weights
    up takes a tenth of the time of root and exponential, and gives the same numbers.
    """
    if sum(side**2 for side in squared_px.shape) > _MAX_TABLE:
        out[:] = np.where(squared_px, 0.5 + expit(-np.sqrt(squared_px) / decay_px), w)
    else:  # clipping changes nothing, and is faster than to raise for what is out of range
        _weight_table(_MAX_TABLE, w, decay_px).take(squared_px, mode="clip", out=out)


@lru_cache(maxsize=4)
def _weight_table(length: int, w: float, decay_px: float) -> np.ndarray:
    """Weights at the squared distances 0, 1, 2, ...: float32 (length,)."""
    table = 0.5 + expit(-np.sqrt(np.arange(length)) / decay_px)
    table[0] = w
    return table.astype(np.float32)


def signed_distance_weight_map(lesion: np.ndarray, decay_px: float = 50.0) -> np.ndarray:
    """Weight map W: above 1 inside the lesion, highest at its core, below 1 outside.

    Args:
        lesion: bool (Y, X), or (..., Y, X) for a stack, in which distances stay within the slice.
        decay_px: D, in pixels.

    Returns:
        float32 of the same shape: ``0.5 + sigmoid(phi / decay_px)``, phi the Euclidean distance in
        pixels to the other side of the lesion's edge, positive inside. 0.5 everywhere in a slice
        without lesion, 1.5 in one that is all lesion.

    Source: Song & Huang 2018, section 2.3 and Fig. 3, a heat map from the signed distance. Choice:
    the paper gives no formula; this is Eq. 9 of Wang et al. 2020 continued into the lesion.
    """
    lesion = np.asarray(lesion, dtype=bool)
    if lesion.ndim < 2 or decay_px <= 0:
        raise ValueError(
            "signed_distance_weight_map expects a (..., Y, X) array and decay_px > 0, found shape "
            f"{lesion.shape}, decay_px = {decay_px}."
        )
    weight = np.empty(lesion.shape, dtype=np.float32)
    for index in np.ndindex(lesion.shape[:-2]):
        inside = lesion[index]
        if inside.all() or not inside.any():
            weight[index] = 1.5 if inside.all() else 0.5
            continue
        distance = distance_transform_edt(inside) - distance_transform_edt(~inside)
        weight[index] = 0.5 + expit(distance / decay_px)
    return weight


def wide(x: torch.Tensor) -> torch.Tensor:
    """Half-precision numbers, as autocast gives them, in float32; others as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def weighted_l2_per_sample(
    pred: torch.Tensor, target: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Low-level synthesis loss of each sample: (B, 1, Y, X) each -> (B,).

    Source: Wang et al. 2020, Eq. 7. Choice: the norm is taken per pixel, ``sqrt(mean((A (I_g -
    I_d))^2))``, so that it does not depend on the image size; 1e-8 inside the root keeps its
    gradient finite.
    """
    error = wide(weight) * (wide(pred) - wide(target))
    return error.square().flatten(1).mean(dim=1).add(_ROOT_EPS).sqrt()


def weighted_l2(pred: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean over the samples of ``weighted_l2_per_sample``: (B, 1, Y, X) each -> scalar."""
    return weighted_l2_per_sample(pred, target, weight).mean()


def l2_per_sample(pred: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """``weighted_l2_per_sample`` with A = 1 everywhere (Wang et al. 2020, Table 1, "L2")."""
    return weighted_l2_per_sample(pred, target, torch.ones_like(weight))


def l1_per_sample(pred: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean absolute error of each sample: (B, 1, Y, X) each -> (B,); ``weight`` is not used.

    Source: Wang et al. 2020, Table 1, "L1": Eq. 7 with the L1 norm and A = 1. Per pixel, as Eq. 7.
    """
    return (wide(pred) - wide(target)).abs().flatten(1).mean(dim=1)


def context_distance_per_sample(
    context_pred: torch.Tensor, context_target: torch.Tensor
) -> torch.Tensor:
    """Mean absolute difference of two context vectors: (B, 16) each -> (B,).

    Source: Wang et al. 2020, Eq. 8. Choice: the mean over the 16 entries in place of their sum.
    """
    return (wide(context_pred) - wide(context_target)).abs().mean(dim=1)


def context_l2_per_sample(context_pred: torch.Tensor, context_target: torch.Tensor) -> torch.Tensor:
    """Root mean square difference of two context vectors: (B, 16) each -> (B,).

    Source: Wang et al. 2020, Table 1, "l_h2": Eq. 8 with the L2 norm. The mean over the entries and
    the 1e-8 inside the root as in Eq. 7.
    """
    error = wide(context_pred) - wide(context_target)
    return error.square().mean(dim=1).add(_ROOT_EPS).sqrt()


def lsgan_per_sample(score_maps: Sequence[torch.Tensor], target: float) -> torch.Tensor:
    """Mean squared distance of a multi-scale discriminator's scores to 1 (real) or 0 (synthesised).

    Args:
        score_maps: (B, 1, y, x) for each scale.
        target: 1 or 0.

    Returns:
        (B,): mean over the pixels of each scale, then over the scales.

    Source: least-squares GAN of Mao et al. 2017, Eq. 9 with a = 0, b = c = 1, with the multi-scale
    discriminator of Wang et al. 2018 (pix2pixHD), as Wang et al. 2020 use it in Table 1.
    """
    scales = [(wide(scores) - target).square().flatten(1).mean(dim=1) for scores in score_maps]
    return torch.stack(scales).mean(dim=0)


def encode_context(
    encoder: Callable[[torch.Tensor], torch.Tensor], image: torch.Tensor
) -> torch.Tensor:
    """Apply the context encoder outside autocast: (B, 1, Y, X) -> (B, 16).

    The feature F_h is unbounded, and differences of context vectors are small against their size.
    """
    with torch.autocast(image.device.type, enabled=False):
        return encoder(wide(image))


def context_l1(
    encoder: Callable[[torch.Tensor], torch.Tensor], pred: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
    """High-level synthesis loss, mean over the samples (Eq. 8): (B, 1, Y, X) each -> scalar."""
    context_pred = encode_context(encoder, pred)
    return context_distance_per_sample(context_pred, encode_context(encoder, target)).mean()


def context_spread(context: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """How far context vectors differ between samples: (B, K), bool (B,) -> scalar.

    The standard deviation over the valid samples, averaged over the entries: at 0 the encoder has
    collapsed to a constant.
    """
    share = valid.to(context.dtype) / valid.sum().clamp_min(1)
    centre = (share[:, None] * context).sum(dim=0)
    return (share[:, None] * (context - centre).square()).sum(dim=0).sqrt().mean()


def known_dwi(dwi: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Tell samples with a DWI from those without: (B, 1, Y, X), NaN where a sample has none.

    Returns:
        The DWI with zeros in place of a missing one, and bool (B,), which samples have one.
    """
    valid = torch.isfinite(dwi).flatten(1).all(dim=1)
    return torch.where(valid[:, None, None, None], dwi, torch.zeros_like(dwi)), valid


def nan_without_dwi(value: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """A scalar for the log; NaN, not a perfect 0, for a batch without any DWI, which says nothing.

    Args:
        value: detached scalar.
        valid: bool (B,), which samples have a DWI.
    """
    return torch.where(valid.any(), value, torch.full_like(value, torch.nan))


def mean_over_valid(values: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Mean of the entries that count: (B,), bool (B,) -> scalar; 0, gradient 0, if none does.

    No branch on the data, so the GPU is not made to wait, and every parameter behind ``values``
    gets a gradient in every step.
    """
    kept = torch.where(valid, values, torch.zeros_like(values))
    return kept.sum() / valid.sum().clamp_min(1)


def weighted_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Cross entropy averaged with the weight map over the whole batch.

    Args:
        logits: (B, C, Y, X).
        labels: (B, Y, X), integers from 0 to C - 1.
        weight: (B, Y, X), positive.

    Returns:
        ``sum(A * CE) / sum(A)``, a scalar.

    Source: Wang et al. 2020, Eq. 12.
    """
    cross_entropy = F.cross_entropy(wide(logits), labels.long(), reduction="none")
    weight = wide(weight)
    return (weight * cross_entropy).sum() / weight.sum()


def dice_loss(probs: torch.Tensor, onehot: torch.Tensor) -> torch.Tensor:
    """1 - 2 sum(Y P) / (sum Y^2 + sum P^2) of the lesion class, in [0, 1].

    Args:
        probs: (B, C, *spatial), softmax output; class 0 is the background.
        onehot: the same shape, 0 or 1.

    Returns:
        A scalar: 0 for a perfect prediction, the mean over the classes but the background. Sums run
        over the whole batch. A class that is neither there nor predicted gives 0.

    Source: Milletari et al. 2016, the L_DICE of Wang et al. 2020, Table 4.
    """
    probs = wide(probs)[:, 1:]
    onehot = onehot[:, 1:].to(probs.dtype)
    axes = (0, *range(2, probs.ndim))
    overlap = (onehot * probs).sum(dim=axes)
    total = (onehot.square() + probs.square()).sum(dim=axes)
    return 1 - ((2 * overlap + _ROOT_EPS) / (total + _ROOT_EPS)).mean()


def generalized_dice_loss(probs: torch.Tensor, onehot: torch.Tensor) -> torch.Tensor:
    """L_GD = 1 - 2 sum_c m_c sum(Y P) / sum_c m_c sum(Y + P), in [0, 1].

    Args:
        probs: (B, C, *spatial), softmax output.
        onehot: the same shape, 0 or 1.

    Returns:
        A scalar: 0 for a perfect prediction. Sums run over the whole batch.

    Source: Wang et al. 2020, Eq. 14 (Sudre et al. 2017), m_c = 1 / (sum Y^c)^2. Choice: a class
    absent from the batch takes the largest finite m among the others, so that false positives
    still cost.
    """
    return 1 - _generalized_dice(probs, onehot)


def _generalized_dice(probs: torch.Tensor, onehot: torch.Tensor) -> torch.Tensor:
    """1 - L_GD itself: for a small lesion it is 1e-5 or so, and 1 - (1 - 1e-5) loses digits."""
    probs = wide(probs)
    onehot = onehot.to(probs.dtype)
    axes = (0, *range(2, probs.ndim))
    volume = onehot.sum(dim=axes)
    overlap = (onehot * probs).sum(dim=axes)
    total = volume + probs.sum(dim=axes)
    # m times the smallest volume squared: the ratio is the same, and float32 keeps away from its
    # limits.
    smallest = torch.where(volume > 0, volume, torch.inf).amin()
    m = torch.where(volume > 0, smallest / volume, 1.0).square()
    return 2 * (m * overlap).sum() / (m * total).sum()


def hardness_aware_dice_loss(probs: torch.Tensor, onehot: torch.Tensor) -> torch.Tensor:
    """L_HGD = -log(1 - L_GD), with 1 - L_GD clamped to at least 1e-6 (Wang et al. 2020, Eq. 13).

    Arguments as ``generalized_dice_loss``. Returns a scalar between 0 and 13.8; where the clamp
    acts, the gradient is 0 and the cross entropy has to lead.
    """
    return -torch.log(_generalized_dice(probs, onehot).clamp_min(_MIN_DICE))


def focal_loss(probs_fg: torch.Tensor, labels: torch.Tensor, gamma: float) -> torch.Tensor:
    """Mean over all pixels of -(1 - p_t)^gamma log(p_t), p_t the probability of the true class.

    Args:
        probs_fg: lesion probability, (B, Y, X).
        labels: (B, Y, X), 0 or 1.
        gamma: focusing exponent, at least 0; 0 gives the cross entropy.

    Source: Lin et al. 2017, as Abulnaga & Rubin 2018 use it. p_t is clamped to [1e-7, 1 - 1e-7].
    """
    probs_fg = wide(probs_fg)
    p_true = torch.where(labels > 0, probs_fg, 1 - probs_fg).clamp(_MIN_PROB, 1 - _MIN_PROB)
    return _focal(p_true.log(), torch.log1p(-p_true), gamma).mean()


def focal_loss_per_pixel(
    logits_fg: torch.Tensor, labels: torch.Tensor, gamma: float
) -> torch.Tensor:
    """The focal loss of each pixel under a sigmoid: (B, Y, X) each -> (B, Y, X).

    Args:
        logits_fg: z, the lesion's probability is sigmoid(z).
        labels: 0 or 1.
        gamma: focusing exponent, at least 0; 0 gives the cross entropy.

    Source: Lin et al. 2017, Eq. 4. From the logits, so that nothing needs to be clamped.
    """
    logits_true = torch.where(labels > 0, wide(logits_fg), -wide(logits_fg))
    return _focal(F.logsigmoid(logits_true), F.logsigmoid(-logits_true), gamma)


def _focal(log_p_true: torch.Tensor, log_p_false: torch.Tensor, gamma: float) -> torch.Tensor:
    """-(1 - p_t)^gamma log(p_t) from log(p_t) and log(1 - p_t)."""
    return -(gamma * log_p_false).exp() * log_p_true


def balanced_cross_entropy(
    lesion_logit: torch.Tensor, labels: torch.Tensor, lesion_weight: float
) -> torch.Tensor:
    """Mean over all pixels of -w y log(p) - (1 - w) (1 - y) log(1 - p).

    Args:
        lesion_logit: logit of p, the lesion's probability; any shape.
        labels: y, the same shape, 0 or 1.
        lesion_weight: w, from 0 to 1; 0.5 gives half the cross entropy.

    Source: Abulnaga & Rubin 2018, Eq. 4. Computed from logits, so that it is finite everywhere.
    """
    if not 0 <= lesion_weight <= 1:
        raise ValueError(
            f"balanced_cross_entropy expects a weight between 0 and 1, found {lesion_weight}"
        )
    lesion_logit = wide(lesion_logit)
    target = (labels > 0).to(lesion_logit.dtype)
    weight = lesion_weight * target + (1 - lesion_weight) * (1 - target)
    return F.binary_cross_entropy_with_logits(lesion_logit, target, weight=weight)
