"""Images of a model's validation scans, each by the fold that has not trained on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nnunetv2_strokesynth.evaluation.cases import gather, is_model_folder
from nnunetv2_strokesynth.inference.synthesis import build_predictor, synthesize_folder


def synthesize_validation(
    model_folder: Path,
    images: Path,
    output: Path,
    *,
    folds: Sequence[str] | None = None,
    with_feature: bool = False,
    overwrite: bool = False,
    **options,
) -> list[Path]:
    """Write the images of every validation scan, each by the fold that has not trained on it.

    The scans are those that nnU-Net predicted after training, in ``fold_*/validation``.

    Args:
        model_folder: with the trained folds.
        images: ``imagesTr`` of the data set.
        output, with_feature, overwrite: see ``synthesize_folder``.
        folds: only these; None: all that have validation scans.
        options: of ``build_predictor``.

    Returns:
        The files of the head's first image, one per scan.

    Raises:
        FileNotFoundError: a fold has no validation scans, or a scan has no images.
        ValueError: a fold that is not a number; see also ``synthesize_folder``.
    """
    written = []
    for fold, case_ids in _validation_cases(model_folder, folds).items():
        predictor = build_predictor(model_folder, folds=(fold,), **options)
        written += synthesize_folder(
            predictor,
            images,
            output,
            case_ids=case_ids,
            with_feature=with_feature,
            overwrite=overwrite,
        )
    return written


def _validation_cases(model_folder: Path, folds: Sequence[str] | None) -> dict[str, list[str]]:
    """The cases of each fold's validation, by fold."""
    if folds is not None and not all(fold.isdigit() for fold in folds):
        raise ValueError(
            f"-f {' '.join(folds)}: expected numbers with --validation; fold 'all' has no "
            "validation scans of its own"
        )
    if not is_model_folder(model_folder):
        raise FileNotFoundError(f"{model_folder} is no trained nnU-Net model: it has no fold")
    found = gather(model_folder, folds=None if folds is None else [int(fold) for fold in folds])
    if folds is not None and found.missing_folds:
        raise FileNotFoundError(
            f"{model_folder}: no validation scans of fold {', '.join(found.missing_folds)}; "
            "`nnUNetv2_train ... --val` predicts them"
        )
    by_fold: dict[str, list[str]] = {}
    for case_id, fold in found.folds.items():
        by_fold.setdefault(fold, []).append(case_id)
    return by_fold
