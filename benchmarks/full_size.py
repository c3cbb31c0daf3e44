"""Time and memory of converting a patient of ISLES 2024 at the release's own size.

    OMP_NUM_THREADS=1 python -m benchmarks.full_size [--quick] [--data FOLDER] [--json FILE]

The patient is a phantom of 128 x 128 pixels whose voxels are repeated until the scan has 512 x 512
x 80 voxels and 50 frames; noise of its own is added to each pixel, so that the files compress as
badly as real ones. Series, CT and CTA are int16, maps and DWI float32, all ``.nii.gz``. Each way of
converting runs in a process of its own. Its memory is the most that the process ever held, with
Python and all libraries; its time is processor time, next to what 149 patients may take on two
cores (one hour).
"""

from __future__ import annotations

import argparse
import gzip
import math
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np

from nnunetv2_strokesynth.channels import PERFUSION_MAPS
from nnunetv2_strokesynth.dataset_conversion import Dataset024_ISLES2024 as isles2024
from nnunetv2_strokesynth.dataset_conversion.job import CaseJob, convert_case
from nnunetv2_strokesynth.dataset_conversion.scans import Scan, without_maps
from nnunetv2_strokesynth.dataset_conversion.settings import Settings
from nnunetv2_strokesynth.phantom.dataset import simulate_scan
from nnunetv2_strokesynth.phantom.isles2024_layout import (
    ISLES2024,
    FollowedCase,
    admission_volumes,
    follow_up_volumes,
)
from nnunetv2_strokesynth.phantom.plan import PhantomSettings, plan_isles2024_scans
from nnunetv2_strokesynth.phantom.timetable import even_timetable
from nnunetv2_strokesynth.phantom.vendors import VENDORS

PATIENTS, CORES, HOUR_S = 149, 2, 3600.0
MOST_MB = 2000.0
PIXEL_MM, SLICE_MM = 0.45, 2.0
NOISE_HU = 8.0
SEED = 4
_SUBJECT = "sub-stroke0001"
_FOLLOW_UP = ("dwi", "lesion-msk")


class Size(NamedTuple):
    """Pixels of the phantom, how often each is repeated along x and y, slices and frames."""

    pixels: int
    repeats: int
    slices: int
    frames: int


FULL = Size(128, 4, 80, 50)
QUICK = Size(64, 2, 12, 45)


class Way(NamedTuple):
    """One way of converting: its name, pixels that become one, whether maps are computed."""

    name: str
    downsample: int
    compute_maps: bool


WAYS = (
    Way("maps given", 1, False),
    Way("maps given, --downsample 2", 2, False),
    Way("--compute-maps", 1, True),
    Way("--compute-maps --downsample 2", 2, True),
)


def measure(device: object, quick: bool, *, data: Path | None = None) -> list[dict]:
    """Two rows for each way: memory over 2 GB, and time next to an hour for 149 on two cores.

    Args:
        device: not used.
        quick: a small patient.
        data: folder for the patient, which may hold it already; None for a temporary one.
    """
    from benchmarks.machine import row  # PyTorch, which no converting process loads

    size = QUICK if quick else FULL
    with tempfile.TemporaryDirectory() as temporary:
        root = (data or Path(temporary)) / "x".join(map(str, size))
        if not (root / "raw_data").is_dir():
            write_patient(root, size)
        (scan,), _ = isles2024.find_scans(root)
        rows = []
        for way in WAYS:
            used_mb, seconds = _in_own_process(scan, Path(temporary) / "out", way)
            rows += [
                row(f"memory: {way.name}", used_mb, MOST_MB, target="<= 1", unit="MB"),
                row(
                    f"{PATIENTS} patients on {CORES} cores: {way.name}",
                    seconds * PATIENTS / CORES / 60,
                    HOUR_S / 60,
                    unit="min",
                ),
            ]
        return rows


