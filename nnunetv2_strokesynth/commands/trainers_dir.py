"""``strokesynth trainers-dir``: the folder that ``nnUNet_extTrainer`` must name."""

from __future__ import annotations

import argparse
import sys

from nnunetv2_strokesynth.nnunet_commands import trainers_folder

EXAMPLE = 'export nnUNet_extTrainer="$(strokesynth trainers-dir)"'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are no options."""


def run(args: argparse.Namespace) -> None:
    """Print the absolute path."""
    sys.stdout.write(f"{trainers_folder()}\n")
