"""nnU-Net's commands that train the readers and let them outline, those that are not done yet."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nnunetv2_strokesynth.outlining.reader_data import PREDICTIONS, Scans
from nnunetv2_strokesynth.outlining.readers import Reader
from nnunetv2_strokesynth.reproduction import steps as cluster_steps
from nnunetv2_strokesynth.reproduction.data_set import Roots
from nnunetv2_strokesynth.reproduction.steps import Job
from nnunetv2_strokesynth.trainers.checkpoint_damage import FINAL, quick_damage

PLAN = "plan"
PLANS = "nnUNetPlans"
SUMMARY = "summary.json"


class ReaderRun(NamedTuple):
    """Where the readers live, and how they are trained.

    Attributes:
        number: id of the readers' data set.
        name: its folder's name.
        roots: nnU-Net's folders.
        trainer: nnU-Net's trainer.
        configuration: of nnU-Net's plans.
        device: ``cuda``, ``cpu`` or ``mps``.
    """

    number: int
    name: str
    roots: Roots
    trainer: str
    configuration: str
    device: str

    @property
    def raw(self) -> Path:
        """The readers' data set."""
        return self.roots.raw / self.name

    @property
    def preprocessed(self) -> Path:
        """What nnU-Net makes of it."""
        return self.roots.preprocessed / self.name

    @property
    def model(self) -> Path:
        """The folder of the trained readers."""
        return self.roots.results / self.name / f"{self.trainer}__{PLANS}__{self.configuration}"

    def validation(self, reader: Reader) -> Path:
        """What a reader says of outlined scans that it has not learned from."""
        return self.model / f"fold_{reader.number}" / "validation"

    def predictions(self, reader: Reader) -> Path:
        """What a reader says of the scans without an outline."""
        return self.raw / PREDICTIONS / f"reader_{reader.number:02d}"

    def remove(self) -> None:
        """Delete the readers and all that was made of them."""
        for root in (self.roots.results, self.roots.preprocessed, self.roots.raw):
            shutil.rmtree(root / self.name, ignore_errors=True)


class Step(NamedTuple):
    """One command and the name of its log."""

    name: str
    command: list[str]


def open_steps(run: ReaderRun, scans: Scans, readers: Sequence[Reader]) -> list[Step]:
    """The commands that are not done yet, in their order."""
    steps = []
    prepared = run.preprocessed / f"{PLANS}_{run.configuration}"
    if any(not (prepared / f"{case_id}.pkl").is_file() for case_id in scans.outlined):
        plan = ["nnUNetv2_plan_and_preprocess", "-d", str(run.number), "-c", run.configuration]
        steps.append(Step(PLAN, [*plan, "-np", "2"]))
    for reader in readers:
        checkpoint = run.model / f"fold_{reader.number}" / FINAL
        if checkpoint.is_file() and (found := quick_damage(checkpoint)):
            raise ValueError(found)
        if not (run.validation(reader) / SUMMARY).is_file():
            steps.append(Step(f"train_reader_{reader.number:02d}", _train(run, reader)))
        if not is_predicted(run, scans, reader):
            steps.append(Step(f"predict_reader_{reader.number:02d}", _predict(run, reader)))
    return steps


def reader_jobs(
    run: ReaderRun, scans: Scans, readers: Sequence[Reader], write: list[str]
) -> list[Job]:
    """The open steps as jobs for a cluster: planning, each reader, and the data set at the end.

    Args:
        run, scans, readers: as for ``open_steps``.
        write: the command that writes the data set when all readers have outlined.
    """
    jobs: dict[str, Job] = {}
    for step in open_steps(run, scans, readers):
        name = step.name if step.name == PLAN else step.name.partition("_")[2]
        after = [PLAN] if name != PLAN and PLAN in jobs else []
        own = jobs.setdefault(name, Job(name, [], after)).steps
        own.append(cluster_steps.Step(step.name, step.command, {}))
    if PLAN in jobs:  # in little memory
        words = ["strokesynth", "fingerprint", "-d", str(run.number)]
        jobs[PLAN].steps.insert(0, cluster_steps.Step("fingerprint", words, {}))
    end = cluster_steps.Step("write_data_set", write, {})
    return [*jobs.values(), Job("write_data_set", [end], list(jobs))]


def is_predicted(run: ReaderRun, scans: Scans, reader: Reader) -> bool:
    """Whether a reader's probabilities of all scans without an outline are there."""
    folder = run.predictions(reader)
    return all((folder / f"{case_id}.npz").is_file() for case_id in scans.unoutlined)


def _train(run: ReaderRun, reader: Reader) -> list[str]:
    command = ["nnUNetv2_train", str(run.number), run.configuration, str(reader.number)]
    return [*command, "-tr", run.trainer, "--c", "--npz", "-device", run.device]


def _predict(run: ReaderRun, reader: Reader) -> list[str]:
    command = ["nnUNetv2_predict", "-d", str(run.number), "-c", run.configuration]
    command += ["-tr", run.trainer, "-f", str(reader.number)]
    command += ["-i", str(run.raw / "imagesTs"), "-o", str(run.predictions(reader))]
    return [*command, "--save_probabilities", "--continue_prediction", "-npp", "2", "-nps", "2",
            "-device", run.device]  # fmt: skip
