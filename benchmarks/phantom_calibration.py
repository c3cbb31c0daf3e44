"""How hard the phantom is: figures to set beside those that the literature gives for patients.

    python -m benchmarks.phantom_calibration --cases 100 --size 96 --out calibration.json

The lesions' volumes, the Dice of fixed thresholds of CBF and Tmax, and the Dice of a voxel
classifier (``voxel_classifier.py``) on the CT, the maps, the CTP frames and the DWI.
"""

from __future__ import annotations

import argparse
import logging
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.voxel_classifier import Scan, classifier_dice, mean_dice, measure_scan
from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.io.process_pool import map_cases
from nnunetv2_strokesynth.phantom.plan import plan_scans

# Wang et al. 2020: 39 % of the test lesions under 10 mL, 43 % from 10 to 50, 18 % over 50.
VOLUME_EDGES_ML = (10.0, 50.0)
VOLUME_GROUPS = ("< 10 mL", "10-50 mL", "> 50 mL")
INPUTS = {
    "CT + maps": ("place", "ct", "maps"),
    "CT + maps + CTP frames": ("place", "ct", "maps", "ctp"),
    "CTP frames": ("place", "ctp"),
    "DWI": ("place", "dwi"),
}

logger = logging.getLogger(__name__)


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


def volume_groups(volumes_ml: list[float]) -> dict[str, float]:
    """Share of the lesions in each group of volumes."""
    group = np.digitize(volumes_ml, VOLUME_EDGES_ML)
    return {name: float(np.mean(group == k)) for k, name in enumerate(VOLUME_GROUPS)}


def calibrate(n_cases: int, *, size: int, seed: int, workers: int) -> dict:
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
    for k, name in enumerate(VOLUME_GROUPS):
        summary[name] = float(values[group == k].mean()) if (group == k).any() else float("nan")
    return summary


def main() -> None:
    """Measure, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("phantom_calibration.json"))
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    report = calibrate(args.cases, size=args.size, seed=args.seed, workers=args.workers)
    write_json(args.out, report)
    logger.info("%s", args.out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
