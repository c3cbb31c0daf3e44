"""Perfusion maps against the phantom's truth: first table of docs/explanation/perfusion-maps.md.

    python -m benchmarks.perfusion_maps --cases 12 --size 128 --max-slices 4 --seed 21

Two kinds of maps are compared with the truth in grey and white matter that both masks cover: the
phantom's own maps (its vendors' software, which knows the brain), and those that ``strokesynth
maps`` writes, which knows nothing but the series, with and without the AIF's correction for partial
volume. Motion, and slices at other times, are left as they are.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from nnunetv2_strokesynth.ctp.compute_maps import compute_maps
from nnunetv2_strokesynth.ctp.deconvolution import PerfusionMaps
from nnunetv2_strokesynth.ctp.maps_by import FOR_THRESHOLDS
from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.phantom.anatomy import build_head
from nnunetv2_strokesynth.phantom.dataset import simulate_scan
from nnunetv2_strokesynth.phantom.patient import draw_patient
from nnunetv2_strokesynth.phantom.physics import DEFAULT_PHYSICS
from nnunetv2_strokesynth.phantom.plan import ScanPlan, plan_scans

logger = logging.getLogger(__name__)
METHODS = ("phantom", "own", "own, AIF scaled")
UNITS = {"cbf": "mL/100 g/min", "cbv": "mL/100 g", "mtt": "s", "tmax": "s"}
LATE_S = 6.0
_LEAST_LATE_ML = 1.0


class Agreement(NamedTuple):
    """How one map of one scan agrees with the truth."""

    correlation: float
    ratio: float
    difference: float


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Dice of two masks; NaN if both are empty."""
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else float("nan")


def agreement(found: np.ndarray, truth: np.ndarray) -> Agreement:
    """Pearson's r, median of found / truth, median of found - truth; (N,) each, truth over 0."""
    return Agreement(
        float(np.corrcoef(found, truth)[0, 1]),
        float(np.median(found / truth)),
        float(np.median(found - truth)),
    )


def measure_scan(plan: ScanPlan) -> dict:
    """All figures of one scan."""
    case = simulate_scan(plan)
    patient_rng = np.random.default_rng(np.random.SeedSequence(plan.patient_seed))
    shape = draw_patient(patient_rng, plan.slabs, DEFAULT_PHYSICS).shape
    head = build_head(case.grid, shape, DEFAULT_PHYSICS.densities)
    grid = case.grid
    inputs = {
        "spacing_zyx_mm": (grid.slice_mm, grid.pixel_mm, grid.pixel_mm),
        "times_s": plan.timetable.times_s,
        "method": FOR_THRESHOLDS,
    }
    own, scaled = (compute_maps(case.ctp, **inputs, scale_aif=flag) for flag in (False, True))
    where = (head.gm + head.wm > 0.5) & own.brain & (case.maps.cbf > 0)
    where &= np.all([truth > 1e-3 for truth in case.truth], axis=0)
    voxel_ml = float(np.prod(inputs["spacing_zyx_mm"])) / 1000
    late = case.truth.tmax[where] > LATE_S
    result: dict = {"mask_dice": dice(own.brain, case.brain), "row": own.row}
    result["warnings"] = scaled.warnings
    result["true_scale"] = case.bolus.peak_hu / own.row["aif_peak_hu"]
    result["aif_scale"] = scaled.row["aif_scale"]
    for method, maps in zip(METHODS, (case.maps, own.maps, scaled.maps), strict=True):
        result[method] = _compare(maps, case.truth, where)
        result[method]["late_dice"] = (
            dice(maps.tmax[where] > LATE_S, late)
            if late.sum() * voxel_ml >= _LEAST_LATE_ML
            else float("nan")
        )
    return result


def _compare(maps: PerfusionMaps, truth: PerfusionMaps, where: np.ndarray) -> dict:
    return {
        name: agreement(getattr(maps, name)[where], getattr(truth, name)[where])._asdict()
        for name in UNITS
    }


def markdown(scans: list[dict]) -> str:
    """The table: mean correlation, and medians over scans of ratio (range) and difference."""
    lines = [
        "| map | maps of | r | ratio to truth (range) | scatter of the ratio | difference |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, unit in UNITS.items():
        for method in METHODS:
            found = {
                key: np.array([scan[method][name][key] for scan in scans])
                for key in Agreement._fields
            }
            ratio = found["ratio"]
            scatter = np.exp(np.log(np.maximum(ratio, 1e-6)).std())
            lines.append(
                f"| {name} | {method} | {found['correlation'].mean():.2f} | "
                f"{np.median(ratio):.2f} ({ratio.min():.2f}-{ratio.max():.2f}) | "
                f"x/ {scatter:.2f} | {np.median(found['difference']):+.1f} {unit} |"
            )
    masks = [scan["mask_dice"] for scan in scans]
    lines += ["", f"brain mask: Dice {np.mean(masks):.3f} ({min(masks):.3f}-{max(masks):.3f})"]
    for method in METHODS:
        late = np.array([scan[method]["late_dice"] for scan in scans])
        known = late[np.isfinite(late)]
        lines.append(f"Tmax > 6 s, {method}: Dice {known.mean():.2f} over {len(known)} scans")
    errors = [np.log(scan["aif_scale"] / scan["true_scale"]) for scan in scans]
    lines.append(
        f"AIF's scale over what partial volume took: {np.exp(np.median(errors)):.2f} "
        f"({np.exp(min(errors)):.2f}-{np.exp(max(errors)):.2f})"
    )
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--max-slices", type=int, default=4)
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--out", type=Path, help="write all figures of all scans as JSON")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    plans = plan_scans(args.seed, 0, args.cases, size=args.size, max_slices=args.max_slices)
    scans = [measure_scan(plan) for plan in tqdm(plans, desc="scans")]
    if args.out:
        write_json(args.out, scans)
    logger.info("%s", markdown(scans))


if __name__ == "__main__":
    main()
