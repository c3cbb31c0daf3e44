"""The two transforms that carry the DWI through nnU-Net's augmentation.

The DWI arrives as the last image channel; soft labels, where a trainer reads them, come after it.
``SplitTarget`` moves both to batchgeneratorsv2's ``regression_target``, which spatial transforms
move along with the image and intensity transforms leave alone. Where nnU-Net's spatial transform is
the first, it moves them as channels of the image, which is the same and takes one call.
``PackTargets`` comes last and makes the list of targets that the joint loss reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from scipy.ndimage import gaussian_filter

from nnunetv2_strokesynth.losses.lesion_weight_map import lesion_weight_map


class SplitTarget(BasicTransform):
    """``image (C + n, Y, X)`` -> ``image (C, Y, X)`` and ``regression_target (n, Y, X)``."""

    def __init__(self, n: int = 1):
        super().__init__()
        self.n = n

    def apply(self, data_dict: dict, **params) -> dict:
        image = data_dict["image"]
        data_dict["image"] = image[: -self.n].contiguous()
        data_dict["regression_target"] = image[-self.n :].contiguous()
        return data_dict


def no_weights(lesion: np.ndarray) -> np.ndarray:
    """1 everywhere: bool of any shape -> float32 of that shape."""
    return np.ones(lesion.shape, dtype=np.float32)


def blurred_lesion(lesion: np.ndarray, sigma_px: float) -> np.ndarray:
    """The blurred lesion: a surrogate for the DWI where none was acquired.

    Args:
        lesion: (Y, X), bool.
        sigma_px: of the Gaussian, in pixels of the patch.

    Returns:
        (Y, X), float32 in [0, 1]; 0 everywhere without a lesion.

    Source: our choice. A DWI shows the lesion bright on darker tissue. The surrogate has the lesion
    but not the tissue, about which the label says nothing.
    """
    return gaussian_filter(lesion.astype(np.float32), sigma_px)


class PackTargets(BasicTransform):
    """``segmentation`` becomes ``[labels (1, Y, X), dwi (1, Y, X), weight (1, Y, X)]``.

    The weight map A (Wang et al. 2020, Eq. 9) is computed here, from the augmented labels, so that
    its distances are in pixels of the patch that the network sees. If the sample has no DWI and
    there is no surrogate for it, the list is ``[labels, weight]``. Soft labels (1, Y, X) stand
    before the weight; they are NaN where the labels are all that there is.

    Args:
        weight_map: bool (Y, X) -> float32 (Y, X): the weights, or any other map made of the
            augmented lesion.
        surrogate: bool (Y, X) -> float32 (Y, X): replaces the DWI of every sample.

    Attributes:
        ignore_label: nnU-Net's label of what nobody has outlined, which is no lesion; or None.
        soft_labels: whether the last regression target is the soft labels.
    """

    ignore_label: int | None = None
    soft_labels = False

    def __init__(
        self,
        weight_map: Callable[[np.ndarray], np.ndarray] = lesion_weight_map,
        surrogate: Callable[[np.ndarray], np.ndarray] | None = None,
    ):
        super().__init__()
        self.weight_map = weight_map
        self.surrogate = surrogate

    def apply(self, data_dict: dict, **params) -> dict:
        labels = data_dict["segmentation"]
        lesion = labels[0].numpy() > 0
        if self.ignore_label is not None:
            lesion &= labels[0].numpy() != self.ignore_label
        weight = self.weight_map(lesion)
        dwi, soft = data_dict.pop("regression_target", None), None
        if self.soft_labels and dwi is not None:
            dwi, soft = dwi[:-1] if len(dwi) > 1 else None, dwi[-1:]
        if self.surrogate is not None:
            dwi = torch.from_numpy(self.surrogate(lesion))[None]
        targets = [labels, dwi, soft, torch.from_numpy(weight)[None]]
        data_dict["segmentation"] = [target for target in targets if target is not None]
        return data_dict


def with_targets(
    augmentation: ComposeTransforms,
    pack: PackTargets,
    *,
    has_dwi: bool,
    first: Sequence[BasicTransform] = (),
) -> ComposeTransforms:
    """nnU-Net's transforms between the two that handle the DWI and the list of targets.

    Args:
        augmentation: nnU-Net's transforms.
        pack: makes the list of targets, after all other transforms.
        has_dwi: whether the last image channel, before soft labels, is the DWI.
        first: further augmentation, before nnU-Net's.
    """
    n_targets = has_dwi + pack.soft_labels
    split = [SplitTarget(n_targets)] if n_targets else []
    transforms = list(augmentation.transforms)
    if split and not first and transforms and isinstance(transforms[0], SpatialTransform):
        # Image and regression target are resampled alike: one call instead of two saves time.
        return ComposeTransforms([transforms[0], *split, *transforms[1:], pack])
    return ComposeTransforms([*split, *first, *transforms, pack])
