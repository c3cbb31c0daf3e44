"""Whether the channels of a converted scan are plausible."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnunetv2_strokesynth.channels import CT, MRI_MAPS, PERFUSION_MAPS
from nnunetv2_strokesynth.ctp.plausibility.brain import check_brain
from nnunetv2_strokesynth.ctp.plausibility.densities import check_densities
from nnunetv2_strokesynth.ctp.plausibility.finding import Finding
from nnunetv2_strokesynth.ctp.plausibility.perfusion_maps import check_maps

_IN_HU = (CT, "CTA_0")


def check_masked_channels(
    names: Sequence[str], channels: np.ndarray, spacing_zyx_mm: Sequence[float]
) -> list[Finding]:
    """What is wrong with channels that are 0 outside the brain.

    Args:
        names: of the channels.
        channels: (C, Z, Y, X).
        spacing_zyx_mm: voxel sizes.
    """
    brain = np.any(channels != 0, axis=0)
    if not brain.any():
        return []
    by_name = dict(zip(names, channels, strict=True))
    maps = [name for name in dict.fromkeys((*PERFUSION_MAPS, *MRI_MAPS)) if name in by_name]
    found = check_brain(brain, spacing_zyx_mm)
    for name in _IN_HU:
        found += check_densities(name, by_name[name], brain) if name in by_name else []
    known = CT in by_name
    return found + check_maps(maps, [by_name[name] for name in maps], brain, units_known=known)
