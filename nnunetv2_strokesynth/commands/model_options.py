"""The options that name a trained model, shared by ``predict`` and ``synthesize``."""

from __future__ import annotations

import argparse
from pathlib import Path

DEVICES = ("cuda", "cpu", "mps")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """The model, as ``nnUNetv2_predict`` takes it, under the same names."""
    add = parser.add_argument
    add("-m", dest="model", type=Path, required=True, help="trained model folder")
    add("-f", dest="folds", nargs="+", help="folds (default: all trained ones)")
    add("-chk", dest="checkpoint", default="checkpoint_final.pth", help="checkpoint name")
    add("-device", choices=DEVICES, default="cuda", help="default: cuda")
    add("--disable_tta", action="store_true", help="no mirrored passes")


def model_options(args: argparse.Namespace) -> dict[str, object]:
    """These options as ``load_predictor`` and ``build_predictor`` take them.

    Raises:
        ValueError: a CUDA device is asked for and there is none.
    """
    import torch

    if args.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("there is no CUDA device here; add `-device cpu`")
    return {
        "folds": args.folds,
        "checkpoint": args.checkpoint,
        "device": torch.device(args.device),
        "mirroring": not args.disable_tta,
    }
