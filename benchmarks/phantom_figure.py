"""A picture of simulated scans, a row for each, as in the phantom's documentation.

    python -m benchmarks.phantom_figure phantom_cases.png [--seed 7] [--numbers 1 3 6 9]
    python -m benchmarks.phantom_figure phantom_vendors.png --by-vendor [--seed 7] [--numbers 6]
    python -m benchmarks.phantom_figure phantom_mri.png --mri [--seed 17] [--numbers 1 2 3 4]

With ``--by-vendor`` there is a row for each vendor: the same head and stroke on its scanner. With
``--mri`` the scans are MRI studies in ISLES 2017's layout.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from nnunetv2_strokesynth.io.figure_file import save_png
from nnunetv2_strokesynth.phantom.case import Case
from nnunetv2_strokesynth.phantom.dataset import simulate_scan
from nnunetv2_strokesynth.phantom.isles2017_layout import ISLES2017
from nnunetv2_strokesynth.phantom.mri_case import MRICase
from nnunetv2_strokesynth.phantom.plan import ScanPlan, plan_mri_scans, plan_scans
from nnunetv2_strokesynth.phantom.timetable import Timetable
from nnunetv2_strokesynth.phantom.vendors import VENDORS
from nnunetv2_strokesynth.reporting.slice_image import draw_slice

_DURATION_S = 50.0


class _Panel(NamedTuple):
    """An image (Y, X), the values at both ends of its scale, and its unit."""

    image: np.ndarray
    low: float
    high: float
    unit: str
    colour_map: str = "gray"


def _panels(case: Case, timetable: Timetable) -> dict[str, _Panel]:
    """Title -> panel; the slice with most lesion."""
    k = int(np.argmax(case.lesion.sum(axis=(1, 2))))
    tissue = case.maps.cbf[k] > 0
    cbf, cbv, mtt, tmax = (np.where(tissue, volume[k], np.nan) for volume in case.maps)
    series = case.ctp[:, k]
    early, late = (timetable.frame_at(case.bolus.peak_s + after_s) for after_s in (0, 8))
    # The map software's flow has a factor of its own: shown over the scan's median.
    reference = np.median(case.maps.cbf[case.maps.cbf > 0])
    return {
        "CT": _Panel(case.ct[k], 0, 80, "HU"),
        "CTP, arterial": _Panel(series[early], 0, 160, "HU"),
        "CTP, venous": _Panel(series[late], 0, 160, "HU"),
        "MIP": _Panel(series.max(axis=0), 0, 200, "HU"),
        "CBF": _Panel(cbf / reference, 0, 2.5, "of its median", "turbo"),
        "CBV": _Panel(cbv, 0, 10, "mL/100 g", "turbo"),
        "MTT": _Panel(mtt, 0, 15, "s", "turbo"),
        "Tmax": _Panel(tmax, 0, 12, "s", "turbo"),
        "DWI": _Panel(case.dwi[k], 0, 220, "as measured"),
        "OT": _Panel(case.lesion[k], 0, 1, "lesion 1"),
    }


def _mri_panels(case: MRICase) -> dict[str, _Panel]:
    """Title -> panel of an MRI study; the slice with most lesion."""
    k = int(np.argmax(case.lesion.sum(axis=(1, 2))))
    outside = ~case.brain[k]

    def inside(volume: np.ndarray) -> np.ndarray:
        return np.where(outside, np.nan, volume[k])

    def over_median(volume: np.ndarray) -> np.ndarray:
        return inside(volume / np.median(volume[case.brain & (volume > 0)]))

    return {
        "ADC": _Panel(inside(case.adc), 0, 2000, "1e-6 mm²/s"),
        "rCBF": _Panel(over_median(case.maps.cbf), 0, 2.5, "of its median", "turbo"),
        "rCBV": _Panel(over_median(case.maps.cbv), 0, 2.5, "of its median", "turbo"),
        "MTT": _Panel(inside(case.maps.mtt), 0, 15, "s", "turbo"),
        "TTP": _Panel(inside(case.ttp), 15, 60, "s", "turbo"),
        "Tmax": _Panel(inside(case.maps.tmax), 0, 12, "s", "turbo"),
        "OT": _Panel(case.lesion[k], 0, 1, "lesion 1"),
    }


def by_vendor(plan: ScanPlan) -> dict[str, ScanPlan]:
    """One patient's scan on each vendor's scanner, at equal voxels."""
    scanners = {}
    for name, vendor in VENDORS.items():
        longest_s = vendor.timing.steps_s[-1]
        timetable = vendor.timing.timetable(_DURATION_S, longest_s, plan.grid.n_slices)
        scanners[f"vendor {name}"] = plan._replace(vendor=name, timetable=timetable)
    return scanners


def draw_figure(path: Path, rows: Mapping[str, Mapping[str, _Panel]]) -> None:
    """One row of panels per scan, with what to call it; under each column its scale."""
    n_columns = len(next(iter(rows.values())))
    figure = Figure(figsize=(2 * n_columns, 2.1 * len(rows) + 1.0), facecolor="black")
    top, bottom = 1 - 0.3 / figure.get_figheight(), 0.65 / figure.get_figheight()
    grid = figure.subplots(
        len(rows), n_columns, squeeze=False, gridspec_kw={"wspace": 0.01, "hspace": 0.02}
    )
    figure.subplots_adjust(left=0, right=1, bottom=bottom, top=top)
    for row, (label, panels) in enumerate(rows.items()):
        for axes, panel in zip(grid[row], panels.values(), strict=True):
            drawn = draw_slice(
                axes,
                panel.image,
                sides_known=True,
                window=(panel.low, panel.high),
                colour_map=panel.colour_map,
            )
            if row == len(rows) - 1:
                _draw_scale(figure, axes, drawn, panel.unit)
        style = {"color": "white", "fontsize": 12, "va": "bottom"}
        grid[row, 0].text(0.02, 0.02, label, transform=grid[row, 0].transAxes, **style)
    for axes, title in zip(grid[0], panels, strict=True):
        axes.set_title(title, color="white", fontsize=13)
    save_png(figure, path, dpi=75)


def _draw_scale(figure: Figure, axes: Axes, drawn: AxesImage, unit: str) -> None:
    """A colour bar under an image, with its unit."""
    place = axes.get_position()
    inch = 1 / figure.get_figheight()
    where = (place.x0 + 0.1 * place.width, place.y0 - 0.2 * inch)
    bar = figure.colorbar(
        drawn,
        cax=figure.add_axes((*where, 0.8 * place.width, 0.1 * inch)),
        orientation="horizontal",
    )
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors="white", labelsize=10)
    bar.set_label(unit, color="white", fontsize=11)


def main() -> None:
    """Draw the scans."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="picture to write")
    parser.add_argument("--seed", type=int, default=7, help="of the phantom (default: %(default)s)")
    parser.add_argument("--numbers", type=int, nargs="+", default=[1, 3, 6, 9], help="of the scans")
    parser.add_argument("--size", type=int, default=256, help="pixels along x and y")
    parser.add_argument("--by-vendor", action="store_true", help="the first scan on each scanner")
    parser.add_argument("--mri", action="store_true", help="MRI studies")
    args = parser.parse_args()
    planned = plan_mri_scans if args.mri else plan_scans
    found = planned(args.seed, 0, max(args.numbers), size=args.size)
    plans = {f"{number} {found[number - 1].vendor}": found[number - 1] for number in args.numbers}
    if args.by_vendor and not args.mri:
        plans = by_vendor(found[args.numbers[0] - 1])
    draw_figure(args.out, {label: _row(plan) for label, plan in plans.items()})


def _row(plan: ScanPlan) -> dict[str, _Panel]:
    """The panels of one scan."""
    if plan.vendor:
        return _panels(simulate_scan(plan), plan.timetable)
    return _mri_panels(simulate_scan(plan, ISLES2017))


if __name__ == "__main__":
    main()
