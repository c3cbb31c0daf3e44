"""What a report says, as numbers and text: no HTML, no figures.

``collect`` finds and measures; the rest are small pure functions of the per-case table.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from nnunetv2_strokesynth.channels import PERFUSION_MAPS
from nnunetv2_strokesynth.dataloading.pseudo_dwi_record import PseudoDwiRecord, read_record
from nnunetv2_strokesynth.evaluation.cases import (
    N_FOLDS,
    Gathered,
    case_files,
    gather,
)
from nnunetv2_strokesynth.evaluation.matching import (
    CasePair,
    match_cases,
)
from nnunetv2_strokesynth.evaluation.measure import measure_cases
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.orientation import CANONICAL, ORIENTATION_KEY
from nnunetv2_strokesynth.reporting.case_images import CaseFiles
from nnunetv2_strokesynth.reporting.model_folder import Model

CROSS_VALIDATION, HELD_OUT = "cross-validation", "held-out cases"
# One case in ten is shown as a failure even if nothing failed outright.
WORST_SHARE = 0.1
NOT_COUNTABLE = {"hausdorff_mm": "HD, HD95, ASSD", "relative_volume_error": "RVE"}


class Sources(NamedTuple):
    """Where the cases lie.

    Attributes:
        kind: ``CROSS_VALIDATION`` or ``HELD_OUT``.
        gt, pred: folders of true lesions and predictions (or the model folder).
        images: folder of the input channels, None if there is none.
        dwi, pseudo_dwi, feature: folders or None.
    """

    kind: str
    gt: Path
    pred: Path
    images: Path | None = None
    dwi: Path | None = None
    pseudo_dwi: Path | None = None
    feature: Path | None = None


class Failure(NamedTuple):
    """A case to look at first; ``values`` is its row of the per-case table, None if unpredicted."""

    case_id: str
    reasons: tuple[str, ...]
    values: Mapping | None


class Content(NamedTuple):
    """Everything measured.

    Attributes:
        sources: where from.
        cases: result of ``measure_cases``, sorted by case.
        files: by case id.
        folds: fold of each case; empty for held-out cases.
        missing_folds: folds without predictions.
        unpredicted: cases with a true lesion mask but without prediction.
    """

    sources: Sources
    cases: pd.DataFrame
    files: dict[str, CaseFiles]
    folds: dict[str, str]
    missing_folds: tuple[str, ...]
    unpredicted: tuple[str, ...]


def _optional(folder: Path | None, option: str, case_ids: Sequence[str]) -> dict[str, Path]:
    """Files of an optional folder; a folder with none of the cases is a mistake."""
    if folder is None:
        return {}
    files = case_files(folder)
    if not set(files) & set(case_ids):
        raise ValueError(
            f"{option} {folder} has a file for none of the {len(case_ids)} cases; its files have "
            f"to be named as the predictions are, for example {case_ids[0]}.nii.gz. The pseudo-DWI "
            "of a cross-validation is written by `strokesynth synthesize --validation`."
        )
    return files


def _channels(case_id: str, images: Path | None, model: Model) -> list[tuple[str, Path | None]]:
    paths = [f"{case_id}_{index:04d}{model.file_ending}" for index in range(len(model.channels))]
    if images is None:
        return [(name, None) for name in model.channels]
    for path in paths:
        if not (images / path).is_file():
            raise FileNotFoundError(
                f"{images / path} does not exist; the model reads {len(paths)} channels per case. "
                "Name the folder of these scans with --images."
            )
    return [(name, images / path) for name, path in zip(model.channels, paths, strict=True)]


def _has_sides(data_set: Path) -> bool:
    """Whether ``dataset.json`` of a converted data set says that all its scans are in one order."""
    try:
        content = json.loads((data_set / "dataset.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get(ORIENTATION_KEY) == CANONICAL


def find_files(sources: Sources, model: Model) -> tuple[dict[str, CaseFiles], Gathered, set[str]]:
    """Files of every case that can be measured, the predictions found, and the cases without one.

    Raises:
        FileNotFoundError, ValueError: a folder is missing, empty or belongs to other cases.
    """
    gt, pred = case_files(sources.gt), gather(sources.pred)
    ids = match_cases(gt, pred, pred_folder=sources.pred, allow_missing=True)
    if not ids:
        raise ValueError(f"{sources.gt} and {sources.pred} share no case")
    pseudo_dwi = _optional(sources.pseudo_dwi, "--pseudo-dwi", ids)
    feature = _optional(sources.feature, "--feature-dir", ids)
    dwi = _optional(sources.dwi, "--dwi", ids)
    scale, has_sides = _record(sources).scale, _has_sides(sources.gt.parent)
    files = {
        i: CaseFiles(
            i, gt[i], pred.files[i], _channels(i, sources.images, model),
            feature.get(i), pseudo_dwi.get(i), dwi.get(i), scale, has_sides,
        )
        for i in ids
    }  # fmt: skip
    return files, pred, set(gt) - set(ids)


def collect(sources: Sources, model: Model, *, workers: int) -> Content:
    """Find every file, then measure every case."""
    files, pred, unpredicted = find_files(sources, model)
    pairs = []
    for case_id, case in files.items():
        paired = case.dwi is not None and case.pseudo_dwi is not None
        images = (case.dwi, case.pseudo_dwi) if paired else (None, None)
        maps = tuple(path for name, path in case.channels if name in PERFUSION_MAPS and path)
        fold = pred.folds.get(case_id, "")
        pairs.append(CasePair(case_id, case.gt, case.pred, fold, *images, maps, case.scale))
    cases = measure_cases(pairs, predictions=sources.kind, workers=workers)
    return Content(
        sources=sources,
        cases=cases,
        files=files,
        folds=pred.folds,
        missing_folds=pred.missing_folds,
        unpredicted=tuple(sorted(unpredicted)),
    )


def _record(sources: Sources) -> PseudoDwiRecord:
    """What the pseudo-DWI is; the default without one."""
    return PseudoDwiRecord() if sources.pseudo_dwi is None else read_record(sources.pseudo_dwi)


def by_dice(cases: pd.DataFrame) -> pd.DataFrame:
    """From the lowest Dice up; equal ones in the order of their names."""
    return cases.sort_values(["dice", "case_id"], kind="stable")


def find_failures(content: Content) -> list[Failure]:
    """Cases to look at first, worst first; then those without prediction.

    A case is listed if its Dice is 0, its prediction is empty though there is a lesion, it is among
    the lowest tenth by Dice (rounded up), or a metric is not countable for it. Where no lesion is
    and none was predicted, no metric is missed.
    """
    ranked = by_dice(content.cases)
    n_worst = math.ceil(WORST_SHARE * len(ranked))
    failures = []
    for rank, (_, row) in enumerate(ranked.iterrows()):
        reasons = []
        lesion, predicted = row["volume_gt_ml"] > 0, row["volume_pred_ml"] > 0
        if lesion and not predicted:
            reasons.append("empty prediction")
        elif predicted and not lesion:
            reasons.append("no true lesion, but one predicted")
        elif row["dice"] == 0 and lesion:
            reasons.append("Dice 0: the prediction misses the lesion")
        if rank < n_worst:
            reasons.append("among the lowest tenth by Dice")
        absent = [names for key, names in NOT_COUNTABLE.items() if math.isnan(row[key])]
        if absent and (lesion or predicted):
            reasons.append(f"not countable: {', '.join(absent)}")
        if reasons:
            failures.append(Failure(row["case_id"], tuple(reasons), row))
    return failures + [Failure(case_id, ("no prediction",), None) for case_id in _lost(content)]


def _lost(content: Content) -> tuple[str, ...]:
    """Unpredicted cases that no missing fold explains."""
    return () if content.missing_folds else content.unpredicted


def pick_cases(cases: pd.DataFrame) -> list[tuple[str, str]]:
    """``[("best", case_id), ("median", ...), ("worst", ...)]`` by Dice, each case once.

    Cases without true lesion are left out unless there is no other: two empty masks agree
    perfectly, and show nothing. Of an even number the lower median is taken.
    """
    with_lesion = cases[cases["volume_gt_ml"] > 0]
    ranked = list(by_dice(with_lesion if len(with_lesion) else cases)["case_id"])
    wanted = {"best": ranked[-1], "worst": ranked[0], "median": ranked[(len(ranked) - 1) // 2]}
    titles: dict[str, str] = {}
    for title, case_id in wanted.items():
        titles.setdefault(case_id, title)
    order = ("best", "median", "worst")
    return sorted(((t, c) for c, t in titles.items()), key=lambda pair: order.index(pair[0]))


def _synthesize_command(sources: Sources, model: Model) -> str:
    """The command that writes pseudo-DWI and feature of the scans in the report."""
    images = sources.images or Path("IMAGES")
    target = sources.pseudo_dwi or Path("pseudo_dwi")
    words = ["strokesynth", "synthesize", "-m", str(model.folder), "-i", str(images)]
    words += ["-o", str(target), "--feature"]
    return shlex.join(words + ["--validation"] * (sources.kind == CROSS_VALIDATION))


def synthesis_notes(content: Content, model: Model) -> list[tuple[str, str]]:
    """What is absent of pseudo-DWI and feature, each with the command that makes it (or "")."""
    sources = content.sources
    command = _synthesize_command(sources, model)
    caution = _record(sources).caution
    notes = [(f"What is shown as pseudo-DWI is none: {caution}.", "")] if caution else []
    if sources.pseudo_dwi is None:
        notes.append(
            ("No pseudo-DWI was given. Make it, then add --pseudo-dwi pseudo_dwi:", command)
        )
    if sources.feature is None and sources.pseudo_dwi is not None:
        notes.append(("No feature was given. This writes it beside the pseudo-DWI:", command))
    if sources.pseudo_dwi is not None and sources.kind == CROSS_VALIDATION:
        notes.append(
            ("Unless it was written with --validation, or fold by fold, the pseudo-DWI comes from "
             "networks that saw these scans in training; its SSIM and PSNR are then no "
             "cross-validation.", "")
        )  # fmt: skip
    return notes


def describe(content: Content, model: Model) -> list[tuple[str, str]]:
    """What was evaluated, as pairs of a heading and a text."""
    sources, n_cases = content.sources, len(content.cases)
    evaluated = f"{sources.kind}, {n_cases} case{'s' if n_cases != 1 else ''}"
    if content.unpredicted:
        evaluated += f"; {len(content.unpredicted)} without prediction left out: "
        evaluated += name_some(content.unpredicted)
    epochs = ", ".join(f"fold {f.name}: {f.n_epochs}" for f in model.folds if f.n_epochs)
    facts = [
        ("Data set", model.dataset),
        ("Evaluated", evaluated),
        ("Folds found", ", ".join(fold.name for fold in model.folds) or "none"),
    ]
    if sources.kind == CROSS_VALIDATION:
        facts.append(("Folds without predictions", ", ".join(content.missing_folds) or "none"))
    else:
        trained = {fold.name for fold in model.folds}
        absent = [str(i) for i in range(N_FOLDS) if not trained & {str(i), "all"}]
        facts.append(("Folds not trained", ", ".join(absent) or "none"))
    facts += [("Warning: outlines that machines drew", doubt) for doubt in model.doubts]
    return [
        *facts,
        ("Trainer", model.trainer),
        ("Configuration", ", ".join(filter(None, (model.configuration, model.plans))) or "unknown"),
        ("Input channels", ", ".join(model.channels)),
        ("Epochs logged", epochs or "no loss_terms.csv in any fold"),
        ("Newest checkpoint", model.newest_checkpoint or "none"),
        ("True lesions", str(sources.gt)),
        ("Predictions", str(sources.pred)),
    ]
