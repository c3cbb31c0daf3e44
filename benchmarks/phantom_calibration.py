"""How hard the phantom is: the figures of docs/explanation/phantom.md, beside the literature's.

    python benchmarks/phantom_calibration.py --cases 90 --size 96 --out calibration.json
    python benchmarks/phantom_calibration.py --figure docs/images/phantom_cases.png

A voxel classifier (gradient-boosted trees on smoothed features, patient-level cross-validation)
stands for a
segmenter that has to learn: it takes minutes, and tells which inputs carry how much about the
    lesion.
"""

from __future__ import annotations

import argparse
import logging
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from scipy import ndimage
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import GroupKFold
from tqdm import tqdm

from nnunetv2_strokesynth.io.atomic import (
    atomic_file,
    write_json,
)
from nnunetv2_strokesynth.io.process_pool import map_cases
from nnunetv2_strokesynth.phantom.case import Case
from nnunetv2_strokesynth.phantom.dataset import simulate_scan
from nnunetv2_strokesynth.phantom.plan import (
    ScanPlan,
    plan_scans,
)

logger = logging.getLogger(__name__)
SCALES_MM = (1.5, 4.0, 8.0)
TRAIN_VOXELS_PER_SCAN = 1200
THRESHOLDS = np.arange(0.1, 0.75, 0.05)
# Wang et al. 2020: 39 % of the test lesions under 10 mL, 43 % from 10 to 50, 18 % over 50.
VOLUME_EDGES_ML = (10.0, 50.0)


class Scan(NamedTuple):
    """Features of a scan's brain voxels, each (N, columns), and what they are judged against."""

    patient: int
    features: dict[str, np.ndarray]
    lesion: np.ndarray
    """(N,) bool, inside the brain mask."""
    lesion_voxels: int
    """All of them, those outside the mask included."""
    volume_ml: float
    rcbf: np.ndarray
    tmax_s: np.ndarray
    ctp_info: dict[str, float]


