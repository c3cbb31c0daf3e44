"""As many patches centred on lesion as on healthy tissue, drawn for nnU-Net's loader.

nnU-Net's loader centres a patch on a random voxel of a class that ``properties["class_locations"]``
lists. The data set here draws the voxel itself and lists that one alone, so that the loader need
not change.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset

from nnunetv2_strokesynth.dataloading.paired_dataset import ChannelStack

LESION_CLASS = 1
_MOST_VOXELS = 8000


class _Voxels(NamedTuple):
    """Candidates for the centre of a patch, (N, 3) in z, y, x; if many, in regular steps."""

    lesion: np.ndarray
    healthy: np.ndarray
    n_lesion: int


class BalancedPatches:
    """A preprocessed data set with as many patches on lesion as on healthy tissue.

    Half of a scan's patches are centred on lesion voxels, moved by a random offset of up to half a
    patch that keeps the voxel inside. The other half are centred on healthy voxels of the brain. A
    scan with fewer lesion voxels than patches to centre on them repeats voxels; these patches are
    marked for ``RepeatedPatches``.

    Source: Clerigues et al. 2019, section 3.1. Departure: voxels are drawn at random from a regular
    grid, not enumerated, because nnU-Net's loader has several processes that do not know of each
    other. A scan without lesion gives healthy patches only.

    Args:
        dataset: the preprocessed cases as nnU-Net reads them.
        patch_side: side of the patches in pixels.
        patches_per_case: patches that the paper takes from each scan.
    """

    def __init__(
        self, dataset: nnUNetBaseDataset, patch_side: int, patches_per_case: int = 4000
    ) -> None:
        self.dataset = dataset
        self.patch_side = patch_side
        self.patches_per_case = patches_per_case
        self.identifiers = dataset.identifiers
        self._voxels: dict[str, _Voxels] = {}

    def load_case(self, case_id: str) -> tuple[ChannelStack, np.ndarray, np.ndarray | None, dict]:
        """Image with a last channel that marks a repeated patch, labels, None, properties.

        ``properties["class_locations"]`` holds the centre of one patch, drawn anew in each call.
        """
        image, labels, previous, properties = self.dataset.load_case(case_id)
        if case_id not in self._voxels:
            self._voxels[case_id] = _find_voxels(np.asarray(labels[0]))
        centre, repeated = self._draw(self._voxels[case_id], image.shape[1:])
        mark = np.broadcast_to(np.float32(repeated), (1, *image.shape[1:]))
        location = np.array([[0, *centre]])
        properties = {**properties, "class_locations": {LESION_CLASS: location}}
        return ChannelStack(image, mark), labels, previous, properties

    def __getitem__(self, case_id: str):
        return self.load_case(case_id)

    def _draw(self, voxels: _Voxels, shape: tuple[int, ...]) -> tuple[np.ndarray, bool]:
        """A patch's centre (z, y, x) and whether its lesion voxel counts as a repeated one."""
        rng = np.random.default_rng(np.random.randint(2**31))  # noqa: NPY002  (what nnU-Net seeds)
        on_lesion = voxels.n_lesion > 0 and rng.random() < 0.5
        candidates = voxels.lesion if on_lesion or len(voxels.healthy) == 0 else voxels.healthy
        centre = candidates[rng.integers(len(candidates))].astype(int)
        if not on_lesion:
            return centre, False
        half = self.patch_side // 2
        centre[1:] += rng.integers(-half + 1, half + 1, size=2)
        centre[1:] = np.clip(centre[1:], 0, np.array(shape[1:]) - 1)
        unique_share = voxels.n_lesion / (self.patches_per_case / 2)
        return centre, rng.random() > unique_share


def _find_voxels(labels: np.ndarray) -> _Voxels:
    """Lesion (1) and healthy (0) voxels of labels (Z, Y, X); nnU-Net marks the outside with -1."""
    lesion, healthy = (np.argwhere(labels == label).astype(np.int16) for label in (1, 0))
    thinned = (found[:: max(1, len(found) // _MOST_VOXELS)] for found in (lesion, healthy))
    return _Voxels(*thinned, n_lesion=len(lesion))


class RepeatedPatches(BasicTransform):
    """Removes the mark of ``BalancedPatches`` from the image and deforms the marked patches.

    Args:
        deformation: applied to marked patches; None leaves all patches unchanged.
    """

    def __init__(self, deformation: BasicTransform | None = None):
        super().__init__()
        self.deformation = deformation

    def apply(self, data_dict: dict, **params) -> dict:
        """The sample without its last channel, deformed if that channel was set."""
        image = data_dict["image"]
        repeated = bool(torch.any(image[-1] > 0))
        data_dict["image"] = image[:-1].contiguous()
        if repeated and self.deformation is not None:
            return self.deformation(**data_dict)
        return data_dict
