"""Match the true lesions of an evaluation with predictions, folds and images."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from nnunetv2_strokesynth.channels import PERFUSION_MAPS
from nnunetv2_strokesynth.dataloading.dwi_scaling import PAPER
from nnunetv2_strokesynth.dataloading.splits_file import SPLITS_FILE
from nnunetv2_strokesynth.evaluation.cases import (
    IMAGE_ENDINGS,
    Gathered,
    case_files,
    gather,
)
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.text_files import read_json, read_json_object


class CasePair(NamedTuple):
    """One case to measure.

    Attributes:
        case_id: of the case.
        gt, pred: true and predicted lesion.
        fold: that predicted it, or empty.
        dwi, pseudo_dwi: None where there is none.
        maps: the perfusion maps, which show the brain; the DWI shows it where there are none.
        scale: of the pseudo-DWI, one of ``dwi_scaling.SCALES``.
    """

    case_id: str
    gt: Path
    pred: Path
    fold: str = ""
    dwi: Path | None = None
    pseudo_dwi: Path | None = None
    maps: tuple[Path, ...] = ()
    scale: str = PAPER


class Matched(NamedTuple):
    """The cases of one evaluation.

    Attributes:
        case_ids: cases with both a true lesion and a prediction, sorted.
        gt: true lesion of every case that had to be predicted, by case id.
        pred: the predictions.
    """

    case_ids: list[str]
    gt: dict[str, Path]
    pred: Gathered

    @property
    def missing(self) -> list[str]:
        """Cases that had to be predicted and were not, sorted."""
        return sorted(set(self.gt) - set(self.case_ids))


def find_cases(
    gt_folder: Path,
    pred_folder: Path,
    *,
    endings: tuple[str, ...] = IMAGE_ENDINGS,
    folds: Collection[int] | None = None,
    allow_missing: bool = False,
) -> Matched:
    """Find true lesions and predictions that belong together.

    Args:
        gt_folder: true lesions, one file per case.
        pred_folder: predictions, or a trained model's folder.
        endings: which files are predictions; ``(".npz",)`` for probabilities.
        folds: only the validation cases of these folds of a model; None: every true lesion has to
            be predicted.
        allow_missing: whether cases and folds without prediction are left out.

    Raises:
        FileNotFoundError: a folder is missing or empty.
        ValueError: see ``match_cases``; a named fold without predictions.
    """
    gt, pred = case_files(gt_folder), gather(pred_folder, endings, folds=folds)
    if not gt:
        raise FileNotFoundError(f"{gt_folder} holds no label file (.nii.gz)")
    if folds is not None:
        if pred.missing_folds and not allow_missing:
            raise ValueError(
                f"{pred_folder}: Folds without predictions: {', '.join(pred.missing_folds)}. "
                "Train them, or leave them out with --allow-missing."
            )
        # nnU-Net's labels count, too: a label whose probabilities are missing is a missing case.
        own = {*pred.files, *gather(pred_folder, folds=folds).files}
        own |= _validation_cases(pred_folder, gt_folder, pred, folds)
        gt = {case_id: path for case_id, path in gt.items() if case_id in own}
    ids = match_cases(gt, pred, pred_folder=pred_folder, allow_missing=allow_missing)
    return Matched(ids, gt, pred)


def _validation_cases(
    model_folder: Path, gt_folder: Path, pred: Gathered, folds: Collection[int]
) -> set[str]:
    """What the folds validate on, by the split of the training; empty if that is not at hand.

    A split that does not have every predicted case in its fold is not the one of the training.
    """
    for split in _splits(model_folder, gt_folder):
        known = {str(fold): set(entry.get("val", ())) for fold, entry in enumerate(split)}
        if all(case_id in known.get(fold, ()) for case_id, fold in pred.folds.items()):
            return set().union(*(known.get(str(fold), ()) for fold in folds))
    return set()


def _splits(model_folder: Path, gt_folder: Path) -> Iterator[list[dict[str, Any]]]:
    """nnU-Net's copy of the data set's split, then the converter's beside the true lesions."""
    folders = [Path(gt_folder).resolve().parent]
    preprocessed = os.environ.get("nnUNet_preprocessed")
    if preprocessed:
        folders.insert(0, Path(preprocessed) / Path(model_folder).resolve().parent.name)
    for path in (folder / SPLITS_FILE for folder in folders):
        if path.is_file():
            split = read_json(path, way_out="put the split of the training back")
            if isinstance(split, list) and all(_names_cases(entry) for entry in split):
                yield split


