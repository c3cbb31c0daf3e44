"""A picture of simulated scans, a row for each, as in the phantom's documentation.

python -m benchmarks.phantom_figure phantom_cases.png [--seed 7] [--numbers 1 3 6 9]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from nnunetv2_strokesynth.io.atomic import atomic_file
from nnunetv2_strokesynth.phantom.case import Case
from nnunetv2_strokesynth.phantom.dataset import simulate_scan
from nnunetv2_strokesynth.phantom.plan import plan_scans


def _panels(case: Case) -> dict[str, tuple[np.ndarray, float, float, str]]:
    """Title -> image, lowest and highest value shown, colour map; the slice with most lesion."""
    k = int(np.argmax(case.lesion.sum(axis=(1, 2))))
    series, peak = case.ctp[:, k], round(case.bolus.peak_s)
    reference = np.median(case.maps.cbf[case.maps.cbf > 0])
    return {
        "CT": (case.ct[k], 0, 80, "gray"),
        "CTP, arterial": (series[min(peak, len(series) - 1)], 0, 160, "gray"),
        "CTP, venous": (series[min(peak + 8, len(series) - 1)], 0, 160, "gray"),
        "MIP": (series.max(axis=0), 0, 200, "gray"),
        "CBF": (case.maps.cbf[k], 0, 2.5 * reference, "jet"),
        "CBV": (case.maps.cbv[k], 0, 10, "jet"),
        "MTT": (case.maps.mtt[k], 0, 20, "jet"),
        "Tmax": (case.maps.tmax[k], 0, 12, "jet"),
        "DWI": (case.dwi[k], 0, 230, "gray"),
        "OT": (case.lesion[k], 0, 1, "gray"),
    }


def draw_figure(path: Path, numbers: tuple[int, ...], seed: int) -> None:
    """One row per scan (its number in the plan), 256 pixels."""
    figure = Figure(figsize=(20, 2.1 * len(numbers)), facecolor="black")
    plans = plan_scans(seed, 0, max(numbers), size=256)
    for row, number in enumerate(numbers):
        panels = _panels(simulate_scan(plans[number - 1]))
        for column, (title, (image, low, high, colours)) in enumerate(panels.items()):
            axes = figure.add_subplot(len(numbers), len(panels), row * len(panels) + column + 1)
            axes.imshow(image, vmin=low, vmax=high, cmap=colours)
            axes.set_axis_off()
            if row == 0:
                axes.set_title(title, color="white", fontsize=13)
    figure.subplots_adjust(left=0, right=1, bottom=0, top=0.94, wspace=0.01, hspace=0.02)
    with atomic_file(path) as temporary:
        figure.savefig(temporary, dpi=75)


def main() -> None:
    """Draw the scans."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="picture to write")
    parser.add_argument("--seed", type=int, default=7, help="of the phantom (default: %(default)s)")
    parser.add_argument("--numbers", type=int, nargs="+", default=[1, 3, 6, 9], help="of the scans")
    args = parser.parse_args()
    draw_figure(args.out, tuple(args.numbers), args.seed)


if __name__ == "__main__":
    main()
