"""Soft labels: from the raw data set to the loss."""

from pathlib import Path

import numpy as np
import pytest
import torch
from trainer_world import SIDE, initialised, make_trainer

from nnunetv2_strokesynth.dataloading.beside_cases import store_volume
from nnunetv2_strokesynth.dataloading.soft_labels import soft_labels_folder
from nnunetv2_strokesynth.trainers.soft_labels import SoftLabels
from nnunetv2_strokesynth.trainers.strokesynth import StrokeSynthTrainer, StrokeSynthTrainer_NoDWI

pytestmark = pytest.mark.usefixtures("nnunet_variables")


class Soft(SoftLabels, StrokeSynthTrainer):
    """Ours with soft labels."""


class SoftNoDWI(SoftLabels, StrokeSynthTrainer_NoDWI):
    """The same without the DWI."""


@pytest.mark.parametrize(("cls", "n_further"), [(Soft, 2), (SoftNoDWI, 1)])
def test_they_reach_the_loss_beside_the_dwi(cls, n_further):
    trainer = initialised(make_trainer(cls))
    assert trainer.segmentation_loss.soft_labels
    folder = soft_labels_folder(trainer.preprocessed_dataset_folder)
    volume = np.full((1, 2, SIDE, SIDE), 0.7, np.float32)
    path = Path(folder) / "case_1.b2nd"
    store_volume(volume, path, (SIDE, SIDE))
    try:
        train, _ = trainer.get_tr_and_val_datasets()
        image, *_ = train.load_case("case_1")
        other, *_ = train.load_case("case_2")
        assert image.shape[0] == 12 + n_further
        assert (image[:, 0:1][-1] == np.float32(0.7)).all() and np.isnan(other[:, 0:1][-1]).all()
        sample = torch.from_numpy(image[:, 0])
    finally:
        path.unlink()  # blosc2 reads from it until here
    transforms = cls.get_validation_transforms(None)
    labels = torch.zeros(1, SIDE, SIDE, dtype=torch.int16)
    *_, soft, _ = transforms(image=sample, segmentation=labels)["segmentation"]
    assert (soft == 0.7).all()


def test_more_classes_than_a_lesion_are_refused():
    trainer = make_trainer(SoftNoDWI)
    trainer.dataset_json["labels"] = {"background": 0, "core": 1, "penumbra": 2}
    trainer.label_manager = trainer.plans_manager.get_label_manager(trainer.dataset_json)
    with pytest.raises(
        ValueError, match="tells lesion from background, the data set has 3 classes"
    ):
        initialised(trainer)


def test_the_trainers_themselves_learn_from_labels():
    assert not initialised(make_trainer(StrokeSynthTrainer)).segmentation_loss.soft_labels
