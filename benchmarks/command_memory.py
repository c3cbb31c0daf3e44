"""Memory of each command, all its processes together, at the size of ISLES 2018 and of ISLES 2024.

    OMP_NUM_THREADS=1 python -m benchmarks.command_memory FOLDER [--size 2024] [--only NAME ...]

Simulated scans: 256 x 256 pixels and up to 8 slices (phantoms of 64 x 64, each voxel repeated: what
a command takes hardly depends on what is in the image), or one patient of 512 x 512 x 80 voxels and
50 frames (``benchmarks.full_size``, which measures his conversion). Every command runs in processes
of its own; every 50 ms their proportional set sizes (memory that two share counts half for each)
are added up. The network is a narrow one, so that a CPU can train and predict in seconds: what it
adds on a GPU is measured by ``benchmarks.gpu_memory``. Linux only. ``FOLDER/memory.json`` is
renewed after each command.
"""

from __future__ import annotations

import argparse
import glob
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np

from benchmarks import full_size
from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.nnunet_commands import command_words, environment

PAUSE_S = 0.05
NARROW = {
    "strokesynth_num_epochs": "1",
    "strokesynth_num_iterations_per_epoch": "2",
    "strokesynth_num_val_iterations_per_epoch": "1",
    "strokesynth_base_features": "4",
    "nnUNet_n_proc_DA": "2",
    "nnUNet_def_n_proc": "2",
    "OMP_NUM_THREADS": "1",
}
TRAINER = "StrokeSynthTrainer"
SMALL, REPEATS = "--cases 4 --test-cases 1 --size 64 --max-slices 8 --workers 1", 4


class Run(NamedTuple):
    """One command: its name in the table, and the line, whose ``*`` become the first such path."""

    name: str
    line: str

    @property
    def words(self) -> list[str]:
        """Program and arguments."""
        return [min(glob.glob(word), default=word) for word in self.line.split()]


def processes(root: int) -> Iterator[int]:
    """A process and all below it."""
    waiting = [root]
    while waiting:
        number = waiting.pop()
        yield number
        for task in Path(f"/proc/{number}/task").glob("*/children"):
            try:
                waiting += map(int, task.read_text(encoding="ascii").split())
            except OSError:  # it has ended
                continue


