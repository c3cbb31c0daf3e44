"""A record of the cases that a training learned from: weights do not forget a withdrawn case."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from nnunetv2_strokesynth.io.atomic import write_json

RECORD = "trained_cases.json"


def record_cases(
    folder: Path, training: Sequence[str], validation: Sequence[str], *, epoch: int
) -> list[str]:
    """Writes ``trained_cases.json``, after comparing it with what a resumed training has learned.

    Args:
        folder: of the fold, in ``nnUNet_results``.
        training: cases to be trained on.
        validation: cases of the fold's validation; the same ones for fold ``all``.
        epoch: 0 for a training that starts anew.

    Returns:
        Sentences for the log: cases that the weights know, and that are not trained on any more.

    Raises:
        ValueError: a resumed training has learned from a case that validates it now.
    """
    earlier = _learned_from(folder) if epoch else []
    if earlier is None:
        said = [f"{folder / RECORD} is missing: which cases the checkpoint knows is not recorded"]
        earlier = []
    else:
        earlier = sorted(set(earlier) - set(training))
        said = _compared(folder, earlier, validation, epoch)
    content = {"train": sorted(training), "val": sorted(validation), "earlier": earlier}
    write_json(folder / RECORD, content)
    return said


def _learned_from(folder: Path) -> list[str] | None:
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return [*record["train"], *record["earlier"]]
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return None


def _compared(
    folder: Path, earlier: Sequence[str], validation: Sequence[str], epoch: int
) -> list[str]:
    leaked = [case_id for case_id in earlier if case_id in set(validation)]
    if leaked:
        raise ValueError(
            f"{folder}: the checkpoint of epoch {epoch} has learned from {len(leaked)} cases that "
            f"splits_final.json now uses for validation, {', '.join(leaked)}: the folds have "
            "changed. Start the training anew, without --c, or put the former splits_final.json "
            "back"
        )
    if not earlier:
        return []
    return [
        f"the checkpoint of epoch {epoch} has learned from {len(earlier)} cases that this fold no "
        f"longer trains on: {', '.join(earlier)}. If they were withdrawn, start anew, without --c: "
        "weights do not forget"
    ]
