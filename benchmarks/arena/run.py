"""The arena: methods trained alike on a phantom, measured on held-out scans of other patients.

    python -m benchmarks.arena.run FOLDER [--methods stock ...] [--folds 0 1 2] [--device cpu]
    python -m benchmarks.arena.run FOLDER --vendors A B --test-vendors C

The second command trains on the scans of two vendors and measures on those of a third, which the
methods have not seen; without these options all vendors are mixed in both.

Every method trains on the same folds (four fifths of the training scans) with the same number of
batches of the same size; only trainers of papers, ``wang2020`` and ``slnet``, keep the paper's
batches of 5 slices. A fold also stands for a seed, because nnU-Net draws weights and batches
anew. The held-out scans are predicted with the last and with the best checkpoint (nnU-Net's choice
on the fold's own validation scans). ``stock_long`` compares at about equal time instead of equal
batches.

The arena can be run in pieces, and by several processes at once if they have different methods or
folds; what is finished is not repeated. ``--jobs`` trains several at once: on the CPU each takes
one core, on a GPU small networks leave room for each other. FOLDER gets ``cases.csv`` (a row for
each scan, method, fold and checkpoint, with vendor and commit) and ``arena.md``.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from benchmarks.arena.data import PHYSICS, held_out_groups, held_out_vendors, make_data
from benchmarks.arena.fold_run import (
    CHECKPOINTS,
    FoldRun,
    begun_runs,
    finish,
    read_run,
)
from benchmarks.arena.methods import METHODS
from benchmarks.arena.settings import Settings, stored_settings
from benchmarks.arena.table import markdown, rows
from nnunetv2_strokesynth.io.atomic import atomic_file, write_json, write_text

COMPETITION = ("stock", "stock_long", "resenc_m", "strokesynth", "no_dwi", "slnet")

METHODS_HELP = "; ".join(f"{name}: {method.what}" for name, method in METHODS.items())


def settings_of(root: Path, wanted: dict[str, object]) -> Settings:
    """The arena's stored settings; where there are none, the wanted ones, which are then stored.

    Raises:
        ValueError: an option differs from what the arena was made with, or a vendor is unknown.
    """
    file = root / "settings.json"
    given = {name: value for name, value in wanted.items() if value is not None}
    given |= {
        name: tuple(sorted(value)) for name, value in given.items() if isinstance(value, list)
    }
    if not file.is_file():
        settings = Settings(**given)
        settings.check()
        root.mkdir(parents=True, exist_ok=True)
        write_json(file, settings._asdict())
        return settings
    settings = stored_settings(json.loads(file.read_text(encoding="utf-8")))
    for name, value in given.items():
        if getattr(settings, name) != value:
            raise ValueError(
                f"{root} was made with {name} = {getattr(settings, name)}, asked for is {value}; "
                "name another folder"
            )
    return settings


def commit() -> str:
    """The measured code's commit, marked if files differ from it; empty without git."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stdout.strip()


def write_results(root: Path, settings: Settings) -> str:
    """Write ``cases.csv`` and ``arena.md`` of all finished runs; returns the table."""
    found = []
    for method in METHODS.values():
        found += [read_run(run) for run in begun_runs(root, settings, method)]
    found = [frame for frame in found if frame is not None]
    if not found:
        return "no method has finished a fold\n"
    scans = pd.concat(found, ignore_index=True)
    with atomic_file(root / "cases.csv") as temporary:
        vendor = scans["case_id"].map(held_out_vendors(root))
        scans.assign(vendor=vendor, commit=commit()).to_csv(temporary, index=False)
    groups = held_out_groups(scans["case_id"].unique(), root, settings)
    tables = [
        f"{title}: {len(group)}.\n\n{markdown(rows(scans[scans['case_id'].isin(group)]))}"
        for title, group in groups.items()
    ]
    page = "\n".join([f"{settings.scanners}\n", *tables])
    write_text(root / "arena.md", page)
    return page


def finish_all(runs: Sequence[FoldRun], checkpoints: Sequence[str], *, jobs: int) -> None:
    """Finish every run, several at a time; the first error stops those that have not begun."""
    with ThreadPoolExecutor(jobs) as pool:
        pending = [pool.submit(finish, run, checkpoints) for run in runs]
        try:
            for future in tqdm(as_completed(pending), "arena", len(pending), unit="training"):
                future.result()
        finally:
            for future in pending:
                future.cancel()


def add_settings(options: argparse._ArgumentGroup) -> None:
    """An option for each of the arena's settings."""
    for name, default in Settings()._asdict().items():
        option = "--" + name.replace("_", "-")
        if isinstance(default, tuple):
            shown = " ".join(default) or "the same as in training"
            options.add_argument(option, nargs="+", metavar="V", help=f"({shown})")
            continue
        choices = sorted(PHYSICS) if name == "physics" else None
        options.add_argument(option, type=type(default), choices=choices, help=f"({default})")


def main() -> None:
    """Run what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, default=COMPETITION, metavar="M", help=METHODS_HELP
    )
    parser.add_argument("--folds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--device", default="cuda", help="default: %(default)s")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once (%(default)s)")
    parser.add_argument(
        "--checkpoints",
        nargs="+",
        choices=CHECKPOINTS,
        default=CHECKPOINTS,
        help="that predict the held-out scans (both)",
    )
    parser.add_argument("--table", action="store_true", help="train nothing, write the table")
    add_settings(parser.add_argument_group("settings, of a new arena"))
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    root = args.folder.resolve()
    settings = settings_of(root, {name: getattr(args, name) for name in Settings._fields})
    if not args.table:
        make_data(root, settings)
        runs = [
            FoldRun(root, settings, METHODS[name], fold, args.device)
            for fold in args.folds
            for name in args.methods
        ]
        finish_all(runs, args.checkpoints, jobs=args.jobs)
    sys.stdout.write(write_results(root, settings))


if __name__ == "__main__":
    main()
