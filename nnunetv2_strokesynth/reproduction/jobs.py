"""The open steps of a reproduction as jobs for a cluster: one for each fold, one to measure a row.

What has to wait for what: a row is measured when all its folds are trained (a fold that two rows
share, such as a member of two ensembles, is trained by one job); the table is written at the end.
"""

from __future__ import annotations

from collections.abc import Sequence

from nnunetv2_strokesynth.papers.shared.paper_table import TableRow
from nnunetv2_strokesynth.reproduction.commands import row_steps
from nnunetv2_strokesynth.reproduction.plan import Plan, measured_cases
from nnunetv2_strokesynth.reproduction.steps import Job, Step
from nnunetv2_strokesynth.reproduction.training import train_steps

TABLE = "table"


def table_jobs(plan: Plan, rows: Sequence[TableRow], write_table: list[str]) -> list[Job]:
    """The jobs of the rows that are not finished; each comes after those that it waits for.

    Args:
        plan: what the user asked for.
        rows: the rows to run.
        write_table: the command that writes the table of what is finished.
    """
    trainings: list[Job] = []
    measurements: list[Job] = []
    job_of: dict[str, str] = {}  # text of a command -> the job that runs it
    for row in rows:
        own = _trainings(plan, row, job_of)
        trainings += own
        job_of |= {step.text: job.name for job in own for step in job.steps}
        steps = row_steps(plan, row)
        after = dict.fromkeys(job_of[step.text] for step in steps if step.text in job_of)
        rest = [step for step in steps if step.text not in job_of]
        if rest:
            measurements.append(Job(f"{row.name}_measure", rest, list(after)))
            job_of |= {step.text: measurements[-1].name for step in rest}
    jobs = trainings + measurements
    if jobs:
        step = Step("write_table", write_table, {})
        jobs.append(Job(TABLE, [step], [job.name for job in jobs], anyway=True))
    return jobs


def _trainings(plan: Plan, row: TableRow, job_of: dict[str, str]) -> list[Job]:
    """A job for each fold with a training that no earlier job runs."""
    jobs = []
    for fold in measured_cases(plan.data_of(row), plan.folds):
        steps = [step for step in train_steps(plan, row, fold) if step.text not in job_of]
        if steps:
            jobs.append(Job(f"{row.name}_fold_{fold}", steps, []))
    return jobs
