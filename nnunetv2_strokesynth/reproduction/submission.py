"""Hand jobs to SLURM through submitit, which is imported only here.

submitit writes the batch files, calls ``sbatch``, and runs a job again that was preempted or met
its time limit. Which job waits for which is SLURM's business. ``local`` runs the jobs on this
machine, one after the other, by submitit's local executor.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.io.text_files import read_json_object
from nnunetv2_strokesynth.nnunet_commands import EXT_TRAINER, FOLDER_VARIABLES
from nnunetv2_strokesynth.reproduction.job_run import JobRun
from nnunetv2_strokesynth.reproduction.steps import Job

SLURM, LOCAL = "slurm", "local"
FOLDER, RECORD = "submitit", "jobs.json"
MOST_RESTARTS = 100
_MONTH_MIN = 60 * 24 * 30
_PASSED_ON = (*FOLDER_VARIABLES, EXT_TRAINER)

logger = logging.getLogger(__name__)


def slurm_options(words: Sequence[str]) -> dict[str, str]:
    """``["partition=gpu", "cpus-per-task=12"]`` as a dictionary.

    Raises:
        ValueError: a word is no NAME=VALUE, or there is no time limit in minutes.
    """
    found = {}
    for word in words:
        name, _, value = word.partition("=")
        if not (name and value):
            raise ValueError(f"--slurm {word}: expected NAME=VALUE, as in partition=gpu")
        found[name.lstrip("-").replace("-", "_")] = value
    if not found.get("time", "").isdigit():
        raise ValueError(
            "--slurm: give a job's time limit in minutes, as in `--slurm time=1440 partition=gpu "
            "gres=gpu:1 cpus-per-task=12 mem=48G`; a training that meets it goes on in a job that "
            "is run again"
        )
    return found


def check_submission(cluster: str, words: Sequence[str], folder: Path) -> None:
    """Refuse what could not be submitted, before anything is made.

    Args:
        cluster: ``slurm`` or ``local``.
        words: of ``--slurm``.
        folder: as for ``submit``.

    Raises:
        ValueError: submitit or SLURM is not there, an option cannot be used, or jobs of an earlier
            run into the folder have not ended.
    """
    try:
        import submitit  # noqa: F401
    except ImportError as error:
        raise ValueError(
            "--submit needs the package submitit: `pip install 'nnunetv2_strokesynth[cluster]'`"
        ) from error
    if cluster == LOCAL:
        if words:
            raise ValueError("--slurm goes with --submit slurm")
        return
    slurm_options(words)
    for program in ("sbatch", "srun", "squeue"):
        if shutil.which(program) is None:
            raise ValueError(
                f"--submit slurm: there is no {program} on this machine; type it where you submit "
                "jobs. `--submit local` runs the jobs here"
            )
    waiting = _not_ended(folder / FOLDER / RECORD)
    if waiting:
        raise ValueError(
            f"jobs of an earlier run have not ended: {', '.join(waiting)} (in "
            f"{folder / FOLDER / RECORD}). Wait for them, or end them by `scancel "
            f"{' '.join(waiting.values())}`; then type it again"
        )


def _not_ended(record: Path) -> dict[str, str]:
    """The jobs of an earlier run that wait or run, by name; empty if SLURM knows none of them."""
    if not record.is_file():
        return {}
    way_out = "delete it if none of its jobs is running"
    stored = read_json_object(record, way_out=way_out)
    # A local job has the number of a process, which may be that of another user's job.
    if stored.get("cluster") != SLURM:
        return {}
    known = stored.get("jobs")
    if not isinstance(known, dict) or not all(isinstance(job, str) for job in known.values()):
        raise ValueError(f"{record} names no jobs; {way_out}")
    command = ["squeue", "--noheader", "--format=%A", f"--jobs={','.join(known.values())}"]
    # Of ids that SLURM has forgotten, squeue only complains.
    answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return {name: number for name, number in known.items() if number in answer}


def submit(
    jobs: Sequence[Job], folder: Path, *, cluster: str, words: Sequence[str]
) -> dict[str, str]:
    """Submit jobs, and record them in ``submitit/jobs.json``.

    Args:
        jobs: each comes after those that it waits for.
        folder: for ``logs/`` (a file for each command, as without a cluster) and ``submitit/``
            (batch files, and what the job itself printed).
        cluster: ``slurm``, or ``local``: returns when all have ended.
        words: of ``--slurm``.

    Returns:
        The number of each job by its name.

    Raises:
        ValueError: SLURM refuses a job, or, with ``local``, a job fails. Those that do not wait for
            it are run all the same.
    """
    numbers: dict[str, str] = {}
    failed: dict[str, str] = {}
    variables: dict[str, str | None] = {name: os.environ.get(name) for name in _PASSED_ON}
    if cluster == LOCAL:  # submitit hides the GPUs
        variables["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES")
    for job in jobs:
        if not job.anyway and set(job.after) & set(failed):
            failed[job.name] = "a job that it waits for failed"
            continue
        waits_for = [numbers[name] for name in job.after if name in numbers]
        submitted = _submit(
            _executor(cluster, folder / FOLDER, words, job, waits_for),
            JobRun(job, folder / "logs", variables),
        )
        numbers[job.name] = submitted.job_id
        write_json(folder / FOLDER / RECORD, {"cluster": cluster, "jobs": numbers})
        logger.info("job %s: %s", submitted.job_id, job.name)
        if cluster == LOCAL and (reason := _failure(submitted)):
            failed[job.name] = reason
    if failed:
        name, reason = next(iter(failed.items()))
        raise ValueError(f"{len(failed)} of {len(jobs)} jobs failed; {name}: {reason}")
    return numbers


def _executor(
    cluster: str, folder: Path, words: Sequence[str], job: Job, waits_for: list[str]
) -> Any:
    """A new one for each job: submitit's executors keep what they were told."""
    import submitit

    folder.mkdir(parents=True, exist_ok=True)
    if cluster == LOCAL:
        executor = submitit.AutoExecutor(folder=folder, cluster=LOCAL)
        executor.update_parameters(timeout_min=_MONTH_MIN)
        return executor
    executor = submitit.AutoExecutor(
        folder=folder, cluster=SLURM, slurm_max_num_timeout=MOST_RESTARTS
    )
    options = slurm_options(words)
    minutes = int(options.pop("time"))
    if waits_for:
        how = "afterany" if job.anyway else "afterok"
        options |= {"dependency": ":".join([how, *waits_for]), "kill_on_invalid_dep": "yes"}
    executor.update_parameters(
        name=job.name, timeout_min=minutes, slurm_additional_parameters=options
    )
    return executor


def _submit(executor: Any, run: JobRun) -> Any:
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        return executor.submit(run)
    except (FailedJobError, FailedSubmissionError) as error:
        said = str(error).strip().splitlines()
        raise ValueError(f"sbatch refused a job: {said[-1] if said else 'no reason'}") from error


def _failure(submitted: Any) -> str:
    """Waits for a local job; why it failed, or an empty text."""
    from submitit.core.utils import UncompletedJobError

    try:
        submitted.result()
    except UncompletedJobError as error:
        lines = [line for line in str(error).splitlines() if "Error: " in line]
        return lines[-1].partition("Error: ")[2] if lines else f"see {submitted.paths.stderr}"
    return ""
