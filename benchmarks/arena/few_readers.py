"""Readers of an arena with few outlines: they are trained, and the pairs get their outlines.

The modules are those of ``strokesynth outline``; only the readers' width, batch size and number of
batches are the arena's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.arena.data import DATASET_ID, NAME, WORKERS, narrowed
from benchmarks.arena.few_data import FOLDERS, SOURCE_ID, Few, copy_plans, make_root
from benchmarks.arena.fold_run import ONE_THREAD
from benchmarks.arena.settings import OURS, STOCK_PLANS, Settings
from nnunetv2_strokesynth.evaluation.metrics import dice
from nnunetv2_strokesynth.evaluation.volumes import read_mask
from nnunetv2_strokesynth.io.atomic import atomic_file, write_json
from nnunetv2_strokesynth.io.output_folder import result_folder
from nnunetv2_strokesynth.nnunet_commands import environment, run_command
from nnunetv2_strokesynth.outlining.new_data import OUTLINES_TABLE, is_ours, write_new_data
from nnunetv2_strokesynth.outlining.outlines import ScanOutlines, outline_scan
from nnunetv2_strokesynth.outlining.reader_data import RECORD, Scans, scans_of, write_reader_data
from nnunetv2_strokesynth.outlining.reader_quality import ReaderQuality
from nnunetv2_strokesynth.outlining.readers import Readers, plan_readers
from nnunetv2_strokesynth.outlining.steps import ReaderRun, open_steps
from nnunetv2_strokesynth.reproduction.data_set import DataSet, Roots, find_data_set
from nnunetv2_strokesynth.trainers.environment import EPOCHS, ITERATIONS, VAL_ITERATIONS

READERS_ID = 20  # and the fold
READERS_TABLE = "readers.csv"
TRAINER = f"{OURS}_Stock"  # nnU-Net's own, as long as the environment says


class ReaderSettings(NamedTuple):
    """How the pairs are outlined.

    Attributes:
        per_fold: readers that outline for a fold.
        min_agreement: see ``strokesynth outline``.
        epochs: of a reader's training.
        device: ``cpu`` or ``cuda``.
    """

    per_fold: int
    min_agreement: float
    epochs: int
    device: str


class ReaderWork(NamedTuple):
    """The readers of one fold."""

    few: Few
    fold: int
    data: DataSet
    scans: Scans
    readers: Readers
    run: ReaderRun


def make_machine(few: Few, fold: int, settings: Settings, wanted: ReaderSettings) -> None:
    """Make the root of methods that learn from a fold's machine outlines; what exists is kept."""
    root = few.machine(fold, wanted.min_agreement)
    done = root / "logs" / "data.done"
    if done.is_file():
        return
    work = _prepare(few, fold, wanted)
    _train_and_predict(work, settings, wanted)
    make_root(few.arena, root)
    folder = root / "nnUNet_raw" / NAME
    truth: list[dict[str, object]] = []
    with result_folder(folder, overwrite=True, is_ours=is_ours, record=OUTLINES_TABLE) as temporary:
        found = _outlines(work, wanted.min_agreement, truth)
        write_new_data(
            work.data,
            temporary,
            found,
            name=NAME.split("_", 1)[1],
            corrections={},
            quality=ReaderQuality.of([], wanted.min_agreement),  # ``readers.csv`` has the truth
            look=lambda *_: None,
        )
    with atomic_file(root / READERS_TABLE) as temporary:
        pd.DataFrame(truth).to_csv(temporary, index=False)
    _preprocess(few.arena, root)
    done.touch()


def _prepare(few: Few, fold: int, wanted: ReaderSettings) -> ReaderWork:
    work = _work(few, fold, wanted.per_fold, wanted.device)
    recipe = {"trainer": TRAINER, "configuration": "2d", "epochs": str(wanted.epochs)}
    write_reader_data(work.data, work.run.raw, work.scans, work.readers.all, recipe)
    return work


def _work(few: Few, fold: int, per_fold: int, device: str) -> ReaderWork:
    roots = Roots(*((few.readers / name).resolve() for name in FOLDERS))
    data = find_data_set(SOURCE_ID, roots)
    scans = scans_of(data)
    readers = plan_readers(
        data.splits, scans.outlined, data.patients, folds=[fold], per_fold=per_fold
    )
    number = READERS_ID + fold
    name = f"Dataset{number:03d}_ISLES2018_readers"
    run = ReaderRun(number, name, roots, TRAINER, "2d", device)
    return ReaderWork(few, fold, data, scans, readers, run)


