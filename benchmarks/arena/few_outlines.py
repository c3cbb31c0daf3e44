"""Few outlines and many pairs: what a CTP scan with a DWI is worth when nobody has outlined it.

    python -m benchmarks.arena.few_outlines FOLDER --outlined 20 --pairs 74 --folds 0 --device cpu
    python -m benchmarks.arena.few_outlines FOLDER --table

FOLDER is an arena (``benchmarks.arena.run``); a new one is made. Of its training scans,
``--outlined`` keep their outline and ``--pairs`` keep CTP and DWI alone, whole patients in an order
that a fixed seed gives. The outlined scans have five folds, so that 20 outlines are about 16 that
train and 4 that validate, for every arm alike. A method learns from

- ``outlines_only``: the outlined scans of the fold;
- ``machine``: these, and the pairs as readers of the DWI have outlined them, which learned from the
  outlined scans of the fold (the modules of ``strokesynth outline``);
- ``all_outlined``: these, and the pairs with their true outlines.

All arms have the same plans and the same number of batches. FOLDER/few gets ``cases.csv``,
``readers.csv`` (the machine outlines against the hidden ones) and ``few_outlines.md``. What is
finished is not repeated.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from benchmarks.arena.data import held_out_groups, held_out_vendors, make_data
from benchmarks.arena.few_data import (
    Few,
    few_of,
    make_all_outlined,
    make_outlines_only,
    make_source,
)
from benchmarks.arena.few_readers import READERS_TABLE, ReaderSettings, make_machine
from benchmarks.arena.few_table import outlines_page, results_page
from benchmarks.arena.fold_run import FoldRun, begun_runs, read_run
from benchmarks.arena.methods import METHODS
from benchmarks.arena.run import METHODS_HELP, add_settings, commit, finish_all, settings_of
from benchmarks.arena.settings import Settings
from nnunetv2_strokesynth.commands.outline import DEFAULT_AGREEMENT
from nnunetv2_strokesynth.io.atomic import atomic_file, write_text

OUTLINES_ONLY, MACHINE, ALL_OUTLINED = ARMS = ("outlines_only", "machine", "all_outlined")
COMPETITION = ("stock", "strokesynth", "no_dwi")


def run_arms(few: Few, settings: Settings, args: argparse.Namespace) -> None:
    """Make the arms' data, train and measure what is missing."""
    readers = ReaderSettings(
        args.readers, args.min_agreement, args.reader_epochs or settings.epochs, args.device
    )
    make_outlines_only(few)
    if ALL_OUTLINED in args.arms:
        make_all_outlined(few)
    if MACHINE in args.arms:
        make_source(few)
        with ThreadPoolExecutor(args.jobs) as pool:
            made = [pool.submit(make_machine, few, f, settings, readers) for f in args.folds]
            for future in made:
                future.result()
    runs = []
    for fold in args.folds:
        roots = {
            OUTLINES_ONLY: few.outlines_only,
            MACHINE: few.machine(fold, args.min_agreement),
            ALL_OUTLINED: few.all_outlined,
        }
        runs += [
            FoldRun(roots[arm], settings, METHODS[name], fold, args.device)
            for arm in args.arms
            for name in args.methods
        ]
    finish_all(runs, ("final",), jobs=args.jobs)


def all_results(arena: Path, settings: Settings) -> pd.DataFrame:
    """A row for each held-out scan and finished run of all arms, with what it learned from."""
    frames = []
    for outlined in sorted((arena / "few").glob("outlined_*")):
        n_outlined = int(outlined.name.removeprefix("outlined_"))
        roots = [*outlined.glob("outlines_only"), *outlined.glob("pairs_*/*")]
        for root in sorted(roots):
            pairs = root.parent.name.removeprefix("pairs_")
            arm = {
                "outlined": n_outlined,
                "pairs": int(pairs) if pairs.isdigit() else 0,
                "learned_from": root.name.split("_fold_")[0],
            }
            for method in METHODS.values():
                found = [read_run(run) for run in begun_runs(root, settings, method)]
                frames += [frame.assign(**arm) for frame in found if frame is not None]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def all_outlines(arena: Path) -> pd.DataFrame:
    """A row for each machine outline of all arms."""
    frames = []
    for path in sorted((arena / "few").glob(f"outlined_*/pairs_*/*/{READERS_TABLE}")):
        root = path.parent
        arm = {
            "outlined": int(root.parents[1].name.removeprefix("outlined_")),
            "pairs": int(root.parent.name.removeprefix("pairs_")),
            "learned_from": root.name.split("_fold_")[0],
        }
        frames.append(pd.read_csv(path).assign(**arm))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def write_results(arena: Path, settings: Settings) -> str:
    """Write ``cases.csv``, ``readers.csv`` and ``few_outlines.md``; returns the page."""
    scans, outlines = all_results(arena, settings), all_outlines(arena)
    folder = arena / "few"
    parts = [f"{settings.scanners}\n"]
    if len(scans):
        vendor = scans["case_id"].map(held_out_vendors(arena))
        with atomic_file(folder / "cases.csv") as temporary:
            scans.assign(vendor=vendor, commit=commit()).to_csv(temporary, index=False)
        for title, group in held_out_groups(scans["case_id"].unique(), arena, settings).items():
            table = results_page(scans[scans["case_id"].isin(group)])
            parts.append(f"{title}: {len(group)}.\n\n{table}")
    if len(outlines):
        with atomic_file(folder / READERS_TABLE) as temporary:
            outlines.to_csv(temporary, index=False)
        parts.append(f"Machine outlines against the hidden ones.\n\n{outlines_page(outlines)}")
    page = "\n".join(parts)
    write_text(folder / "few_outlines.md", page)
    return page


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("folder", type=Path)
    add("--outlined", type=int, nargs="+", default=[20], help="scans with an outline (20)")
    add("--pairs", type=int, nargs="+", help="scans with a DWI and no outline (all others)")
    add("--arms", nargs="+", choices=ARMS, default=ARMS, help="what is learned from (all)")
    add(
        "--methods", nargs="+", choices=METHODS, default=COMPETITION, metavar="M", help=METHODS_HELP
    )
    add("--folds", nargs="+", type=int, default=[0], help="of the outlined scans (0)")
    add("--readers", type=int, default=2, help="readers for each fold (%(default)s)")
    add("--reader-epochs", type=int, help="epochs of a reader's training (the arena's)")
    add("--min-agreement", type=float, default=DEFAULT_AGREEMENT, help="(%(default)s)")
    add("--device", default="cuda", help="default: %(default)s")
    add("--jobs", type=int, default=1, help="trainings at once (%(default)s)")
    add("--table", action="store_true", help="train nothing, write the tables")
    add_settings(parser.add_argument_group("settings, of a new arena"))
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, print the tables."""
    args = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arena = args.folder.resolve()
    settings = settings_of(arena, {name: getattr(args, name) for name in Settings._fields})
    if not args.table:
        make_data(arena, settings)
        for n_outlined in args.outlined:
            for n_pairs in args.pairs or [None]:
                few = few_of(arena, n_outlined, n_pairs)
                logging.info("%s", json.dumps(few.chosen._asdict()))
                run_arms(few, settings, args)
    sys.stdout.write(write_results(arena, settings))


if __name__ == "__main__":
    main()