def proportional_mb(number: int) -> float:
    """Proportional set size of a process, MB; 0 if it has ended."""
    try:
        text = Path(f"/proc/{number}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0.0
    return next(
        (int(line.split()[1]) * 1024 / 1e6 for line in text.splitlines() if line[:4] == "Pss:"), 0.0
    )


def peak_mb(command: list[str], folder: Path, *, log: Path) -> tuple[float, float]:
    """The most memory of a command and of its largest process, MB.

    Raises:
        ValueError: it failed; its output is in ``log``.
    """
    together = largest = 0.0
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        words = [*command_words(command[0]), *command[1:]]
        running = subprocess.Popen(
            words, env=environment(folder, **NARROW), stdout=file, stderr=subprocess.STDOUT
        )
        while running.poll() is None:
            sizes = [proportional_mb(number) for number in processes(running.pid)]
            together, largest = max(together, sum(sizes)), max(largest, *sizes)
            time.sleep(PAUSE_S)
    if running.returncode:
        raise ValueError(f"{' '.join(command)} failed; see {log}")
    return together, largest


def runs_2018(root: Path) -> list[Run]:
    """From phantoms to a page, in the order in which they need each other."""
    scans, model = (
        root / "scans",
        root / f"nnUNet_results/Dataset018_X/{TRAINER}__nnUNetPlans__2d",
    )
    raw = root / "nnUNet_raw/Dataset018_X"
    predict = f"-m {model} -device cpu"
    return [
        Run("maps", f"strokesynth maps {scans}/TESTING/case_1/*4DPWI*/*.nii -o {root}/maps "
            "--overwrite"),
        Run(
            "convert",
            f"strokesynth convert isles2018 {scans} -d 18 --name X --folds 2 --workers 1",
        ),
        Run("fingerprint", "strokesynth fingerprint -d 18"),
        Run("plan", "nnUNetv2_plan_and_preprocess -d 18 -c 2d -np 2"),
        Run("train", f"nnUNetv2_train 18 2d 0 -tr {TRAINER} --npz -device cpu"),
        Run("predict", f"strokesynth predict {scans}/TESTING/case_1 {predict} -o {root}/lesion "
            "--overwrite"),
        Run("nnUNetv2_predict", f"nnUNetv2_predict -d 18 -c 2d -tr {TRAINER} -f 0 -device cpu "
            f"-i {raw}/imagesTs -o {root}/predicted"),
        Run("synthesize", f"strokesynth synthesize {predict} -i {raw}/imagesTs -o {root}/dwi"),
        Run("evaluate", f"strokesynth evaluate --gt {raw}/labelsTr --pred {model} -f 0 "
            f"--allow-missing --workers 1 -o {root}/evaluation --overwrite"),
        Run("tune", f"strokesynth tune -m {model} -f 0 --gt {raw}/labelsTr --allow-missing "
            f"--workers 1 -o {root}/postprocessing.json --overwrite"),
        Run("report", f"strokesynth report -m {model} --raw {raw} -o {root}/report.html "
            "--overwrite"),
    ]  # fmt: skip


def runs_2024(root: Path) -> list[Run]:
    """One patient at the release's own size."""
    patient = root / "patient"
    series = next(patient.rglob("*_ctp.nii.gz"))
    label = next(patient.rglob("*lesion-msk.nii.gz"))
    masks = root / "masks"
    masks.mkdir(exist_ok=True)
    if not (masks / "case.nii.gz").exists():
        (masks / "case.nii.gz").symlink_to(label)
    return [
        Run("maps", f"strokesynth maps {series} -o {root}/maps --overwrite"),
        Run("evaluate", f"strokesynth evaluate --gt {masks} --pred {masks} --workers 1 "
            f"-o {root}/evaluation --overwrite"),
    ]  # fmt: skip


def enlarge(source: Path, target: Path, repeats: int) -> None:
    """Copy a phantom with each voxel repeated along x and y; ``target`` comes last.

    Args:
        source: folder with NIfTI files; what else is in it is copied as it is.
        target: where it goes.
        repeats: how often along each axis.
    """
    parts = target.with_name(f"{target.name}_parts")
    shutil.copytree(source, parts)
    for path in parts.rglob("*.nii"):
        image = nibabel.load(path)
        array = np.asarray(image.dataobj).repeat(repeats, axis=0).repeat(repeats, axis=1)
        affine = image.affine @ np.diag([1 / repeats, 1 / repeats, 1, 1])
        large = nibabel.Nifti1Image(array, affine, image.header)
        large.header.set_zooms([zoom / repeats if k < 2 else zoom
                                for k, zoom in enumerate(image.header.get_zooms())])  # fmt: skip
        del image  # it may lie in the file that is replaced
        nibabel.save(large, path)
    parts.rename(target)


def prepared(root: Path, size: str) -> list[Run]:
    """The scans, and what is run on them."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (root / name).mkdir(parents=True, exist_ok=True)
    if size == "2024":
        if not (root / "patient" / "raw_data").is_dir():
            full_size.write_patient(root / "patient", full_size.FULL)
        return runs_2024(root)
    if not (root / "scans").is_dir():
        words = ["strokesynth", "phantom", str(root / "small"), *SMALL.split()]
        peak_mb(words, root, log=root / "logs" / "phantom.txt")
        enlarge(root / "small", root / "scans", REPEATS)
    return runs_2018(root)


def main(say: Callable[[str], object] = print) -> None:
    """Run the commands one after the other, and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="for scans, models and memory.json; kept")
    parser.add_argument("--size", choices=("2018", "2024"), default="2018")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these commands")
    args = parser.parse_args()
    root = args.folder.resolve() / args.size
    record = root / "memory.json"
    runs = prepared(root, args.size)
    found = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    for run in runs:
        if args.only and run.name not in args.only:
            continue
        log = root / "logs" / f"{run.name.replace(' ', '_')}.txt"
        start = time.perf_counter()
        try:
            together, largest = peak_mb(run.words, root, log=log)
        except ValueError as error:
            say(str(error))
            continue
        found[run.name] = {"together_mb": round(together), "largest_mb": round(largest)}
        write_json(record, found)
        wall = time.perf_counter() - start
        say(f"{run.name:<24}{together:8.0f} MB{largest:8.0f} MB{wall:8.1f} s")


if __name__ == "__main__":
    main()
