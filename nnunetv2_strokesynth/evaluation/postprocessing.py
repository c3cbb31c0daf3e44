"""A tuned threshold and minimum lesion size, applied to predicted probabilities."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk

from nnunetv2_strokesynth.evaluation.cases import (
    gather,
    label_beside,
)
from nnunetv2_strokesynth.evaluation.components import (
    clean_lesion,
    min_voxels,
)
from nnunetv2_strokesynth.evaluation.tuning import FORMAT_VERSION
from nnunetv2_strokesynth.evaluation.volumes import (
    Volume,
    check_probability_matches_label,
    read_lesion_probability,
    read_mask,
)
from nnunetv2_strokesynth.io.image_file import write_image
from nnunetv2_strokesynth.io.messages import name_some


class Rule(NamedTuple):
    """Threshold T and minimum size S_min, ``unit`` being ``"voxels"`` or ``"mL"``."""

    threshold: float
    min_size: float
    unit: str


def read_rule(path: Path) -> Rule:
    """Read what ``strokesynth tune`` chose.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a JSON, or values that make no sense.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; `strokesynth tune` writes it")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["strokesynth_postprocessing"]
        rule = Rule(float(content["threshold"]), float(content["min_size"]), content["unit"])
    except (ValueError, OverflowError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} was not written by `strokesynth tune`: {error!r}") from error
    valid = 0 < rule.threshold < 1 and rule.min_size >= 0 and np.isfinite(rule.min_size)
    if version != FORMAT_VERSION or not valid or rule.unit not in ("voxels", "mL"):
        raise ValueError(
            f"{path} has version {version} and {rule}; expected version {FORMAT_VERSION}, a "
            "threshold between 0 and 1, a minimum size of 0 or more, and the unit 'voxels' or 'mL'"
        )
    return rule


def probability_files(folder: Path, *, folds: Collection[int] | None = None) -> list[Path]:
    """The probabilities of every case of a plain folder or of a model's validation.

    Args:
        folder: a folder of case files, or a trained model's folder.
        folds: only these folds of a model.

    Raises:
        FileNotFoundError: there are none.
        ValueError: a label has no probabilities; it would be left out without a word.
    """
    found = gather(folder, (".npz",), folds=folds).files
    without = set(gather(folder, folds=folds).files) - set(found)
    if without:
        raise ValueError(
            f"{folder} has labels but no .npz of {len(without)} cases: {name_some(without)}. "
            "Predict them again with --save_probabilities."
        )
    return list(found.values())


def postprocess_case(npz: Path, rule: Rule, output: Path) -> tuple[int, int]:
    """Post-process one case.

    Args:
        npz: probabilities, with their label beside them.
        rule: what to apply.
        output: folder for the label, which keeps its name.

    Returns:
        Lesion voxels before (nnU-Net's label) and after.
    """
    try:
        label = read_mask(label_beside(npz))
        probs = read_lesion_probability(npz)
        check_probability_matches_label(probs, label, npz)
    except (ValueError, OSError) as error:
        raise ValueError(f"case {npz.stem}: {error}") from error
    smallest = min_voxels(rule.min_size, rule.unit, label.spacing_mm)
    mask = clean_lesion(probs, rule.threshold, smallest)
    _write_mask(mask, label, output / label.path.name)
    return int(np.count_nonzero(label.array)), int(np.count_nonzero(mask))


def _write_mask(mask: np.ndarray, like: Volume, path: Path) -> None:
    """Write a bool mask ``(Z, Y, X)`` as uint8 in the geometry of another volume."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(like.spacing_mm[::-1])
    image.SetOrigin(like.origin)
    image.SetDirection(like.direction)
    write_image(path, image)
