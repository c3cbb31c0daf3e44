"""Reads nnU-Net's checkpoints without running what a file may hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

# The scores in nnU-Net's checkpoints are NumPy numbers. Anything else that could run code when it
# is unpickled is refused.
_NUMPY_NUMBERS = [
    np.dtype,
    np.float32(0).__reduce__()[0],
    *{type(np.dtype(code)) for code in np.typecodes["AllInteger"] + np.typecodes["Float"]},
]


def read_checkpoint(path: Path, device: torch.device | str = "cpu") -> dict:
    """The content of a checkpoint that nnU-Net wrote; tensors lie on ``device``.

    They are read from the disk only when they are used: whoever wants the plans reads no weights.
    """
    with torch.serialization.safe_globals(_NUMPY_NUMBERS):
        return torch.load(path, map_location=device, weights_only=True, mmap=True)
