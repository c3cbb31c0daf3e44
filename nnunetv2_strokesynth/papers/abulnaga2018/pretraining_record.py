"""A file in the fold's folder that says which weights a training started from."""

from __future__ import annotations

from pathlib import Path

from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.io.text_files import read_json_object
from nnunetv2_strokesynth.trainers.environment import PRETRAINED

RECORD = "pretrained.json"
_ANEW = "start the training anew, without --c"


def write_record(folder: Path, pretrained: str | None) -> None:
    """Writes what a training starts from (None: random weights) into the fold's folder."""
    write_json(folder / RECORD, {PRETRAINED: pretrained})


def read_record(folder: Path) -> str | None:
    """What the training in a fold's folder started from; empty for random weights, None if unknown.

    Args:
        folder: the fold's folder.
    """
    record = folder / RECORD
    if not record.is_file():
        return None
    return read_json_object(record, way_out=_ANEW).get(PRETRAINED) or ""


def check_record(folder: Path, pretrained: str | None) -> None:
    """Refuses to continue a training that has started from other weights.

    They decide the stages, and with them what each epoch of a training does.

    Args:
        folder: the fold's folder, in which the record was written when the training started.
        pretrained: the weights now; None: random ones.

    Raises:
        ValueError: it differs from the record.
        FileNotFoundError: there is no record.
    """
    record = folder / RECORD
    if not record.is_file():
        raise FileNotFoundError(
            f"{record} is missing: it says what this training started from. Start it anew, "
            "without --c."
        )
    started_from = read_json_object(record, way_out=_ANEW).get(PRETRAINED)
    if started_from != pretrained:
        advice = "Start it anew, without --c."
        if started_from and pretrained:
            advice = f"Run `export {PRETRAINED}={started_from}` first, or start anew, without --c."
        before, now = (weights or "random weights" for weights in (started_from, pretrained))
        raise ValueError(
            f"This training started from {before} ({record}), now from {now}. {advice}"
        )
