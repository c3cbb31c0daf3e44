"""Whether a checkpoint is whole, in one sentence. PyTorch's own errors name no file."""

from __future__ import annotations

import zipfile
from pathlib import Path

FINAL = "checkpoint_final.pth"
"""The checkpoint that nnU-Net writes when a training has ended, and validates and predicts with."""
WAY_OUT = (
    "copy it again from where the model was trained, or delete it and go on with the training by "
    "`nnUNetv2_train ... --c`"
)
_NEEDED = ("network_weights", "trainer_name", "init_args")


def quick_damage(path: Path) -> str:
    """What is wrong with the file by its size and its ends; empty if nothing is.

    PyTorch writes a ZIP archive, whose table of contents comes last: a file that was cut short has
    none. Takes milliseconds and no PyTorch.
    """
    try:
        if path.stat().st_size == 0:
            return f"{path} is empty; {WAY_OUT}"
        if not zipfile.is_zipfile(path):
            return f"{path} is cut short or no checkpoint of nnU-Net; {WAY_OUT}"
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        return f"{path} is damaged ({error}); {WAY_OUT}"
    if not any(name.endswith("data.pkl") for name in names):
        return f"{path} holds no weights of PyTorch; {WAY_OUT}"
    return ""


def read_whole(path: Path) -> dict:
    """The content of a checkpoint.

    Raises:
        ValueError: it is damaged, no checkpoint of nnU-Net, or could run code when it is opened;
            the message names the file and the way out.
    """
    import pickle

    from nnunetv2_strokesynth.trainers.checkpoint_file import read_checkpoint

    found = quick_damage(path)
    if found:
        raise ValueError(found)
    try:
        content = read_checkpoint(path)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} is damaged, or holds more than weights and numbers, which could run code when "
            f"it is opened; {WAY_OUT}, or, if you trust the file, predict by `nnUNetv2_predict`"
        ) from error
    except Exception as error:  # PyTorch raises many kinds
        raise ValueError(
            f"{path} is damaged ({type(error).__name__}: {error}); {WAY_OUT}"
        ) from error
    lacking = [key for key in _NEEDED if not isinstance(content, dict) or key not in content]
    if lacking:
        raise ValueError(
            f"{path} is no checkpoint of nnU-Net: it lacks {', '.join(lacking)}; {WAY_OUT}"
        )
    return content
