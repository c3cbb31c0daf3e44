"""From a row of a table to the commands that are still to be run for it."""

from __future__ import annotations

from nnunetv2_strokesynth.papers.shared.paper_table import TableRow
from nnunetv2_strokesynth.reproduction.data_set import DataSet
from nnunetv2_strokesynth.reproduction.measuring import (
    FoldCases,
    measure_folds,
    measure_test_set,
    tune_steps,
)
from nnunetv2_strokesynth.reproduction.plan import PAPER, Plan, measured_cases
from nnunetv2_strokesynth.reproduction.prediction import (
    links,
    links_folder,
    prediction_steps,
    pseudo_dwi_steps,
)
from nnunetv2_strokesynth.reproduction.steps import Step
from nnunetv2_strokesynth.reproduction.training import train_steps


def all_steps(plan: Plan, rows: list[TableRow]) -> list[tuple[TableRow, list[Step]]]:
    """What is still to be done, by row.

    A command that two rows share, such as links or the training of a member of two ensembles, is in
    the first.
    """
    seen: set[str] = set()
    steps = []
    for row in rows:
        fresh = [step for step in row_steps(plan, row) if step.text not in seen]
        seen.update(step.text for step in fresh)
        steps.append((row, fresh))
    return steps


def row_steps(plan: Plan, row: TableRow) -> list[Step]:
    """What is still to be done for a row, in order; nothing if it is finished.

    A result that is older than what it was made from is made again.
    """
    folds = measured_cases(plan.data_of(row), plan.folds)
    training = {fold: train_steps(plan, row, fold) for fold in folds}
    steps = [step for found in training.values() for step in found]
    steps += tune_steps(plan, row, folds, is_new=bool(steps))
    if plan.on_test_set:
        return steps + _test_set_steps(plan, row, folds, is_new=bool(steps))
    for fold, case_ids in folds.items():
        steps += _image_steps(plan, row, fold, case_ids=case_ids, is_new=bool(training[fold]))
    return steps + measure_folds(plan, row, folds, is_new=bool(steps))


def _image_steps(
    plan: Plan, row: TableRow, fold: int | str, *, case_ids: list[str], is_new: bool
) -> list[Step]:
    """Prediction (the paper's split only) and pseudo-DWI of a fold's measured scans."""
    images = links_folder(plan, row, fold)
    steps = []
    if plan.folds == PAPER:
        steps += prediction_steps(
            plan, row, [fold], images=images, case_ids=case_ids, is_new=is_new
        )
    steps += pseudo_dwi_steps(plan, row, fold, case_ids=case_ids, is_new=is_new)
    return links(plan.data_of(row), images, case_ids) + steps if steps else []


def _test_set_steps(plan: Plan, row: TableRow, folds: FoldCases, *, is_new: bool) -> list[Step]:
    """The trainings predict imagesTs together; measured where the truth is known."""
    data = plan.data_of(row)
    case_ids, images = data.case_ids("imagesTs"), data.raw / "imagesTs"
    if not case_ids:
        raise FileNotFoundError(f"{images} holds no test scans to predict")
    steps = prediction_steps(
        plan, row, list(folds), images=images, case_ids=case_ids, is_new=is_new
    )
    is_new = is_new or bool(steps)
    return steps + measure_test_set(plan, row, case_ids, is_new=is_new)


def truth_is_known(data: DataSet) -> bool:
    """Whether the test scans have labels: a phantom's may, the challenge's are hidden."""
    return bool(data.case_ids("labelsTs"))
