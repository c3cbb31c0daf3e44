"""What the phantom should look like: targets from patients, and how the phantom's scans meet them.

    python -m benchmarks.phantom_targets --cases 100 --size 64 --seeds 7 11 13 --out targets.json

A target is a range. Where a publication gives one figure, the range is what one hundred scans
(of about 65 patients) cannot tell from it, two standard errors on either side; where none was
found, the source says "choice".
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.phantom_figures import CBF_CUTS, TMAX_CUTS_S, ScanFigures, noise_hu, scan_figures
from benchmarks.voxel_classifier import classifier_dice, measure_case
from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.io.process_pool import map_cases
from nnunetv2_strokesynth.phantom.anatomy import build_head
from nnunetv2_strokesynth.phantom.dataset import simulate_scan
from nnunetv2_strokesynth.phantom.diffusion import draw_oedema
from nnunetv2_strokesynth.phantom.dwi import dwi_and_lesion
from nnunetv2_strokesynth.phantom.isles2024_layout import ISLES2024
from nnunetv2_strokesynth.phantom.patient import draw_patient
from nnunetv2_strokesynth.phantom.physics import DEFAULT_PHYSICS, Physics
from nnunetv2_strokesynth.phantom.plan import (
    ScanPlan,
    plan_isles2024_scans,
    plan_scans,
)
from nnunetv2_strokesynth.phantom.tissue import list_brain, simulate_tissue

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Target:
    """A figure, the range in which it should lie, and where the range comes from."""

    name: str
    low: float
    high: float
    source: str

    def distance(self, value: float) -> float:
        """How far outside the range, in half widths of the range; 0 inside, 3 without a value."""
        if not np.isfinite(value):
            return 3.0
        return max(self.low - value, value - self.high, 0.0) / (0.5 * (self.high - self.low))


_WANG = "Wang et al. 2020, test lesions"
_ISLES24 = "ISLES 2024, 149 training patients"
TARGETS = (
    Target("Dice of rCBF < 0.3", 0.26, 0.33, "RAPID's core on ISLES 2018: 0.29-0.30"),
    Target("best cut of rCBF", 0.25, 0.40, "0.31 (Campbell 2011), 0.38 (Cereda 2016)"),
    Target("Dice of the best cut of rCBF less that of Tmax", 0.0, 0.20, "core is read from CBF"),
    Target("Tmax in normal tissue, s", 0.0, 2.0, "clinical maps"),
    Target("MTT in normal tissue, s", 4.0, 6.0, "clinical maps"),
    Target("MTT in normal tissue over the truth", 0.8, 1.4, "central volume theorem; choice"),
    Target("MTT in the penumbra over normal tissue", 1.35, 2.6, "1.45 (Wintermark 2006)"),
    Target("rCBF in the core", 0.05, 0.30, "definition of the core on clinical maps"),
    Target("CTP noise at 0.49 mm and 5 mm, HU", 6.0, 9.0, "80 kVp, clinical dose"),
    Target("DWI contrast of the label's outer zone over its centre", 0.5, 0.8, "graded; choice"),
    Target("DWI contrast of the rim outside over the centre", 0.12, 0.35, "reversible rim; choice"),
    Target("lesions < 10 mL", 0.28, 0.50, f"{_WANG}: 0.39"),
    Target("lesions 10-50 mL", 0.32, 0.54, f"{_WANG}: 0.43"),
    Target("lesions > 50 mL", 0.08, 0.28, f"{_WANG}: 0.18"),
)
FOLLOW_UP_TARGETS = (
    Target("ISLES 2024 mean volume, mL", 24.0, 39.5, f"{_ISLES24}: 31.7"),
    Target("ISLES 2024 median volume, mL", 8.5, 18.1, f"{_ISLES24}: 12.4"),
    Target("ISLES 2024 lower quartile, mL", 2.4, 6.3, f"{_ISLES24}: 3.9"),
    Target("ISLES 2024 upper quartile, mL", 27.0, 55.0, f"{_ISLES24}: 38.6"),
    Target("ISLES 2024 largest, mL", 120.0, 260.0, f"{_ISLES24}: 222"),
    Target("ISLES 2024 without a lesion", 0.0, 0.06, f"{_ISLES24}: 3 of 149"),
)
CLASSIFIER_TARGETS = (
    Target("voxel classifier, CT + maps", 0.40, 0.62, "nnU-Net and its like: 0.47-0.62"),
    Target("classifier less the best single threshold", 0.05, 0.40, "a network learns; choice"),
    Target("voxel classifier, DWI", 0.75, 0.86, "segmenters on the real DWI: 0.80-0.83"),
)
# What the fit sees instead of the volumes: few scans do not tell shares apart.
FOLLOW_UP_PATIENTS = 149
LESION_RATIO = Target("label over infarct, volume", 0.95, 1.15, "1 / infarct_per_lesion; choice")
_MAP_FIGURES = ("normal_tmax_s", "normal_mtt_s", "mtt_ratio", "penumbra_mtt", "core_rcbf")
_DWI_FIGURES = ("outer_contrast", "rim_contrast")
ALL_TARGETS = TARGETS + CLASSIFIER_TARGETS + FOLLOW_UP_TARGETS


def summarise(scans: list[ScanFigures], physics: Physics) -> dict[str, float]:
    """The figures of ``TARGETS`` over scans of ISLES 2018's layout."""
    cbf, tmax = (np.mean([getattr(s, name) for s in scans], axis=0) for name in ("cbf", "tmax"))
    volumes = np.array([s.lesion_ml for s in scans])
    middle = {
        name: float(np.nanmedian([getattr(s, name) for s in scans]))
        for name in (*_MAP_FIGURES, *_DWI_FIGURES, "lesion_ratio")
    }
    values = (
        float(np.interp(0.3, CBF_CUTS, cbf)),
        float(CBF_CUTS[cbf.argmax()]),
        float(cbf.max() - tmax.max()),
        *(middle[name] for name in _MAP_FIGURES),
        noise_hu(physics),
        *(middle[name] for name in _DWI_FIGURES),
        float(np.mean(volumes < 10)),
        float(np.mean((volumes >= 10) & (volumes < 50))),
        float(np.mean(volumes >= 50)),
    )
    named = {target.name: value for target, value in zip(TARGETS, values, strict=True)}
    return named | {
        LESION_RATIO.name: middle["lesion_ratio"],
        "Dice of the best cut of rCBF": float(cbf.max()),
        "Dice of the best cut of Tmax": float(tmax.max()),
        "best cut of Tmax, s": float(TMAX_CUTS_S[tmax.argmax()]),
        "Dice of Tmax > 6 s": float(np.interp(6.0, TMAX_CUTS_S, tmax)),
    }


