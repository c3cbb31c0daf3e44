"""nnU-Net's predictor with a trained model in it."""

from __future__ import annotations

import ast
import importlib
import io
import json
import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_strokesynth.dataloading.pseudo_dwi_record import (
    NOTHING,
    PLANS_KEY,
    REAL_DWI,
    PseudoDwiRecord,
)
from nnunetv2_strokesynth.inference.model_files import check_model_files
from nnunetv2_strokesynth.nnunet_commands import (
    EXT_TRAINER,
    trainers_folder,
    users_environment,
)
from nnunetv2_strokesynth.trainers.checkpoint_damage import FINAL, read_whole


def load_predictor(
    model_folder: Path,
    *,
    folds: Sequence[str] | None = None,
    checkpoint: str = FINAL,
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
        FileNotFoundError, ValueError: a file is missing or damaged, see ``check_model_files``; or
            nnU-Net cannot load the model.
    """
    folds = check_model_files(model_folder, folds, checkpoint)
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
            _load_model(predictor, model_folder, folds, checkpoint)
    except RuntimeError as error:
        raise ValueError(f"{model_folder} cannot be loaded: {error}") from error
    return predictor


def _load_model(
    predictor: nnUNetPredictor, model_folder: Path, folds: Sequence[str], checkpoint: str
) -> None:
    """``nnUNetPredictor.initialize_from_trained_model_folder``, quicker for our own trainers.

    nnU-Net imports all its trainers before it looks for others, and reads the optimiser's state
    with the weights. Models of other trainers are left to it.
    """
    files = [model_folder / f"fold_{fold}" / checkpoint for fold in folds]
    stored = [read_whole(file) for file in files]  # memory-mapped: the weights alone are read
    trainer = own_trainer(stored[0]["trainer_name"])
    if trainer is None:
        predictor.initialize_from_trained_model_folder(str(model_folder), folds, checkpoint)
        return
    dataset = json.loads((model_folder / "dataset.json").read_text(encoding="utf-8"))
    plans = PlansManager(json.loads((model_folder / "plans.json").read_text(encoding="utf-8")))
    configuration = plans.get_configuration(stored[0]["init_args"]["configuration"])
    network = trainer.build_network_architecture(
        plans,
        configuration,
        determine_num_input_channels(plans, configuration, dataset),
        plans.get_label_manager(dataset).num_segmentation_heads,
        enable_deep_supervision=False,
    )
    weights = [one["network_weights"] for one in stored]
    network.load_state_dict(weights[0])
    predictor.manual_initialization(
        network,
        plans,
        configuration,
        weights,
        dataset,
        stored[0]["trainer_name"],
        stored[0].get("inference_allowed_mirroring_axes"),
    )


def own_trainer(name: str) -> type[nnUNetTrainer] | None:
    """The trainer of this package that ``nnUNet_ext`` exports by a name.

    Only its own module is imported.

    Returns:
        None for another name, or if the user has folders of trainers that come before ours.
    """
    folders = [path for path in os.environ.get(EXT_TRAINER, "").split(os.pathsep) if path]
    if folders[:1] not in ([], [str(trainers_folder())]):
        return None
    exports = trainers_folder() / "strokesynth_trainers.py"
    for node in ast.parse(exports.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and name in (alias.name for alias in node.names):
            return getattr(importlib.import_module(str(node.module)), name)
    return None


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
