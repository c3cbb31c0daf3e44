"""A part in its own process: ``python -m benchmarks.gpu.child NAME FOLDER DEVICE [small]``."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import torch

from benchmarks.gpu import other_parts
from benchmarks.gpu.names import SYSTEMS
from benchmarks.gpu.settings import settings
from benchmarks.gpu.steps import measure_system
from benchmarks.gpu.turns import Turn

PARTS = {
    "machine": other_parts.measure_machine,
    "data": other_parts.make_data,
    "schedule": other_parts.measure_schedule,
    "switchable_norm": other_parts.measure_norm,
    "loader": other_parts.measure_loader,
    "ddp": other_parts.measure_ddp,
}


def main() -> None:
    """Measure; when it is asked to end, end with what has been found."""
    name, folder, device, *small = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("asked to end"))
    torch.backends.cudnn.benchmark = device == "cuda"  # as nnU-Net
    turn = Turn(Path(folder), name)
    setting = settings(torch.device(device), bool(small))
    if name in SYSTEMS:
        measure_system(turn, setting)
    elif name.startswith("train_"):
        other_parts.measure_training(turn, setting)
    elif name.startswith("predict_"):
        other_parts.measure_prediction(turn, setting)
    else:
        PARTS[name](turn, setting)


if __name__ == "__main__":
    main()
