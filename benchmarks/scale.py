"""Does the cost grow with the number of cases, and with nothing more? Conversion and DWI targets.

    OMP_NUM_THREADS=1 python -m benchmarks.scale [--quick] [--data FOLDER] [--json FILE]

Small phantom scans (48 px, at most 2 slices), so that what grows with the number of cases shows
next to their voxels. A line through the smallest number of cases and the last one before N (10 and
40 for N = 100, 10 and 100 for N = 1,000) predicts the processor time of N cases; the ratio is
measured over predicted: 1 for a cost that is linear. The command's start-up is the line's constant.

Conversion is ``strokesynth convert isles2018 --workers 1`` as a user types it, with all of its
processes. Targets are ``prepare_targets`` in this process, on copies of the few cases that nnU-Net
preprocessed: 1,000 of them would measure nnU-Net. Medians of turns; the largest N runs once.

The last row is wall time: a conversion by two processes next to half of that by one. It needs two
idle cores and is not measured where the process may use one only.
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
    """What a command took, all of its processes together."""

    wall: float
    processor: float


def measure(device: torch.device, quick: bool, *, data: Path | None = None) -> list[dict]:
    """One row per claim.

    Args:
        device: not used.
        quick: tens of scans in place of hundreds.
        data: folder to make the scans in, or that holds them already; None: a temporary one.
    """
    sizes = QUICK_SIZES if quick else SIZES
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        phantom, few = make_scans(data or work / "data", sizes[-1])
        turns = {n: 1 if n == sizes[-1] else TURNS for n in sizes}  # a small one's error grows
        converted = {n: conversion(phantom, n, work, turns=turns[n]).processor for n in sizes}
        made = {n: targets(few, n, work, turns=turns[n]) for n in sizes}
        return [
            *linear_rows("convert", converted),
            *linear_rows("DWI targets of", made),
            workers_row(phantom, WORKERS_SIZE[quick], work),
        ]


def predicted(seconds: dict[int, float], count: int) -> float:
    """The line through the smallest size and the largest one below ``count``, at ``count``.

    The two lie as far apart as they can, because their errors grow with the distance.

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
    """A row for every size that has two smaller ones."""
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
    """Wall time with two workers over half of that with one; they take turns."""
    claim = f"convert {count} scans, 2 workers over half of 1 worker"
    walls: dict[int, list[float]] = {1: [], 2: []}
    for workers, own in TURNS * list(walls.items()):
        if usable_cores() > 1:
            own.append(conversion(phantom, count, work, workers=workers).wall)
    one, two = (statistics.median(own) if own else math.nan for own in walls.values())
    return row(claim, two, one / 2, target=f"<= {WORKERS_TARGET}", unit="s")


def usable_cores() -> int:
    """Cores that this process may run on, which ``taskset`` and batch systems restrict."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def make_scans(folder: Path, count: int) -> tuple[Path, Path]:
    """The phantom scans, and a folder with a few cases that nnU-Net planned and preprocessed.

    A phantom that is there already, of more scans even, is used; missing scans are added.
    """
    phantom, few = folder / "phantom", folder / "few"
    if not all((phantom / TRAINING / f"case_{n}").is_dir() for n in range(1, count + 1)):
        options = f"--cases {count} --size {PIXELS} --max-slices {SLICES} --workers 2".split()
        command = ["strokesynth", "phantom", str(phantom), *options]
        run_command(command, environment(folder), log_file=folder / "phantom.txt", shown={})
    make_data(few, size=PIXELS)
    return phantom, few


def link_scans(phantom: Path, count: int, folder: Path) -> Path:
    """A release of the phantom's first ``count`` scans, which are what a smaller phantom holds."""
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
    """Processor time of all processes that this one has waited for, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def targets(few: Path, count: int, work: Path, *, turns: int = 1) -> float:
    """Median processor time of making ``count`` cases' DWI targets, none of which is there."""
    (source,) = (few / "nnUNet_preprocessed").iterdir()
    plans = PlansManager(load_json(str(source / "nnUNetPlans.json")))
    configuration = plans.get_configuration("2d")
    with tempfile.TemporaryDirectory(dir=work) as temporary:
        raw, preprocessed = Path(temporary) / "raw", Path(temporary) / "2d"
        case_ids = copy_cases(few, configuration.data_identifier, count, raw, preprocessed)
        arguments = (raw, preprocessed, case_ids, plans, configuration, FILE_ENDING)
        spent = []
        with (work / "targets.txt").open("a") as log, contextlib.redirect_stderr(log):
            prepare_targets(raw, preprocessed, case_ids[:1], *arguments[3:])  # libraries start up
            for _ in range(turns):
                shutil.rmtree(targets_folder(preprocessed))
                start = time.process_time()
                prepare_targets(*arguments)
                spent.append(time.process_time() - start)
    return statistics.median(spent)


def copy_cases(few: Path, identifier: str, count: int, raw: Path, preprocessed: Path) -> list[str]:
    """The few cases again and again under new names; only what ``prepare_targets`` reads."""
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
