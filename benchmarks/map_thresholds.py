"""Volumes beyond thresholds by each ``--method`` against the phantom's truth, vendor by vendor.

    python -m benchmarks.map_thresholds --seed 95 --cases 32

The second table of docs/explanation/perfusion-maps.md. Maps are made as ``strokesynth maps`` makes
them: motion is taken out, slices are brought to one time (for vendors with shuttle, once more as if
their times were unknown), brain and vessels are found. Normal tissue has a true Tmax below 2 s; the
relative CBF is that to the median of the side with less late tissue. Medians are those over scans,
volumes are sums over scans.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from nnunetv2_strokesynth.ctp.compute_maps import compute_maps
from nnunetv2_strokesynth.ctp.deconvolution import PerfusionMaps
from nnunetv2_strokesynth.ctp.maps_by import FOR_NETWORKS, METHOD_NAMES
from nnunetv2_strokesynth.ctp.motion import WithoutMotion, measure_motion
from nnunetv2_strokesynth.evaluation.tables import markdown_grid
from nnunetv2_strokesynth.io.atomic import atomic_file
from nnunetv2_strokesynth.io.slice_times import simultaneous
from nnunetv2_strokesynth.phantom.case import Case
from nnunetv2_strokesynth.phantom.dataset import simulate_scan
from nnunetv2_strokesynth.phantom.plan import ScanPlan, plan_scans

LATE_S, CORE_RCBF, NORMAL_TMAX_S = 6.0, 0.30, 2.0
_TISSUE = 0.5  # share of a voxel that is grey or white matter
HEADER = ("vendor", "slices", "scans", "method", "normal Tmax", "normal MTT", "Tmax > 6 s",
          "rCBF < 30 %")  # fmt: skip


class Volume(NamedTuple):
    """Volume that maps find, the true one, and what both share (mL)."""

    found: float
    true: float
    shared: float


def measure(plan: ScanPlan) -> Iterator[dict[str, object]]:
    """Figures of a scan, by each method; twice where its slices are imaged at other times."""
    case = simulate_scan(plan)
    offsets = plan.timetable.offsets(len(case.ctp[0]))
    yield from _by_all_methods(plan, case, offsets, "at one time" if np.ptp(offsets) else "")
    if np.ptp(offsets):
        yield from _by_all_methods(plan, case, None, "as stored")


def _by_all_methods(
    plan: ScanPlan, case: Case, offsets: np.ndarray | None, slices: str
) -> Iterator[dict[str, object]]:
    grid, times_s = case.grid, np.asarray(plan.timetable.times_s)
    spacing = (grid.slice_mm, grid.pixel_mm, grid.pixel_mm)
    series = simultaneous(case.ctp, times_s, offsets)
    motion = measure_motion(series, spacing)
    if motion.corrected:
        series = WithoutMotion(series, motion, spacing)
    for method in METHOD_NAMES:
        computed = compute_maps(
            series,
            spacing_zyx_mm=spacing,
            times_s=times_s,
            method=FOR_NETWORKS,
            threshold_method=None if method == FOR_NETWORKS else method,
        )
        figures = _figures(case, computed.threshold_maps, computed.brain)
        yield {"vendor": plan.vendor, "slices": slices, "method": method, **figures}


def _figures(case: Case, maps: PerfusionMaps, brain: np.ndarray) -> dict[str, float]:
    where = brain & (case.solid > _TISSUE) & (case.truth.cbf > 1e-3) & (maps.cbf > 0)
    truth = case.truth
    normal = where & (truth.tmax < NORMAL_TMAX_S)
    other = where & ~_affected_side(where & (truth.tmax > LATE_S))
    late = _volume(case, where & (maps.tmax > LATE_S), where & (truth.tmax > LATE_S))
    core = _volume(
        case,
        where & (maps.cbf < CORE_RCBF * np.median(maps.cbf[other])),
        where & (truth.cbf < CORE_RCBF * np.median(truth.cbf[other])),
    )
    return {
        "tmax_s": float(np.median(maps.tmax[normal] - truth.tmax[normal])),
        "mtt_ratio": float(np.median(maps.mtt[normal] / truth.mtt[normal])),
        **{f"late_{name}": value for name, value in late._asdict().items()},
        **{f"core_{name}": value for name, value in core._asdict().items()},
    }


def _affected_side(late: np.ndarray) -> np.ndarray:
    """The half of the slab with more late tissue, bool (Z, Y, X)."""
    right = np.broadcast_to(np.arange(late.shape[2]) >= late.shape[2] / 2, late.shape)
    return right if (late & right).sum() > (late & ~right).sum() else ~right


def _volume(case: Case, found: np.ndarray, true: np.ndarray) -> Volume:
    ml = case.grid.slice_mm * case.grid.pixel_mm**2 / 1000
    return Volume(*(float(mask.sum() * ml) for mask in (found, true, found & true)))


def table(figures: pd.DataFrame) -> str:
    """A row for each vendor, time of the slices and method, as a GitHub table."""
    rows = []
    for (vendor, slices, method), own in figures.groupby(["vendor", "slices", "method"]):
        volumes = [_ratio_and_dice(own, name) for name in ("late", "core")]
        rows.append(
            [vendor, slices, str(len(own)), method, f"{own['tmax_s'].median():+.1f} s",
             f"{own['mtt_ratio'].median():.2f}", *volumes]
        )  # fmt: skip
    return markdown_grid(HEADER, rows)


def _ratio_and_dice(own: pd.DataFrame, name: str) -> str:
    found, true, shared = (own[f"{name}_{field}"].sum() for field in Volume._fields)
    return f"{found / true:.2f} ({2 * shared / (found + true):.2f})"


def main() -> None:
    """Measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--cases", type=int, default=32)
    add("--size", type=int, default=64)
    add("--max-slices", type=int, default=4)
    add("--seed", type=int, default=95)
    add("--out", type=Path, help="write a CSV row for each scan and method")
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    plans = plan_scans(args.seed, 0, args.cases, size=args.size, max_slices=args.max_slices)
    figures = pd.DataFrame([row for plan in tqdm(plans, "scans") for row in measure(plan)])
    if args.out:
        with atomic_file(args.out) as temporary:
            figures.to_csv(temporary, index=False)
    print(table(figures))


if __name__ == "__main__":
    main()
