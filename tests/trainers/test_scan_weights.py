"""Weights of scans and nnU-Net's label ``ignore``: from ``dataset.json`` to the loss."""

from pathlib import Path

import numpy as np
import pytest
import torch
from trainer_world import initialised, make_trainer

from nnunetv2_strokesynth.dataloading.transforms import PackTargets
from nnunetv2_strokesynth.nnunet_ext import strokesynth_trainers
from nnunetv2_strokesynth.trainers.planned_synthesis import PlannedSynthesisTrainer
from nnunetv2_strokesynth.trainers.scan_weights import WEIGHTS_KEY, checked_weights
from nnunetv2_strokesynth.trainers.strokesynth import StrokeSynthTrainer
from nnunetv2_strokesynth.trainers.synthesis_trainer import SynthesisTrainer

pytestmark = pytest.mark.usefixtures("nnunet_variables")
OURS = [f"StrokeSynthTrainer{suffix}" for suffix in ("", "_NoDWI", "_FineTune", "_Surrogate")]


def trainer_of(name, **content):
    trainer = make_trainer(getattr(strokesynth_trainers, name))
    trainer.dataset_json.update(content)
    labels = content.get("labels")
    if labels:
        trainer.label_manager = trainer.plans_manager.get_label_manager(trainer.dataset_json)
    return trainer


@pytest.mark.parametrize("name", OURS[:2])
def test_each_scan_counts_by_its_weight_in_a_training_step(name, monkeypatch):
    trainer = initialised(trainer_of(name, **{WEIGHTS_KEY: {"case_1": 0.25}}))
    seen = []

    def step(self, batch):
        seen.append(self.segmentation_loss.scan_weights)
        return {"loss": 0.0}

    monkeypatch.setattr(SynthesisTrainer, "train_step", step)
    trainer.device = torch.device("cpu")
    trainer.train_step({"keys": ["case_2", "case_1", "case_1"]})
    trainer.train_step({"keys": ["case_2", "case_2"]})
    assert seen[0].tolist() == [1.0, 0.25, 0.25] and seen[1] is None
    assert trainer.segmentation_loss.scan_weights is None


def test_the_log_says_that_the_readers_are_doubtful():
    readers = {"warnings": ["Dice 0.600, expected at least 0.7"]}
    trainer = initialised(trainer_of("StrokeSynthTrainer", outline_readers=readers))
    log = Path(trainer.log_file).read_text()
    assert "WARNING: outlines that machines drew: Dice 0.600, expected at least 0.7" in log


def test_without_weights_nothing_is_weighed(monkeypatch):
    trainer = initialised(trainer_of("StrokeSynthTrainer"))
    assert trainer._weights_of(["case_1", "case_2"]) is None


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf"), "0.5", None, True])
def test_a_weight_that_cannot_be_used(weight):
    with pytest.raises(ValueError, match="gives case_007 the weight .*, expected a number above 0"):
        checked_weights({"case_007": weight})


@pytest.mark.parametrize("name", OURS[:2])
def test_the_ignored_label_reaches_the_loss(name):
    labels = {"background": 0, "lesion": 1, "ignore": 2}
    trainer = initialised(trainer_of(name, labels=labels))
    assert trainer.segmentation_loss.ignore_label == 2
    assert initialised(trainer_of(name)).segmentation_loss.ignore_label is None


def test_a_paper_refuses_the_ignored_label():
    labels = {"background": 0, "lesion": 1, "ignore": 2}
    with pytest.raises(ValueError, match="StrokeSynthTrainer_Wang2020 does not know"):
        initialised(trainer_of("StrokeSynthTrainer_Wang2020", labels=labels))


def test_what_nobody_has_outlined_is_no_lesion_for_the_weight_map():
    lesion = np.zeros((1, 20, 20), dtype=np.int16)
    lesion[0, 8:11, 8:11] = 1
    with_ignored = lesion.copy()
    with_ignored[0, :4] = 2
    made = [
        StrokeSynthTrainer._pack(ignore_label=ignored).apply({"segmentation": labels})
        for ignored, labels in (
            (None, torch.from_numpy(lesion)),
            (2, torch.from_numpy(with_ignored)),
        )
    ]
    weights = [data["segmentation"][-1] for data in made]
    torch.testing.assert_close(*weights)


def test_nnunets_transforms_carry_the_ignored_label():
    transforms = StrokeSynthTrainer.get_validation_transforms(None, ignore_label=2)
    (pack,) = [one for one in transforms.transforms if isinstance(one, PackTargets)]
    assert pack.ignore_label == 2 and PackTargets.ignore_label is None


def test_every_relative_of_ours_knows_both():
    for name in OURS:
        found = getattr(strokesynth_trainers, name)
        assert issubclass(found, PlannedSynthesisTrainer) and found.knows_ignore_label
