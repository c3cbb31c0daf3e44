"""One method, one fold: train, predict the held-out scans, measure; by the commands of a user."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from data import DATASET_ID, NAME, plans_name, truth_folder
from settings import Method, Settings, method_folder

from nnunetv2_strokesynth.evaluation.cases import (
    case_files,
    gather,
)
from nnunetv2_strokesynth.evaluation.matching import (
    CasePair,
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
ONE_THREAD = Path(__file__).resolve().parent / "one_thread.py"
_EPOCH_TIME = re.compile(r"Epoch time: ([0-9.]+) s")


class Bout(NamedTuple):
    """A method on a fold, which stands for a seed: own weights, own batches, own training scans."""

    root: Path
    settings: Settings
    method: Method
    fold: int
    device: str

    @property
    def folder(self) -> Path:
        return method_folder(self.root, self.method) / f"fold_{self.fold}"

    @property
    def results(self) -> Path:
        """``nnUNet_results`` of this method: the same trainer may compete at two lengths."""
        return method_folder(self.root, self.method) / "nnUNet_results"

    @property
    def model(self) -> Path:
        plans = plans_name(self.method.plans)
        return self.results / NAME / f"{self.method.trainer}__{plans}__2d" / f"fold_{self.fold}"

    @property
    def options(self) -> list[str]:
        """That ``nnUNetv2_train`` and ``nnUNetv2_predict`` share."""
        plans = plans_name(self.method.plans)
        return ["-tr", self.method.trainer, "-p", plans, "-device", self.device]

    @property
    def variables(self) -> dict[str, str]:
        variables = environment(self.root, nnUNet_results=str(self.results))
        variables[EXT_TRAINER] += f":{CANDIDATES}"
        if self.device == "cpu":  # one bout, one core
            variables |= {"OMP_NUM_THREADS": "1", "nnUNet_n_proc_DA": "0"}
        return variables

    def run(self, *command: str, log: str, shown: dict[str, str] | None = None) -> None:
        """One of nnU-Net's or our commands; its output goes to ``log`` in the bout's folder."""
        words = [*command]
        if self.device == "cpu":
            words = ["python", str(ONE_THREAD), *words]
        log_file = self.folder / f"{log}.txt"
        run_command(words, self.variables, log_file=log_file, shown=shown or {})

    @property
    def recipe(self) -> dict[str, str]:
        """For our trainers and for ``StrokeSynthTrainer_Stock``."""
        return {
            EPOCHS: str(round(self.method.length * self.settings.epochs)),
            ITERATIONS: str(self.settings.iterations),
            VAL_ITERATIONS: str(max(1, self.settings.iterations // 10)),
            BASE_FEATURES: str(max(1, round(32 * self.settings.features))),
        }


def fight(bout: Bout) -> None:
    """Do what is still to be done of a bout; ends with ``CHECKPOINT.csv``, a row per scan."""
    if not (bout.model / "checkpoint_final.pth").is_file():
        _train(bout)
    for checkpoint in CHECKPOINTS:
        if not (bout.folder / f"{checkpoint}.csv").is_file():
            _predict(bout, checkpoint)
            _measure(bout, checkpoint)


def _train(bout: Bout) -> None:
    bout.folder.mkdir(parents=True, exist_ok=True)
    command = ["nnUNetv2_train", str(DATASET_ID), "2d", str(bout.fold), *bout.options]
    command.append("--npz")  # probabilities of the validation scans, for ``decisions.py``
    if any(bout.model.glob("checkpoint_*.pth")):
        command.append("--c")  # an arena that was stopped
    bout.run(*command, log="train", shown=bout.recipe)


def _predict(bout: Bout, checkpoint: str) -> None:
    images = str(bout.root / "nnUNet_raw" / NAME / "imagesTs")
    name = f"checkpoint_{checkpoint}.pth"
    command = ["nnUNetv2_predict", "-i", images, "-o", str(bout.folder / checkpoint)]
    command += ["-d", str(DATASET_ID), "-c", "2d", "-f", str(bout.fold), "-chk", name]
    command += ["-npp", "1", "-nps", "1", "--save_probabilities"]
    bout.run(*command, *bout.options, log=f"predict_{checkpoint}")
    if bout.method.synthesises:
        command = ["strokesynth", "synthesize", "-m", str(bout.model.parent), "-i", images]
        command += ["-f", str(bout.fold), "-chk", name, "-device", bout.device, "--overwrite"]
        output = str(_pseudo_dwi(bout, checkpoint))
        bout.run(*command, "-o", output, log=f"synthesize_{checkpoint}")


def _pseudo_dwi(bout: Bout, checkpoint: str) -> Path:
    return bout.folder / f"{checkpoint}_pseudo_dwi"


def _measure(bout: Bout, checkpoint: str) -> None:
    truth = truth_folder(bout.root)
    labels = case_files(truth / "labels")
    folder = bout.folder / checkpoint
    predicted = gather(folder)
    case_ids = match_cases(labels, predicted, pred_folder=folder, allow_missing=False)
    images = {}
    if bout.method.synthesises:
        pseudo_dwi = _pseudo_dwi(bout, checkpoint)
        images = pair_images(case_ids, truth / "dwi", pseudo_dwi, allow_missing=False)
    pairs = [
        CasePair(
            case_id,
            labels[case_id],
            predicted.files[case_id],
            str(bout.fold),
            *images.get(case_id, ()),
        )
        for case_id in case_ids
    ]
    frame = measure_cases(pairs, predictions=bout.method.name, workers=1)
    with atomic_file(bout.folder / f"{checkpoint}.csv") as temporary:
        frame.to_csv(temporary, index=False)


def begun_bouts(root: Path, settings: Settings, method: Method) -> list[Bout]:
    """Those of a method that have a folder, by fold; to read them, not to go on with them."""
    folders = method_folder(root, method).glob("fold_*")
    folds = sorted(int(folder.name.removeprefix("fold_")) for folder in folders)
    return [Bout(root, settings, method, fold, "cpu") for fold in folds]


def training_seconds(bout: Bout) -> float:
    """What the training takes by its fastest epoch: others may have shared the machine's cores."""
    logs = bout.model.glob("training_log_*.txt")  # a training that was resumed has several
    texts = [log.read_text(encoding="utf-8") for log in logs]
    epochs = [float(seconds) for text in texts for seconds in _EPOCH_TIME.findall(text)]
    return min(epochs, default=0.0) * len(epochs)


def read_bout(bout: Bout) -> pd.DataFrame | None:
    """A row per held-out scan and checkpoint; None while the bout is not finished."""
    files = {name: bout.folder / f"{name}.csv" for name in CHECKPOINTS}
    if not all(file.is_file() for file in files.values()):
        return None
    frames = [pd.read_csv(file).assign(checkpoint=name) for name, file in files.items()]
    return pd.concat(frames, ignore_index=True).assign(seconds=training_seconds(bout))
