"""What the options of ``strokesynth reproduce`` ask for: data sets, folds, rows."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

from nnunetv2_strokesynth.papers.shared.paper_table import ALL, PaperTable, TableRow
from nnunetv2_strokesynth.papers.tables import TABLES, with_further_rows
from nnunetv2_strokesynth.reproduction.data_set import (
    DataSet,
    Roots,
    find_data_set,
    nnunet_roots,
)
from nnunetv2_strokesynth.reproduction.plan import (
    PAPER,
    RECIPE_OPTIONS,
    Plan,
    measured_cases,
    recipe_of,
)
from nnunetv2_strokesynth.reproduction.steps import Step

logger = logging.getLogger(__name__)


def _folds(words: list[str], table: PaperTable) -> str | tuple[int, ...]:
    if words == [ALL]:
        if table.tuned:
            raise ValueError(
                f"--folds all: {table.name} chooses a threshold on validation scans, and "
                "a training on all scans has none; name folds"
            )
        if not table.on_test_set:
            raise ValueError(
                f"--folds all: a training on all scans leaves none for {table.name} to measure; "
                "name folds, or `paper`"
            )
        return ALL
    if words == [PAPER]:
        if table.on_test_set:
            raise ValueError(
                f"--folds paper: {table.name} is about the test set; name folds, or `all`"
            )
        return PAPER
    if not all(word.isdigit() for word in words):
        raise ValueError(f"--folds {' '.join(words)}: expected numbers, or `paper` or `all` alone")
    return tuple(sorted({int(word) for word in words}))


def fold_words(args: argparse.Namespace) -> list[str]:
    """The words of ``--folds``, or those of the table."""
    return args.folds or list(TABLES[args.table].default_folds)


def _optional(number: int, roots: Roots, *, is_read: bool, rows: str) -> DataSet | None:
    """A data set that only some rows read; None, with a warning, if it is not there."""
    if not is_read:
        return None
    try:
        return find_data_set(number, roots)
    except FileNotFoundError as error:
        logger.warning("# %s are left out: %s", rows, error)
        return None


def make_plan(args: argparse.Namespace, stored: dict) -> Plan:
    """What the options ask for; see ``Plan``.

    Args:
        args: of the command line.
        stored: settings of an earlier run into the same folder, whose further rows are kept.

    Raises:
        ValueError: the environment, a fold or a name cannot be used.
    """
    table, roots = TABLES[args.table], nnunet_roots()
    kept = [trainer for trainer in stored.get("also", []) if trainer not in args.also]
    table = with_further_rows(table, [*kept, *args.also])
    options = {name: getattr(args, name) for name in RECIPE_OPTIONS}
    plan = Plan(
        table=table,
        data=find_data_set(args.dataset, roots),
        real_dwi=_optional(
            args.real_dwi_dataset,
            roots,
            is_read=any(row.real_dwi for row in table.rows),
            rows="rows with the real DWI",
        ),
        windowed=_optional(
            args.windowed_dataset,
            roots,
            is_read=any(row.windowed for row in table.rows),
            rows="rows of preset isles2024",
        ),
        folds=_folds(fold_words(args), table),
        recipe=recipe_of(options, dict(os.environ)),
        device=args.device,
        out=output_folder(args),
    )
    for data in plan.data_sets:
        measured_cases(data, plan.folds)  # raises for folds that do not exist
    return plan


def output_folder(args: argparse.Namespace) -> Path:
    """The folder for everything that is not nnU-Net's."""
    return (args.output or Path(f"reproduction_{args.table}")).resolve()


def chosen_rows(plan: Plan, args: argparse.Namespace) -> list[TableRow]:
    """The rows to run: those of ``--rows`` (default: all that can be), and of ``--also``.

    Raises:
        ValueError: a name that is no row, or a row whose data set is missing.
    """
    wanted = [*(args.rows or TABLES[args.table].names), *args.also]
    unknown = [name for name in wanted if name not in plan.table.names]
    if unknown:
        raise ValueError(
            f"--rows {unknown[0]}: no row of {args.table}; its rows are "
            f"{', '.join(TABLES[args.table].names)}"
        )
    rows = [row for row in plan.table.rows if row.name in wanted]
    for row in rows:
        if plan.data_of(row) is None and row.name in (args.rows or []):
            option, preset, number = (
                ("--real-dwi-dataset", "real_dwi", args.real_dwi_dataset)
                if row.real_dwi
                else ("--windowed-dataset", "isles2024", args.windowed_dataset)
            )
            raise ValueError(
                f"--rows {row.name}: there is no data set {number}; convert the scans with "
                f"--preset {preset} to it, or name it by {option}"
            )
    return [row for row in rows if plan.data_of(row) is not None]


def with_weights(
    steps: list[tuple[TableRow, list[Step]]], named: list[str]
) -> list[tuple[TableRow, list[Step]]]:
    """Leaves out rows that start from weights which are not there, with a warning.

    Args:
        steps: what is to be done, by row.
        named: rows that the user has named.

    Raises:
        FileNotFoundError: the user has named such a row.
    """
    if not any(row.pretrained and commands for row, commands in steps):
        return steps
    from nnunetv2_strokesynth.papers.abulnaga2018.pretrained import TORCHVISION, weights_file
    from nnunetv2_strokesynth.trainers.environment import PRETRAINED

    path = weights_file(os.environ.get(PRETRAINED) or TORCHVISION)
    if path.is_file():
        return steps
    lacking = [row.name for row, commands in steps if row.pretrained and commands]
    text = f"there are no weights to start from at {path}; {PRETRAINED} can name another file"
    if set(lacking) & set(named):
        raise FileNotFoundError(f"--rows {' '.join(lacking)}: {text}")
    logger.warning("# left out: %s: %s", ", ".join(lacking), text)
    return [(row, commands) for row, commands in steps if row.name not in lacking]
