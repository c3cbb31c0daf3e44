"""nnU-Net's predictor with a trained model in it."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

from nnunetv2_strokesynth.dataloading.pseudo_dwi_record import (
    NOTHING,
    PLANS_KEY,
    REAL_DWI,
    PseudoDwiRecord,
)
from nnunetv2_strokesynth.nnunet_commands import (
    EXT_TRAINER,
    users_environment,
)


def load_predictor(
    model_folder: Path,
    *,
    folds: Sequence[str] | None = None,
    checkpoint: str = "checkpoint_final.pth",
    device: torch.device | None = None,
    mirroring: bool = True,
    gaussian: bool = True,
) -> nnUNetPredictor:
    """nnU-Net's predictor with a trained model in it.

    Args:
        model_folder: ``<trainer>__<plans>__<configuration>``.
        folds: for example ``("0", "1")`` or ``("all",)``; None: all that have the checkpoint.
        checkpoint: name of the file in each fold's folder.
        device: None means CUDA.
        mirroring: average over nnU-Net's mirrored passes, as ``nnUNetv2_predict`` does.
        gaussian: weight the middle of each tile more, as ``nnUNetv2_predict`` does.

    Raises:
        FileNotFoundError: no model folder, or a fold without the checkpoint.
        ValueError: nnU-Net cannot load the model.
    """
    folds = checked_folds(model_folder, folds, checkpoint)
    # An editable install does not tell nnU-Net where our trainers are.
    os.environ[EXT_TRAINER] = users_environment()[EXT_TRAINER]
    try:
        with redirect_stdout(io.StringIO()):  # nnU-Net prints every folder that it looks into
            predictor = nnUNetPredictor(
                use_gaussian=gaussian,
                use_mirroring=mirroring,
                device=device or torch.device("cuda"),
                allow_tqdm=False,
            )
            predictor.initialize_from_trained_model_folder(str(model_folder), folds, checkpoint)
    except RuntimeError as error:
        raise ValueError(f"{model_folder} cannot be loaded: {error}") from error
    return predictor


def checked_folds(
    model_folder: Path, folds: Sequence[str] | None, checkpoint: str
) -> tuple[str, ...]:
    """The folds to load; raises ``FileNotFoundError`` if the model or a checkpoint is missing."""
    for name in ("plans.json", "dataset.json"):
        if not (model_folder / name).is_file():
            raise FileNotFoundError(
                f"{model_folder} is no trained nnU-Net model: it has no {name}. Expected a folder "
                "like nnUNet_results/Dataset018_ISLES2018/StrokeSynthTrainer__nnUNetPlans__2d"
            )
    if folds is None:
        folds = sorted(path.parent.name[5:] for path in model_folder.glob(f"fold_*/{checkpoint}"))
        if not folds:
            raise FileNotFoundError(f"no fold in {model_folder} has {checkpoint}")
    for fold in folds:
        if not (model_folder / f"fold_{fold}" / checkpoint).is_file():
            raise FileNotFoundError(f"{model_folder / f'fold_{fold}'} has no {checkpoint}")
    return tuple(folds)


def pseudo_dwi_record(predictor: nnUNetPredictor) -> PseudoDwiRecord:
    """What the pseudo-DWI of a loaded model is, by the plans in its folder.

    Of a model older than the record, the trainer says whether it has learned from DWIs.

    Raises:
        ValueError: the record cannot be read.
    """
    configuration = predictor.configuration_manager.configuration
    if PLANS_KEY in configuration:
        return PseudoDwiRecord.parse(configuration[PLANS_KEY], "plans.json of the model")
    with redirect_stdout(io.StringIO()):
        trainer = recursive_find_trainer_class_by_name(predictor.trainer_name)
    learned = REAL_DWI if getattr(trainer, "uses_dwi", False) else NOTHING
    return PseudoDwiRecord(learned=learned)


def has_generator(predictor: nnUNetPredictor) -> bool:
    """Whether the network makes an image beside the lesion."""
    return getattr(predictor.network, "generator", None) is not None


def learned_from_dwi(predictor: nnUNetPredictor) -> bool:
    """Whether the network's generator has learned from DWIs, so that its image looks like one."""
    return has_generator(predictor) and pseudo_dwi_record(predictor).learned == REAL_DWI
