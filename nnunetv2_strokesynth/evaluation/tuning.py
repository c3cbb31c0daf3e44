"""The threshold and minimum lesion size that suit a model best, chosen on its probabilities.

Source:
    Clerigues et al. 2019, section 3.3: T and S_min "that jointly optimize the DSC and HD".
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnunetv2_strokesynth.evaluation.cases import label_beside
from nnunetv2_strokesynth.evaluation.components import (
    CONNECTIVITY,
    min_voxels,
)
from nnunetv2_strokesynth.evaluation.grid import (
    GridScores,
    best_combination,
    mean_ranks,
    score_case,
)
from nnunetv2_strokesynth.evaluation.statistics import spread
from nnunetv2_strokesynth.evaluation.volumes import (
    check_probability_matches_label,
    on_voxels_of,
    read_lesion_probability,
    read_mask,
)
from nnunetv2_strokesynth.io.process_pool import map_cases

FORMAT_VERSION = 1
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# Clerigues et al. 2019 name the ends of this list, 10 and 500, and six values; the rest is ours.
SIZES_VOXELS = (10, 50, 100, 200, 300, 500)
ARGMAX_THRESHOLD = 0.5
CRITERION = (
    "best mean rank over cases, Dice and HD (mm) counting the same; ties: higher mean Dice, then "
    "lower threshold, then smaller size"
)


class TuneCase(NamedTuple):
    """Files of one case."""

    case_id: str
    npz: Path
    gt: Path


class SearchGrid(NamedTuple):
    """What is tried; ``sizes`` in ``unit``, ``"voxels"`` or ``"mL"``."""

    thresholds: tuple[float, ...]
    sizes: tuple[float, ...]
    unit: str

    def at_edge(self, result: dict[str, Any]) -> list[str]:
        """Which of the chosen values, ``threshold`` and ``min_size``, lie at the grid's edge."""
        tried = {"threshold": self.thresholds, "min_size": self.sizes}
        return [
            name
            for name, values in tried.items()
            if len(values) > 1 and result[name] in (values[0], values[-1])
        ]


def search_grid(
    thresholds: Sequence[float] | None = None,
    *,
    sizes_voxels: Sequence[float] | None = None,
    sizes_ml: Sequence[float] | None = None,
) -> SearchGrid:
    """The grid to search, sorted, without doubles.

    Args:
        thresholds: between 0 and 1; None: 0.1 to 0.9.
        sizes_voxels, sizes_ml: one of them, or neither for ``SIZES_VOXELS``.

    Raises:
        ValueError: a threshold or size that makes no sense.
    """
    thresholds = thresholds or THRESHOLDS
    unit, sizes = ("mL", sizes_ml) if sizes_ml else ("voxels", sizes_voxels or SIZES_VOXELS)
    if not all(0 < threshold < 1 for threshold in thresholds):
        raise ValueError(f"--thresholds {list(thresholds)} have to lie between 0 and 1")
    if not all(np.isfinite(size) and size >= 0 for size in sizes):
        raise ValueError(f"minimum sizes {list(sizes)} have to be 0 or more")
    return SearchGrid(tuple(sorted(set(thresholds))), tuple(sorted(set(sizes))), unit)


def score_tune_case(case: TuneCase, grid: SearchGrid) -> GridScores:
    """Read one case, check that its files belong together, and score the grid."""
    try:
        label = read_mask(label_beside(case.npz))
        gt = on_voxels_of(label, read_mask(case.gt))
        probs = read_lesion_probability(case.npz)
        check_probability_matches_label(probs, label, case.npz)
    except (ValueError, OSError) as error:
        raise ValueError(f"case {case.case_id}: {error}") from error
    smallest = [min_voxels(size, grid.unit, gt.spacing_mm) for size in grid.sizes]
    return score_case(probs, gt.array, gt.spacing_mm, grid.thresholds, smallest)


def tune(cases: Sequence[TuneCase], grid: SearchGrid, *, workers: int = 1) -> dict[str, Any]:
    """Search the grid.

    Args:
        cases: at least one.
        grid: what to try.
        workers: processes.

    Returns:
        ``threshold``, ``min_size`` and ``unit``; ``chosen`` and ``grid`` with the means of every
        combination; ``argmax``, the same for nnU-Net's own labels (T = 0.5, nothing removed).
    """
    wide = _with_argmax(grid)
    score = functools.partial(score_tune_case, grid=wide)
    scores = map_cases(score, cases, workers=workers, description="score grid")
    dice, hd = (np.stack(each) for each in zip(*scores, strict=True))
    at_half, at_zero = wide.thresholds.index(ARGMAX_THRESHOLD), wide.sizes.index(0)
    argmax = _record(ARGMAX_THRESHOLD, 0, *(a[:, at_half, at_zero] for a in (dice, hd)))
    rows = [wide.thresholds.index(threshold) for threshold in grid.thresholds]
    columns = [wide.sizes.index(size) for size in grid.sizes]
    dice, hd = (a[:, rows][:, :, columns] for a in (dice, hd))
    ranks = mean_ranks(dice, hd)
    records = [
        _record(threshold, size, dice[:, i, j], hd[:, i, j]) | {"mean_rank": float(ranks[i, j])}
        for i, threshold in enumerate(grid.thresholds)
        for j, size in enumerate(grid.sizes)
    ]
    i, j = best_combination(ranks, dice.mean(axis=0))
    return {
        "strokesynth_postprocessing": FORMAT_VERSION,
        "threshold": grid.thresholds[i],
        "min_size": grid.sizes[j],
        "unit": grid.unit,
        "connectivity": CONNECTIVITY,
        "criterion": CRITERION,
        "chosen": records[i * len(grid.sizes) + j],
        "argmax": argmax,
        "grid": records,
    }


def _with_argmax(grid: SearchGrid) -> SearchGrid:
    """The grid with nnU-Net's own threshold and size, which are scored but no candidates."""
    return SearchGrid(
        tuple(sorted({*grid.thresholds, ARGMAX_THRESHOLD})),
        tuple(sorted({*grid.sizes, 0.0})),
        grid.unit,
    )


def _record(threshold: float, size: float, dice: np.ndarray, hd: np.ndarray) -> dict[str, Any]:
    """Means over cases of one combination."""
    of_dice, of_hd = spread(dice), spread(hd)
    return {
        "threshold": threshold,
        "min_size": size,
        "dice_mean": of_dice.mean,
        "dice_sd": of_dice.sd,
        "hausdorff_mm_mean": of_hd.mean,
        "hausdorff_mm_sd": of_hd.sd,
        "hausdorff_not_countable": of_hd.not_countable,
    }
