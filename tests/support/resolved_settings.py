"""What each exported trainer does: the settings that follow from its class and nnU-Net's plans.

Most are observed on a trainer that is set up, not read from attributes, so that they stay the same
when code is rearranged. After a change that is meant to change a trainer, write
``tests/trainers/resolved_settings.json`` anew:

    python tests/support/resolved_settings.py
"""

from __future__ import annotations

import functools
import inspect
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from grouped_settings import as_text, grouped
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import nn
from trainer_world import initialised, make_trainer, quiet, variables

from nnunetv2_strokesynth.nnunet_ext import strokesynth_trainers
from nnunetv2_strokesynth.papers.gomez2023.mri_subsets import SUBSET_TRAINERS

STORED = Path(__file__).parents[1] / "trainers" / "resolved_settings.json"
OPTIONAL = ("FixedIntensities", "FramesAsOneVolume", "LimitedRotation", "ThresholdCalibration")
RECIPE = (
    "num_epochs initial_lr weight_decay oversample_foreground_percent probabilistic_oversampling "
    "enable_deep_supervision num_iterations_per_epoch num_val_iterations_per_epoch save_every"
).split()
SYNTHESIS = (
    "dwi_scale segmentation_gradient synthesis_warmup synthesis_rate gradient_norm context_encoder"
).split()
# Of nnU-Net's own transforms; of ours, everything is listed.
TRANSFORM_SETTINGS = (
    "rotation p_rotation scaling p_scaling patch_size random_crop apply_probability allowed_axes "
    "elastic_deform_scale elastic_deform_magnitude p_elastic_deform apply_to_channels label_value"
).split()
OPTIMIZER_SETTINGS = "lr momentum nesterov weight_decay alpha eps rho betas".split()
NETWORK_SETTINGS = (
    "segmenter_indices generator_indices frame_indices input_indices indices n_passes "
    "segmentation_gradient return_heads"
).split()
LOSS_SETTINGS = (
    "alpha beta gamma lambdas with_extractor weighted lesion_weight class_weights head_weights "
    "pixel_loss spread_weight relative_context _pixel _context"
).split()
LOSS_MODULES = ("_context_encoder", "_encoders", "_discriminator")
STAGE_WEIGHTS = ("segmentation_weight", "alpha", "beta")
SCORES = ("mean_fg_dice", "val_losses", "terms/val/l1", "terms/val/error_rate", "terms/val/L_dice")
SHARES = (0.0, 0.01, 0.1, 0.5, 0.61, 0.76, 0.99)  # of the epochs, for the learning rate
MAX_FLAT_EPOCHS = 60


def exported_trainers() -> dict[str, type[nnUNetTrainer]]:
    """The classes that nnU-Net finds, by name."""
    found = {
        name: value for name, value in vars(strokesynth_trainers).items() if inspect.isclass(value)
    }
    return dict(sorted(found.items()))


def variants() -> dict[str, str]:
    """The trainers of Gomez' figures that differ in their inputs alone, and what they vary."""
    return {name: trainer.__bases__[0].__name__ for name, trainer in SUBSET_TRAINERS.items()}


