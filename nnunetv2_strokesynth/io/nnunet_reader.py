"""Images by nnU-Net's own readers, whose errors become one that names the files."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from nnunetv2.imageio.base_reader_writer import BaseReaderWriter


def find_reader(description: dict[str, Any], example: str | Path) -> BaseReaderWriter:
    """nnU-Net's reader for the files of a data set.

    Args:
        description: ``dataset.json``.
        example: one of the files, which the reader has to read.

    Raises:
        ValueError: no reader can read it.
    """
    from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_dataset_json

    try:
        with contextlib.redirect_stderr(io.StringIO()):  # it prints a traceback for each reader
            found = determine_reader_writer_from_dataset_json(
                description, str(example), verbose=False
            )
    except (RuntimeError, AttributeError, TypeError) as error:
        raise ValueError(f"{example} cannot be read by nnU-Net: {_reason(error)}") from error
    return found()


def read_channels(
    reader: BaseReaderWriter, paths: Sequence[str | Path]
) -> tuple[np.ndarray, dict[str, Any]]:
    """``reader.read_images``: voxels (C, Z, Y, X) of one scan, and what is known of its geometry.

    Raises:
        ValueError: a file cannot be read, or they do not lie on the same voxels.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            return reader.read_images([str(path) for path in paths])
    except MemoryError:
        raise
    except Exception as error:  # each of nnU-Net's readers has errors of its own
        names = str(paths[0]) if len(paths) == 1 else f"{paths[0]} to {Path(paths[-1]).name}"
        why = _reason(error) or " ".join(said.getvalue().split())[:300]
        raise ValueError(f"{names} cannot be read as one scan: {why}") from error


def _reason(error: Exception) -> str:
    """The part of SimpleITK's message that is for people."""
    return " ".join(str(error).rpartition("ERROR: ")[2].split())
