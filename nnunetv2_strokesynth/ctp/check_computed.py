"""Whether maps that were computed from a series, and their brain, are plausible."""

from __future__ import annotations

from nnunetv2_strokesynth.channels import PERFUSION_MAPS
from nnunetv2_strokesynth.ctp.compute_maps import ComputedMaps
from nnunetv2_strokesynth.ctp.plausibility.brain import check_brain
from nnunetv2_strokesynth.ctp.plausibility.densities import check_densities
from nnunetv2_strokesynth.ctp.plausibility.finding import Finding
from nnunetv2_strokesynth.ctp.plausibility.perfusion_maps import check_maps
from nnunetv2_strokesynth.ctp.plausibility.series import check_contrast


def check_computed(
    computed: ComputedMaps, spacing_zyx_mm: tuple[float, float, float]
) -> list[Finding]:
    """What is wrong with the maps, the brain and the series of ``compute_maps``.

    Args:
        computed: from ``compute_maps``, which refuses what makes maps impossible.
        spacing_zyx_mm: voxel sizes.
    """
    series = "the series"
    return [
        *check_brain(computed.brain, spacing_zyx_mm),
        *check_densities(series, computed.baseline_hu, computed.brain),
        *check_contrast(series, computed.tissue_hu),
        *check_maps(PERFUSION_MAPS, computed.maps, computed.brain),
    ]
