"""The synthesis loss of an image against the DWI: Eq. 6 to 8 of Wang et al. 2020.

The terms are computed sample by sample, because some samples have no DWI; ``mean_over_valid`` then
averages over those that have one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from nnunetv2_strokesynth.losses.precision import wide

_ROOT_EPS = 1e-8
_NO_SPREAD = 1e-7


def synthesis_loss(
    pixel: torch.Tensor, context: torch.Tensor | None = None, *, gamma: float = 1.2
) -> torch.Tensor:
    """The loss L_g of a synthesised image: pixel term plus gamma times context term.

    Args:
        pixel: low-level term (Eq. 7), a scalar, at least 0, in the DWI's units.
        context: high-level term (Eq. 8), a scalar, at least 0; None leaves it out.
        gamma: weight of the context term.

    Returns:
        A scalar, at least 0.

    Source: Wang et al. 2020, Eq. 6; the default of gamma is theirs.
    """
    return pixel if context is None else pixel + gamma * context


def weighted_l2_per_sample(
    pred: torch.Tensor, target: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """The low-level term of each sample: the weighted L2 norm of the error, per pixel.

    Args:
        pred: synthesised image, (B, 1, Y, X).
        target: DWI, same shape and units.
        weight: A of Eq. 9, same shape, positive.

    Returns:
        (B,), at least 1e-4, in the images' units.

    Source: Wang et al. 2020, Eq. 7. Choice: ``sqrt(mean((A (I_g - I_d))^2))``, a mean over the
    pixels in place of the sum, so that it does not depend on the image size; 1e-8 inside the root
    keeps its gradient finite.
    """
    error = wide(weight) * (wide(pred) - wide(target))
    return error.square().flatten(1).mean(dim=1).add(_ROOT_EPS).sqrt()


def context_distance_per_sample(
    context_pred: torch.Tensor, context_target: torch.Tensor
) -> torch.Tensor:
    """The high-level term of each sample: the mean absolute difference of two context vectors.

    Args:
        context_pred: Phi_c of the synthesised image, (B, 16).
        context_target: Phi_c of the DWI, (B, 16).

    Returns:
        (B,), at least 0.

    Source: Wang et al. 2020, Eq. 8. Choice: the mean over the 16 entries in place of their sum.
    """
    return (wide(context_pred) - wide(context_target)).abs().mean(dim=1)


def encode_context(
    encoder: Callable[[torch.Tensor], torch.Tensor], image: torch.Tensor
) -> torch.Tensor:
    """Apply the context encoder outside autocast: (B, 1, Y, X) -> (B, 16).

    The feature F_h is unbounded, and context vectors differ by little in comparison with their
    size, so half precision would not do.
    """
    with torch.autocast(image.device.type, enabled=False):
        return encoder(wide(image))


def context_spread(context: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """How much the context vectors of a batch differ; at 0 the encoder has become a constant.

    Args:
        context: (B, K).
        valid: bool (B,), the samples that count.

    Returns:
        The standard deviation over the valid samples, averaged over the K entries: a scalar, at
        least 0, and 0 without a valid sample.
    """
    share = valid.to(context.dtype) / valid.sum().clamp_min(1)
    centre = (share[:, None] * context).sum(dim=0)
    return (share[:, None] * (context - centre).square()).sum(dim=0).sqrt().mean()


def relative_to_spread(
    contexts: Sequence[torch.Tensor | None], of_dwi: torch.Tensor, valid: torch.Tensor
) -> list[torch.Tensor | None]:
    """Context vectors in units of the spread between the DWIs of the batch.

    The vectors of a random encoder differ by thousandths, so that their distances weigh nothing
    beside the pixel term. In these units a distance of 1 is that between two patients.

    Args:
        contexts: (B, K) each, or None.
        of_dwi: (B, K), of the real DWIs; no gradient flows through their spread.
        valid: bool (B,), the samples that have a DWI.

    Returns:
        The vectors divided by ``context_spread``; zeros where the DWIs do not differ, as in a batch
        with one DWI.
    """
    spread = context_spread(of_dwi.detach(), valid)
    factor = torch.where(spread > _NO_SPREAD, 1 / spread.clamp_min(_NO_SPREAD), 0.0)
    return [None if context is None else factor * context for context in contexts]


# A DWI is above this share of its scale where there is tissue; air is at 0, brain at 0.5 to 0.8.
TISSUE = 0.15


def batch_contrast(
    image: torch.Tensor, dwi: torch.Tensor, labels: torch.Tensor, valid: torch.Tensor
) -> torch.Tensor:
    """The lesion's contrast in the images of a batch, all pixels of tissue together.

    (mean in the lesion - mean of the other tissue) / standard deviation of the other tissue.

    Args:
        image: (B, 1, Y, X): the pseudo-DWI, or the DWI itself.
        dwi: (B, 1, Y, X), scaled; tissue is where it exceeds ``TISSUE``.
        labels: (B, 1, Y, X), above 0 in the lesion.
        valid: bool (B,), which samples have a DWI.

    Returns:
        A scalar; NaN without lesion or other tissue in the valid samples.
    """
    image = wide(image)
    counted = valid[:, None, None, None].expand_as(dwi)
    lesion = counted & (labels > 0)
    others = counted & (dwi > TISSUE) & ~lesion
    inside, outside = (_moments(image, mask) for mask in (lesion, others))
    return (inside[0] - outside[0]) / outside[1]


def contrast_terms(
    pseudo_dwi: torch.Tensor, dwi: torch.Tensor, labels: torch.Tensor, valid: torch.Tensor
) -> dict[str, torch.Tensor]:
    """The lesion's contrast in pseudo-DWI and DWI for the log of a validation batch.

    Arguments as of ``batch_contrast``; nothing while gradients are computed, as in training.
    """
    if torch.is_grad_enabled():
        return {}
    images = {"contrast": pseudo_dwi, "dwi_contrast": dwi}
    return {name: batch_contrast(image, dwi, labels, valid) for name, image in images.items()}


def _moments(image: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation inside a mask, without waiting for the GPU; NaN if empty."""
    mean = torch.where(mask, image, 0.0).sum() / mask.sum()
    variance = torch.where(mask, (image - mean).square(), 0.0).sum() / mask.sum()
    return mean, variance.sqrt()


