"""Does every row that the second reading of the papers added run, from training to its table?

    OMP_NUM_THREADS=1 python -m benchmarks.short_rows OUT [--tables gomez2023_mri ...]

Simulates small scans, converts them for each system, and calls ``strokesynth reproduce`` with one
epoch of two batches and narrow networks on the CPU. A row counts when the table shows a measured
Dice for it. Weights of random numbers stand for those learned on natural images. What is finished
in OUT is not run again. The figures say nothing about the systems; OUT/short_rows.md says what ran.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from nnunetv2_strokesynth.evaluation.tables import markdown_grid
from nnunetv2_strokesynth.io.atomic import write_json, write_text
from nnunetv2_strokesynth.nnunet_commands import FOLDER_VARIABLES, users_environment

if TYPE_CHECKING:
    from benchmarks.forked_commands import ForkedCommands

logger = logging.getLogger(__name__)
SHORT = "--epochs 1 --iterations 2 --base-features 4 -device cpu".split()
RESENC_L = "nnUNetResEncUNetLPlans"


class Phantom(NamedTuple):
    """Simulated scans in a release's layout."""

    layout: str
    options: str


class Data(NamedTuple):
    """A converted data set: id, name, its phantom, and the options of conversion and planning."""

    number: int
    name: str
    phantom: str
    convert: str
    plans: tuple[str, ...] = ("-c 2d",)


class Run(NamedTuple):
    """Rows of one table: data set, folds, and the rows that are new (none: all of them)."""

    table: str
    dataset: int
    folds: str
    rows: tuple[str, ...] = ()


class Line(NamedTuple):
    """What came of one table: the columns of the page, and the rows without a Dice."""

    table: str
    folds: str
    measured: str
    scans: str
    minutes: float
    missing: list[str]


PHANTOMS = (
    Phantom("isles2018", "--cases 10 --test-cases 2 --size 64 --max-slices 4"),
    Phantom("isles2017", "--cases 6 --test-cases 2 --size 64 --max-slices 3 --seed 17"),
    Phantom("isles2024", "--cases 5 --size 128 --max-slices 8 --seed 24"),
)
RESENC_L_PLANS = "-pl nnUNetPlannerResEncL -c 3d_fullres"
DATA = (
    Data(17, "ISLES2017", "isles2017", "--folds 2"),
    Data(18, "ISLES2018", "isles2018", "--preset wang2020 --folds 2", ("-c 2d 3d_fullres",)),
    Data(20, "ISLES2018_SONG", "isles2018", "--preset song2018 --folds 4"),
    Data(21, "ISLES2018_CLERIGUES", "isles2018", "--preset clerigues2019 --folds 2"),
    Data(24, "ISLES2024", "isles2024", "--preset wang2020 --folds 2 --downsample 2",
         ("-c 2d 3d_fullres", RESENC_L_PLANS)),
    Data(25, "ISLES2024_WINDOWED", "isles2024", "--preset isles2024 --folds 2 --downsample 2",
         (RESENC_L_PLANS,)),
)  # fmt: skip
RUNS = (
    Run("table1", 18, "0", ("StrokeSynthTrainer_SynthPlainNorms",)),
    Run("table5", 18, "0", (
        "StrokeSynthTrainer_PlainNorms", "StrokeSynthTrainer_FullExtractor",
        "StrokeSynthTrainer_Augmented", "StrokeSynthTrainer_FrozenContext")),
    Run("table6", 18, "all"),
    Run("song2018_test", 20, "0 1 2 3"),
    Run("clerigues2019", 21, "0"),
    Run("clerigues2019_test", 21, "0 1"),
    Run("gomez2023_single", 17, "0"),
    Run("gomez2023_mri", 17, "0"),
    Run("gomez2023_test", 17, "0"),
    Run("abulnaga2018", 18, "0"),
    Run("abulnaga2018_folds", 18, "0 1"),
    Run("abulnaga2018_test", 18, "0 1"),
    Run("isles2024", 24, "0"),
)  # fmt: skip


