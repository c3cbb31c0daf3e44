"""Trainers on made-up plans and three made-up cases, for tests that need no data set.

Networks have their full width but no memory (PyTorch's device ``meta``), so that all trainers
are set up in seconds.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import warnings
from pathlib import Path

import blosc2
import numpy as np
import torch
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.dataloading.dwi_scaling import SCALE_VERSION, SCALES
from nnunetv2_strokesynth.dataloading.targets import targets_folder

META = torch.device("meta")
SLICES = {"case_0": 4, "case_1": 2, "case_2": 3}  # the first one is the validation case
SIDE = 16
PATCH = (60, 52)  # of the plans: no multiple of what the papers' networks need
BATCH_SIZE = 12
RESAMPLING = {"order": 1, "order_z": 0, "force_separate_z": None}


def quiet() -> contextlib.AbstractContextManager:
    """Nothing on the console: nnU-Net prints what it logs."""
    return contextlib.redirect_stdout(io.StringIO())


@contextlib.contextmanager
def variables(**values: str):
    """Environment variables for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _architecture(dims: int) -> dict:
    features = [32, 64, 128, 256]
    n = len(features)
    kwargs = {
        "n_stages": n,
        "features_per_stage": features,
        "conv_op": f"torch.nn.modules.conv.Conv{dims}d",
        "kernel_sizes": [[3] * dims] * n,
        "strides": [[1] * dims] + [[1, 2, 2][-dims:]] * (n - 1),
        "n_conv_per_stage": [2] * n,
        "n_conv_per_stage_decoder": [2] * (n - 1),
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dims}d",
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": kwargs,
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def _configuration(name: str, dims: int, names: tuple[str, ...]) -> dict:
    resample = "resample_data_or_seg_to_shape"
    return {
        "data_identifier": f"nnUNetPlans_{name}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": BATCH_SIZE if dims == 2 else 2,
        "patch_size": [8, *PATCH][-dims:],
        "median_image_size_in_voxels": [5.0, 64.0, 64.0][-dims:],
        "spacing": [5.0, 1.0, 1.0][-dims:],
        "normalization_schemes": [
            "CTNormalization" if n == "CT" else "ZScoreNormalization" for n in names
        ],
        "use_mask_for_norm": [n != "CT" for n in names],
        "resampling_fn_data": resample,
        "resampling_fn_seg": resample,
        "resampling_fn_probabilities": resample,
        "resampling_fn_data_kwargs": {"is_seg": False, **RESAMPLING},
        "resampling_fn_seg_kwargs": {"is_seg": True, **RESAMPLING},
        "resampling_fn_probabilities_kwargs": {"is_seg": False, **RESAMPLING},
        "architecture": _architecture(dims),
        "batch_dice": dims == 2,
    }


def plans_and_dataset(preset: str) -> tuple[dict, dict]:
    """nnU-Net's plans and ``dataset.json`` for a data set with the preset's channels."""
    names = PRESETS[preset].names
    statistics = dict.fromkeys(
        ("max", "mean", "median", "min", "percentile_00_5", "percentile_99_5", "std"), 1.0
    )
    plans = {
        "dataset_name": f"Dataset{100 + sorted(PRESETS).index(preset)}_{preset}",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [5.0, 1.0, 1.0],
        "original_median_shape_after_transp": [5, 64, 64],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {
            "2d": _configuration("2d", 2, names),
            "3d_fullres": _configuration("3d_fullres", 3, names),
        },
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            str(channel): statistics for channel in range(len(names))
        },
        "continue_training": False,
    }
    dataset = {
        "channel_names": {str(index): name for index, name in enumerate(names)},
        "labels": {"background": 0, "lesion": 1},
        "numTraining": len(SLICES),
        "file_ending": ".nii.gz",
    }
    return plans, dataset


def _write_cases(folder: Path, n_channels: int) -> None:
    """Preprocessed cases of zeros with one voxel of lesion each; all but the last have a DWI."""
    targets = [(scale, targets_folder(folder, scale)) for scale in SCALES]
    for _, target in targets:
        target.mkdir(parents=True)
    folder.mkdir()
    for case_id, n_slices in SLICES.items():
        shape = (n_slices, SIDE, SIDE)
        labels = np.zeros((1, *shape), np.int16)
        labels[0, 1, 8, 8] = 1
        properties = {"class_locations": {1: np.argwhere(labels)}, "spacing": [5.0, 1.0, 1.0]}
        image = np.zeros((n_channels, *shape), np.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it would choose larger chunks for larger arrays
            nnUNetDatasetBlosc2.save_case(image, labels, properties, str(folder / case_id))
        if case_id != "case_2":
            for scale, target in targets:
                blosc2.asarray(image[:1], urlpath=str(target / f"{case_id}.b2nd"))
                record = {"scale": scale, "scale_version": SCALE_VERSION}
                (target / f"{case_id}.json").write_text(json.dumps(record))


def make_trainer(trainer_class: type[nnUNetTrainer]) -> nnUNetTrainer:
    """A trainer, not initialised, whose preprocessed cases exist.

    nnU-Net's three environment variables must name folders. The raw data set stays empty.
    """
    preset = getattr(trainer_class, "preset", "wang2020")
    configuration = getattr(trainer_class, "configuration", "2d")
    plans, dataset = plans_and_dataset(preset)
    with quiet():
        trainer = trainer_class(copy.deepcopy(plans), configuration, 0, dataset, device=META)
    folder = Path(trainer.preprocessed_dataset_folder)
    if not folder.is_dir():
        _write_cases(folder, len(PRESETS[preset].names))
        first, *others = SLICES
        splits = [{"train": others, "val": [first]}]
        (folder.parent / "splits_final.json").write_text(json.dumps(splits))
    return trainer


def initialised(trainer: nnUNetTrainer) -> nnUNetTrainer:
    """The trainer with networks of full width that take no memory, not compiled."""
    with quiet(), META, variables(nnUNet_compile="f"):
        trainer.initialize()
    return trainer
