"""What a job does on the cluster. It imports little: every job waits for it."""

from __future__ import annotations

import os
from pathlib import Path

from nnunetv2_strokesynth.nnunet_commands import run_command, users_environment
from nnunetv2_strokesynth.reproduction.steps import Job, Step

TRAIN, CONTINUE, VALIDATE = "nnUNetv2_train", "--c", "--val"


class JobRun:
    """A job's commands; submitit stores this object in a file and calls it on the cluster.

    A training that began before goes on from its last checkpoint. A job that the cluster runs again
    leaves out what it has finished.

    Args:
        job: its commands.
        logs: folder for their output, one file for each.
        variables: of the environment; None removes one.
    """

    def __init__(self, job: Job, logs: Path, variables: dict[str, str | None]) -> None:
        self.steps = [_resuming(step) for step in job.steps]
        self.logs, self.variables = logs, variables
        self.n_finished = 0

    def __call__(self) -> None:
        """Run what is not finished; raises ``ValueError`` at the first command that fails."""
        for name, value in self.variables.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        for step in self.steps[self.n_finished :]:
            log_file = self.logs / f"{step.name}.txt"
            run_command(step.command, users_environment(), log_file=log_file, shown=step.shown)
            self.n_finished += 1

    def checkpoint(self) -> object:
        """submitit asks for this when the job is preempted or meets its time limit."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _resuming(step: Step) -> Step:
    """A training continues where it was cut off; without a checkpoint ``--c`` starts it."""
    if step.command[0] != TRAIN or {CONTINUE, VALIDATE} & set(step.command):
        return step
    return step._replace(command=[*step.command, CONTINUE])