def _names_cases(entry: object) -> bool:
    names = entry.get("val", []) if isinstance(entry, dict) else None
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def match_cases(
    gt: Iterable[str], pred: Gathered, *, pred_folder: Path, allow_missing: bool
) -> list[str]:
    """The cases that have both a true lesion and a prediction, sorted.

    Raises:
        ValueError: a prediction without true lesion, or a true lesion without prediction (unless
            ``allow_missing``).
    """
    gt = set(gt)
    stray, missing = set(pred.files) - gt, gt - set(pred.files)
    if stray:
        raise ValueError(
            f"{pred_folder} holds files of {len(stray)} cases without true lesion: "
            f"{name_some(stray)}. Move them away, or name the folder of their labels with --gt."
        )
    if missing and not allow_missing:
        raise ValueError(
            f"{pred_folder} lacks {len(missing)} of {len(gt)} cases: {name_some(missing)}. "
            f"{_what_to_do(pred)}"
        )
    return sorted(gt & set(pred.files))


def _what_to_do(pred: Gathered) -> str:
    if not pred.missing_folds:
        return "Predict them, or leave them out with --allow-missing."
    there = " ".join(sorted(set(pred.folds.values()), key=int))
    return (
        f"Folds without predictions: {', '.join(pred.missing_folds)}. Train them, measure the "
        f"others alone with -f {there}, or leave the cases out with --allow-missing."
    )


def pair_images(
    case_ids: Iterable[str], dwi_folder: Path, pseudo_dwi_folder: Path, *, allow_missing: bool
) -> dict[str, tuple[Path, Path]]:
    """DWI and pseudo-DWI of the cases that have a DWI (not every case needs one).

    Raises:
        FileNotFoundError: no case has a DWI.
        ValueError: a case has a DWI but no pseudo-DWI (unless ``allow_missing``).
    """
    case_ids = set(case_ids)
    dwi, pseudo = case_files(dwi_folder), case_files(pseudo_dwi_folder)
    wanted = case_ids & set(dwi)
    if not wanted:
        raise FileNotFoundError(
            f"{dwi_folder} has a DWI for none of the {len(case_ids)} cases; its files have to be "
            f"named as the labels are, for example {min(case_ids)}.nii.gz"
        )
    missing = wanted - set(pseudo)
    if missing and not allow_missing:
        raise ValueError(
            f"{pseudo_dwi_folder} lacks {len(missing)} of {len(wanted)} cases that have a DWI: "
            f"{name_some(missing)}. Export them with `strokesynth synthesize ... --validation`, or "
            "leave them out with --allow-missing."
        )
    return {case_id: (dwi[case_id], pseudo[case_id]) for case_id in sorted(wanted - missing)}


def images_beside(gt_folder: Path) -> Path | None:
    """The folder of the scans of a converted data set: imagesTr for labelsTr; None if absent."""
    gt_folder = Path(gt_folder)
    if not gt_folder.name.startswith("labels"):
        return None
    folder = gt_folder.with_name(gt_folder.name.replace("labels", "images", 1))
    return folder if folder.is_dir() else None


def find_maps(case_ids: Iterable[str], images: Path | None) -> dict[str, tuple[Path, ...]]:
    """The perfusion maps of the cases in a converted data set.

    Args:
        case_ids: the cases.
        images: ``imagesTr`` or ``imagesTs``, beside ``dataset.json``; or None.

    Returns:
        Case -> its maps; without the cases that lack one. Empty without such a data set.
    """
    if images is None or not (images.parent / "dataset.json").is_file():
        return {}
    path = images.parent / "dataset.json"
    description = read_json_object(path, way_out="convert the data set again")
    ending = description.get("file_ending", ".nii.gz")
    try:
        channels = [
            int(number)
            for number, name in description.get("channel_names", {}).items()
            if name in PERFUSION_MAPS
        ]
    except (AttributeError, ValueError, TypeError) as error:
        raise ValueError(
            f"{path}: channel_names has to be an object of numbers and names ({error!r}); convert "
            "the data set again"
        ) from error
    found = {
        case_id: tuple(images / f"{case_id}_{channel:04d}{ending}" for channel in channels)
        for case_id in case_ids
    }
    return {
        case_id: paths
        for case_id, paths in found.items()
        if paths and all(path.is_file() for path in paths)
    }