def main() -> int:
    """Prepare the data, run the tables, write what ran; 1 if a row has no figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for everything")
    tables = [run.table for run in RUNS]
    parser.add_argument("--tables", nargs="+", choices=tables, default=tables)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    out = args.out.resolve()
    _set_environment(out)
    from benchmarks.forked_commands import ForkedCommands  # imports nnU-Net, which reads it

    commands = ForkedCommands()
    _make_weights(Path(os.environ["strokesynth_pretrained"]))
    runs = [run for run in RUNS if run.table in args.tables]
    missing: list[str] = []
    for run in runs:
        line = _run_table(commands, out, run)
        missing += line.missing
        logger.info("\n%s", write_page(out, line))
    logger.info("%s", f"no figure for {', '.join(missing)}" if missing else "every row is measured")
    return int(bool(missing))


def _set_environment(out: Path) -> None:
    for name in FOLDER_VARIABLES:
        (out / name).mkdir(parents=True, exist_ok=True)
        os.environ[name] = str(out / name)
    os.environ |= {"nnUNet_n_proc_DA": "0", "nnUNet_def_n_proc": "1"}
    os.environ |= {"strokesynth_pretrained": str(out / "random_resnet50.pth")}
    os.environ |= users_environment()


def _make_weights(path: Path) -> None:
    import torch

    from nnunetv2_strokesynth.papers.abulnaga2018.pspnet import dilated_resnet50

    if not path.is_file():
        torch.save(dilated_resnet50().state_dict(), path)


def _make_data(commands: ForkedCommands, out: Path, numbers: set[int]) -> None:
    """Phantoms, conversions and plans of the data sets, unless they are there."""
    numbers |= {25} if 24 in numbers else set()

    def run(name: str, words: str, *paths: Path) -> None:
        command = [part.format(*paths) for part in words.split()]
        commands.run(command, dict(os.environ), log_file=out / "logs" / f"{name}.txt", shown={})

    for data in (data for data in DATA if data.number in numbers):
        source = out / f"{data.phantom}_phantom"
        finished = out / "logs" / f"{data.name}.finished"
        if finished.is_file():
            continue
        if not source.is_dir():
            options = next(p.options for p in PHANTOMS if p.layout == data.phantom)
            layout = f"--layout {data.phantom} {options} --workers 1"
            run(f"{data.phantom}_phantom", f"strokesynth phantom {{}} {layout}", source)
        options = f"-d {data.number} --name {data.name} {data.convert} --workers 1 --overwrite"
        run(f"{data.name}_convert", f"strokesynth convert {data.phantom} {{}} {options}", source)
        for index, plans in enumerate(data.plans):
            words = f"nnUNetv2_plan_and_preprocess -d {data.number} {plans} -np 1"
            run(f"{data.name}_plan_{index}", words)
        _show_truth(source, out / "nnUNet_raw" / f"Dataset{data.number:03d}_{data.name}")
        finished.touch()


def _show_truth(phantom: Path, raw: Path) -> None:
    """Copies the test scans' lesions, which a challenge hides, beside the converted data."""
    for folder in phantom.glob("*_truth"):
        shutil.copytree(folder / "labels", raw / "labelsTs", dirs_exist_ok=True)


def write_page(out: Path, line: Line) -> str:
    """``short_rows.md`` with a new line in place of its table's; the others stay as they were.

    A table that was finished in several runs has the sum of their minutes.
    """
    path = out / "short_rows.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    earlier = known.get(line.table, {}).get("minutes", 0.0)
    known[line.table] = line._replace(minutes=round(earlier + line.minutes, 1))._asdict()
    write_json(path, known)
    header = ("table", "folds", "rows measured", "scans", "minutes")
    in_order = [known[run.table] for run in RUNS if run.table in known]
    text = markdown_grid(header, [[str(value) for value in one.values()][:-1] for one in in_order])
    write_text(out / "short_rows.md", text + "\n")
    return text


def _run_table(commands: ForkedCommands, out: Path, run: Run) -> Line:
    """``strokesynth reproduce`` on some rows."""
    from nnunetv2_strokesynth.cli import main as strokesynth
    from nnunetv2_strokesynth.commands import reproduce
    from nnunetv2_strokesynth.papers.tables import TABLES

    reproduce.run_command = commands.run
    started, folder = time.monotonic(), out / "tables" / run.table
    rows = run.rows or TABLES[run.table].names
    words = ["reproduce", run.table, "--dataset", str(run.dataset), "--folds", *run.folds.split()]
    words += ["--rows", *rows, *SHORT, "-o", str(folder)]
    try:  # one table's fault must not keep the others from running
        _make_data(commands, out, {run.dataset})
        finished = strokesynth(words) == 0
    except ValueError as error:
        logger.error("%s", error)
        finished = False
    if not finished:
        logger.error("%s did not finish", run.table)
    minutes = (time.monotonic() - started) / 60
    path = folder / f"{run.table}.csv"
    scans = measured_scans(pd.read_csv(path), run.table) if path.is_file() else {}
    missing = [name for name in rows if name not in scans]
    numbers = " to ".join(str(n) for n in sorted({scans[name] for name in rows if name in scans}))
    counted = f"{len(rows) - len(missing)} of {len(rows)}"
    return Line(run.table, run.folds, counted, numbers, minutes, missing)


def measured_scans(table: pd.DataFrame, name: str) -> dict[str, int]:
    """The number of scans by row, of the rows that have a Dice.

    Args:
        table: the CSV that ``strokesynth reproduce`` writes, a line for each row.
        name: of the table.
    """
    from nnunetv2_strokesynth.papers.tables import TABLES

    found = table.reindex(columns=["dice_mean", "scans"])  # absent while nothing is measured
    lines = zip(TABLES[name].rows, found["dice_mean"], found["scans"], strict=True)
    return {row.name: int(n) for row, dice, n in lines if row.name and np.isfinite(dice)}


if __name__ == "__main__":
    raise SystemExit(main())
