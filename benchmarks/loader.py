"""Batches per second of StrokeSynthTrainer's loader next to stock nnU-Net's on 12 channels.

    OMP_NUM_THREADS=1 python -m benchmarks.loader [--quick] [--data FOLDER] [--patch Y X]

Both loaders are what ``trainer.get_dataloaders`` returns, in this process
(``nnUNet_n_proc_DA=0``). That of StrokeSynthTrainer adds the DWI and the weight map (a distance
transform). That of StrokeSynthTrainer_Stock adds the smaller copies of the labels for deep
supervision. They take turns and begin each batch with the same seed, so they load the same slices
with the same augmentation. Figures are processor times, which other jobs hardly change.

The data are phantoms that the package's own commands convert, plan and preprocess in ``--data``,
where they stay for the next run, or in a temporary folder.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from batchgenerators.utilities.file_and_folder_operations import load_json
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from benchmarks.machine import report, row
from nnunetv2_strokesynth.nnunet_commands import (
    environment,
    run_command,
)
from nnunetv2_strokesynth.trainers.stock import StrokeSynthTrainer_Stock
from nnunetv2_strokesynth.trainers.strokesynth import StrokeSynthTrainer, StrokeSynthTrainer_NoDWI

DATASET_ID = "18"
TARGET = 0.9
BATCH_SIZE = 8  # for so few phantoms the planner chooses 2


class Seconds(NamedTuple):
    """Processor time of one batch of each loader."""

    ours: float
    stock: float
    without_dwi: float


def measure(
    device: torch.device,
    quick: bool,
    *,
    data: Path | None = None,
    patch: tuple[int, int] | None = None,
) -> list[dict]:
    """A row for each claim; loaders run on the CPU whatever the device.

    Args:
        device: not used.
        quick: 64 px and few batches instead of 256 px.
        data: folder for the data, which may hold them already; None for a temporary one.
        patch: patch size (Y, X) instead of the planned one.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = data or Path(temporary) / "data"
        make_data(folder, size=64 if quick else 256)
        with nnunet_folders(folder, Path(temporary)), contextlib.redirect_stdout(sys.stderr):
            loaders = {
                "ours": loader(StrokeSynthTrainer, patch),
                "stock": loader(StrokeSynthTrainer_Stock, patch),
                "without_dwi": loader(StrokeSynthTrainer_NoDWI, patch),
            }
            shape = next(loaders["stock"])["data"].shape
            total = total_seconds(loaders, n_batches=10 if quick else 40)
    size = "x".join(map(str, shape))
    rows = (
        ("loader", total.ours, f">= {TARGET}"),
        ("loader of StrokeSynthTrainer_NoDWI: weight map only", total.without_dwi, ""),
    )
    return [
        row(
            f"{name}, {size}",
            1 / seconds,
            1 / total.stock,
            target=target,
            unit="batches per CPU second",
        )
        for name, seconds, target in rows
    ]


def total_seconds(loaders: dict[str, Iterator[dict]], n_batches: int) -> Seconds:
    """Mean processor time of a batch; the loaders take turns, and each batch has its own seed."""
    total = dict.fromkeys(loaders, 0.0)
    for seed in range(n_batches):
        for name, batches in loaders.items():
            np.random.seed(seed)  # noqa: NPY002  (nnU-Net draws from the global generator)
            torch.manual_seed(seed)
            start = time.process_time()
            next(batches)
            total[name] += time.process_time() - start
    return Seconds(**{name: seconds / n_batches for name, seconds in total.items()})


def loader(
    cls: type[nnUNetTrainer],
    patch: tuple[int, int] | None = None,
    *,
    batch_size: int = BATCH_SIZE,
) -> Iterator[dict]:
    """The batches with ``data`` and ``target`` that nnU-Net trains on."""
    preprocessed = next(Path(os.environ["nnUNet_preprocessed"]).glob(f"Dataset0{DATASET_ID}_*"))
    plans = load_json(str(preprocessed / "nnUNetPlans.json"))
    plans["continue_training"] = False  # nnUNetv2_train sets it
    plans["configurations"]["2d"]["batch_size"] = batch_size
    if patch is not None:
        plans["configurations"]["2d"]["patch_size"] = list(patch)
    dataset = load_json(str(preprocessed / "dataset.json"))
    trainer = cls(plans, "2d", 0, dataset, torch.device("cpu"))
    trainer.initialize()
    return trainer.get_dataloaders()[0]


def make_data(
    folder: Path,
    size: int,
    *,
    cases: int = 5,
    max_slices: int = 4,
    folds: int = 2,
    workers: int = 1,
) -> None:
    """Make phantom, conversion, plans and preprocessed data below ``folder``, if missing.

    Args:
        folder: gets nnU-Net's three folders, ``phantom`` and ``logs``.
        size: of the slices, in pixels.
        cases: number of phantom scans.
        max_slices: of a scan.
        folds: of the split.
        workers: processes for phantom, conversion and preprocessing.
    """
    finished = folder / "finished.txt"
    if finished.is_file():
        return
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    phantom = str(folder / "phantom")
    make = f"--cases {cases} --size {size} --max-slices {max_slices}".split()
    make += f"--workers {workers} --overwrite".split()
    convert = f"-d {DATASET_ID} --folds {folds} --workers {workers} --overwrite".split()
    plan = f"-c 2d -np {workers} -npfp {workers} -d {DATASET_ID}".split()
    for name, command in (
        ("phantom", ["strokesynth", "phantom", phantom, *make]),
        ("convert", ["strokesynth", "convert", "isles2018", phantom, *convert]),
        ("plan", ["nnUNetv2_plan_and_preprocess", *plan]),
    ):
        variables = environment(folder, nnUNet_n_proc_DA="1", OMP_NUM_THREADS="1")
        run_command(command, variables, log_file=folder / "logs" / f"{name}.txt", shown={})
    finished.touch()


@contextlib.contextmanager
def nnunet_folders(folder: Path, results: Path, *, workers: int = 0) -> Iterator[None]:
    """Within the context, nnU-Net uses these folders and so many processes for augmentation."""
    changed = environment(folder, nnUNet_results=str(results), nnUNet_n_proc_DA=str(workers))
    before = dict(os.environ)
    os.environ.update(changed)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def main() -> None:
    """Measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="64 px and few batches")
    parser.add_argument("--data", type=Path, help="folder for the data, kept (default: a new one)")
    parser.add_argument(
        "--patch", type=int, nargs=2, metavar=("Y", "X"), help="instead of the planned patch"
    )
    parser.add_argument("--json", type=Path, help="file for the figures")
    args = parser.parse_args()
    torch.set_num_threads(1)  # as nnU-Net's loader processes
    device = torch.device("cpu")
    patch = None if args.patch is None else tuple(args.patch)
    report(measure(device, args.quick, data=args.data, patch=patch), device, args.json)


if __name__ == "__main__":
    main()
