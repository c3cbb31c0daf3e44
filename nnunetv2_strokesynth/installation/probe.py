"""What only PyTorch and nnU-Net can tell: devices, and whether our trainers are found.

It runs in a process of its own (``facts.probed``): importing them takes seconds, and a broken
installation may end the process that tries.
"""

from __future__ import annotations

import io
import json
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout

TRAINER = "StrokeSynthTrainer"
GB = 1e9
Facts = dict[str, object]


def devices() -> Facts:
    """CUDA devices, MPS and threads, as PyTorch sees them."""
    import torch

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        has_cuda = torch.cuda.is_available()
    cards = [
        {
            "name": torch.cuda.get_device_name(number),
            "memory_gb": round(torch.cuda.get_device_properties(number).total_memory / GB, 1),
        }
        for number in range(torch.cuda.device_count() if has_cuda else 0)
    ]
    return {
        "torch": str(torch.__version__),
        "cuda_build": torch.version.cuda,
        "cuda": cards,
        "mps": bool(torch.backends.mps.is_available()),
        "threads": torch.get_num_threads(),
        "warnings": [" ".join(str(one.message).split()) for one in said],
    }


def trainers() -> Facts:
    """Whether nnU-Net finds our trainer, and how many trainers there are."""
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    from nnunetv2_strokesynth.nnunet_ext import strokesynth_trainers

    ours = [
        name
        for name, value in vars(strokesynth_trainers).items()
        if isinstance(value, type) and issubclass(value, nnUNetTrainer)
    ]
    try:
        found = recursive_find_trainer_class_by_name(TRAINER).__module__
    except RuntimeError:  # nnU-Net's way to say that it is not found
        found = None
    return {"number": len(ours), "found_as": found}


def attempt(ask: Callable[[], Facts]) -> Facts:
    """The answer; whatever goes wrong becomes one line under ``error``."""
    try:
        return {"error": None, **ask()}
    except BaseException as error:  # a broken package may raise anything, SystemExit included
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}


def main() -> None:
    """Print both answers as one line of JSON."""
    with redirect_stdout(io.StringIO()):  # nnU-Net prints where it looks
        answers = {"devices": attempt(devices), "trainers": attempt(trainers)}
    sys.stdout.write(json.dumps(answers) + "\n")
