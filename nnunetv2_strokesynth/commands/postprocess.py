"""``strokesynth postprocess``: apply a tuned threshold and minimum lesion size to predictions."""

from __future__ import annotations

import argparse
import functools
import json
import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk

from nnunetv2_strokesynth.evaluation.cases import (
    IMAGE_ENDINGS,
    gather,
    label_beside,
)
from nnunetv2_strokesynth.evaluation.components import (
    clean_lesion,
    min_voxels,
)
from nnunetv2_strokesynth.evaluation.volumes import (
    Volume,
    check_probability_matches_label,
    read_lesion_probability,
    read_mask,
)
from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.io.image_file import write_image
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.output_folder import (
    refuse_existing_folder,
    result_folder,
)
from nnunetv2_strokesynth.io.process_pool import map_cases

HELP = "apply what `strokesynth tune` chose to predicted probabilities"
EXAMPLE = (
    "strokesynth postprocess -i predictions -p postprocessing_strokesynth.json -o postprocessed"
)

APPLIED_NAME = "postprocessing_strokesynth.json"
logger = logging.getLogger(__name__)


class Rule(NamedTuple):
    """Threshold T and minimum size S_min, ``unit`` being ``"voxels"`` or ``"mL"``."""

    threshold: float
    min_size: float
    unit: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``strokesynth postprocess``."""
    add = parser.add_argument
    add("-i", "--input", type=Path, required=True, help="folder written by `nnUNetv2_predict ... "
        "--save_probabilities`, or a trained model's folder validated with --npz")  # fmt: skip
    add("-p", "--postprocessing", type=Path, required=True, help="JSON from `strokesynth tune`")
    add("-o", "--output", type=Path, required=True, help="folder for the labels")
    add("--workers", type=int, default=2, help="processes (default: 2)")
    add("--overwrite", action="store_true", help="replace earlier labels")


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
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} was not written by `strokesynth tune`: {error!r}") from error
    valid = 0 < rule.threshold < 1 and rule.min_size >= 0 and np.isfinite(rule.min_size)
    if version != 1 or not valid or rule.unit not in ("voxels", "mL"):
        raise ValueError(
            f"{path} has version {version} and {rule}; expected version 1, a threshold between 0 "
            "and 1, a minimum size of 0 or more, and the unit 'voxels' or 'mL'"
        )
    return rule


def write_mask(mask: np.ndarray, like: Volume, path: Path) -> None:
    """Write a bool mask ``(Z, Y, X)`` as uint8 in the geometry of another volume."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(like.spacing_mm[::-1])
    image.SetOrigin(like.origin)
    image.SetDirection(like.direction)
    write_image(path, image)


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
    write_mask(mask, label, output / label.path.name)
    return int(np.count_nonzero(label.array)), int(np.count_nonzero(mask))


def _is_ours(name: str) -> bool:
    return name == APPLIED_NAME or name.endswith(IMAGE_ENDINGS)


def run(args: argparse.Namespace) -> None:
    """Post-process every case of a folder."""
    rule = read_rule(args.postprocessing)
    if args.output.resolve() == args.input.resolve():
        raise ValueError("-o has to be another folder than -i: the input stays as it is")
    refuse_existing_folder(args.output, args.overwrite, _is_ours)
    found = gather(args.input, (".npz",))
    without = set(gather(args.input).files) - set(found.files)
    if without:
        raise ValueError(
            f"{args.input} has labels but no .npz of {len(without)} cases: {name_some(without)}. "
            "Predict them again with --save_probabilities."
        )
    with result_folder(args.output, overwrite=args.overwrite, is_ours=_is_ours) as folder:
        apply = functools.partial(postprocess_case, rule=rule, output=folder)
        counts = map_cases(
            apply, list(found.files.values()), workers=args.workers, description="post-process"
        )
        write_json(folder / APPLIED_NAME, json.loads(args.postprocessing.read_text("utf-8")))
    emptied = sum(before > 0 and after == 0 for before, after in counts)
    logger.info(
        "%d cases with T = %g, S_min = %g %s; %d became empty; labels: %s",
        len(counts), *rule, emptied, args.output,
    )  # fmt: skip
