"""What converting a scan costs next to reading its files and writing the same bytes by SimpleITK.

    OMP_NUM_THREADS=1 python benchmarks/converter.py [--quick] [--json FILE]

Phantom scans of ISLES 2018's size. Time is processor time of one process, medians of turns. Memory
is the peak above the start of a process that converts, over the size of the series as float32.
Scale is the processor time of a scan among many over that of a scan among few.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import SimpleITK as sitk
import torch
from machine import report

from nnunetv2_strokesynth.dataset_conversion import Dataset018_ISLES2018 as isles2018
from nnunetv2_strokesynth.dataset_conversion.job import CaseJob, convert_case
from nnunetv2_strokesynth.dataset_conversion.nifti import read_header
from nnunetv2_strokesynth.dataset_conversion.scans import CTP, Scan
from nnunetv2_strokesynth.phantom.dataset import write_phantom
from nnunetv2_strokesynth.phantom.plan import PhantomSettings

TURNS = 5
SEED = 4
SCALE_SIZE = 48


def measure(device: torch.device, *, quick: bool) -> list[dict]:
    """Rows for the table of ``run.py``; the device makes no difference."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        scans = _phantom(root / "full", 2 if quick else 8, 256)
        largest = max(scans, key=lambda scan: read_header(scan.files[CTP]).disk_shape[2])
        rows = [_time(scan, root) for scan in {scans[0].case_id: scans[0], "": largest}.values()]
        rows.append(_memory(largest, root))
        rows.append(_scale(root, 10, 20 if quick else 100))
    return rows


def _phantom(root: Path, count: int, size: int) -> list[Scan]:
    write_phantom(root, count, 0, PhantomSettings(size=size, seed=SEED), workers=2)
    return isles2018.find_scans(root)[0]


def _convert(scan: Scan, folder: Path) -> None:
    convert_case(CaseJob(scan, folder, "wang2020", True, isles2018.convert))


def _time(scan: Scan, root: Path) -> dict:
    ours, plain = root / "ours", root / "plain"
    _convert(scan, ours)
    plain.mkdir(exist_ok=True)
    images = {
        str(plain / f"{index}.nii.gz"): sitk.ReadImage(str(path))
        for index, path in enumerate(sorted(ours.glob("*/" + scan.case_id + "*.nii.gz")))
    }

    def read_and_write() -> None:
        for path in scan.files.values():
            sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        for name, image in images.items():
            sitk.WriteImage(image, name)

    seconds = _turns(lambda: _convert(scan, ours), read_and_write)
    shape = "x".join(str(side) for side in read_header(scan.files[CTP]).disk_shape)
    return _row(f"convert a scan, {shape}", *seconds, target=1.5, unit="s of processor")


def _turns(*calls: Callable[[], None]) -> list[float]:
    """Median processor time of each call; they take turns."""
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(TURNS):
        for call, own in zip(calls, seconds, strict=True):
            start = time.process_time()
            call()
            own.append(time.process_time() - start)
    return [statistics.median(own) for own in seconds]


def _peak_mb(job: Callable[..., None] | None, *args: object) -> float:
    """Peak memory of a fresh process that runs a job, MB."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_report_peak, args=(sender, job, args))
    process.start()
    peak = receiver.recv()
    process.join()
    return peak


def _report_peak(sender, job: Callable[..., None] | None, args: tuple) -> None:
    if job is not None:
        job(*args)
    sender.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _memory(scan: Scan, root: Path) -> dict:
    shape = read_header(scan.files[CTP]).disk_shape
    series_mb = 4 * float(torch.tensor(shape).prod()) / 1e6
    used = _peak_mb(_convert, scan, root / "memory") - _peak_mb(None)
    return _row("memory of converting it", used, series_mb, target=2.5, unit="MB over its series")


def _scale(root: Path, few: int, many: int) -> dict:
    """Seconds of a scan among many and among few; the same scans begin both."""
    scans = _phantom(root / "small", many, SCALE_SIZE)
    seconds = {}
    for count in (few, many):
        start = time.process_time()
        for scan in scans[:count]:
            _convert(scan, root / f"scale_{count}")
        seconds[count] = (time.process_time() - start) / count
    what = f"a scan among {many} over one among {few}"
    return _row(what, seconds[many], seconds[few], target=1.5, unit="s of processor")


def _row(claim: str, ours: float, yardstick: float, *, target: float, unit: str) -> dict:
    return {
        "claim": claim,
        "ours": ours,
        "yardstick": yardstick,
        "ratio": ours / yardstick,
        "target": target,
        "unit": unit,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and smaller scans")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    args = parser.parse_args()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    device = torch.device("cpu")
    report(measure(device, quick=args.quick), device, args.json)


if __name__ == "__main__":
    main()
