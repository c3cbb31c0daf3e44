"""``strokesynth demo``: the whole way from raw scans to predicted lesions, on the phantom.

Phantom -> converter -> nnU-Net's planning, training and prediction -> table and picture. Every
command is printed as a user would type it; a demo that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path
from typing import NamedTuple

from nnunetv2_strokesynth.commands.model_options import DEVICES
from nnunetv2_strokesynth.commands.next_step import Words, open_page, say_next
from nnunetv2_strokesynth.commands.trained_models import device_option
from nnunetv2_strokesynth.nnunet_commands import (
    FOLDER_VARIABLES,
    environment,
    run_command,
)
from nnunetv2_strokesynth.trainers.environment import (
    EPOCHS,
    ITERATIONS,
    VAL_ITERATIONS,
)

EXAMPLE = "strokesynth demo demo_out -device cpu"
logger = logging.getLogger(__name__)

DATASET_ID, DATASET = 18, "Dataset018_ISLES2018"
TRAINER, CONFIGURATION = "StrokeSynthTrainer", "2d"
FEW_PROCESSES = {"nnUNet_n_proc_DA": "2", "nnUNet_def_n_proc": "2"}  # each takes seconds to start
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


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


class Step(NamedTuple):
    """One command, the name of its log, and the variables that are shown in front of it."""

    name: str
    command: list[str]
    shown: dict[str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sizes of the demo; the defaults take two CPU cores ten minutes."""
    add = parser.add_argument
    add("output", type=Path, help="folder for everything the demo makes")
    add("--cases", type=int, default=64, help="training scans (default: 64)")
    add("--test-cases", type=int, default=16, help="held-out scans (default: 16)")
    add("--size", type=int, default=64, help="pixels per side (default: 64)")
    add("--max-slices", type=int, metavar="K", help="at most K slices a scan (default: all)")
    add("--folds", type=int, default=2, choices=range(1, 6), metavar="1-5",
        help="how many of five folds are trained (default: 2)")  # fmt: skip
    add("--epochs", type=int, default=20, help="per fold (default: 20)")
    add("--iterations", type=int, default=25, help="per epoch (default: 25)")
    add("--seed", type=int, default=0, help="seed of the phantom (default: 0)")
    add("-device", choices=DEVICES, default="cpu", help="default: cpu")


def run(args: argparse.Namespace) -> None:
    """Run all steps that are not done yet, then write ``table.md`` and ``demo.png``."""
    from nnunetv2_strokesynth.io.atomic import write_text
    from nnunetv2_strokesynth.reporting.demo_result import DemoScans, demo_picture, demo_table

    started = time.monotonic()
    folders = Folders(args.output.resolve())
    variables = environment(folders.out, **FEW_PROCESSES)
    for name in FOLDER_VARIABLES:
        (folders.out / name).mkdir(parents=True, exist_ok=True)
        logger.info("export %s=%s", name, folders.out / name)
    for step in (*_data_steps(args, folders), *_model_steps(args, folders)):
        begun = time.monotonic()
        log_file = folders.out / "logs" / f"{step.name}.txt"
        run_command(step.command, variables, log_file=log_file, shown=step.shown)
        logger.info("  %.0f s", time.monotonic() - begun)
    scans = DemoScans(folders.raw, folders.truth, folders.predictions, folders.pseudo_dwi)
    table = demo_table(scans, TRAINER, (time.monotonic() - started) / 60)
    write_text(folders.out / "table.md", table)
    demo_picture(scans, folders.out / "demo.png")
    logger.info("\n%s", table)
    for name in ("table.md", "demo.png", "report.html"):
        logger.info("%s", folders.out / name)
    say_next(*next_commands(args, folders), link="or")


def _data_steps(args: argparse.Namespace, folders: Folders) -> list[Step]:
    """From nothing to a preprocessed data set; what is done already does nothing."""
    phantom = ["strokesynth", "phantom", str(folders.phantom), "--cases", str(args.cases)]
    phantom += f"--test-cases {args.test_cases} --size {args.size} --seed {args.seed}".split()
    phantom += [] if args.max_slices is None else ["--max-slices", str(args.max_slices)]
    convert = ["strokesynth", "convert", "isles2018", str(folders.phantom)]
    convert += ["-d", str(DATASET_ID), "--preset", "wang2020"]
    steps = [Step("phantom", phantom, ONE_THREAD), Step("convert", convert, ONE_THREAD)]
    preprocessed = folders.out / "nnUNet_preprocessed" / DATASET / "nnUNetPlans_2d"
    if len(list(preprocessed.glob("*.pkl"))) < args.cases:  # nnU-Net writes it last of a case
        plan = f"nnUNetv2_plan_and_preprocess -d {DATASET_ID} -c {CONFIGURATION} -np 2"
        steps.append(Step("plan", plan.split(), ONE_THREAD))
    return steps


def _model_steps(args: argparse.Namespace, folders: Folders) -> list[Step]:
    """Training of the folds that are not trained yet, prediction, pseudo-DWI and report."""
    folds = [str(fold) for fold in range(args.folds)]
    device = ["-device", args.device]
    test_images = str(folders.raw / "imagesTs")
    short = {
        EPOCHS: str(args.epochs),
        ITERATIONS: str(args.iterations),
        VAL_ITERATIONS: str(max(1, args.iterations // 5)),
    }
    steps = []
    for fold in folds:
        if (folders.model / f"fold_{fold}" / "validation" / "summary.json").is_file():
            continue
        train = f"nnUNetv2_train {DATASET_ID} {CONFIGURATION} {fold} -tr {TRAINER} --c --npz"
        steps.append(Step(f"train_fold_{fold}", train.split() + device, short))
    predict = f"nnUNetv2_predict -d {DATASET_ID} -c {CONFIGURATION} -tr {TRAINER}".split()
    predict += ["-f", *folds, "-i", test_images, "-o", str(folders.predictions)]
    predict += ["-npp", "2", "-nps", "2", "--save_probabilities"]
    steps.append(Step("predict", predict + device, {}))
    synthesize = ["strokesynth", "synthesize", "-m", str(folders.model), "-f", *folds]
    synthesize += ["-i", test_images, "-o", str(folders.pseudo_dwi)]
    steps.append(Step("synthesize", [*synthesize, "--feature", *device], {}))
    report = ["strokesynth", "report", "-m", str(folders.model), "--raw", str(folders.raw)]
    report += ["--pred", str(folders.predictions), "--gt", str(folders.truth / "labels")]
    report += ["--dwi", str(folders.truth / "dwi"), "--pseudo-dwi", str(folders.pseudo_dwi)]
    report += ["-o", str(folders.out / "report.html"), "--overwrite"]
    return [*steps, Step("report", report, ONE_THREAD)]


def next_commands(args: argparse.Namespace, folders: Folders) -> list[Words]:
    """Open the report, predict one of the held-out scans, or evaluate the trained folds."""
    case = min(path for path in (folders.phantom / "TESTING").iterdir() if path.is_dir())
    predict = ["strokesynth", "predict", case, "-m", folders.model]
    predict += ["-o", folders.out / f"{case.name}_lesion", *device_option(args.device)]
    evaluate = ["strokesynth", "evaluate", "--gt", folders.raw / "labelsTr"]
    evaluate += ["--pred", folders.model, "-f", *range(args.folds)]
    evaluate += ["-o", folders.out / "evaluation"]
    return [open_page(folders.out / "report.html"), predict, evaluate]
