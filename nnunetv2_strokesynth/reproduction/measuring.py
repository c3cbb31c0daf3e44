"""Threshold and smallest lesion of a row, and the measurement of its predictions."""

from __future__ import annotations

from pathlib import Path

from nnunetv2_strokesynth.papers.shared.paper_table import TableRow
from nnunetv2_strokesynth.reproduction.plan import PAPER, Plan
from nnunetv2_strokesynth.reproduction.steps import Step, replacing, up_to_date

FoldCases = dict[int | str, list[str]]


def rule_file(plan: Plan, row: TableRow) -> Path:
    """What ``strokesynth tune`` writes for a row."""
    return plan.folder(row) / "postprocessing.json"


def tune_steps(plan: Plan, row: TableRow, folds: FoldCases, *, is_new: bool) -> list[Step]:
    """Choose T and S_min on the validation scans of the folds, where the paper tunes every row."""
    if not plan.table.tuned:
        return []
    data, model, rule = plan.data_of(row), plan.model(row), rule_file(plan, row)
    made_from = [model / f"fold_{fold}" / "validation" / "summary.json" for fold in folds]
    if not is_new and up_to_date([rule], made_from):
        return []
    command = ["strokesynth", "tune", "-m", str(model), "-f", *map(str, folds)]
    command += ["--gt", str(data.raw / "labelsTr"), "-o", str(rule)]
    validated = {i for fold in folds for i in data.splits[int(fold)]["val"]}
    command += ["--allow-missing"] if validated != set(data.case_ids("labelsTr")) else []
    command += ["--overwrite"] if rule.is_file() else []
    return [Step(f"{row.name}_tune", command, {})]


def _postprocess(
    plan: Plan, row: TableRow, source: list[str], *, case_ids: list[str], is_new: bool
) -> list[Step]:
    folder, rule = plan.folder(row) / "postprocessed", rule_file(plan, row)
    labels = [folder / f"{i}{plan.data_of(row).file_ending}" for i in case_ids]
    if not is_new and up_to_date(labels, [rule]):
        return []
    command = ["strokesynth", "postprocess", "-i", *source, "-p", str(rule), "-o", str(folder)]
    return [Step(f"{row.name}_postprocess", replacing(command, folder), {})]


def measure_folds(plan: Plan, row: TableRow, folds: FoldCases, *, is_new: bool) -> list[Step]:
    """Post-process where the table is tuned, then measure the scans of the folds."""
    data, out, model = plan.data_of(row), plan.folder(row), plan.model(row)
    case_ids = sorted(case_id for found in folds.values() for case_id in found)
    names = [f"{case_id}{data.file_ending}" for case_id in case_ids]
    predicted = [str(out / "predictions")]
    made_from = [out / "predictions" / name for name in names]
    if plan.folds != PAPER:
        predicted = [str(model), "-f", *map(str, folds)]
        made_from = [model / f"fold_{fold}" / "validation" / "summary.json" for fold in folds]
    steps = []
    if plan.table.tuned:
        steps = _postprocess(plan, row, predicted, case_ids=case_ids, is_new=is_new)
        predicted = [str(out / "postprocessed")]
        made_from = [out / "postprocessed" / name for name in names]
    command = ["strokesynth", "evaluate", "--gt", str(data.raw / "labelsTr"), "--pred", *predicted]
    if row.synthesis:
        command += ["--dwi", str(data.raw / "targetsTr"), "--pseudo-dwi", str(out / "pseudo_dwi")]
        made_from += [out / "pseudo_dwi" / name for name in names]
    if set(case_ids) != set(data.case_ids("labelsTr")):
        command.append("--allow-missing")
    is_new = is_new or bool(steps)
    return steps + _evaluate(plan, row, command, made_from, is_new=is_new)


def measure_test_set(plan: Plan, row: TableRow, case_ids: list[str], *, is_new: bool) -> list[Step]:
    """Post-process where the table is tuned; measure where the truth is known."""
    data, out = plan.data_of(row), plan.folder(row)
    predicted, steps = out / "predictions", []
    if plan.table.tuned:
        steps = _postprocess(plan, row, [str(predicted)], case_ids=case_ids, is_new=is_new)
        predicted = out / "postprocessed"
    if not data.case_ids("labelsTs"):
        return steps
    command = ["strokesynth", "evaluate", "--gt", str(data.raw / "labelsTs")]
    command += ["--pred", str(predicted)]
    made_from = [predicted / f"{case_id}{data.file_ending}" for case_id in case_ids]
    is_new = is_new or bool(steps)
    return steps + _evaluate(plan, row, command, made_from, is_new=is_new)


def _evaluate(
    plan: Plan, row: TableRow, command: list[str], made_from: list[Path], *, is_new: bool
) -> list[Step]:
    folder = plan.folder(row) / "evaluation"
    if not is_new and up_to_date([folder / "cases.csv"], made_from):
        return []
    command = replacing([*command, "-o", str(folder)], folder)
    return [Step(f"{row.name}_evaluate", command, {})]
