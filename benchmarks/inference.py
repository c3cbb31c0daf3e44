"""What predicting a case costs next to the forward passes that it needs.

    OMP_NUM_THREADS=1 python -m benchmarks.inference [--device cuda] [--quick] [--data FOLDER]

A line through the wall times of ``nnUNetv2_predict`` for few and for many cases gives the seconds
for one more case (its slope) and for the start-up (its constant): imports, processes, weights. Few
cases are at least three, because nnU-Net starts a reading process for each of the first three, and
20 on CUDA, which would finish fewer before the writing processes have started. The cases are links
to the phantom scan with most slices.

The yardstick is the trained network in this process. It makes as many passes over nnU-Net's own
tiles of that scan as the sliding window and the mirroring need, in inference mode, under autocast
on CUDA, with the same number of threads. StrokeSynthTrainer_Stock, nnU-Net's own network, has the
same rows; they show what nnU-Net itself needs beyond the passes. Rows of one scan are whole
commands with their start-up; ``strokesynth predict`` also makes channels, pseudo-DWI and a picture.

All times are wall times, because these commands work in several processes, so they need an idle
machine. Passes and commands take turns, and figures are means of two. Models are trained for one
iteration, unless ``--data`` holds them already.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from acvl_utils.cropping_and_padding.padding import pad_nd_image
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

from benchmarks import machine
from benchmarks.loader import DATASET_ID, make_data
from benchmarks.machine import report
from nnunetv2_strokesynth.channels import CTP
from nnunetv2_strokesynth.dataset_conversion import Dataset018_ISLES2018 as isles2018
from nnunetv2_strokesynth.dataset_conversion.scans import Scan
from nnunetv2_strokesynth.inference.predictor import load_predictor
from nnunetv2_strokesynth.io.nifti import read_header
from nnunetv2_strokesynth.nnunet_commands import (
    environment,
    run_command,
)
from nnunetv2_strokesynth.trainers.environment import OVERRIDES

OURS, STOCK = "StrokeSynthTrainer", "StrokeSynthTrainer_Stock"
DATASET = f"Dataset0{DATASET_ID}_ISLES2018"
FOLD = "0"
COUNTS = {"cpu": (3, 9), "cuda": (20, 60)}
COUNTS_QUICK = (3, 6)
TURNS = 2


class Setting(NamedTuple):
    """What all commands share; ``data`` holds nnU-Net's folders, the models and the phantom."""

    data: Path
    scan: Scan
    device: torch.device
    work: Path
    turns: int


def measure(device: torch.device, quick: bool, *, data: Path | None = None) -> list[dict]:
    """A row for each claim; none has a target.

    Args:
        device: where commands and passes run.
        quick: 64 px and one turn instead of 256 px and two. A case then costs less than the
            start-up varies, so this shows only that everything runs.
        data: folder for data and models, which may hold them already; None for a temporary one.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = data or Path(temporary) / "data"
        make_data(folder, size=64 if quick else 256)
        counts, turns = (COUNTS_QUICK, 1) if quick else (COUNTS[device.type], TURNS)
        setting = Setting(folder, largest_scan(folder), device, Path(temporary), turns)
        return [row for name in (OURS, STOCK) for row in trainer_rows(setting, name, counts)]


def trainer_rows(setting: Setting, trainer: str, counts: tuple[int, int]) -> list[dict]:
    """Rows for one more case and for the start-up; for ours also for whole commands."""
    train(setting, trainer)
    n_passes, run_passes = passes_of(setting, trainer)
    calls = {"passes": run_passes}
    calls |= {count: partial(predict_s, setting, trainer, count) for count in counts}
    if trainer == OURS:
        calls |= {"patient": partial(patient_s, setting), 1: partial(predict_s, setting, OURS, 1)}
    seconds = medians(calls, setting.turns)
    start_s, case_s = line({count: seconds[count] for count in counts})
    claims = {"nnUNetv2_predict, a case more": case_s, "nnUNetv2_predict, start-up": start_s}
    if trainer == OURS:
        claims["strokesynth predict, one scan"] = seconds["patient"]
        claims["nnUNetv2_predict, one scan"] = seconds[1]
    return [
        row(f"{claim}, {trainer} ({n_passes} passes)", ours_s, seconds["passes"])
        for claim, ours_s in claims.items()
    ]


def row(claim: str, ours_s: float, passes_s: float) -> dict:
    """Seconds next to those of the passes; no ratio where noise made the slope negative."""
    found = machine.row(claim, ours_s, passes_s, unit="s")
    return found if ours_s > 0 else found | {"ratio": math.nan}


def line(seconds: dict[int, float]) -> tuple[float, float]:
    """Seconds of the start-up and of each case, from the seconds for two numbers of cases."""
    (few, few_s), (many, many_s) = sorted(seconds.items())
    case_s = (many_s - few_s) / (many - few)
    return few_s - few * case_s, case_s


def medians(calls: dict[int | str, Callable[[], float]], turns: int) -> dict[int | str, float]:
    """Median of what each call returns; they take turns."""
    found: dict[int | str, list[float]] = {key: [] for key in calls}
    for _ in range(turns):
        for key, call in calls.items():
            found[key].append(call())
    return {key: statistics.median(seconds) for key, seconds in found.items()}


def largest_scan(folder: Path) -> Scan:
    """The phantom scan with most slices."""
    scans = isles2018.find_scans(folder / "phantom")[0]
    return max(scans, key=lambda scan: read_header(scan.files[CTP]).disk_shape[2])


def model_folder(setting: Setting, trainer: str) -> Path:
    """Where nnU-Net keeps a trainer's model."""
    return setting.data / "nnUNet_results" / DATASET / f"{trainer}__nnUNetPlans__2d"