def _normalised(image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    middle = np.median(image[brain])
    spread = np.median(np.abs(image[brain] - middle)) + 1e-6
    return (image - middle) / spread


def _multiscale(image: np.ndarray, brain: np.ndarray, pixel_mm: float) -> list[np.ndarray]:
    """The image at three smoothing scales inside the brain, and its left-right difference."""
    mask = brain.astype(float)
    columns = []
    for scale_mm in SCALES_MM:
        sigma = (0, scale_mm / pixel_mm, scale_mm / pixel_mm)
        weight = np.maximum(ndimage.gaussian_filter(mask, sigma), 1e-3)
        columns.append(ndimage.gaussian_filter(image * mask, sigma) / weight)
    columns.append(columns[1] - columns[1][:, :, ::-1])
    return columns


def _features(case: Case, brain: np.ndarray) -> dict[str, np.ndarray]:
    pixel_mm = case.grid.pixel_mm
    curve = case.ctp[:, brain].mean(axis=1)
    peak = int(np.argmax(ndimage.gaussian_filter1d(curve, 2.0)))
    early = case.ctp[: max(2, peak // 2)].mean(axis=0)
    late = case.ctp[min(peak + 4, len(curve) - 4) :].mean(axis=0)
    images = {
        "ct": [case.ct.astype(float)],
        "maps": list(case.maps),
        "ctp": [
            early,
            case.ctp[max(0, peak - 4) : peak + 1].mean(axis=0),
            late,
            case.ctp.mean(axis=0),
        ],
        "dwi": [case.dwi],
    }
    z, y, x = np.nonzero(brain)
    place = np.stack([z / brain.shape[0], y / brain.shape[1], np.abs(x / brain.shape[2] - 0.5)], 1)
    result = {}
    for name, members in images.items():
        columns = [
            column[brain]
            for image in members
            for column in _multiscale(_normalised(image, brain), brain, pixel_mm)
        ]
        result[name] = np.stack(columns, axis=1).astype(np.float32)
    result["place"] = place.astype(np.float32)
    return result


def measure_scan(plan: ScanPlan) -> Scan:
    """Simulate one scan and keep what the calibration needs."""
    case = simulate_scan(plan)
    brain = case.maps.cbf > 0
    healthy = brain & (case.maps.tmax < 4)
    reference = float(np.median(case.maps.cbf[healthy if healthy.any() else brain]))
    grid = case.grid
    voxel_ml = grid.pixel_mm**2 * grid.slice_mm / 1000
    return Scan(
        plan.patient,
        _features(case, brain),
        case.lesion[brain],
        int(case.lesion.sum()),
        float(case.lesion.sum() * voxel_ml),
        case.maps.cbf[brain] / reference,
        case.maps.tmax[brain],
        {"cbf_reference": reference, "aif_peak_hu": case.bolus.peak_hu},
    )


def _dice(found: np.ndarray, scan: Scan) -> float:
    total = int(found.sum()) + scan.lesion_voxels
    return 2 * int((found & scan.lesion).sum()) / total if total else 1.0


def mean_dice(scans: list[Scan], found: list[np.ndarray]) -> float:
    """Mean over scans of Dice."""
    return float(np.mean([_dice(f, s) for f, s in zip(found, scans, strict=True)]))


def threshold_dice(scans: list[Scan]) -> dict[str, float]:
    """Dice of the usual fixed rules, and of the best single threshold in hindsight."""
    rules = {
        "rCBF < 0.3": [s.rcbf < 0.3 for s in scans],
        "rCBF < 0.3 and Tmax > 6 s": [(s.rcbf < 0.3) & (s.tmax_s > 6) for s in scans],
        "Tmax > 6 s": [s.tmax_s > 6 for s in scans],
    }
    table = {name: mean_dice(scans, found) for name, found in rules.items()}
    for name, values in (
        ("rCBF <", [-s.rcbf for s in scans]),
        ("Tmax >", [s.tmax_s for s in scans]),
    ):
        grid = np.arange(-0.9, -0.1, 0.05) if name == "rCBF <" else np.arange(3.0, 14.0, 0.5)
        best = max((mean_dice(scans, [v > t for v in values]), abs(t)) for t in grid)
        table[f"best threshold in hindsight, {name} {best[1]:.2f}"] = best[0]
    return table


def _fit(scans: list[Scan], inputs: tuple[str, ...], rng: np.random.Generator):
    rows, labels = [], []
    for scan in scans:
        n = len(scan.lesion)
        take = rng.choice(n, min(n, TRAIN_VOXELS_PER_SCAN), replace=False)
        rows.append(np.concatenate([scan.features[name][take] for name in inputs], axis=1))
        labels.append(scan.lesion[take])
    model = HistGradientBoostingClassifier(
        max_iter=60, learning_rate=0.12, max_leaf_nodes=15, min_samples_leaf=100, random_state=0
    )
    return model.fit(np.concatenate(rows), np.concatenate(labels))


def _probability(model, scan: Scan, inputs: tuple[str, ...]) -> np.ndarray:
    rows = np.concatenate([scan.features[name] for name in inputs], axis=1)
    return model.predict_proba(rows)[:, 1]


def classifier_dice(scans: list[Scan], inputs: tuple[str, ...], n_folds: int = 4) -> list[float]:
    """Held-out Dice per scan of the voxel classifier; its cut-off is the training patients'."""
    rng = np.random.default_rng(0)
    groups = np.array([scan.patient for scan in scans])
    dice = [0.0] * len(scans)
    for train, test in GroupKFold(n_folds).split(groups, groups=groups):
        model = _fit([scans[i] for i in train], inputs, rng)
        seen = [scans[i] for i in train[::3]]
        seen_probability = [_probability(model, scan, inputs) for scan in seen]
        cut = max(THRESHOLDS, key=lambda t: mean_dice(seen, [p > t for p in seen_probability]))
        for i in test:
            dice[i] = _dice(_probability(model, scans[i], inputs) > cut, scans[i])
    return dice


INPUTS = {
    "CT + maps": ("place", "ct", "maps"),
    "CT + maps + CTP frames": ("place", "ct", "maps", "ctp"),
    "CTP frames": ("place", "ctp"),
    "DWI": ("place", "dwi"),
}


def volume_groups(volumes_ml: list[float]) -> dict[str, float]:
    group = np.digitize(volumes_ml, VOLUME_EDGES_ML)
    names = ("< 10 mL", "10-50 mL", "> 50 mL")
    return {name: float(np.mean(group == k)) for k, name in enumerate(names)}


def calibrate(n_cases: int, size: int, seed: int, workers: int) -> dict:
    """Simulate ``n_cases`` training scans and measure them."""
    plans = plan_scans(seed, 0, n_cases, size=size)
    scans = map_cases(measure_scan, plans, workers=workers, description="scans", unit="scan")
    volumes = [scan.volume_ml for scan in scans]
    cbf = [scan.ctp_info["cbf_reference"] for scan in scans]
    report = {
        "cases": n_cases,
        "size": size,
        "seed": seed,
        "volume_groups": volume_groups(volumes),
        "volume_ml_percentiles_5_50_95": np.percentile(volumes, [5, 50, 95]).round(2).tolist(),
        "cbf_reference_percentiles_2_50_98": np.percentile(cbf, [2, 50, 98]).round(1).tolist(),
        "threshold_dice": threshold_dice(scans),
    }
    run = partial(classifier_dice, scans)
    report["classifier_dice"] = {
        name: _summary(run(inputs), volumes)
        for name, inputs in tqdm(INPUTS.items(), desc="classifiers")
    }
    return report


def _summary(dice: list[float], volumes_ml: list[float]) -> dict[str, float]:
    group = np.digitize(volumes_ml, VOLUME_EDGES_ML)
    values = np.array(dice)
    summary = {"mean": float(values.mean()), "sd": float(values.std())}
    for k, name in enumerate(("< 10 mL", "10-50 mL", "> 50 mL")):
        summary[name] = float(values[group == k].mean()) if (group == k).any() else float("nan")
    return summary


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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("phantom_calibration.json"))
    parser.add_argument("--figure", type=Path, help="draw scans as a picture instead")
    parser.add_argument("--numbers", type=int, nargs="+", default=[1, 3, 6, 9])
    args = parser.parse_args()
    if args.figure:
        draw_figure(args.figure, tuple(args.numbers), args.seed)
        return
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    report = calibrate(args.cases, args.size, args.seed, args.workers)
    write_json(args.out, report)
    logger.info("%s", args.out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
