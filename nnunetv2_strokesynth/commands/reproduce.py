"""``strokesynth reproduce``: a paper's table through nnU-Net's own commands."""

from __future__ import annotations

import argparse
import logging
import shlex
from pathlib import Path

from tqdm.contrib.logging import logging_redirect_tqdm

from nnunetv2_strokesynth.commands.next_step import Words, open_page, say_next
from nnunetv2_strokesynth.commands.reproduce_options import (
    chosen_rows,
    fold_words,
    make_plan,
    output_folder,
    with_weights,
)
from nnunetv2_strokesynth.commands.submit_options import (
    add_submit_options,
    check_options,
    command_again,
    is_submitted,
    submit_jobs,
)
from nnunetv2_strokesynth.commands.trained_models import device_option
from nnunetv2_strokesynth.io.atomic import atomic_file, write_text
from nnunetv2_strokesynth.io.progress import progress
from nnunetv2_strokesynth.nnunet_commands import (
    EXT_TRAINER,
    FOLDER_VARIABLES,
    run_command,
    users_environment,
)
from nnunetv2_strokesynth.papers.shared.paper_table import TableRow
from nnunetv2_strokesynth.papers.tables import TABLES
from nnunetv2_strokesynth.reproduction.commands import all_steps
from nnunetv2_strokesynth.reproduction.guard import (
    check_model,
    check_preprocessed,
    check_settings,
    read_settings,
    write_settings,
)
from nnunetv2_strokesynth.reproduction.plan import RECIPE_OPTIONS, Plan
from nnunetv2_strokesynth.reproduction.steps import Step

EXAMPLE = "strokesynth reproduce table3 --folds paper -device cuda -o reproduction_table3"
logger = logging.getLogger(__name__)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number of at least 1")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``strokesynth reproduce``."""
    add = parser.add_argument
    add("table", choices=TABLES, help="which table")
    add("--dataset", type=int, default=18, help="id of the converted scans (default: 18)")
    add("--real-dwi-dataset", type=int, default=19, metavar="ID", help="id of the same scans with "
        "the DWI as image, for the rows 'Real DWI' (default: 19)")  # fmt: skip
    add("--windowed-dataset", type=int, default=25, metavar="ID", help="id of ISLES 2024's scans "
        "with preset isles2024, for its winner (default: 25)")  # fmt: skip
    add("--folds", nargs="+", metavar="FOLD", help="folds of the cross-validation (default: the "
        "paper's: 0 1 2 3 4, Song & Huang 0 1 2 3); `paper`: the split of Wang et al.; `all`: one "
        "training on all scans, for a test set (default of table6)")  # fmt: skip
    add("--epochs", type=_positive, help="default: as the paper (per stage)")
    add("--iterations", type=_positive, help="per epoch; default: as the paper")
    add("--base-features", type=_positive, help="width of the networks; default: as the paper")
    add("--rows", nargs="+", metavar="TRAINER", help="run only these rows of the table; the others "
        "are shown if they are finished")  # fmt: skip
    add("--also", nargs="+", default=[], metavar="TRAINER", help="further rows at the end, for "
        "example StrokeSynthTrainer or nnUNetTrainer")  # fmt: skip
    add("-device", choices=("cuda", "cpu", "mps"), default="cuda", help="default: cuda")
    add("-o", "--output", type=Path, help="default: reproduction_TABLE")
    add_submit_options(parser)
    add(
        "--only-table", action="store_true", help="write the table of what is finished; run nothing"
    )
    add("--dry-run", action="store_true", help="print the commands; run and write nothing")


def _print_commands(plan: Plan, steps: list[tuple[TableRow, list[Step]]]) -> None:
    environment = users_environment()
    for name in (*FOLDER_VARIABLES, EXT_TRAINER):
        logger.info("export %s=%s", name, shlex.quote(environment[name]))
    for row, commands in steps:
        state = "" if commands else " (finished)"
        logger.info("# %s, %s: %s%s", plan.table.source, row.label, row.name, state)
        for step in commands:
            logger.info("%s", step.text)


