"""A picture of simulated scans, a row for each, as in the phantom's documentation.

    python -m benchmarks.phantom_figure phantom_cases.png [--seed 7] [--numbers 1 3 6 9]
    python -m benchmarks.phantom_figure phantom_vendors.png --by-vendor [--seed 7] [--numbers 6]

With ``--by-vendor`` there is a row for each vendor: the same head and stroke on its scanner.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from nnunetv2_strokesynth.io.atomic import atomic_file
from nnunetv2_strokesynth.phantom.case import Case
from nnunetv2_strokesynth.phantom.dataset import simulate_scan
from nnunetv2_strokesynth.phantom.plan import ScanPlan, plan_scans
from nnunetv2_strokesynth.phantom.timetable import Timetable
from nnunetv2_strokesynth.phantom.vendors import VENDORS

_DURATION_S = 50.0


def _panels(case: Case, timetable: Timetable) -> dict[str, tuple[np.ndarray, float, float, str]]:
    """Title -> image, lowest and highest value shown, colour map; the slice with most lesion."""
    k = int(np.argmax(case.lesion.sum(axis=(1, 2))))
    series = case.ctp[:, k]
    early, late = (timetable.frame_at(case.bolus.peak_s + after_s) for after_s in (0, 8))
    reference = np.median(case.maps.cbf[case.maps.cbf > 0])
    return {
        "CT": (case.ct[k], 0, 80, "gray"),
        "CTP, arterial": (series[early], 0, 160, "gray"),
        "CTP, venous": (series[late], 0, 160, "gray"),
        "MIP": (series.max(axis=0), 0, 200, "gray"),
        "CBF": (case.maps.cbf[k], 0, 2.5 * reference, "jet"),
        "CBV": (case.maps.cbv[k], 0, 10, "jet"),
        "MTT": (case.maps.mtt[k], 0, 15, "jet"),
        "Tmax": (case.maps.tmax[k], 0, 12, "jet"),
        "DWI": (case.dwi[k], 0, 220, "gray"),
        "OT": (case.lesion[k], 0, 1, "gray"),
    }


def by_vendor(plan: ScanPlan) -> dict[str, ScanPlan]:
    """One patient's scan on each vendor's scanner, at equal voxels."""
    scanners = {}
    for name, vendor in VENDORS.items():
        longest_s = vendor.timing.steps_s[-1]
        timetable = vendor.timing.timetable(_DURATION_S, longest_s, plan.grid.n_slices)
        scanners[f"vendor {name}"] = plan._replace(vendor=name, timetable=timetable)
    return scanners


def draw_figure(path: Path, plans: dict[str, ScanPlan]) -> None:
    """One row per scan, with what to call it, 256 pixels."""
    figure = Figure(figsize=(20, 2.1 * len(plans)), facecolor="black")
    for row, (label, plan) in enumerate(plans.items()):
        panels = _panels(simulate_scan(plan), plan.timetable)
        for column, (title, (image, low, high, colours)) in enumerate(panels.items()):
            axes = figure.add_subplot(len(plans), len(panels), row * len(panels) + column + 1)
            axes.imshow(image, vmin=low, vmax=high, cmap=colours)
            axes.set_axis_off()
            if row == 0:
                axes.set_title(title, color="white", fontsize=13)
            if column == 0:
                axes.text(6, 22, label, color="white", fontsize=12)
    figure.subplots_adjust(left=0, right=1, bottom=0, top=0.94, wspace=0.01, hspace=0.02)
    with atomic_file(path) as temporary:
        figure.savefig(temporary, dpi=75)


def main() -> None:
    """Draw the scans."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="picture to write")
    parser.add_argument("--seed", type=int, default=7, help="of the phantom (default: %(default)s)")
    parser.add_argument("--numbers", type=int, nargs="+", default=[1, 3, 6, 9], help="of the scans")
    parser.add_argument("--by-vendor", action="store_true", help="the first scan on each scanner")
    args = parser.parse_args()
    found = plan_scans(args.seed, 0, max(args.numbers), size=256)
    plans = {f"{number} {found[number - 1].vendor}": found[number - 1] for number in args.numbers}
    if args.by_vendor:
        plans = by_vendor(found[args.numbers[0] - 1])
    draw_figure(args.out, plans)


if __name__ == "__main__":
    main()
