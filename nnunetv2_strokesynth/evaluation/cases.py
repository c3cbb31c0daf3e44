"""Find the files of an evaluation: predictions, probabilities and labels, by case.

Predictions lie in a plain folder (``nnUNetv2_predict``) or in a trained model's folder
(``nnUNetTrainer__nnUNetPlans__2d``), where the cross-validation's predictions are spread over
``fold_*/validation/``.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

IMAGE_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")
N_FOLDS = 5
logger = logging.getLogger(__name__)


class Gathered(NamedTuple):
    """The files of one folder or model.

    Attributes:
        files: path of every case, by case id.
        folds: fold of every case; empty for a plain folder.
        missing_folds: folds without predictions; empty for a plain folder.
    """

    files: dict[str, Path]
    folds: dict[str, str]
    missing_folds: tuple[str, ...] = ()


def case_files(folder: Path, endings: tuple[str, ...] = IMAGE_ENDINGS) -> dict[str, Path]:
    """Files of a folder by case id, sorted; hidden and temporary files are skipped.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: one case has two files, say ``a.nii`` and ``a.nii.gz``.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder")
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        ending = next((end for end in endings if path.name.endswith(end)), None)
        if ending is None or path.name.startswith(".") or not path.is_file():
            continue
        case_id = path.name[: -len(ending)]
        if case_id in files:
            raise ValueError(f"case {case_id} has two files: {files[case_id]} and {path}")
        files[case_id] = path
    return files


def label_beside(npz: Path) -> Path:
    """The label file that nnU-Net wrote beside a file of probabilities: it holds the geometry.

    Raises:
        FileNotFoundError: there is none.
    """
    stem = Path(npz).name.removesuffix(".npz")
    for ending in IMAGE_ENDINGS:
        label = Path(npz).with_name(stem + ending)
        if label.is_file():
            return label
    raise FileNotFoundError(
        f"{npz} has no label file beside it ({stem}.nii.gz) with the geometry; predict again"
    )


def is_model_folder(folder: Path) -> bool:
    """Whether a folder holds the folds of a trained model."""
    return any(path.is_dir() for path in Path(folder).glob("fold_*"))


def _validation_folders(model_folder: Path) -> dict[int, Path]:
    # fold_all validates on its own training cases: not a prediction of unseen ones.
    return {
        int(match[1]): path / "validation"
        for path in model_folder.glob("fold_*")
        if (match := re.fullmatch(r"fold_(\d+)", path.name))
    }


def _gather_folds(
    model_folder: Path, endings: tuple[str, ...], wanted: Collection[int] | None
) -> Gathered:
    numbered = _validation_folders(model_folder)
    if wanted is not None:
        numbered = {fold: path for fold, path in numbered.items() if fold in wanted}
    try:
        return _collect(numbered, endings, wanted)
    except ValueError:
        # The converter adds the paper's split, of the same cases, as a sixth fold.
        if wanted is not None or N_FOLDS not in numbered or not set(range(N_FOLDS)) & set(numbered):
            raise
        logger.info("%s: folds 0 to %d, without the later ones", model_folder, N_FOLDS - 1)
        return _gather_folds(model_folder, endings, range(N_FOLDS))


def _collect(
    numbered: dict[int, Path], endings: tuple[str, ...], wanted: Collection[int] | None
) -> Gathered:
    files: dict[str, Path] = {}
    folds: dict[str, str] = {}
    for fold, validation in sorted(numbered.items()):
        found = case_files(validation, endings) if validation.is_dir() else {}
        for case_id, path in found.items():
            if case_id in files:
                raise ValueError(
                    f"case {case_id} is in two folds: {files[case_id]} and {path}. The folds "
                    "belong to different splits; measure one of them with `strokesynth evaluate "
                    "-f 0 1 2 3 4`, or move the folds of the other away."
                )
            files[case_id], folds[case_id] = path, str(fold)
    expected = range(max([N_FOLDS - 1, *numbered]) + 1) if wanted is None else sorted(wanted)
    missing = tuple(str(fold) for fold in expected if str(fold) not in folds.values())
    return Gathered(files, folds, missing)


def gather(
    folder: Path,
    endings: tuple[str, ...] = IMAGE_ENDINGS,
    *,
    folds: Collection[int] | None = None,
) -> Gathered:
    """Collect the cases of a plain folder, or of the folds of a model folder.

    Args:
        folder: a folder of case files, or a trained model's folder (``fold_all`` is left out).
        endings: which files count; ``(".npz",)`` for probabilities.
        folds: only these folds of a model; None: all, or the first five where a case is in two
            folds because the paper's split was trained as well.

    Raises:
        FileNotFoundError: no folder, or no such file in it; says what would make them.
        ValueError: a case twice, or ``folds`` of a plain folder.
    """
    folder = Path(folder)
    model = folder.is_dir() and is_model_folder(folder)
    if model:
        result = _gather_folds(folder, endings, folds)
    elif folds is None:
        result = Gathered(case_files(folder, endings), {})
    else:
        raise ValueError(f"{folder} is not a trained model's folder, so it has no folds to name")
    if not result.files:
        names = ["*"] if folds is None else [str(fold) for fold in sorted(folds)]
        which = names[0] if len(names) == 1 else f"{{{','.join(names)}}}"
        where = f"{folder}/fold_{which}/validation" if model else f"{folder}"
        need = " or ".join(endings)
        hint = "`nnUNetv2_train ... --val --npz`" if model else "`nnUNetv2_predict`"
        if endings == (".npz",) and not model:
            hint = "`nnUNetv2_predict ... --save_probabilities`"
        raise FileNotFoundError(f"no {need} file in {where}; {hint} writes them")
    return result