def train(setting: Setting, trainer: str) -> None:
    """Train one iteration, unless there is a model already."""
    if (model_folder(setting, trainer) / f"fold_{FOLD}" / "checkpoint_final.pth").is_file():
        return
    command = ["nnUNetv2_train", DATASET_ID, "2d", FOLD, "-tr", trainer]
    _run(setting, command, nnUNet_n_proc_DA="0", **dict.fromkeys(OVERRIDES, "1"))


def predict_s(setting: Setting, trainer: str, count: int) -> float:
    """Wall seconds of ``nnUNetv2_predict`` for ``count`` cases."""
    images = link_cases(setting, count)
    with tempfile.TemporaryDirectory(dir=setting.work) as output:
        options = f"-d {DATASET_ID} -c 2d -f {FOLD} -tr {trainer}".split()
        seconds = _run(setting, ["nnUNetv2_predict", "-i", str(images), "-o", output, *options])
        found = len(list(Path(output).glob("*.nii.gz")))
    if found != count:
        raise ValueError(f"nnUNetv2_predict with {trainer} wrote {found} cases, expected {count}")
    return seconds


def patient_s(setting: Setting) -> float:
    """Wall seconds of ``strokesynth predict`` for the scan as it was before conversion."""
    case = str(setting.data / "phantom" / setting.scan.source)
    model = str(model_folder(setting, OURS))
    with tempfile.TemporaryDirectory(dir=setting.work) as output:
        return _run(
            setting, ["strokesynth", "predict", case, "-m", model, "-f", FOLD, "-o", output]
        )


def _run(setting: Setting, command: list[str], **variables: str) -> float:
    """Wall seconds of a command with as many threads as this process."""
    threads = str(torch.get_num_threads())
    # On the CPU nnUNetv2_predict takes all cores, but no more threads than nnUNet_def_n_proc.
    variables |= {"OMP_NUM_THREADS": threads, "nnUNet_def_n_proc": threads, "nnUNet_compile": "f"}
    command = [*command, "-device", setting.device.type]
    log_file = setting.data / "logs" / f"{command[0]}.txt"
    start = time.perf_counter()
    run_command(command, environment(setting.data, **variables), log_file=log_file, shown={})
    return time.perf_counter() - start


def link_cases(setting: Setting, count: int) -> Path:
    """A folder with ``count`` links to the scan's channels under other names."""
    folder = setting.work / f"images_{count}"
    folder.mkdir(exist_ok=True)
    raw, case_id = setting.data.resolve() / "nnUNet_raw" / DATASET, setting.scan.case_id
    for path in raw.glob(f"imagesTr/{case_id}_*.nii.gz"):
        for index in range(count):
            link = folder / path.name.replace(case_id, f"copy_{index:03d}")
            if not link.is_symlink():
                link.symlink_to(path)
    return folder


def tiles_of(predictor: nnUNetPredictor, files: list[str]) -> list[torch.Tensor]:
    """What nnU-Net's sliding window gives to the network for one scan: (1, C, Y, X) each."""
    plans, configuration = predictor.plans_manager, predictor.configuration_manager
    preprocessor = configuration.preprocessor_class(verbose=False)
    image, *_ = preprocessor.run_case(files, None, plans, configuration, predictor.dataset_json)
    padding = (configuration.patch_size, "constant", {"value": 0}, True, None)
    image, _ = pad_nd_image(torch.as_tensor(image), *padding)
    slicers = predictor._internal_get_sliding_window_slicers(image.shape[1:])
    return [image[slicer][None].contiguous().to(predictor.device) for slicer in slicers]


def passes_of(setting: Setting, trainer: str) -> tuple[int, Callable[[], float]]:
    """The number of passes through the network for one scan, and a call that makes and times them.

    Each tile is passed once for every subset of the mirrored axes.
    """
    model = model_folder(setting, trainer)
    predictor = load_predictor(model, folds=[FOLD], device=setting.device)
    files = [str(path) for path in sorted(link_cases(setting, 1).iterdir())]
    tiles = tiles_of(predictor, files) * 2 ** len(predictor.allowed_mirroring_axes or ())
    network = predictor.network.to(setting.device).eval()
    _passes_s(network, tiles[:1])  # to warm up
    return len(tiles), partial(_passes_s, network, tiles)


def _passes_s(network: torch.nn.Module, tiles: list[torch.Tensor]) -> float:
    cuda = tiles[0].is_cuda
    with torch.inference_mode(), torch.autocast("cuda") if cuda else contextlib.nullcontext():
        start = time.perf_counter()
        for tile in tiles:
            network(tile)
        if cuda:
            torch.cuda.synchronize()
        return time.perf_counter() - start


def main() -> None:
    """Measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="64 px, one turn")
    parser.add_argument("--data", type=Path, help="folder for data and models, kept")
    parser.add_argument("--json", type=Path, help="file for the figures")
    args = parser.parse_args()
    device = torch.device(args.device)
    torch.backends.cudnn.benchmark = device.type == "cuda"  # as nnU-Net
    report(measure(device, args.quick, data=args.data), device, args.json)


if __name__ == "__main__":
    main()