def summarise_follow_up(volumes_ml: list[float]) -> dict[str, float]:
    """The figures of ``FOLLOW_UP_TARGETS``."""
    values = np.array(volumes_ml)
    found = values[values > 0]
    figures = (
        values.mean(),
        np.median(values),
        *np.percentile(values, [25, 75]),
        found.max(),
        np.mean(values == 0),
    )
    names = [target.name for target in FOLLOW_UP_TARGETS]
    return {name: float(value) for name, value in zip(names, figures, strict=True)}


def score(figures: dict[str, float], targets: tuple[Target, ...] = TARGETS) -> float:
    """Sum of squared distances; 0 if all figures lie in their ranges."""
    return float(sum(target.distance(figures[target.name]) ** 2 for target in targets))


def _figures_of(plan: ScanPlan, physics: Physics) -> ScanFigures:
    return scan_figures(simulate_scan(plan, physics=physics), physics)


def _both_of(plan: ScanPlan, physics: Physics) -> tuple:
    case = simulate_scan(plan, physics=physics)
    return scan_figures(case, physics), measure_case(case, plan.patient)


def _follow_up_ml(plan: ScanPlan, physics: Physics) -> float:
    """Volume of a patient's label at follow-up; the CT, which takes longest, is left out."""
    physics = ISLES2024.of_study(physics)
    patient = draw_patient(_generator(plan.patient_seed), plan.slabs, physics)
    rng, grid = _generator(plan.scan_seed), plan.grid
    head = build_head(grid, patient.shape, physics.densities)
    brain = list_brain(head)
    tissue = simulate_tissue(rng, brain, patient.stroke, scale=patient.scale, physics=physics)
    oedema = draw_oedema(rng, patient.stroke.hours, physics.diffusion)
    lesion = dwi_and_lesion(
        rng, head, brain, tissue, oedema=oedema, grid=grid, physics=physics
    ).lesion
    return float(lesion.sum() * grid.pixel_mm**2 * grid.slice_mm / 1000)


