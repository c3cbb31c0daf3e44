"""The options that name a trained model, shared by ``predict`` and ``synthesize``."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from nnunetv2_strokesynth.trainers.checkpoint_damage import FINAL

logger = logging.getLogger(__name__)
DEVICES = ("cuda", "cpu", "mps")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """The model, as ``nnUNetv2_predict`` takes it, under the same names."""
    add = parser.add_argument
    add("-m", dest="model", type=Path, required=True, help="trained model folder")
    add("-f", dest="folds", nargs="+", help="folds (default: all trained ones)")
    add("-chk", dest="checkpoint", default=FINAL, help="checkpoint name (default: "
        "%(default)s)")  # fmt: skip
    add("-device", choices=DEVICES, default="cuda", help="default: cuda")
    add("--disable_tta", action="store_true", help="no mirrored passes")


def model_options(args: argparse.Namespace) -> dict[str, object]:
    """These options as ``load_predictor`` and ``build_predictor`` take them.

    Without a CUDA device the CPU takes its place, and a line says so.
    """
    import torch

    device = args.device
    if device == "cuda" and not torch.cuda.is_available():
        device = "cpu"
        logger.info("no CUDA device here: the CPU is used (-device cpu), which takes longer")
    return {
        "folds": args.folds,
        "checkpoint": args.checkpoint,
        "device": torch.device(device),
        "mirroring": not args.disable_tta,
    }
