"""Maps of moving and still phantom scans, with and without motion correction, against the truth.

    python -m benchmarks.motion_correction --cases 8 --size 96 --max-slices 4 --seed 41

The same scans are simulated without motion, with the phantom's own (what registration leaves over)
and with strong motion: a drift and jolts of several mm and degrees. Figures are means over scans of
the correlation with the true map where both have values, of the median error of Tmax, and of the
Dice of Tmax > 6 s.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
from pathlib import Path

import numpy as np

from benchmarks.perfusion_maps import LATE_S, dice
from nnunetv2_strokesynth.ctp.compute_maps import compute_maps
from nnunetv2_strokesynth.ctp.maps_by import FOR_THRESHOLDS
from nnunetv2_strokesynth.ctp.motion import WithoutMotion, measure_motion
from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.phantom.dataset import simulate_scan
from nnunetv2_strokesynth.phantom.physics import DEFAULT_PHYSICS, Physics
from nnunetv2_strokesynth.phantom.plan import ScanPlan, plan_scans

logger = logging.getLogger(__name__)
_STILL = {"drift_sd": (0.0,) * 3, "jitter_sd": (0.0,) * 3, "jolt_probability": 0.0}
_STRONG = {"drift_sd": (1.5, 1.5, 1.0), "jolt_probability": 1.0, "jolt_sd": (4.0, 4.0, 3.0)}
MOTIONS: dict[str, dict[str, object]] = {"none": _STILL, "phantom's own": {}, "strong": _STRONG}


def physics_of(motion: str) -> Physics:
    """The default physics with another motion."""
    ct = dataclasses.replace(DEFAULT_PHYSICS.ct, **MOTIONS[motion])
    return dataclasses.replace(DEFAULT_PHYSICS, ct=ct)


def measure(plan: ScanPlan, motion: str) -> dict[str, dict[str, float]]:
    """Figures of one scan as it is, and after correction."""
    case = simulate_scan(plan, physics=physics_of(motion))
    grid = case.grid
    spacing = (grid.slice_mm, grid.pixel_mm, grid.pixel_mm)
    found = measure_motion(case.ctp, spacing)
    series = {"as it is": case.ctp, "corrected": WithoutMotion(case.ctp, found, spacing)}
    return {
        name: {
            **_figures(case, series[name], spacing, plan.timetable.times_s),
            "moved_mm": float(found.moved_mm.max()),
        }
        for name in series
    }


def _figures(case, series, spacing, times_s) -> dict[str, float]:
    try:
        computed = compute_maps(
            series, spacing_zyx_mm=spacing, times_s=times_s, method=FOR_THRESHOLDS
        )
    except ValueError as error:
        logger.warning("%s", error)
        return {}
    where = computed.brain & (case.maps.cbf > 0) & (computed.maps.cbf > 0)
    where &= np.all([truth > 1e-3 for truth in case.truth], axis=0)
    late = case.truth.tmax[where] > LATE_S
    figures = {
        f"r_{name}": float(
            np.corrcoef(getattr(computed.maps, name)[where], getattr(case.truth, name)[where])[0, 1]
        )
        for name in ("cbf", "cbv", "tmax")
    }
    error_s = np.abs(computed.maps.tmax[where] - case.truth.tmax[where])
    figures["tmax_error_s"] = float(np.median(error_s))
    figures["late_dice"] = dice(computed.maps.tmax[where] > LATE_S, late)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--max-slices", type=int, default=4)
    parser.add_argument("--seed", type=int, default=41)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    plans = plan_scans(args.seed, 0, args.cases, size=args.size, max_slices=args.max_slices)
    table = {}
    for motion in MOTIONS:
        scans = [measure(plan, motion) for plan in plans]
        for name in ("as it is", "corrected"):
            rows = [scan[name] for scan in scans if len(scan[name]) > 1]
            means = {key: float(np.nanmean([row[key] for row in rows])) for key in rows[0]}
            table[f"{motion}, {name}"] = means
            figures = ", ".join(f"{key} {value:.3f}" for key, value in means.items())
            logger.info("%s, %s (%d scans): %s", motion, name, len(rows), figures)
    if args.out:
        write_json(args.out, table)


if __name__ == "__main__":
    main()