def plain(value: Any) -> Any:
    """A setting as JSON holds it: classes and functions by name, numbers to 9 digits."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, (list, tuple, range, np.ndarray)):
        return [plain(part) for part in value]
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, functools.partial):
        return {"function": plain(value.func), **plain(value.keywords)}
    if inspect.isclass(value) or inspect.isroutine(value):
        return value.__name__
    settings = {key: part for key, part in vars(value).items() if not key.startswith("_")}
    return {"class": type(value).__name__, **plain(settings)}


def _picked(thing: Any, names: list[str]) -> dict:
    there = [name for name in names if hasattr(thing, name)]
    settings = {name.lstrip("_"): plain(getattr(thing, name)) for name in there}
    return {"class": type(thing).__name__, **settings}


def optional_behaviours(trainer_class: type) -> list[str]:
    """The mixins that a trainer has."""
    return [name for name in OPTIONAL if name in {base.__name__ for base in trainer_class.__mro__}]


def _plans(trainer: nnUNetTrainer) -> dict:
    manager = trainer.configuration_manager
    return {
        "plans/batch_size": manager.batch_size,
        "plans/patch_size": plain(manager.patch_size),
        "plans/normalization_schemes": plain(manager.normalization_schemes),
        "plans/use_mask_for_norm": plain(manager.use_mask_for_norm),
        "plans/data_identifier": manager.data_identifier,
        "plans/base_features": manager.configuration.get("strokesynth_base_features"),
    }


def _transform(transform: Any) -> dict:
    if type(transform).__module__.startswith("nnunetv2_strokesynth"):
        return plain(transform)
    inner = getattr(transform, "transform", None)
    return _picked(transform, TRANSFORM_SETTINGS) | ({"of": _transform(inner)} if inner else {})


def _augmentation(trainer: nnUNetTrainer) -> dict:
    with quiet():
        geometry = trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
    rotation, dummy_2d, initial_patch_size, mirror_axes = geometry
    manager, scales = trainer.configuration_manager, trainer._get_deep_supervision_scales()
    labels = {"is_cascaded": False, "foreground_labels": [1], "regions": None, "ignore_label": None}
    training = trainer.get_training_transforms(
        manager.patch_size, rotation, scales, mirror_axes, dummy_2d,
        use_mask_for_norm=manager.use_mask_for_norm, **labels,
    )  # fmt: skip
    validation = trainer.get_validation_transforms(scales, **labels)
    return {
        "augmentation/rotation": plain(rotation),
        "augmentation/slice_by_slice": dummy_2d,
        "augmentation/initial_patch_size": plain(initial_patch_size),
        "augmentation/mirror_axes": plain(mirror_axes),
        "augmentation/training": [_transform(part) for part in training.transforms],
        "augmentation/validation": [_transform(part) for part in validation.transforms],
        "prediction/mirror_axes": plain(trainer.inference_allowed_mirroring_axes),
    }


def _network(network: nn.Module) -> dict:
    parts = {
        name: sum(parameter.numel() for parameter in part.parameters())
        for name, part in network.named_children()
    }
    layers = Counter(type(m).__name__ for m in network.modules() if not list(m.children()))
    learning = [p.numel() for p in network.parameters() if p.requires_grad]
    return {
        "network/parameters": parts,
        "network/learning_parameters": sum(learning),
        "network/layers": dict(sorted(layers.items())),
        "network/settings": _picked(network, NETWORK_SETTINGS),
    }


def segmentation_terms(loss: nn.Module) -> dict:
    """The names of the terms of L_s, and of those that are logged only."""
    return {"summands": list(loss.summands), "watched": list(loss.watched)}


def _loss(loss: nn.Module) -> dict:
    found = _picked(loss, LOSS_SETTINGS)
    segmentation = getattr(loss, "segmentation", loss)
    if type(segmentation).__name__ == "SegmentationLoss":
        found |= segmentation_terms(segmentation)
    for key in LOSS_MODULES:
        modules = [type(m).__name__ for m in getattr(loss, key, ()) if m is not None]
        found |= {key.strip("_"): modules} if modules else {}
    return found


def _optimizer(optimizer: torch.optim.Optimizer) -> dict:
    groups = optimizer.param_groups
    settings = {key: plain(groups[0][key]) for key in OPTIMIZER_SETTINGS if key in groups[0]}
    rates = [plain(group.get("rate", 1.0)) for group in groups]
    return {"class": type(optimizer).__name__, **settings, "rates": rates}


def _log(trainer: nnUNetTrainer) -> dict:
    return trainer.logger.local_logger.my_fantastic_logging


def _learning_rates(trainer: nnUNetTrainer) -> dict:
    """By epoch, where the validation score stays as it was after the first one."""
    rates = {}
    for epoch in sorted({int(share * trainer.num_epochs) for share in SHARES}):
        _log(trainer)["mean_fg_dice"] = [0.5] * epoch
        with quiet():
            trainer.lr_scheduler.step(epoch)
        rates[str(epoch)] = plain(trainer.optimizer.param_groups[0]["lr"])
    _log(trainer)["mean_fg_dice"] = []
    return rates


def _n_stages(trainer: nnUNetTrainer) -> int:
    return max(1, len(getattr(trainer, "stages", ())))


def _stages(trainer: nnUNetTrainer) -> list[dict]:
    """Each stage as a training enters it: what learns, and what is in the loss."""
    found = []
    for number in range(_n_stages(trainer)):
        trainer.current_epoch = number * (trainer.num_epochs // _n_stages(trainer))
        with quiet():
            trainer.on_train_epoch_start()
        parts = dict(trainer.network.named_children())
        stage = {
            "first_epoch": trainer.current_epoch,
            "learn": [n for n, p in parts.items() if all(w.requires_grad for w in p.parameters())],
            "in_training_mode": [name for name, part in parts.items() if part.training],
        }
        weights = [name for name in STAGE_WEIGHTS if hasattr(trainer.loss, name)]
        if getattr(trainer, "stages", ()) and weights == list(STAGE_WEIGHTS):
            stage |= {name: plain(getattr(trainer.loss, name)) for name in weights}
        found.append(stage)
    trainer.current_epoch = 0
    return found


def _stops_after(trainer: nnUNetTrainer) -> int | None:
    """Epochs of the last stage without a better score, the first one aside, that end it."""
    first = trainer.num_epochs // _n_stages(trainer) * (_n_stages(trainer) - 1)
    for n_flat in range(1, MAX_FLAT_EPOCHS):
        trainer.current_epoch = first + n_flat
        _log(trainer).update({name: [0.5] * trainer.current_epoch for name in SCORES})
        try:
            with quiet():
                trainer.on_epoch_start()
        except Exception:  # the one that leaves nnU-Net's loop
            return n_flat
    return None


def _data(trainer: nnUNetTrainer) -> dict:
    with quiet():
        train, val = trainer.get_tr_and_val_datasets()
    return {
        "data/classes": [type(train).__name__, type(val).__name__],
        "data/n_identifiers": [len(train.identifiers), len(val.identifiers)],
        "data/channels_loaded": train.load_case(train.identifiers[0])[0].shape[0],
        "data/iterations": [trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch],
        "data/oversample_foreground_percent": trainer.oversample_foreground_percent,
    }


def _under_variables(trainer_class: type[nnUNetTrainer]) -> dict:
    """What changes where the environment asks for a short run, or names pretrained weights."""
    short = ("num_epochs", "num_iterations_per_epoch", "base_features")
    with variables(**{f"strokesynth_{name}": "3" for name in short}):
        trainer = make_trainer(trainer_class)
    with variables(strokesynth_pretrained="torchvision"):
        pretrained = make_trainer(trainer_class)
    return {
        "short_run/num_epochs": trainer.num_epochs,
        "short_run/num_iterations_per_epoch": trainer.num_iterations_per_epoch,
        "short_run/base_features": _plans(trainer)["plans/base_features"],
        "with_pretrained_weights/num_epochs": pretrained.num_epochs,
    }


def resolved_settings(trainer_class: type[nnUNetTrainer]) -> dict[str, Any]:
    """The settings of one trainer by name; JSON-able."""
    trainer = make_trainer(trainer_class)
    settings = {f"recipe/{name}": plain(getattr(trainer, name)) for name in RECIPE}
    settings |= {f"synthesis/{name}": plain(getattr(trainer, name, None)) for name in SYNTHESIS}
    settings |= {
        "optional_behaviours": optional_behaviours(trainer_class),
        "preset": getattr(trainer_class, "preset", None),
        "configuration": getattr(trainer_class, "configuration", "2d"),
        **_plans(trainer),
        **_augmentation(trainer),
    }
    initialised(trainer)
    return settings | {
        **_network(trainer.network),
        "loss": _loss(trainer.loss),
        "optimizer": _optimizer(trainer.optimizer),
        "schedule/class": type(trainer.lr_scheduler).__name__,
        "schedule/learning_rates": _learning_rates(trainer),
        **_data(trainer),
        "stages": _stages(trainer),
        "stops_after_flat_epochs": _stops_after(trainer),
        **_under_variables(trainer_class),
    }


def main() -> None:
    """Writes the settings of all trainers. The shell must not set ``strokesynth_*`` variables."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
            os.environ[name] = str(Path(folder) / name)
            Path(os.environ[name]).mkdir()
        found = {name: resolved_settings(cls) for name, cls in exported_trainers().items()}
    STORED.write_text(as_text(grouped(found, variants())))


if __name__ == "__main__":
    main()
