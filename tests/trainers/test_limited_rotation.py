"""Limited rotation: heads stay upright in augmentation, and in what prediction mirrors."""

import numpy as np
import torch
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from nnunetv2.run.run_training import get_trainer_from_args


def _trainer(name="StrokeSynthTrainer_Tuned"):
    return get_trainer_from_args("18", "2d", 0, name, device=torch.device("cpu"))


def _transform(trainer, kind):
    geometry = trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
    rotation, dummy_2d, _, mirror_axes = geometry
    patch = trainer.configuration_manager.patch_size
    found = trainer.get_training_transforms(patch, rotation, None, mirror_axes, dummy_2d)
    return next(part for part in found.transforms if isinstance(part, kind))


def test_heads_stay_upright(nnunet_folders):
    trainer = _trainer()
    assert np.abs(_transform(trainer, SpatialTransform).rotation).max() == np.deg2rad(30)
    mirror = _transform(trainer, MirrorTransform)
    assert mirror.allowed_axes == trainer.inference_allowed_mirroring_axes == (1,)
    batch = {"image": torch.arange(8.0).reshape(1, 2, 4), "segmentation": torch.zeros(1, 2, 4)}
    flipped = mirror.apply(batch, axes=mirror.allowed_axes)["image"][0]
    assert flipped[0].tolist() == [3, 2, 1, 0]  # x is turned round, y is not


def test_the_default_keeps_nnunets_geometry(nnunet_folders):
    trainer = _trainer("StrokeSynthTrainer")
    assert _transform(trainer, MirrorTransform).allowed_axes == (0, 1)
