"""The numbers that perfusion software gives: what lies beyond a threshold of Tmax or CBF, in mL.

Definitions as in clinical software: hypoperfused is Tmax > 6 s, the core has less than 30 % of the
blood flow of the other side; their difference and ratio are the mismatch. Hypoperfusion intensity
ratio: share of Tmax > 6 s that is over 10 s. CBV index: mean CBV of the hypoperfused tissue over
that of tissue with a Tmax of 4 s or less.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.ctp.deconvolution import PerfusionMaps

TMAX_ABOVE_S = (4, 6, 8, 10)
RCBF_BELOW_PERCENT = (20, 30, 34, 38)
HYPOPERFUSED_S, SEVERE_S, NORMAL_S = 6, 10, 4
CORE_PERCENT = 30


class PerfusionVolumes(NamedTuple):
    """What maps say of a scan.

    Attributes:
        tmax_above_ml: seconds -> mL of tissue with a longer Tmax.
        rcbf_below_ml: percent -> mL of tissue with less of the other side's CBF.
        reference_cbf: median CBF of the other side, in the map's unit.
        mismatch_ml: Tmax > 6 s minus rCBF < 30 %.
        mismatch_ratio: their ratio; None where there is no core.
        hypoperfusion_intensity_ratio, cbv_index: see above; None where no tissue is hypoperfused.
        hypoperfused, core: the masks, bool (Z, Y, X).
    """

    tmax_above_ml: dict[int, float]
    rcbf_below_ml: dict[int, float]
    reference_cbf: float
    mismatch_ml: float
    mismatch_ratio: float | None
    hypoperfusion_intensity_ratio: float | None
    cbv_index: float | None
    hypoperfused: np.ndarray
    core: np.ndarray

    def record(self) -> dict[str, float | None]:
        """The numbers under the names that they have in ``result.json`` and ``maps.json``."""
        return {
            **{f"tmax_above_{s}s_ml": _round(ml) for s, ml in self.tmax_above_ml.items()},
            **{f"rcbf_below_{p}pct_ml": _round(ml) for p, ml in self.rcbf_below_ml.items()},
            "reference_cbf": _round(self.reference_cbf, 2),
            "mismatch_ml": _round(self.mismatch_ml),
            "mismatch_ratio": _round(self.mismatch_ratio, 2),
            "hypoperfusion_intensity_ratio": _round(self.hypoperfusion_intensity_ratio, 3),
            "cbv_index": _round(self.cbv_index, 3),
        }


def perfusion_volumes(
    maps: PerfusionMaps, brain: np.ndarray, higher_x: np.ndarray, voxel_ml: float
) -> PerfusionVolumes:
    """Volumes beyond the thresholds of Tmax and of relative CBF.

    Args:
        maps: (Z, Y, X) each; Tmax in s. Tissue is where CBF is above 0 in the brain.
        brain: bool (Z, Y, X).
        higher_x: bool (Z, Y, X), one side of the midline, see ``higher_x_side``.
        voxel_ml: volume of a voxel.

    Returns:
        The other side is the one with less tissue of Tmax > 6 s; its median CBF is taken over its
        tissue with a Tmax of 6 s or less. All volumes are 0 without tissue.
    """
    tissue = brain & (maps.cbf > 0)
    hypoperfused = tissue & (maps.tmax > HYPOPERFUSED_S)
    other = _other_side(hypoperfused, higher_x)
    healthy = tissue & other & ~hypoperfused
    healthy = healthy if healthy.any() else tissue & other
    reference = float(np.median(maps.cbf[healthy])) if healthy.any() else 0.0
    above = {s: voxel_ml * int((tissue & (maps.tmax > s)).sum()) for s in TMAX_ABOVE_S}
    cores = {p: _core(maps, tissue, reference, p) for p in RCBF_BELOW_PERCENT}
    below = {p: voxel_ml * int(core.sum()) for p, core in cores.items()}
    late_ml, core_ml = above[HYPOPERFUSED_S], below[CORE_PERCENT]
    return PerfusionVolumes(
        above,
        below,
        reference,
        late_ml - core_ml,
        late_ml / core_ml if core_ml else None,
        above[SEVERE_S] / late_ml if late_ml else None,
        _cbv_index(maps, tissue, hypoperfused),
        hypoperfused,
        cores[CORE_PERCENT],
    )


def _core(maps: PerfusionMaps, tissue: np.ndarray, reference: float, percent: int) -> np.ndarray:
    return tissue & (maps.cbf < percent / 100 * reference)


def _other_side(hypoperfused: np.ndarray, higher_x: np.ndarray) -> np.ndarray:
    on_higher = int((hypoperfused & higher_x).sum())
    return ~higher_x if 2 * on_higher > int(hypoperfused.sum()) else higher_x


def _cbv_index(maps: PerfusionMaps, tissue: np.ndarray, hypoperfused: np.ndarray) -> float | None:
    normal = tissue & (maps.tmax <= NORMAL_S)
    if not hypoperfused.any() or not normal.any():
        return None
    mean = float(maps.cbv[normal].mean())
    return float(maps.cbv[hypoperfused].mean()) / mean if mean > 0 else None


def _round(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)