def _generator(seed: tuple[int, ...]) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed))


def measure(
    n_cases: int, physics: Physics, *, size: int, seed: int, max_slices: int | None, workers: int
) -> dict[str, float]:
    """The figures of ``TARGETS`` over ``n_cases`` scans."""
    plans = plan_scans(seed, 0, n_cases, size=size, max_slices=max_slices)
    run: Callable = partial(_figures_of, physics=physics)
    scans = map_cases(run, plans, workers=workers, description="scans", unit="scan")
    return summarise(scans, physics)


def measure_all(n_cases: int, physics: Physics, *, size: int, seed: int, workers: int) -> dict:
    """The figures of all targets: those of ``measure``, volumes at follow-up, the classifier."""
    plans = plan_scans(seed, 0, n_cases, size=size)
    run: Callable = partial(_both_of, physics=physics)
    pairs = map_cases(run, plans, workers=workers, description="scans", unit="scan")
    figures = summarise([pair[0] for pair in pairs], physics)
    best = max(figures["Dice of the best cut of rCBF"], figures["Dice of the best cut of Tmax"])
    voxels = [pair[1] for pair in pairs]
    maps, dwi = (
        float(np.mean(classifier_dice(voxels, inputs)))
        for inputs in (("place", "ct", "maps"), ("place", "dwi"))
    )
    values = (maps, maps - best, dwi)
    figures |= {t.name: value for t, value in zip(CLASSIFIER_TARGETS, values, strict=True)}
    follow_up = plan_isles2024_scans(seed, 0, FOLLOW_UP_PATIENTS, size=size)
    run = partial(_follow_up_ml, physics=physics)
    volumes = map_cases(run, follow_up, workers=workers, description="follow-up", unit="scan")
    return figures | summarise_follow_up(volumes)


def over_seeds(found: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure over phantoms of several seeds."""
    return {name: float(np.mean([figures[name] for figures in found])) for name in found[0]}


def markdown(found: list[dict[str, float]], targets: tuple[Target, ...]) -> str:
    """A row for each target: mean over the seeds, each seed, range, whether the mean lies in it."""
    lines = [
        "| figure | phantom | of each seed | target | | source |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    mean = over_seeds(found)
    for target in targets:
        value = mean[target.name]
        met = "met" if target.distance(value) == 0 else "not met"
        each = ", ".join(f"{figures[target.name]:.3g}" for figures in found)
        lines.append(
            f"| {target.name} | {value:.3g} | {each} | {target.low:g}-{target.high:g} | {met} "
            f"| {target.source} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7], metavar="S")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("phantom_targets.json"))
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = {"size": args.size, "workers": args.workers}
    found = [measure_all(args.cases, DEFAULT_PHYSICS, seed=seed, **options) for seed in args.seeds]
    write_json(args.out, dict(zip(map(str, args.seeds), found, strict=True)))
    logger.info("%s", markdown(found, ALL_TARGETS))
    mean = over_seeds(found)
    others = sorted(set(mean) - {target.name for target in ALL_TARGETS})
    logger.info("%s", "\n".join(f"{name}: {mean[name]:.3g}" for name in others))


if __name__ == "__main__":
    main()
