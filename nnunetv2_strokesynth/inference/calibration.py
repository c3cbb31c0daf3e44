"""What a model knows of its own errors: a file beside its folds that ``predict`` reads."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from nnunetv2_strokesynth import __version__
from nnunetv2_strokesynth.evaluation.volume_interval import VolumeInterval
from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.trainers.checkpoint_damage import FINAL

CALIBRATION_FILE = "strokesynth_calibration.json"
FORMAT_VERSION = 1


class PseudoDwiCut(NamedTuple):
    """The threshold on the pseudo-DWI that outlines the validation's lesions best.

    Attributes:
        cut: on the pseudo-DWI's own scale; lesion is above.
        dice_mean: of the validation cases, on which it was chosen.
        n_cases: how many.
    """

    cut: float
    dice_mean: float
    n_cases: int


class Calibration(NamedTuple):
    """Of one model.

    Attributes:
        volume: the interval of its volumes.
        cut: of its pseudo-DWI; None if it was not calibrated.
    """

    volume: VolumeInterval
    cut: PseudoDwiCut | None = None


def write_calibration(
    model: Path, calibration: Calibration, *, cases: list[str], folds: list[str]
) -> Path:
    """Write the file into the model's folder; returns its path."""
    path = model / CALIBRATION_FILE
    content = {
        "strokesynth_calibration": FORMAT_VERSION,
        "version": __version__,
        "created_utc": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "checkpoint": FINAL,
        "folds": folds,
        "cases": cases,
        "lesion_volume": calibration.volume._asdict(),
        "pseudo_dwi_cut": calibration.cut and calibration.cut._asdict(),
    }
    write_json(path, content)
    return path


def read_calibration(model: Path) -> Calibration | None:
    """The model's calibration; None if it has none.

    Raises:
        ValueError: the file cannot be read; it names the file.
    """
    path = model / CALIBRATION_FILE
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["strokesynth_calibration"] != FORMAT_VERSION:
            raise ValueError(f"format {content['strokesynth_calibration']}")
        cut = content["pseudo_dwi_cut"]
        return Calibration(
            VolumeInterval(**content["lesion_volume"]), PseudoDwiCut(**cut) if cut else None
        )
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}), expected what `strokesynth calibrate` of this "
            "version writes; run it again with --overwrite"
        ) from error
