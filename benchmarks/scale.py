"""Do conversion and DWI targets cost the same for each case, however many cases there are?

    OMP_NUM_THREADS=1 python -m benchmarks.scale [--quick] [--data FOLDER] [--json FILE]

The phantom scans are small (48 px, at most 2 slices), so that costs of the number of cases show
beside costs of the voxels. A line through the smallest number of cases and the last one before N
(10 and 40 for N = 100, 10 and 100 for N = 1,000) predicts the processor time of N cases. The ratio
is measured over predicted time: 1 for a linear cost. The line's constant is the start-up.

Conversion is the command ``strokesynth convert isles2018 --workers 1`` with all of its processes.
Targets are ``prepare_targets`` in this process, on copies of the few cases that nnU-Net
preprocessed, because preprocessing 1,000 cases would measure nnU-Net. Figures are medians over
turns; the largest N runs once.

The last row is wall time: a conversion by two processes next to half the time of one process. It
needs two idle cores and is not measured where the process may use one core only.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import resource
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import torch
from batchgenerators.utilities.file_and_folder_operations import load_json
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from benchmarks.loader import make_data
from benchmarks.machine import report, row
from nnunetv2_strokesynth.dataloading.targets import (
    TARGETS_RAW_FOLDER,
    prepare_targets,
    targets_folder,
)
from nnunetv2_strokesynth.nnunet_commands import (
    environment,
    run_command,
)

SIZES = (10, 40, 100, 1000)
QUICK_SIZES = (5, 10, 20)
WORKERS_SIZE = {False: 1000, True: 20}  # quick: mostly start-up
PIXELS = 48
SLICES = 2
TURNS = 3
TARGET = 1.1
WORKERS_TARGET = 1.3
TRAINING = "TRAINING"
FILE_ENDING = ".nii.gz"


class Seconds(NamedTuple):
    """Seconds of a command and all of its processes."""

    wall: float
    processor: float


def measure(device: torch.device, quick: bool, *, data: Path | None = None) -> list[dict]:
    """A row for each claim.

    Args:
        device: not used.
        quick: tens of scans instead of hundreds.
        data: folder for the scans, which may hold them already; None for a temporary one.
    """
    sizes = QUICK_SIZES if quick else SIZES
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        phantom, few = make_scans(data or work / "data", sizes[-1])
        turns = {
            n: 1 if n == sizes[-1] else TURNS for n in sizes
        }  # the prediction enlarges errors of small ones
        converted = {n: conversion(phantom, n, work, turns=turns[n]).processor for n in sizes}
        made = {n: targets(few, n, work, turns=turns[n]) for n in sizes}
        return [
            *linear_rows("convert", converted),
            *linear_rows("DWI targets of", made),
            workers_row(phantom, WORKERS_SIZE[quick], work),
        ]


def predicted(seconds: dict[int, float], count: int) -> float:
    """Value at ``count`` of the line through the smallest size and the largest one below ``count``.

    These two are chosen because the prediction's error falls with the distance between them.

    Raises:
        ValueError: fewer than two sizes are below ``count``.
    """
    below = sorted(size for size in seconds if size < count)
    if len(below) < 2:
        raise ValueError(f"{count} scans: {len(below)} smaller sizes measured, expected 2 or more")
    first, last = below[0], below[-1]
    per_case = (seconds[last] - seconds[first]) / (last - first)
    return seconds[first] + per_case * (count - first)


def linear_rows(what: str, seconds: dict[int, float]) -> list[dict]:
    """A row for each size that has two smaller ones."""
    return [
        row(
            f"{what} {count} scans over the line through fewer",
            seconds[count],
            predicted(seconds, count),
            target=f"<= {TARGET}",
            unit="s of processor",
        )
        for count in sorted(seconds)[2:]
    ]


def workers_row(phantom: Path, count: int, work: Path) -> dict:
    """Wall time of two workers next to half the time of one; they take turns."""
    claim = f"convert {count} scans, 2 workers over half of 1 worker"
    walls: dict[int, list[float]] = {1: [], 2: []}
    for workers, own in TURNS * list(walls.items()):
        if usable_cores() > 1:
            own.append(conversion(phantom, count, work, workers=workers).wall)
    one, two = (statistics.median(own) if own else math.nan for own in walls.values())
    return row(claim, two, one / 2, target=f"<= {WORKERS_TARGET}", unit="s")


def usable_cores() -> int:
    """Cores that this process may use; ``taskset`` and batch systems restrict them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def make_scans(folder: Path, count: int) -> tuple[Path, Path]:
    """The phantom scans, and a folder with a few cases that nnU-Net planned and preprocessed.

    A phantom that exists already, even with more scans, is used; missing scans are added.
    """
    phantom, few = folder / "phantom", folder / "few"
    if not all((phantom / TRAINING / f"case_{n}").is_dir() for n in range(1, count + 1)):
        options = f"--cases {count} --size {PIXELS} --max-slices {SLICES} --workers 2".split()
        command = ["strokesynth", "phantom", str(phantom), *options]
        run_command(command, environment(folder), log_file=folder / "phantom.txt", shown={})
    make_data(few, size=PIXELS)
    return phantom, few