def highest_mb() -> float:
    """Most resident memory that this process ever held, MB; NaN where there is no ``/proc``."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    found = [int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:")]
    return found[0] if found else math.nan


def _in_own_process(scan: Scan, folder: Path, way: Way) -> tuple[float, float]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(convert, scan, folder, way).result()


def convert(scan: Scan, folder: Path, way: Way) -> tuple[float, float]:
    """Convert; the most memory that this process ever held, MB, and seconds of processor."""
    if way.compute_maps:
        files = {name: path for name, path in scan.files.items() if name not in PERFUSION_MAPS}
        scan = without_maps(replace(scan, files=files), PERFUSION_MAPS)
    settings = Settings(
        "wang2020", True, 5, SEED, downsample=way.downsample, compute_maps=way.compute_maps
    )
    start = time.process_time()
    convert_case(CaseJob(scan, folder, settings, isles2024.ISLES2024.convert))
    seconds = time.process_time() - start
    return highest_mb(), seconds


def write_patient(root: Path, size: Size) -> None:
    """Write one patient in the layout of the release; ``raw_data`` comes last."""
    (plan,) = plan_isles2024_scans(SEED, 0, 1, size=size.pixels, vendors=("A",))
    plan = plan._replace(timetable=even_timetable(size.frames))
    scan = simulate_scan(plan, ISLES2024)
    assert isinstance(scan, FollowedCase)
    volumes = admission_volumes(scan.case, plan.timetable, VENDORS[plan.vendor])
    volumes |= follow_up_volumes(scan, PhantomSettings())
    rng = np.random.default_rng(SEED)
    shape = (size.slices, size.pixels * size.repeats, size.pixels * size.repeats)
    noise = rng.normal(0, 1, shape).astype(np.float32)
    folder = root / "derivatives" / _SUBJECT
    for ending, volume in volumes.items():
        visit = "ses-02" if ending.endswith(_FOLLOW_UP) else "ses-01"
        inner, _, name = ending.rpartition("/")
        path = folder / visit / inner / f"{_SUBJECT}_{visit}_{name}.nii.gz"
        _write(path, volume, size, noise, rng)
    path = root / "raw_data" / _SUBJECT / "ses-01" / f"{_SUBJECT}_ses-01_ncct.nii.gz"
    _write(path, scan.case.ct.astype(np.int16), size, noise, rng)


def _write(
    path: Path, volume: np.ndarray, size: Size, noise: np.ndarray, rng: np.random.Generator
) -> None:
    """Write (Z, Y, X) or (T, Z, Y, X), a frame at a time."""
    frames = volume if volume.ndim == 4 else volume[None]
    shape = (*noise.shape[::-1], *((len(frames),) if volume.ndim == 4 else ()))
    affine = np.diag([-PIXEL_MM, -PIXEL_MM, SLICE_MM, 1.0])
    header = nibabel.Nifti1Image(np.zeros((1, 1, 1), volume.dtype), affine).header.copy()
    header.set_data_shape(shape)
    header.set_sform(affine, 1)
    header.set_qform(affine, 1)
    header.set_xyzt_units("mm", "sec")
    header["pixdim"][1:5] = (PIXEL_MM, PIXEL_MM, SLICE_MM, 1.0)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wb", 1) as file:
        file.write(header.binaryblock + b"\0" * 4)
        for frame in _enlarged(frames, size, noise, rng):
            file.write(frame.tobytes())


def _enlarged(
    frames: np.ndarray, size: Size, noise: np.ndarray, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Each frame at the full size; noise that moves from frame to frame where something is."""
    slices = np.arange(size.slices) * frames.shape[1] // size.slices
    is_mask = frames.dtype == np.uint8
    spread = NOISE_HU if frames.dtype == np.int16 else 0.02 * float(np.abs(frames).max())
    for frame in frames:
        large = frame[slices].repeat(size.repeats, axis=1).repeat(size.repeats, axis=2)
        if not is_mask:
            moved = np.roll(noise, int(rng.integers(noise.size)))
            low = 0 if frames.dtype == np.float32 else -3000
            large = np.where(large == 0, 0, np.maximum(large + spread * moved, low))
        yield large.astype(frames.dtype)


def main() -> None:
    """Measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small patient")
    parser.add_argument("--data", type=Path, help="folder for the patient, kept")
    parser.add_argument("--json", type=Path, help="file for the figures")
    args = parser.parse_args()
    import torch

    from benchmarks.machine import report

    device = torch.device("cpu")
    report(measure(device, args.quick, data=args.data), device, args.json)


if __name__ == "__main__":
    main()
