"""A model folder as nnU-Net leaves it, with a tiny network that has learned nothing."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from benchmarks.plans import plain_unet
from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.dataloading.dwi_scaling import BRAIN
from nnunetv2_strokesynth.dataloading.pseudo_dwi_record import (
    REAL_DWI,
    PseudoDwiRecord,
    with_record,
)
from nnunetv2_strokesynth.trainers.earlier_checkpoint import SYNTHESIS_KEY
from nnunetv2_strokesynth.trainers.strokesynth import StrokeSynthTrainer

NAMES = PRESETS["wang2020"].names
FEATURES = [4, 8]
RESAMPLING = {"order": 1, "order_z": 0, "force_separate_z": None}


def _configuration(side: int) -> dict:
    resample = "resample_data_or_seg_to_shape"
    return {
        "data_identifier": "nnUNetPlans_2d",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [side, side],
        "median_image_size_in_voxels": [float(side), float(side)],
        "spacing": [6.0, 6.0],
        "normalization_schemes": ["ZScoreNormalization"] * len(NAMES),
        "use_mask_for_norm": [True] * len(NAMES),
        "resampling_fn_data": resample,
        "resampling_fn_seg": resample,
        "resampling_fn_probabilities": resample,
        "resampling_fn_data_kwargs": {"is_seg": False, **RESAMPLING},
        "resampling_fn_seg_kwargs": {"is_seg": True, **RESAMPLING},
        "resampling_fn_probabilities_kwargs": {"is_seg": False, **RESAMPLING},
        "architecture": plain_unet(FEATURES, convolutions=1),
        "batch_dice": True,
        SYNTHESIS_KEY: {"norm": "BatchNorm2d", "generator_inputs": list(NAMES)},
    }


def write_model(folder: Path, *, side: int = 32) -> None:
    """Plans, ``dataset.json`` and the checkpoint of fold 0; voxels of 6 x 6 x 8 mm."""
    numbers = ("max", "mean", "median", "min", "percentile_00_5", "percentile_99_5", "std")
    plans = {
        "dataset_name": "Dataset018_ISLES2018",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [8.0, 6.0, 6.0],
        "original_median_shape_after_transp": [2, side, side],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"2d": _configuration(side)},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            str(channel): dict.fromkeys(numbers, 1.0) for channel in range(len(NAMES))
        },
    }
    plans = with_record(plans, "2d", PseudoDwiRecord.now(BRAIN, REAL_DWI))
    dataset = {
        "channel_names": {str(index): name for index, name in enumerate(NAMES)},
        "labels": {"background": 0, "lesion": 1},
        "numTraining": 2,
        "file_ending": ".nii.gz",
        "orientation": "LPS",
        "brain_mask": True,
    }
    manager = PlansManager(plans)
    torch.manual_seed(0)
    network = StrokeSynthTrainer.build_network_architecture(
        manager, manager.get_configuration("2d"), len(NAMES), 2, False
    )
    (folder / "fold_0").mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    checkpoint = {
        "network_weights": network.state_dict(),
        "trainer_name": "StrokeSynthTrainer",
        "init_args": {"configuration": "2d"},
        "inference_allowed_mirroring_axes": (0, 1),
    }
    torch.save(checkpoint, folder / "fold_0" / "checkpoint_final.pth")
