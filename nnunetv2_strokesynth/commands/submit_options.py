"""The options that hand a command's steps to a cluster, shared by several commands."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from nnunetv2_strokesynth.commands.next_step import say_next
from nnunetv2_strokesynth.reproduction.steps import Job

HERE = "no"
CLUSTERS = ("slurm", "local", HERE)

logger = logging.getLogger(__name__)


def add_submit_options(parser: argparse.ArgumentParser, unit: str = "fold") -> None:
    """``--submit`` and ``--slurm``; ``unit`` is what becomes a job."""
    add = parser.add_argument
    add("--submit", choices=CLUSTERS, default=HERE, help="slurm: hand the commands to SLURM, one "
        f"job for each {unit}; local: run the same jobs here, one after the other (needs the extra "
        "[cluster])")  # fmt: skip
    add("--slurm", nargs="+", default=[], metavar="NAME=VALUE", help="sbatch's options for each "
        "job: time=1440 (minutes) partition=gpu gres=gpu:1 cpus-per-task=12 mem=48G")  # fmt: skip


def is_submitted(args: argparse.Namespace) -> bool:
    """Whether a cluster is asked for.

    Raises:
        ValueError: ``--slurm`` without ``--submit``.
    """
    if args.slurm and args.submit == HERE:
        raise ValueError("--slurm goes with --submit slurm")
    return args.submit != HERE


def check_options(args: argparse.Namespace, folder: Path) -> None:
    """Refuse, before anything is made, what could not be submitted; see ``check_submission``."""
    from nnunetv2_strokesynth.reproduction.submission import check_submission

    check_submission(args.submit, args.slurm, folder)


def command_again(
    name: str,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    args: argparse.Namespace,
    *,
    without: Sequence[str] = (),
) -> list[str]:
    """The command that was typed, for a job: the same options, but for those of the submission.

    Args:
        name: of the command.
        add_arguments: of its module.
        args: as they were parsed.
        without: names of further arguments to leave out.
    """
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    words: list[str] = []
    for action in parser._actions:
        value = getattr(args, action.dest)
        if value == action.default or action.dest in (*without, "submit", "slurm"):
            continue
        given = [] if value is True else value if isinstance(value, list) else [value]
        texts = [str(one) for one in given]
        # What belongs to no option comes first: an option with many values would take it.
        words = (
            [*words, action.option_strings[-1], *texts] if action.option_strings else texts + words
        )
    return ["strokesynth", name, *words]


def submit_jobs(args: argparse.Namespace, jobs: Sequence[Job], folder: Path) -> None:
    """Submit the jobs, and say where their logs are and how to look after them."""
    from nnunetv2_strokesynth.reproduction.submission import FOLDER, SLURM, submit

    numbers = submit(jobs, folder, cluster=args.submit, words=args.slurm)
    logger.info("%d jobs; logs of the commands: %s", len(numbers), folder / "logs")
    logger.info("what the jobs printed: %s", folder / FOLDER)
    if args.submit == SLURM:
        say_next(["squeue", "--me"])
        logger.info("when they have ended, the same command submits what is still missing")
