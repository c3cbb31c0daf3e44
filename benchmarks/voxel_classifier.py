"""A classifier of single voxels, which stands for a segmenter that has to learn.

Gradient-boosted trees see smoothed values of the images and left-right differences. They take
minutes, and tell which images say how much about the lesion.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import GroupKFold

from nnunetv2_strokesynth.phantom.case import Case
from nnunetv2_strokesynth.phantom.dataset import simulate_scan
from nnunetv2_strokesynth.phantom.plan import ScanPlan

SCALES_MM = (1.5, 4.0, 8.0)
TRAIN_VOXELS_PER_SCAN = 1200
THRESHOLDS = np.arange(0.1, 0.75, 0.05)


class Scan(NamedTuple):
    """What the calibration keeps of a simulated scan.

    Attributes:
        patient: number of the patient, whose scans stay in one fold.
        features: name of the images -> (N, columns) float32; N voxels of the brain mask.
        lesion: (N,) bool.
        lesion_voxels: all voxels of the lesion, those outside the brain mask included.
        volume_ml: volume of the lesion.
        rcbf: (N,) CBF relative to the median of well-perfused tissue.
        tmax_s: (N,).
        ctp_info: that median, and the peak of the arterial curve in HU.
    """

    patient: int
    features: dict[str, np.ndarray]
    lesion: np.ndarray
    lesion_voxels: int
    volume_ml: float
    rcbf: np.ndarray
    tmax_s: np.ndarray
    ctp_info: dict[str, float]


def _normalised(image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """The image less its median in the brain, over its median absolute deviation there."""
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


def _frames(ctp: np.ndarray, brain: np.ndarray) -> list[np.ndarray]:
    """Means of the CTP frames before the bolus, at its arrival, after it, and of all frames."""
    curve = ctp[:, brain].mean(axis=1)
    peak = int(np.argmax(ndimage.gaussian_filter1d(curve, 2.0)))
    early = ctp[: max(2, peak // 2)].mean(axis=0)
    late = ctp[min(peak + 4, len(curve) - 4) :].mean(axis=0)
    return [early, ctp[max(0, peak - 4) : peak + 1].mean(axis=0), late, ctp.mean(axis=0)]


def _features(case: Case, brain: np.ndarray) -> dict[str, np.ndarray]:
    """Name of the images -> (N, columns) float32; ``place`` is the voxel's relative position."""
    images = {
        "ct": [case.ct.astype(float)],
        "maps": list(case.maps),
        "ctp": _frames(case.ctp, brain),
        "dwi": [case.dwi],
    }
    result = {}
    for name, members in images.items():
        columns = [
            column[brain]
            for image in members
            for column in _multiscale(_normalised(image, brain), brain, case.grid.pixel_mm)
        ]
        result[name] = np.stack(columns, axis=1).astype(np.float32)
    z, y, x = np.nonzero(brain)
    place = np.stack([z / brain.shape[0], y / brain.shape[1], np.abs(x / brain.shape[2] - 0.5)], 1)
    result["place"] = place.astype(np.float32)
    return result


def measure_scan(plan: ScanPlan) -> Scan:
    """Simulate one scan and keep what the calibration needs."""
    return measure_case(simulate_scan(plan), plan.patient)


def measure_case(case: Case, patient: int) -> Scan:
    """What the calibration needs of a simulated scan."""
    brain = case.maps.cbf > 0
    healthy = brain & (case.maps.tmax < 4)
    reference = float(np.median(case.maps.cbf[healthy if healthy.any() else brain]))
    grid = case.grid
    voxel_ml = grid.pixel_mm**2 * grid.slice_mm / 1000
    return Scan(
        patient,
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
    """Dice, averaged over the scans; 1 for a scan without lesion in which nothing is found."""
    return float(np.mean([_dice(f, s) for f, s in zip(found, scans, strict=True)]))


def _fit(
    scans: list[Scan], inputs: tuple[str, ...], rng: np.random.Generator
) -> HistGradientBoostingClassifier:
    """Trees fitted to some voxels of each scan."""
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


def _probability(
    model: HistGradientBoostingClassifier, scan: Scan, inputs: tuple[str, ...]
) -> np.ndarray:
    rows = np.concatenate([scan.features[name] for name in inputs], axis=1)
    return model.predict_proba(rows)[:, 1]


def classifier_dice(scans: list[Scan], inputs: tuple[str, ...], n_folds: int = 4) -> list[float]:
    """Dice of each scan when other patients trained the classifier and chose its threshold."""
    rng = np.random.default_rng(0)
    groups = np.array([scan.patient for scan in scans])
    dice = [0.0] * len(scans)
    for train, test in GroupKFold(n_folds).split(groups, groups=groups):
        model = _fit([scans[i] for i in train], inputs, rng)
        seen = [scans[i] for i in train[::3]]
        seen_probability = [_probability(model, scan, inputs) for scan in seen]
        threshold = max(
            THRESHOLDS, key=lambda t: mean_dice(seen, [p > t for p in seen_probability])
        )
        for i in test:
            dice[i] = _dice(_probability(model, scans[i], inputs) > threshold, scans[i])
    return dice
