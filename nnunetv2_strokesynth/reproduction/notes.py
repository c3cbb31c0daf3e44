"""How to read a reproduced table: sentences below it."""

from __future__ import annotations

from nnunetv2_strokesynth.evaluation.statistics import N_RESAMPLES
from nnunetv2_strokesynth.evaluation.tables import RULES
from nnunetv2_strokesynth.papers.shared.paper_table import ALL
from nnunetv2_strokesynth.reproduction.fold_table import weights_notes
from nnunetv2_strokesynth.reproduction.plan import PAPER, Plan
from nnunetv2_strokesynth.reproduction.results import HIDDEN, RowResult


def notes(plan: Plan, results: list[RowResult]) -> list[str]:
    """All sentences, in order."""
    found = [
        f'Columns headed "{plan.table.published_on}" are copied from the paper. They were measured '
        "on its scans, with its code; nothing of them enters our columns.",
        RULES,
        f"Intervals: percentile bootstrap over scans, {N_RESAMPLES} resamples. Scans count as "
        "independent, although two may be of one patient.",
        *_about_tests(plan),
        *_about_choices(plan),
    ]
    if any(result.status == HIDDEN for result in results):
        folder = "postprocessed" if plan.table.tuned else "predictions"
        where = plan.out / plan.table.proposed / folder
        found.append(f"The truth of the test scans is hidden. Predictions to submit: `{where}`.")
    return [*found, *weights_notes(plan), *_about_rows(plan)]


def compared_with(plan: Plan) -> str:
    """Label of the proposed row; empty if no other row of the table can be ours."""
    if len(plan.table.names) < 2:
        return ""
    return next(r.label for r in plan.table.rows if r.name == plan.table.proposed)


def _about_tests(plan: Plan) -> list[str]:
    found = []
    if proposed := compared_with(plan):
        found.append(
            f"Δ Dice: mean over scans of a row's Dice minus that of {proposed}, paired by scan, "
            "with bootstrap interval and two-sided Wilcoxon signed-rank p, not corrected for the "
            "number of rows."
        )
    if plan.table.t_test:
        found.append(
            "p of the t-test: two-sided, for paired samples, as the paper has it; not corrected "
            "for the number of rows and columns."
        )
    return found


def _about_choices(plan: Plan) -> list[str]:
    """What was chosen on validation scans, and whether these are the scans measured."""
    table, found = plan.table, []
    if table.tuned:
        found.append(
            "T and S_min were chosen for each row on its own validation scans, with those of all "
            "folds together. In a cross-validation these are the scans measured, as in the paper: "
            "the figures are too good by that choice."
        )
    if table.keeps_best and not plan.on_test_set and plan.folds != PAPER:
        found.append(
            "Each training ends with the checkpoint that was best on its fold's validation scans, "
            "as in the paper, and in a cross-validation these are the scans measured: our figures "
            "are too good by that choice. `--folds paper` measures scans that had no part in it."
        )
    if table.keeps_best and plan.folds == ALL:
        found.append(
            "A training on all scans has no validation scans: nnU-Net validates it on those it has "
            "learned, and the checkpoint that was best on them is kept."
        )
    return found


def _about_rows(plan: Plan) -> list[str]:
    """Which rows the paper does not have."""
    rows, found = plan.table.rows, []
    ours = [row.label for row in rows if row.published is None and not row.further]
    if ours:
        found.append(f"Rows of ours, which the paper does not have: {'; '.join(ours)}.")
    further = [row.trainer for row in rows if row.further]
    if further:
        found.append(
            f"Not in the paper: {', '.join(further)}. The recipe above is that of the paper's "
            "rows. Where nothing was set, further rows have their trainer's own recipe; nnU-Net's "
            "own trainers always have theirs."
        )
    return found
