"""What the finished table's page and picture say: its origin, our values, the paper's, notes."""

from __future__ import annotations

from nnunetv2_strokesynth.evaluation.columns import COLUMN_BY_KEY, Column
from nnunetv2_strokesynth.evaluation.statistics import PairedDifference
from nnunetv2_strokesynth.evaluation.tables import NOTHING, Table, p_cell, spread_cell
from nnunetv2_strokesynth.papers.shared.paper_table import ALL
from nnunetv2_strokesynth.papers.shared.published import (
    PARAMETERS,
    ROW_COLUMNS,
    Published,
    value_cell,
)
from nnunetv2_strokesynth.reporting.dice_figure import DiceRow, OurDice
from nnunetv2_strokesynth.reporting.reproduction_page import ReproductionPage
from nnunetv2_strokesynth.reproduction.data_set import shares_patients
from nnunetv2_strokesynth.reproduction.fold_table import fold_table
from nnunetv2_strokesynth.reproduction.notes import compared_with, notes
from nnunetv2_strokesynth.reproduction.plan import PAPER, Plan, measured_cases
from nnunetv2_strokesynth.reproduction.results import (
    DONE,
    HIDDEN,
    NOT_OURS,
    Measured,
    RowResult,
)
from nnunetv2_strokesynth.trainers.environment import BASE_FEATURES, EPOCHS, ITERATIONS

PHANTOM = "DIGITAL PHANTOM, not ISLES 2018"
SAYS_NOTHING = f"{PHANTOM}: figures say nothing about patients"

NOT_THE_RECIPE = "NOT the paper's recipe: epochs, iterations or base features differ"
NOT_BY_PATIENT = "NOT at patient level: patients are in training and measured"


def is_phantom(plan: Plan) -> bool:
    """Whether a ``dataset.json`` says that the scans are simulated."""
    return any("phantom" in data.origin.lower() for data in plan.data_sets)


def data_note(plan: Plan) -> str:
    """Where the scans come from, in a few words, for titles."""
    return PHANTOM if is_phantom(plan) else plan.data.origin or "origin not stated"


def split_note(plan: Plan) -> str:
    """How the measured scans were kept out of training."""
    if plan.on_test_set:
        n_scans = len(plan.data.case_ids("imagesTs"))
        if plan.folds == ALL:
            return f"{n_scans} test scans, predicted by one training on all training scans"
        return f"{n_scans} test scans, predicted by an ensemble of {len(plan.folds)} folds"
    folds = measured_cases(plan.data, plan.folds)
    n_scans = sum(map(len, folds.values()))
    if plan.folds == PAPER:
        text = f"a split of the paper's size, {n_scans} test scans (paper: 23)"
    else:
        n_folds = sum("test" not in split for split in plan.data.splits)
        text = f"{n_folds}-fold cross-validation"
        if len(folds) < n_folds:
            text += f", only fold {', '.join(map(str, folds))}"
        text += f", {n_scans} scans measured"
    shared = [shares_patients(plan.data, fold, case_ids) for fold, case_ids in folds.items()]
    if any(shared):
        return f"{text}, {NOT_BY_PATIENT}"
    return text + (", patients unknown" if None in shared else ", at patient level")


def _warnings(plan: Plan) -> list[str]:
    warnings = [SAYS_NOTHING] if is_phantom(plan) else []
    return warnings if plan.is_papers_recipe else [*warnings, NOT_THE_RECIPE]


def _facts(plan: Plan, results: list[RowResult], devices: list[str]) -> list[str]:
    table, data, recipe = plan.table, plan.data, plan.recipe
    width = plan.papers_recipe.get(BASE_FEATURES, "each network's own")
    n_patients = len({data.patients.get(i) for i in data.case_ids("labelsTr")} - {None})
    patients = f" of {n_patients} patients" if n_patients else ", patients unknown"
    ours = [result for result in results if result.status != NOT_OURS]
    finished = sum(result.status in (DONE, HIDDEN) for result in ours)
    epochs, default = recipe.get(EPOCHS), table.epochs
    stated = f"paper: {default}" if table.epochs_stated else f"paper: silent, ours {default}"
    split = split_note(plan).replace(NOT_BY_PATIENT, f"**{NOT_BY_PATIENT}**")
    return [
        f"data: {data.name}, origin: {data.origin or 'not stated in dataset.json'}; "
        f"{len(data.case_ids('labelsTr'))} training scans{patients}",
        f"split: {split}",
        f"epochs: {epochs or default} ({stated}; of each stage where modules are "
        "trained one after another)",
        f"iterations per epoch: {recipe.get(ITERATIONS, table.epoch_length)} "
        f"(paper: {table.epoch_length})",
        f"base features: {recipe.get(BASE_FEATURES, width)} (paper: {width})",
        f"device: {', '.join(devices)}",
        f"finished: {finished} of {len(ours)} rows",
    ]