def write_table(plan: Plan, devices: list[str]) -> None:
    """Write ``tableN.md``, ``tableN.csv`` and ``tableN.png`` of what is finished so far."""
    from nnunetv2_strokesynth.io.figure_file import save_png
    from nnunetv2_strokesynth.reporting.dice_figure import dice_figure
    from nnunetv2_strokesynth.reporting.reproduction_page import render_reproduction
    from nnunetv2_strokesynth.reproduction.page_content import (
        data_note,
        dice_rows,
        page_content,
        picture_title,
    )
    from nnunetv2_strokesynth.reproduction.results import collect, to_frame

    results, name = collect(plan), plan.table.name
    figure = dice_figure(
        dice_rows(results), title=picture_title(plan), published_on=plan.table.published_on
    )
    save_png(figure, plan.out / f"{name}.png")
    with atomic_file(plan.out / f"{name}.csv") as temporary:
        to_frame(plan, results, data_note(plan)).to_csv(temporary, index=False)
    write_text(plan.out / f"{name}.md", render_reproduction(page_content(plan, results, devices)))


def _run_steps(plan: Plan, steps: list[tuple[TableRow, list[Step]]], devices: list[str]) -> None:
    environment = users_environment()
    total = sum(len(commands) for _, commands in steps)
    with logging_redirect_tqdm(), progress(total=total, unit="command", desc="reproduce") as bar:
        for row, commands in steps:
            bar.set_postfix_str(row.label)
            for step in commands:
                log_file = plan.out / "logs" / f"{step.name}.txt"
                run_command(step.command, environment, log_file=log_file, shown=step.shown)
                bar.update()
            if commands:
                write_table(plan, devices)


def _submit(plan: Plan, rows: list[TableRow], args: argparse.Namespace) -> None:
    from nnunetv2_strokesynth.reproduction.jobs import table_jobs

    write = [*command_again("reproduce", add_arguments, args), "--only-table"]
    submit_jobs(args, table_jobs(plan, rows, write), plan.out)


def run(args: argparse.Namespace) -> None:
    """Run what is missing and write the table, or print the commands."""
    stored = read_settings(output_folder(args))
    plan = make_plan(args, stored)
    check_settings(plan, stored)
    rows = chosen_rows(plan, args)
    for row in (row for row in plan.table.rows if row.name and plan.data_of(row)):
        check_model(plan, row)
    steps = all_steps(plan, rows)
    if args.dry_run:
        _print_commands(plan, steps)
        return
    steps = with_weights([] if args.only_table else steps, args.rows or [])
    is_run = any(commands for _, commands in steps)
    if is_submitted(args):
        check_options(args, plan.out)
    if is_run:
        needed = {(plan.data_of(row).number, row.planned, row.plans): row for row in rows}
        for row in needed.values():
            check_preprocessed(plan.data_of(row), row.planned, row.plans)
    devices = write_settings(plan, stored, is_run=is_run)
    write_table(plan, devices)  # of what earlier runs have finished
    if is_run and is_submitted(args):
        _submit(plan, [row for row, _ in steps], args)
        return
    if is_run:
        _run_steps(plan, steps, devices)
    for ending in ("md", "csv", "png"):
        logger.info("%s", plan.out / f"{plan.table.name}.{ending}")
    say_next(*next_commands(plan, args), link="or")


def next_commands(plan: Plan, args: argparse.Namespace) -> list[Words]:
    """The command that runs the rows that are still missing, and the picture of those finished."""
    picture = open_page(plan.out / f"{plan.table.name}.png")
    runnable = [row for row in plan.table.rows if row.name and plan.data_of(row)]
    missing = [row.name for row, steps in all_steps(plan, runnable) if steps]
    if not missing:
        return [picture]
    words: list[object] = ["strokesynth", "reproduce", args.table, "--rows", *missing]
    words += ["--dataset", args.dataset, "--real-dwi-dataset", args.real_dwi_dataset]
    words += ["--windowed-dataset", args.windowed_dataset] if plan.windowed else []
    words += ["--folds", *fold_words(args)]
    for name in RECIPE_OPTIONS:
        value = getattr(args, name)
        words += [] if value is None else [f"--{name.replace('_', '-')}", value]
    return [[*words, *device_option(args.device), "-o", plan.out], picture]