def trained_readers(few: Few, fold: int, device: str) -> ReaderWork:
    """The readers that outline for a fold, as they were trained.

    Raises:
        FileNotFoundError: there are none.
    """
    number = READERS_ID + fold
    found = sorted((few.readers / "nnUNet_raw").glob(f"Dataset{number:03d}_*/{RECORD}"))
    if not found:
        raise FileNotFoundError(
            f"{few.readers} holds no readers of fold {fold}; train them with "
            "benchmarks.arena.few_outlines"
        )
    record = json.loads(found[0].read_text(encoding="utf-8"))
    return _work(few, fold, len(record["readers"]), device)


def one_core(
    command: list[str], variables: dict[str, str], device: str
) -> tuple[list[str], dict[str, str]]:
    """A command and its environment; on the CPU it takes one core, as ``FoldRun``'s do."""
    if device != "cpu":
        return command, variables
    own = variables | {"OMP_NUM_THREADS": "1", "nnUNet_n_proc_DA": "0"}
    return ["python", str(ONE_THREAD), *command], own


def _train_and_predict(work: ReaderWork, settings: Settings, wanted: ReaderSettings) -> None:
    variables = environment(work.few.readers) | {
        EPOCHS: str(wanted.epochs),
        ITERATIONS: str(settings.iterations),
        VAL_ITERATIONS: str(max(1, settings.iterations // 10)),
    }
    for step in open_steps(work.run, work.scans, work.readers.all):
        words, own = step.command, variables
        if step.name != "plan":
            _narrow(work.run.preprocessed / f"{STOCK_PLANS}.json", settings)
            words, own = one_core(words, variables, wanted.device)
        log_file = work.run.raw / "logs" / f"{step.name}.txt"
        run_command(words, own, log_file=log_file, shown={})


def _narrow(path: Path, settings: Settings) -> None:
    """Give the readers' plans, which keep their name, the arena's width and batch size, once."""
    plans = json.loads(path.read_text(encoding="utf-8"))
    if "narrowed" not in plans:
        write_json(path, narrowed(plans, STOCK_PLANS, settings) | {"narrowed": True})


def _outlines(
    work: ReaderWork, min_agreement: float, truth: list[dict[str, object]]
) -> Iterator[tuple[str, ScanOutlines]]:
    """The pairs with their outlines, each of which is compared with the hidden one."""
    vendors = _training_vendors(work.few.arena)
    ending = work.data.file_ending
    for scan in work.few.chosen.pairs:
        made = outline_scan(work.data, work.run, work.readers, scan, min_agreement)
        hidden = read_mask(work.few.base / "labelsTr" / f"{scan}{ending}").array
        for proposal, consensus in made.proposals:
            row: dict[str, object] = {
                "scan": scan,
                "fold": work.fold,
                "vendor": vendors.get(scan, ""),
                "readers": len(proposal.readers),
                "agreement": round(proposal.agreement, 4),
                "dice": round(dice(hidden, consensus.outline), 4),
                "brier": round(float(np.mean((consensus.probability - hidden) ** 2)), 6),
                "volume_ml": round(proposal.volume_ml, 3),
                "verdict": proposal.verdict,
            }
            truth.append(row)
        yield scan, made


def _training_vendors(arena: Path) -> dict[str, str]:
    content = json.loads((arena / "phantom" / "phantom.json").read_text(encoding="utf-8"))
    return {
        f"case_{int(scan['case'].removeprefix('case_')):03d}": scan.get("vendor", "")
        for scan in content["cases"]["TRAINING"]
    }


def _preprocess(arena: Path, root: Path) -> None:
    """Preprocess the data set with the arena's own plans."""
    folder = root / "nnUNet_preprocessed" / NAME
    folder.mkdir(parents=True, exist_ok=True)
    copy_plans(arena, root)
    raw = root / "nnUNet_raw" / NAME
    for name in ("dataset.json", "splits_final.json"):
        write_json(folder / name, json.loads((raw / name).read_text(encoding="utf-8")))
    command = ["nnUNetv2_preprocess", "-d", str(DATASET_ID), "-plans_name", STOCK_PLANS]
    command += ["-c", "2d", "-np", str(min(WORKERS, os.cpu_count() or 1))]
    log_file = root / "logs" / "preprocess.txt"
    run_command(command, environment(root), log_file=log_file, shown={})
