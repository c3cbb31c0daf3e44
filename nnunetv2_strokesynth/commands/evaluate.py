"""``strokesynth evaluate``: metrics per case, summary tables, figures, comparison of two sets."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import pandas as pd

from nnunetv2_strokesynth.evaluation.cases import (
    CasePair,
    Gathered,
    case_files,
    gather,
    match_cases,
    pair_images,
)
from nnunetv2_strokesynth.evaluation.columns import COLUMN_BY_KEY
from nnunetv2_strokesynth.evaluation.measure import measure_cases
from nnunetv2_strokesynth.evaluation.tables import (
    RULES,
    Table,
    compare,
    comparison_table,
    prediction_sets,
    spread_cell,
    summarise,
    summary_tables,
    to_latex,
    to_markdown,
    volume_agreements,
    volume_table,
)
from nnunetv2_strokesynth.io.atomic import (
    atomic_file,
    write_json,
    write_text,
)
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.output_folder import (
    refuse_existing_folder,
    result_folder,
    strict_json,
)

HELP = "metrics per case, summary tables, figures; compares two folders of predictions"
EXAMPLE = (
    "strokesynth evaluate --gt $nnUNet_raw/Dataset018_ISLES2018/labelsTr "
    "--pred $nnUNet_results/Dataset018_ISLES2018/StrokeSynthTrainer__nnUNetPlans__2d -o evaluation"
)

OUTPUTS = (
    "cases.csv",
    "summary.md",
    "summary.tex",
    "summary.json",
    "volume_scatter.png",
    "bland_altman.png",
    "size_groups.png",
)
logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``strokesynth evaluate``."""
    add = parser.add_argument
    add("--gt", type=Path, required=True, help="folder of true lesions (labelsTr, labelsTs)")
    add("--pred", type=Path, required=True, help="folder of predictions, or a trained model's "
        "folder: then fold_*/validation of all folds")  # fmt: skip
    add("-f", "--folds", type=int, nargs="+", help="only these folds of a trained model "
        "(default: all)")  # fmt: skip
    add("--compare", type=Path, help="a second folder of predictions or model; differences are "
        "--pred minus --compare, case by case")  # fmt: skip
    add("--names", nargs="+", metavar="NAME", help="how to call --pred (and --compare)")
    add("--dwi", type=Path, help="folder of DWI volumes named as the labels (targetsTr)")
    add("--pseudo-dwi", type=Path, help="folder that `strokesynth synthesize` wrote for --pred")
    add("-o", "--output", type=Path, required=True, help="folder for the results")
    add("--allow-missing", action="store_true", help="leave out cases without prediction")
    add("--workers", type=int, default=2, help="processes (default: 2)")
    add("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    add("--overwrite", action="store_true", help="replace earlier results")


def _names(args: argparse.Namespace) -> list[str]:
    folders = [folder for folder in (args.pred, args.compare) if folder is not None]
    if args.names is None:
        names = [folder.resolve().name for folder in folders]
        # Two models of the same trainer, or two folders called "validation".
        return names if len(set(names)) == len(names) else ["A", "B"]
    if len(args.names) != len(folders) or len(set(args.names)) != len(args.names):
        raise ValueError(
            f"--names has {len(args.names)} names ({', '.join(args.names)}), expected "
            f"{len(folders)} different ones, for {' and '.join(str(f) for f in folders)}"
        )
    return args.names


def _pairs(args: argparse.Namespace, folder: Path, images: bool) -> tuple[list[CasePair], Gathered]:
    gt, pred = case_files(args.gt), gather(folder, folds=args.folds)
    if not gt:
        raise FileNotFoundError(f"{args.gt} holds no label file (.nii.gz)")
    if pred.missing_folds:
        logger.warning("%s: no predictions of fold %s", folder, ", ".join(pred.missing_folds))
    ids = match_cases(gt, pred, pred_folder=folder, allow_missing=args.allow_missing)
    by_case = {}
    if images and args.dwi is not None:
        by_case = pair_images(ids, args.dwi, args.pseudo_dwi, allow_missing=args.allow_missing)
        logger.info("%d of %d cases have a DWI", len(by_case), len(ids))
    pairs = [
        CasePair(i, gt[i], pred.files[i], pred.folds.get(i, ""), *by_case.get(i, (None, None)))
        for i in ids
    ]
    missing = sorted(set(gt) - set(ids))
    if missing:
        logger.warning("%s: left out, not predicted: %s", folder, name_some(missing))
    return pairs, pred


def _describe(folder: Path, pairs: list[CasePair], gathered: Gathered, gt: Path) -> dict:
    measured = {pair.case_id for pair in pairs}
    return {
        "folder": folder,
        "n_cases": len(pairs),
        "missing_cases": sorted(set(case_files(gt)) - measured),
        "folds": sorted(set(gathered.folds.values())),
        "missing_folds": gathered.missing_folds,
    }


def write_results(folder: Path, cases: pd.DataFrame, sets: dict[str, dict], seed: int) -> None:
    """Write tables and figures of a per-case table into an empty folder.

    Args:
        folder: receives the files named in ``OUTPUTS``.
        cases: result of ``measure_cases``; two sets of predictions below each other are compared.
        sets: description of each set of predictions for ``summary.json``.
        seed: of the bootstrap.
    """
    # Figures are drawn by the package that also writes the report; only commands reach that far.
    from nnunetv2_strokesynth.reporting import figures

    names = prediction_sets(cases)
    comparison = compare(cases, seed=seed) if len(names) == 2 else {}
    tables = [*summary_tables(cases), volume_table(cases)]
    tables += [comparison_table(comparison, names)] if comparison else []
    with atomic_file(folder / "cases.csv") as temporary:
        cases.to_csv(temporary, index=False)
    write_text(folder / "summary.md", _markdown(tables, sets))
    write_text(folder / "summary.tex", f"% {RULES}\n" + "\n".join(map(to_latex, tables)))
    summary, agreements = summarise(cases), volume_agreements(cases)
    content = {
        "rules": RULES,
        "predictions": {
            name: sets[name] | {"groups": summary[name], "volume": agreements[name]}
            for name in names
        },
        "comparison": {"difference": " - ".join(names), "seed": seed, "metrics": comparison}
        if comparison
        else None,
    }
    write_json(folder / "summary.json", strict_json(content))
    figures.save_png(figures.volume_scatter(cases), folder / "volume_scatter.png")
    figures.save_png(figures.bland_altman(cases), folder / "bland_altman.png")
    figures.save_png(figures.size_group_boxes(cases), folder / "size_groups.png")


def _markdown(tables: list[Table], sets: dict[str, dict]) -> str:
    lines = ["# Evaluation", ""]
    for name, about in sets.items():
        line = f"- {name}: {about['n_cases']} cases, `{about['folder']}`"
        if about["missing_cases"]:
            line += f"; not predicted and left out: {', '.join(about['missing_cases'])}"
        if about["missing_folds"]:
            line += f"; folds without predictions: {', '.join(about['missing_folds'])}"
        lines.append(line)
    lines += ["", RULES, "", *map(to_markdown, tables)]
    pictures = [name for name in OUTPUTS if name.endswith(".png")]
    lines += [f"![{name.removesuffix('.png').replace('_', ' ')}]({name})\n" for name in pictures]
    return "\n".join(lines)


def run(args: argparse.Namespace) -> None:
    """Evaluate one folder of predictions, or two against each other."""
    if (args.dwi is None) != (args.pseudo_dwi is None):
        raise ValueError("--dwi and --pseudo-dwi go together: give both or neither")
    is_ours = OUTPUTS.__contains__
    refuse_existing_folder(args.output, args.overwrite, is_ours)
    frames, sets = [], {}
    folders = [folder for folder in (args.pred, args.compare) if folder is not None]
    # All folders are checked before the first case is measured.
    gathered = [_pairs(args, folder, images=folder is args.pred) for folder in folders]
    for name, folder, (pairs, found) in zip(_names(args), folders, gathered, strict=True):
        frames.append(measure_cases(pairs, predictions=name, workers=args.workers))
        sets[name] = _describe(folder, pairs, found, args.gt)
    cases = pd.concat(frames, ignore_index=True)
    with result_folder(args.output, overwrite=args.overwrite, is_ours=is_ours) as folder:
        write_results(folder, cases, sets, args.seed)
    for name, groups in summarise(cases).items():
        shown = [COLUMN_BY_KEY[key] for key in ("dice", "hausdorff_mm")]
        text = ", ".join(f"{c.heading} {spread_cell(groups['all'][c.key], c)}" for c in shown)
        logger.info("%s, %d cases: %s", name, sets[name]["n_cases"], text)
    logger.info("results: %s", args.output / "summary.md")