def context_collapse(context: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """How far the context vectors of a batch are from being spread and decorrelated.

    ``mean_k max(0, 1 - sd_k) + sum_{j != k} cov_jk^2 / K``, with the standard deviations and
    covariances of the K entries over the valid samples. A contextual term alone is smallest where
    all images have the same vector; this one keeps the encoder from going there.

    Args:
        context: (B, K), of the real DWI.
        valid: bool (B,), the samples that count.

    Returns:
        A scalar, at least 0; 0, with zero gradients, with fewer than two valid samples.

    Source: variance and covariance terms of VICReg (Bardes, Ponce & LeCun 2022, Eq. 1 to 4), with
    weight 1 each and biased moments. Ours: in none of the papers on the pseudo-DWI.
    """
    context = wide(context)
    count = valid.sum()
    share = valid.to(context.dtype) / count.clamp_min(1)
    centred = context - (share[:, None] * context).sum(dim=0)
    covariance = (share[:, None] * centred).T @ centred
    deviation = covariance.diagonal().add(_ROOT_EPS).sqrt()
    hinge = torch.relu(1 - deviation).mean()
    off_diagonal = covariance - torch.diag(covariance.diagonal())
    term = hinge + off_diagonal.square().sum() / context.shape[1]
    return torch.where(count > 1, term, 0 * term)


def known_dwi(dwi: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Separate samples with a DWI from those without: (B, 1, Y, X), NaN where a sample has none.

    Returns:
        The DWI with zeros in place of a missing one, and bool (B,), which samples have one.
    """
    valid = torch.isfinite(dwi).flatten(1).all(dim=1)
    return torch.where(valid[:, None, None, None], dwi, torch.zeros_like(dwi)), valid


def mean_over_valid(values: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Mean over the samples that have a DWI: (B,), bool (B,) -> scalar.

    Without such a sample the mean and its gradient are 0. The function does not branch on the data:
    the GPU need not wait, and every parameter behind ``values`` gets a gradient in every step.
    """
    kept = torch.where(valid, values, torch.zeros_like(values))
    return kept.sum() / valid.sum().clamp_min(1)


def nan_without_dwi(value: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """A term for the log: NaN for a batch without any DWI, where ``mean_over_valid`` gives 0.

    A batch without a DWI says nothing about the synthesis, so it must not count as a perfect one.

    Args:
        value: detached scalar.
        valid: bool (B,), which samples have a DWI.
    """
    return torch.where(valid.any(), value, torch.full_like(value, torch.nan))
