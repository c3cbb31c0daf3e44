"""One method on one fold: it is trained, predicts the held-out scans and is measured.

Training and prediction are the commands that a user types.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from benchmarks.arena.data import DATASET_ID, NAME, plans_name, truth_folder
from benchmarks.arena.settings import Method, Settings, method_folder
from nnunetv2_strokesynth.dataloading.dwi_scaling import PAPER
from nnunetv2_strokesynth.dataloading.pseudo_dwi_record import read_record
from nnunetv2_strokesynth.evaluation.cases import (
    case_files,
    gather,
)
from nnunetv2_strokesynth.evaluation.matching import (
    CasePair,
    find_maps,
    match_cases,
    pair_images,
)
from nnunetv2_strokesynth.evaluation.measure import measure_cases
from nnunetv2_strokesynth.io.atomic import atomic_file
from nnunetv2_strokesynth.nnunet_commands import (
    EXT_TRAINER,
    environment,
    run_command,
)
from nnunetv2_strokesynth.trainers.environment import (
    BASE_FEATURES,
    EPOCHS,
    ITERATIONS,
    VAL_ITERATIONS,
)

CHECKPOINTS = ("final", "best")
CANDIDATES = Path(__file__).resolve().parent / "candidates"
REPOSITORY = Path(__file__).resolve().parents[2]
ONE_THREAD = Path(__file__).resolve().parent / "one_thread.py"
_EPOCH_TIME = re.compile(r"Epoch time: ([0-9.]+) s")


class FoldRun(NamedTuple):
    """A method on a fold; each has its own weights, batches and training scans."""

    root: Path
    settings: Settings
    method: Method
    fold: int
    device: str

    @property
    def folder(self) -> Path:
        """Predictions, measurements and logs."""
        return method_folder(self.root, self.method) / f"fold_{self.fold}"

    @property
    def results(self) -> Path:
        """``nnUNet_results`` of this method alone: one trainer may compete at two lengths."""
        return method_folder(self.root, self.method) / "nnUNet_results"

    @property
    def model(self) -> Path:
        """nnU-Net's folder of the trained fold."""
        plans = plans_name(self.method.plans)
        return self.results / NAME / f"{self.method.trainer}__{plans}__2d" / f"fold_{self.fold}"

    @property
    def options(self) -> list[str]:
        """Options that ``nnUNetv2_train`` and ``nnUNetv2_predict`` share."""
        plans = plans_name(self.method.plans)
        return ["-tr", self.method.trainer, "-p", plans, "-device", self.device]

    @property
    def variables(self) -> dict[str, str]:
        """The environment of its commands."""
        variables = environment(self.root, nnUNet_results=str(self.results))
        variables[EXT_TRAINER] += f"{os.pathsep}{CANDIDATES}"
        paths = (str(REPOSITORY), variables.get("PYTHONPATH"))  # the candidates' own parts
        variables["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        if self.device == "cpu":  # one core for each run
            variables |= {"OMP_NUM_THREADS": "1", "nnUNet_n_proc_DA": "0"}
        return variables

    def call(self, *command: str, log: str, shown: dict[str, str] | None = None) -> None:
        """Run one of nnU-Net's or our commands; its output goes to ``log`` in the folder."""
        words = [*command]
        if self.device == "cpu":
            words = ["python", str(ONE_THREAD), *words]
        log_file = self.folder / f"{log}.txt"
        run_command(words, self.variables, log_file=log_file, shown=shown or {})

    @property
    def first_weights(self) -> Path | None:
        """The checkpoint that training starts from; None for random weights."""
        if not self.method.pretrained:
            return None
        if not self.settings.pretrained_in:
            raise ValueError(f"{self.method.name}: --pretrained-in must name an arena")
        method = self.method._replace(name=self.method.pretrained)
        other = self._replace(root=Path(self.settings.pretrained_in).resolve(), method=method)
        return other.model / "checkpoint_final.pth"

    @property
    def recipe(self) -> dict[str, str]:
        """Variables that set the length and the width of a training."""
        return {
            EPOCHS: str(round(self.method.length * self.settings.epochs)),
            ITERATIONS: str(self.settings.iterations),
            VAL_ITERATIONS: str(max(1, self.settings.iterations // 10)),
            BASE_FEATURES: str(max(1, round(32 * self.settings.features))),
        }


def finish(run: FoldRun, checkpoints: Sequence[str] = CHECKPOINTS) -> None:
    """Do what is missing of a run, up to ``CHECKPOINT.csv`` with a row for each held-out scan."""
    if not (run.model / "checkpoint_final.pth").is_file():
        _train(run)
    for checkpoint in checkpoints:
        if not (run.folder / f"{checkpoint}.csv").is_file():
            _predict(run, checkpoint)
            _measure(run, checkpoint)


def _train(run: FoldRun) -> None:
    run.folder.mkdir(parents=True, exist_ok=True)
    command = ["nnUNetv2_train", str(DATASET_ID), "2d", str(run.fold), *run.options, "--npz"]
    if any(run.model.glob("checkpoint_*.pth")):
        command.append("--c")  # go on with a training that was interrupted
    elif run.first_weights is not None:
        command += ["-pretrained_weights", str(run.first_weights)]
    run.call(*command, log="train", shown=run.recipe)


def _predict(run: FoldRun, checkpoint: str) -> None:
    images = str(run.root / "nnUNet_raw" / NAME / "imagesTs")
    name = f"checkpoint_{checkpoint}.pth"
    command = ["nnUNetv2_predict", "-i", images, "-o", str(run.folder / checkpoint)]
    command += ["-d", str(DATASET_ID), "-c", "2d", "-f", str(run.fold), "-chk", name]
    command += ["-npp", "1", "-nps", "1", "--save_probabilities"]
    run.call(*command, *run.options, log=f"predict_{checkpoint}")
    if run.method.synthesises:
        command = ["strokesynth", "synthesize", "-m", str(run.model.parent), "-i", images]
        command += ["-f", str(run.fold), "-chk", name, "-device", run.device, "--overwrite"]
        output = str(_pseudo_dwi(run, checkpoint))
        run.call(*command, "-o", output, log=f"synthesize_{checkpoint}")


def _pseudo_dwi(run: FoldRun, checkpoint: str) -> Path:
    return run.folder / f"{checkpoint}_pseudo_dwi"


def _measure(run: FoldRun, checkpoint: str) -> None:
    truth = truth_folder(run.root)
    labels = case_files(truth / "labels")
    folder = run.folder / checkpoint
    predicted = gather(folder)
    case_ids = match_cases(labels, predicted, pred_folder=folder, allow_missing=False)
    images, maps, scale = {}, {}, PAPER
    if run.method.synthesises:
        pseudo_dwi = _pseudo_dwi(run, checkpoint)
        images = pair_images(case_ids, truth / "dwi", pseudo_dwi, allow_missing=False)
        maps = find_maps(case_ids, run.root / "nnUNet_raw" / NAME / "imagesTs")
        scale = read_record(pseudo_dwi).scale
    pairs = [
        CasePair(
            case_id,
            labels[case_id],
            predicted.files[case_id],
            str(run.fold),
            *images.get(case_id, (None, None)),
            maps.get(case_id, ()),
            scale,
        )
        for case_id in case_ids
    ]
    frame = measure_cases(pairs, predictions=run.method.name, workers=1)
    with atomic_file(run.folder / f"{checkpoint}.csv") as temporary:
        frame.to_csv(temporary, index=False)


def begun_runs(root: Path, settings: Settings, method: Method) -> list[FoldRun]:
    """The runs of a method that have a folder, by fold; for reading their results only."""
    folders = method_folder(root, method).glob("fold_*")
    folds = sorted(int(folder.name.removeprefix("fold_")) for folder in folders)
    return [FoldRun(root, settings, method, fold, "cpu") for fold in folds]


def training_seconds(run: FoldRun) -> float:
    """Number of epochs times the fastest one, because other jobs may have slowed some down."""
    logs = run.model.glob("training_log_*.txt")  # a resumed training has several
    texts = [log.read_text(encoding="utf-8") for log in logs]
    epochs = [float(seconds) for text in texts for seconds in _EPOCH_TIME.findall(text)]
    return min(epochs, default=0.0) * len(epochs)


def read_run(run: FoldRun) -> pd.DataFrame | None:
    """A row for each held-out scan and measured checkpoint; None before the first is measured."""
    files = {name: run.folder / f"{name}.csv" for name in CHECKPOINTS}
    frames = [
        pd.read_csv(file).assign(checkpoint=name) for name, file in files.items() if file.is_file()
    ]
    if not frames:
        return None
    return pd.concat(frames, ignore_index=True).assign(seconds=training_seconds(run))
