"""A file in the fold's folder that says which weights a training started from."""

from __future__ import annotations

import json
from pathlib import Path

from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.trainers.environment import PRETRAINED

RECORD = "pretrained.json"


def write_record(folder: Path, pretrained: str | None) -> None:
    """Writes the value of ``strokesynth_pretrained`` (None: not set) into the fold's folder."""
    write_json(folder / RECORD, {PRETRAINED: pretrained})


def check_record(folder: Path, pretrained: str | None) -> None:
    """Refuses to continue a training under another ``strokesynth_pretrained``.

    The variable decides the stages, and with them what each epoch of a training does.

    Args:
        folder: the fold's folder, in which the record was written when the training started.
        pretrained: the variable's value now; None: not set.

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
    started_from = json.loads(record.read_text(encoding="utf-8"))[PRETRAINED]
    if started_from != pretrained:
        command = f"export {PRETRAINED}={started_from}" if started_from else f"unset {PRETRAINED}"
        raise ValueError(
            f"This training was started with {PRETRAINED} = {started_from} ({record}), but now it "
            f"is {pretrained}. Run `{command}` first, or start anew, without --c."
        )