def our_cell(value: Measured, column: Column) -> str:
    """``62.11 ± 17.18 [54.90 to 68.80]``, with the number of scans that are not countable."""
    text = spread_cell(value.spread, column)
    if value.spread.n < 2:
        return text
    low, high = (f"{v * column.factor:.{column.digits}f}" for v in (value.low, value.high))
    return f"{text} [{low} to {high}]"


def _difference_cell(difference: PairedDifference | None) -> str:
    if difference is None or not difference.n:
        return NOTHING
    mean, low, high = (f"{100 * v:+.2f}" for v in difference[:3])
    return f"{mean} [{low} to {high}], {p_cell(difference.p)}"


def _published_cell(published: Published | None, key: str) -> str:
    return NOTHING if published is None else value_cell(published, key) or NOTHING


def _row_cell(result: RowResult, key: str) -> str:
    if result.status != DONE:
        return result.status
    return f"{result.row_values[key]:.{ROW_COLUMNS[key][1]}f}".replace("nan", NOTHING)


def build_table(plan: Plan, results: list[RowResult]) -> Table:
    """Text in cells: for each metric our column, then the paper's."""
    table, proposed = plan.table, compared_with(plan)
    columns = [COLUMN_BY_KEY[key] for key in table.keys]
    has_sizes = any(r.row.published and PARAMETERS in r.row.published.values for r in results)
    header = ["Method", "Trainer"]
    header += [f"Parameters (M), {table.published_on}"] if has_sizes else []
    headings = [ROW_COLUMNS[key][0] for key in table.row_keys]
    for heading in (*headings, *(column.heading for column in columns)):
        header += [f"{heading}, ours", f"{heading}, {table.published_on}"]
    header += [f"Δ Dice to {proposed} (%) [95 %], p"] if proposed else []
    if table.t_test:
        header.append(f"p of the t-test to {proposed}: {', '.join(c.title for c in columns)}")
    rows = []
    for result in results:
        row = result.row
        trainers = " + ".join(f"`{m.trainer}`" for m in row.member_rows)
        cells = [row.label, trainers if row.name else NOTHING]
        cells += [_published_cell(row.published, PARAMETERS)] if has_sizes else []
        for key in table.row_keys:
            cells += [_row_cell(result, key), _published_cell(row.published, key)]
        for column in columns:
            ours = result.values.get(column.key)
            missing = NOTHING if result.status == DONE else result.status
            cells += [missing if ours is None else our_cell(ours, column)]
            cells += [_published_cell(row.published, column.key)]
        cells += [_difference_cell(result.dice_difference)] if proposed else []
        if table.t_test:
            tested = [result.t_tests.get(key) for key in table.keys]
            cells.append(NOTHING if None in tested else ", ".join(p_cell(p) for p in tested))
        rows.append(tuple(cells))
    title = "Ours: mean ± sd over scans [95 % interval of the mean]. Paper: mean ± sd, as printed"
    return Table(title, tuple(header), tuple(rows))


def _has_folds(plan: Plan) -> bool:
    return plan.table.per_fold and not isinstance(plan.folds, str)


def page_content(plan: Plan, results: list[RowResult], devices: list[str]) -> ReproductionPage:
    """Everything that the page says."""
    return ReproductionPage(
        title=f"{plan.table.source}: {plan.table.title}",
        warnings=_warnings(plan),
        facts=_facts(plan, results, devices),
        table=build_table(plan, results),
        further=[fold_table(plan, results)] if _has_folds(plan) else [],
        notes=notes(plan, results),
        picture=f"{plan.table.name}.png",
    )


def picture_title(plan: Plan) -> str:
    """Source, data, split, and a warning where the recipe is not the paper's."""
    title = f"{plan.table.source}. Ours: {data_note(plan)}\n{split_note(plan)}"
    return title if plan.is_papers_recipe else f"{title}\n{NOT_THE_RECIPE}"


def dice_rows(results: list[RowResult]) -> list[DiceRow]:
    """The lines of the picture, in the table's order."""
    return [_dice_row(result) for result in results]


def _dice_row(result: RowResult) -> DiceRow:
    row, ours, status = result.row, None, ""
    if result.status == DONE:
        dice = result.values["dice"]
        values = 100 * result.cases["dice"].to_numpy(float)
        ours = OurDice(values, 100 * dice.spread.mean, 100 * dice.low, 100 * dice.high)
    elif row.name:
        status = result.status
    published = {} if row.published is None else row.published.values
    return DiceRow(row.label, ours, status, published["dice"][0] if "dice" in published else None)
