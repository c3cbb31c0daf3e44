"""``strokesynth demo``: the whole way from raw scans to predicted lesions, on the phantom.

Phantom -> converter -> nnU-Net's planning, training and prediction -> table and picture. Every
command is printed as a user would type it; a demo that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.channels import (
    PERFUSION_MAPS,
    PRESETS,
)
from nnunetv2_strokesynth.evaluation.metrics import dice
from nnunetv2_strokesynth.evaluation.threshold_baseline import (
    best_threshold,
    mean_dice_of_rule,
)
from nnunetv2_strokesynth.evaluation.volumes import read_image
from nnunetv2_strokesynth.io.atomic import write_text
from nnunetv2_strokesynth.nnunet_commands import (
    FOLDER_VARIABLES,
    environment,
    run_command,
)
from nnunetv2_strokesynth.reporting.panels import (
    Panel,
    Row,
    save_rows,
    widest_lesion_slice,
)
from nnunetv2_strokesynth.trainers.environment import (
    EPOCHS,
    ITERATIONS,
    VAL_ITERATIONS,
)

HELP = "phantom, conversion, training, prediction and a picture, in one command"
EXAMPLE = "strokesynth demo demo_out -device cpu"
logger = logging.getLogger(__name__)

DATASET_ID, DATASET = 18, "Dataset018_ISLES2018"
TRAINER, CONFIGURATION, PRESET = "StrokeSynthTrainer", "2d", "wang2020"
N_ROWS_IN_PICTURE = 6
# Channels in the picture with their grey windows (HU); None: by percentiles.
SHOWN = {
    "CT": (0.0, 80.0),
    "CBF": None,
    "CBV": None,
    "Tmax": None,
    "MIP": (0.0, 160.0),
    "CTA_2": (0.0, 120.0),
}
FEW_PROCESSES = {"nnUNet_n_proc_DA": "2", "nnUNet_def_n_proc": "2"}  # each takes seconds to start


class Folders(NamedTuple):
    """Where the demo keeps what it makes."""

    out: Path

    @property
    def phantom(self) -> Path:
        return self.out / "ISLES2018_phantom"

    @property
    def raw(self) -> Path:
        return self.out / "nnUNet_raw" / DATASET

    @property
    def model(self) -> Path:
        return self.out / "nnUNet_results" / DATASET / f"{TRAINER}__nnUNetPlans__{CONFIGURATION}"

    @property
    def predictions(self) -> Path:
        return self.out / "predictions"

    @property
    def pseudo_dwi(self) -> Path:
        return self.out / "pseudo_dwi"

    @property
    def truth(self) -> Path:
        return self.phantom / "TESTING_truth"


def _commands(args: argparse.Namespace, folders: Folders) -> list[tuple[str, list[str], dict]]:
    """Every step that is not done yet: name, command, variables shown with it."""
    folds = [str(fold) for fold in range(args.folds)]
    device = ["-device", args.device]
    test_images = str(folders.raw / "imagesTs")
    short = {
        EPOCHS: str(args.epochs),
        ITERATIONS: str(args.iterations),
        VAL_ITERATIONS: str(max(1, args.iterations // 5)),
    }
    one_thread = {"OMP_NUM_THREADS": "1"}
    phantom = ["strokesynth", "phantom", str(folders.phantom), "--cases", str(args.cases)]
    phantom += f"--test-cases {args.test_cases} --size {args.size} --seed {args.seed}".split()
    steps = [
        ("phantom", phantom, one_thread),
        ("convert", ["strokesynth", "convert", "isles2018", str(folders.phantom)], one_thread),
    ]
    steps[-1][1].extend(["-d", str(DATASET_ID), "--preset", PRESET])
    preprocessed = folders.out / "nnUNet_preprocessed" / DATASET / "nnUNetPlans_2d"
    if len(list(preprocessed.glob("*.pkl"))) < args.cases:  # nnU-Net writes it last of a case
        plan = f"nnUNetv2_plan_and_preprocess -d {DATASET_ID} -c {CONFIGURATION} -np 2 -npfp 2"
        steps.append(("plan", plan.split(), one_thread))
    for fold in folds:
        if (folders.model / f"fold_{fold}" / "validation" / "summary.json").is_file():
            continue
        train = f"nnUNetv2_train {DATASET_ID} {CONFIGURATION} {fold} -tr {TRAINER} --c --npz"
        steps.append((f"train_fold_{fold}", train.split() + device, short))
    predict = f"nnUNetv2_predict -d {DATASET_ID} -c {CONFIGURATION} -tr {TRAINER}".split()
    predict += ["-f", *folds, "-i", test_images, "-o", str(folders.predictions)]
    predict += ["-npp", "2", "-nps", "2", "--save_probabilities"]
    steps.append(("predict", predict + device, {}))
    synthesize = ["strokesynth", "synthesize", "-m", str(folders.model), "-f", *folds]
    synthesize += ["-i", test_images, "-o", str(folders.pseudo_dwi)]
    steps.append(("synthesize", [*synthesize, "--feature", *device], {}))
    report = ["strokesynth", "report", "-m", str(folders.model), "--raw", str(folders.raw)]
    report += ["--pred", str(folders.predictions), "--gt", str(folders.truth / "labels")]
    report += ["--dwi", str(folders.truth / "dwi"), "--pseudo-dwi", str(folders.pseudo_dwi)]
    report += ["-o", str(folders.out / "report.html"), "--overwrite"]
    steps.append(("report", report, one_thread))
    return steps


def _read(path: Path) -> np.ndarray:
    return read_image(path).array


def _channel(folders: Folders, case_id: str, name: str, images: str = "imagesTs") -> np.ndarray:
    index = PRESETS[PRESET].names.index(name)
    return _read(folders.raw / images / f"{case_id}_{index:04d}.nii.gz")


def _maps(folders: Folders, case_ids: list[str], images: str) -> dict[str, list[np.ndarray]]:
    return {
        name: [_channel(folders, case_id, name, images) for case_id in case_ids]
        for name in PERFUSION_MAPS
    }


def _threshold_lines(folders: Folders, lesions: list[np.ndarray]) -> list[str]:
    """How far one threshold on one map gets: chosen on training scans, and in hindsight."""
    labels = folders.raw / "labelsTr"
    training = sorted(path.name.removesuffix(".nii.gz") for path in labels.glob("*.nii.gz"))
    rule = best_threshold(
        _maps(folders, training, "imagesTr"),
        [_read(labels / f"{case_id}.nii.gz") > 0 for case_id in training],
    )
    held_out = _maps(folders, _held_out(folders), "imagesTs")
    hindsight = best_threshold(held_out, lesions)
    return [
        f"Mean Dice of the best single threshold of the training scans ({rule}): "
        f"**{mean_dice_of_rule(rule, held_out, lesions):.3f}**",
        "",
        "Mean Dice of the best single threshold in hindsight, chosen on the held-out scans "
        f"themselves ({hindsight}): **{hindsight.mean_dice:.3f}**",
    ]


def _held_out(folders: Folders) -> list[str]:
    return sorted(
        path.name.removesuffix(".nii.gz") for path in (folders.truth / "labels").iterdir()
    )


def _table(folders: Folders, minutes: float) -> str:
    """Dice per held-out scan, and what single thresholds reach on them, as markdown."""
    case_ids = _held_out(folders)
    lesions = [_read(folders.truth / "labels" / f"{case}.nii.gz") > 0 for case in case_ids]
    predictions = [_read(folders.predictions / f"{case}.nii.gz") > 0 for case in case_ids]
    scores = [dice(lesion, mask) for lesion, mask in zip(lesions, predictions, strict=True)]
    lines = ["| held-out scan | lesion (voxels) | predicted (voxels) | Dice |", "|---|---|---|---|"]
    lines += [
        f"| {case} | {lesion.sum()} | {mask.sum()} | {score:.3f} |"
        for case, lesion, mask, score in zip(case_ids, lesions, predictions, scores, strict=True)
    ]
    lines += [
        "",
        f"Mean Dice of {TRAINER}, {len(case_ids)} held-out scans: **{np.mean(scores):.3f}**",
        "",
        *_threshold_lines(folders, lesions),
        "",
        f"This run took {minutes:.1f} minutes on {os.cpu_count()} CPU cores. It is a short "
        "training on a phantom: its figures say nothing about patients.",
    ]
    return "\n".join(lines) + "\n"


def _picture(folders: Folders, path: Path) -> None:
    rows = []
    for case in _held_out(folders)[:N_ROWS_IN_PICTURE]:
        lesion = _read(folders.truth / "labels" / f"{case}.nii.gz") > 0
        z = widest_lesion_slice(lesion)
        panels = [
            Panel(name, _channel(folders, case, name)[z], window) for name, window in SHOWN.items()
        ]
        panels.append(Panel("pseudo-DWI", _read(folders.pseudo_dwi / f"{case}.nii.gz")[z]))
        dwi = _read(folders.truth / "dwi" / f"{case}.nii.gz")[z]
        panels += [Panel("DWI", dwi), Panel("outlines", dwi)]
        prediction = _read(folders.predictions / f"{case}.nii.gz") > 0
        label = f"{case}\nDice {dice(lesion, prediction):.2f}"
        rows.append(Row(label, panels, lesion[z], prediction[z], outlined=("outlines",)))
    save_rows(rows, path, title="Held-out phantoms: the slice with the widest lesion")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sizes of the demo; the defaults fit two CPU cores and twelve minutes."""
    parser.add_argument("output", type=Path, help="folder for everything the demo makes")
    parser.add_argument("--cases", type=int, default=64, help="training scans (default: 64)")
    parser.add_argument("--test-cases", type=int, default=16, help="held-out scans (default: 16)")
    parser.add_argument("--size", type=int, default=64, help="pixels per side (default: 64)")
    parser.add_argument("--folds", type=int, default=2, choices=range(1, 6), metavar="1-5")
    parser.add_argument("--epochs", type=int, default=20, help="per fold (default: 20)")
    parser.add_argument("--iterations", type=int, default=25, help="per epoch (default: 25)")
    parser.add_argument("--seed", type=int, default=0, help="of the phantom (default: 0)")
    parser.add_argument(
        "-device", choices=("cuda", "cpu", "mps"), default="cpu", help="default: cpu"
    )


def run(args: argparse.Namespace) -> None:
    """Run all steps that are not done yet, then write ``table.md`` and ``demo.png``."""
    started = time.monotonic()
    folders = Folders(args.output.resolve())
    variables = environment(folders.out, **FEW_PROCESSES)
    for name in FOLDER_VARIABLES:
        (folders.out / name).mkdir(parents=True, exist_ok=True)
        logger.info("export %s=%s", name, folders.out / name)
    for name, command, shown in _commands(args, folders):
        begun = time.monotonic()
        run_command(command, variables, log_file=folders.out / "logs" / f"{name}.txt", shown=shown)
        logger.info("  %.0f s", time.monotonic() - begun)
    table = _table(folders, (time.monotonic() - started) / 60)
    write_text(folders.out / "table.md", table)
    _picture(folders, folders.out / "demo.png")
    logger.info("\n%s", table)
    for name in ("table.md", "demo.png", "report.html"):
        logger.info("%s", folders.out / name)
