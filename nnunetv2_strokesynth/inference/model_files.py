"""The files of a trained model, checked before nnU-Net reads them.

nnU-Net's own errors about a model name neither the file nor what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nnunetv2_strokesynth.dataloading.preprocessed_folders import PHYSICAL_SUFFIX
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.text_files import read_json_object
from nnunetv2_strokesynth.trainers.checkpoint_damage import FINAL, quick_damage

EXPECTED = (
    "expected a folder like nnUNet_results/Dataset018_ISLES2018/StrokeSynthTrainer__nnUNetPlans__2d"
)
_COPY_AGAIN = "copy the model again from where it was trained"
_NEEDED = {
    "plans.json": ("configurations", "dataset_name", "transpose_backward"),
    "dataset.json": ("channel_names", "labels", "file_ending"),
}


def check_model_files(
    model_folder: Path, folds: Sequence[str] | None, checkpoint: str
) -> tuple[str, ...]:
    """Check that a model is complete and whole, as far as this takes no time.

    Args:
        model_folder: ``<trainer>__<plans>__<configuration>``.
        folds: wanted ones; None: all that have the checkpoint.
        checkpoint: name of the file in each fold's folder.

    Returns:
        The folds to load.

    Raises:
        FileNotFoundError: a file or fold is missing. The message names it and the way out.
        ValueError: a file is empty, cut short, or something else.
    """
    for name in _NEEDED:
        if not (model_folder / name).is_file():
            raise FileNotFoundError(
                f"{model_folder} is no trained nnU-Net model: it has no {name}; {EXPECTED}"
            )
    for name, keys in _NEEDED.items():
        content = read_json_object(model_folder / name, way_out=_COPY_AGAIN)
        lacking = [key for key in keys if key not in content]
        if lacking:
            raise ValueError(f"{model_folder / name} lacks {', '.join(lacking)}; {_COPY_AGAIN}")
    folds = _existing_folds(model_folder, folds, checkpoint)
    for fold in folds:
        found = quick_damage(model_folder / f"fold_{fold}" / checkpoint)
        if found:
            raise ValueError(f"{found}{_or_other(model_folder / f'fold_{fold}', checkpoint)}")
    return folds


def _existing_folds(
    model_folder: Path, folds: Sequence[str] | None, checkpoint: str
) -> tuple[str, ...]:
    there = sorted(path.name[5:] for path in model_folder.glob("fold_*") if path.is_dir())
    if not there:
        raise FileNotFoundError(
            f"{model_folder} has no fold (fold_0, fold_1, ... or fold_all); {_COPY_AGAIN}, with "
            "the folders of its folds, or train one: nnUNetv2_train"
        )
    if folds is None:
        found = [fold for fold in there if (model_folder / f"fold_{fold}" / checkpoint).is_file()]
        if not found:
            raise FileNotFoundError(
                f"no fold in {model_folder} has {checkpoint}"
                f"{_way_out(model_folder / f'fold_{there[0]}', checkpoint)}"
            )
        return tuple(found)
    for fold in folds:
        own = model_folder / f"fold_{fold}"
        if fold not in there:
            raise FileNotFoundError(f"{own} is missing; -f names one of {', '.join(there)}")
        if not (own / checkpoint).is_file():
            raise FileNotFoundError(f"{own} has no {checkpoint}{_way_out(own, checkpoint)}")
    return tuple(folds)


def _way_out(fold: Path, checkpoint: str) -> str:
    if checkpoint != FINAL:
        return f"{_or_other(fold, checkpoint) or '; ' + _COPY_AGAIN}"
    return (
        ": its training has not ended, or the file was not copied. Go on with the training by "
        f"`nnUNetv2_train ... --c`{_or_other(fold, checkpoint)}"
    )


def _or_other(fold: Path, checkpoint: str) -> str:
    """``-chk`` with the checkpoints that are there and whole; empty without any."""
    paths = sorted(path for path in fold.glob("checkpoint_*.pth") if path.is_file())
    others = [p.name for p in paths if p.name != checkpoint and not quick_damage(p)]
    return f"; or predict with -chk {name_some(others, separator=' or ')}" if others else ""


def threshold_note(model_folder: Path, checkpoint: str) -> str:
    """A warning where the final checkpoint's threshold is calibrated and this one's is not.

    ``ThresholdCalibration`` adds its number to the weights when a training ends. The trainers that
    have it, ``StrokeSynthTrainer_Tuned`` and those of earlier versions, are known by the cases that
    they train on. Empty for all other models, whose checkpoints share nnU-Net's threshold.
    """
    plans = read_json_object(model_folder / "plans.json", way_out=_COPY_AGAIN)
    configurations = plans.get("configurations")
    folders = [
        str(one.get("data_identifier", ""))
        for one in (configurations.values() if isinstance(configurations, dict) else ())
        if isinstance(one, dict)
    ]
    if checkpoint == FINAL or not any(folder.endswith(PHYSICAL_SUFFIX) for folder in folders):
        return ""
    return (
        f"the threshold of {checkpoint} is not calibrated, that of {FINAL} is: lesions are smaller "
        "or larger than with that one; leave out -chk, or choose a threshold by `strokesynth tune`"
    )
