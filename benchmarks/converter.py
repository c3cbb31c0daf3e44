"""What converting a scan costs next to reading its files and writing the same bytes by SimpleITK.

    OMP_NUM_THREADS=1 python -m benchmarks.converter [--quick] [--gzip] [--json FILE]

The scans are phantoms of ISLES 2018's size. Times are processor times of one process, medians over
several turns. Memory is the peak of a large scan's conversion above what its process held before,
over the size of the series as float32; a tiny scan is converted first, so that imports do not
count. ``--gzip`` instead compares other levels of compression with SimpleITK's, in size and time.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import math
import multiprocessing
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import SimpleITK as sitk
import torch

from benchmarks.machine import report, row
from nnunetv2_strokesynth.channels import CTP
from nnunetv2_strokesynth.dataset_conversion import Dataset018_ISLES2018 as isles2018
from nnunetv2_strokesynth.dataset_conversion.job import (
    CaseJob,
    convert_case,
)
from nnunetv2_strokesynth.dataset_conversion.scans import Scan
from nnunetv2_strokesynth.dataset_conversion.settings import Settings
from nnunetv2_strokesynth.io.nifti import read_header
from nnunetv2_strokesynth.phantom.dataset import write_phantom
from nnunetv2_strokesynth.phantom.plan import PhantomSettings

TURNS = 5
SEED = 4
SETTINGS = Settings("wang2020", brain_mask=True, folds=5, seed=SEED)
SCANS = 5  # of this seed: the first has 2 slices, the last 16
TINY_SIZE = 48
GZIP_LEVELS = (1, 3, 6, 9)
SAMPLE_S = 0.001
PROCESS = Path("/proc/self")  # Linux


def measure(device: torch.device, *, quick: bool) -> list[dict]:
    """Rows for the table of ``run.py``; the device does not matter."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        scans = _full_scans(root, quick)
        rows = [_time(scan, root) for scan in scans]
        rows.append(_memory(scans[-1], root))
    return rows


def _full_scans(root: Path, quick: bool) -> list[Scan]:
    """Scans of ISLES 2018's size: one of few slices and, unless quick, one of many."""
    scans = _phantom(root / "full", 1 if quick else SCANS, 256)
    return [scans[0], *scans[1:][-1:]]


def _phantom(root: Path, count: int, size: int) -> list[Scan]:
    write_phantom(root, count, 0, PhantomSettings(size=size, seed=SEED), workers=2)
    return isles2018.find_scans(root)[0]


def _convert(scan: Scan, folder: Path) -> None:
    convert_case(CaseJob(scan, folder, SETTINGS, isles2018.ISLES2018.convert))


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
    return row(f"convert a scan, {shape}", *seconds, target=1.5, unit="s of processor")


def _turns(*calls: Callable[[], None]) -> list[float]:
    """Median processor time of each call; they take turns."""
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(TURNS):
        for call, own in zip(calls, seconds, strict=True):
            start = time.process_time()
            call()
            own.append(time.process_time() - start)
    return [statistics.median(own) for own in seconds]


def _memory(scan: Scan, root: Path) -> dict:
    shape = read_header(scan.files[CTP]).disk_shape
    size = "x".join(str(side) for side in shape)
    series_mb = 4 * math.prod(shape) / 1e6
    (tiny,) = _phantom(root / "tiny", 1, TINY_SIZE)
    context = multiprocessing.get_context("spawn")  # so that nothing of this process counts
    jobs = ((tiny, root / "memory"), (scan, root / "memory"))
    with ProcessPoolExecutor(1, context) as pool:
        used = pool.submit(peak_mb, _convert, *jobs).result()
    return row(
        f"memory of converting {size}", used, series_mb, target=2.5, unit="MB over its series"
    )


def peak_mb(job: Callable[..., None], first: tuple, measured: tuple) -> float:
    """Most memory that a job takes on top of what its process held before, MB.

    Pages of mapped files count, those of other processes do not. NaN where there is no ``/proc``.

    Args:
        job: runs twice in this process.
        first: arguments of the first run, which loads libraries and is not measured.
        measured: arguments of the second run.
    """
    job(*first)
    gc.collect()
    if not (PROCESS / "statm").exists():
        return math.nan
    if not _reset_peak():
        return _sampled_peak_mb(job, measured)
    before = _held_mb()
    job(*measured)
    return _highest_mb() - before


def _reset_peak() -> bool:
    """Set the peak to what is held now; False where that is not allowed or has no effect."""
    try:
        (PROCESS / "clear_refs").write_text("5")  # man 5 proc
    except OSError:
        return False
    return _highest_mb() < 1.05 * _held_mb()


def _highest_mb() -> float:
    """Most resident memory of this process since the start or the reset; infinite if unknown."""
    lines = (PROCESS / "status").read_text().splitlines()
    found = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return found[0] * 1024 / 1e6 if found else math.inf


def _sampled_peak_mb(job: Callable[..., None], measured: tuple) -> float:
    """``peak_mb`` by a look each millisecond; shorter peaks are missed."""
    before, done = _held_mb(), threading.Event()
    samples = [before]

    def sample() -> None:
        while not done.wait(SAMPLE_S):
            samples.append(_held_mb())

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        job(*measured)
    finally:
        done.set()
        sampler.join()
    return max(samples) - before


def _held_mb() -> float:
    """Resident memory of this process now."""
    pages = int((PROCESS / "statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def measure_gzip(quick: bool) -> list[dict]:
    """Rows for other levels of compression than SimpleITK's, whose level cannot be chosen.

    The images of one scan are compressed in memory by Python's zlib. SimpleITK's time is that of
    writing them compressed less that of writing them uncompressed.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        scan = _full_scans(root, quick)[-1]
        _convert(scan, root / "ours")
        paths = sorted(root.glob(f"ours/imagesTr/{scan.case_id}*.nii.gz"))
        voxels = [gzip.decompress(path.read_bytes()) for path in paths]
        images = [sitk.ReadImage(str(path)) for path in paths]
        size_mb = sum(path.stat().st_size for path in paths) / 1e6

        def write(suffix: str) -> None:
            for index, image in enumerate(images):
                sitk.WriteImage(image, str(root / f"{index}{suffix}"))

        def compress(level: int) -> float:
            return sum(len(gzip.compress(content, level, mtime=0)) for content in voxels) / 1e6

        calls = [partial(compress, level) for level in GZIP_LEVELS]
        plain, packed, *seconds = _turns(partial(write, ".nii"), partial(write, ".nii.gz"), *calls)
        sizes = [call() for call in calls]
    rows = []
    for level, level_mb, level_s in zip(GZIP_LEVELS, sizes, seconds, strict=True):
        rows += [
            row(f"gzip level {level}: {what} over SimpleITK's", *figures, target="", unit=unit)
            for what, figures, unit in (
                ("size", (level_mb, size_mb), "MB"),
                ("time", (level_s, packed - plain), "s of processor"),
            )
        ]
    return rows


def main() -> None:
    """Measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and smaller scans")
    parser.add_argument("--gzip", action="store_true", help="other levels of compression instead")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    args = parser.parse_args()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    device = torch.device("cpu")
    rows = measure_gzip(args.quick) if args.gzip else measure(device, quick=args.quick)
    report(rows, device, args.json)


if __name__ == "__main__":
    main()