def link_scans(phantom: Path, count: int, folder: Path) -> Path:
    """A folder with links to the phantom's first ``count`` scans, like a smaller phantom."""
    training = folder / TRAINING
    training.mkdir(parents=True)
    for number in range(1, count + 1):
        source = (phantom / TRAINING / f"case_{number}").resolve(strict=True)
        (training / source.name).symlink_to(source, target_is_directory=True)
    return folder


def conversion(
    phantom: Path, count: int, work: Path, *, turns: int = 1, workers: int = 1
) -> Seconds:
    """Median seconds of converting the first scans, each time into a new folder."""
    spent = []
    for _ in range(turns):
        with tempfile.TemporaryDirectory(dir=work) as temporary:
            folder = Path(temporary)
            scans = link_scans(phantom, count, folder / "scans")
            (folder / "nnUNet_raw").mkdir()
            options = f"--folds 2 --workers {workers}".split()
            command = ["strokesynth", "convert", "isles2018", str(scans), *options]
            spent.append(command_seconds(command, folder))
    return Seconds(*map(statistics.median, zip(*spent, strict=True)))


def command_seconds(command: list[str], folder: Path) -> Seconds:
    """Seconds of one command with nnU-Net's folders in ``folder``; its output goes to a file."""
    wall, processor = time.perf_counter(), _children_s()
    variables = environment(folder, OMP_NUM_THREADS="1")
    run_command(command, variables, log_file=folder / "log.txt", shown={})
    return Seconds(time.perf_counter() - wall, _children_s() - processor)


def _children_s() -> float:
    """Processor time of all finished children of this process and of their children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def targets(few: Path, count: int, work: Path, *, turns: int = 1) -> float:
    """Median processor time of making the DWI targets of ``count`` cases from the start."""
    (source,) = (few / "nnUNet_preprocessed").iterdir()
    plans = PlansManager(load_json(str(source / "nnUNetPlans.json")))
    configuration = plans.get_configuration("2d")
    with tempfile.TemporaryDirectory(dir=work) as temporary:
        raw, preprocessed = Path(temporary) / "raw", Path(temporary) / "2d"
        case_ids = copy_cases(few, configuration.data_identifier, count, raw, preprocessed)
        arguments = (raw, preprocessed, case_ids, plans, configuration, FILE_ENDING)
        spent = []
        with (work / "targets.txt").open("a") as log, contextlib.redirect_stderr(log):
            prepare_targets(raw, preprocessed, case_ids[:1], *arguments[3:])  # loads libraries
            for _ in range(turns):
                shutil.rmtree(targets_folder(preprocessed))
                start = time.process_time()
                prepare_targets(*arguments)
                spent.append(time.process_time() - start)
    return statistics.median(spent)


def copy_cases(few: Path, identifier: str, count: int, raw: Path, preprocessed: Path) -> list[str]:
    """Copy what ``prepare_targets`` reads of the few cases, ``count`` times under new names."""
    (source,) = (few / "nnUNet_preprocessed").iterdir()
    (dwi_folder,) = (few / "nnUNet_raw").glob(f"*/{TARGETS_RAW_FOLDER}")
    properties = sorted((source / identifier).glob("*.pkl"))
    raw.mkdir()
    preprocessed.mkdir()
    case_ids = [f"copy_{number:04d}" for number in range(count)]
    for number, case_id in enumerate(case_ids):
        original = properties[number % len(properties)]
        shutil.copyfile(original, preprocessed / f"{case_id}.pkl")
        dwi = dwi_folder / f"{original.stem}{FILE_ENDING}"
        shutil.copyfile(dwi, raw / f"{case_id}{FILE_ENDING}")
    return case_ids


def main() -> None:
    """Measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tens of scans, not hundreds")
    parser.add_argument("--data", type=Path, help="folder for the scans, kept (default: a new one)")
    parser.add_argument("--json", type=Path, help="file for the figures")
    args = parser.parse_args()
    device = torch.device("cpu")
    report(measure(device, args.quick, data=args.data), device, args.json)


if __name__ == "__main__":
    main()
