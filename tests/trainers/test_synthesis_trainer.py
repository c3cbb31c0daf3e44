"""DWI targets in a training: cases without one, and data sets without any."""

import copy
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunetv2.run.run_training import get_trainer_from_args
from torch import nn
from trainer_world import initialised, make_trainer, plans_and_dataset, quiet

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.dataloading.normalization import with_fixed_intensities
from nnunetv2_strokesynth.dataloading.pseudo_dwi_record import PLANS_KEY, PseudoDwiRecord
from nnunetv2_strokesynth.papers.wang2020.trainer import StrokeSynthTrainer_Wang2020
from nnunetv2_strokesynth.trainers.checkpoint_file import read_checkpoint
from nnunetv2_strokesynth.trainers.earlier_checkpoint import check_same_preparation
from nnunetv2_strokesynth.trainers.planned_synthesis import CONTEXT_ENCODERS
from nnunetv2_strokesynth.trainers.strokesynth import (
    StrokeSynthTrainer,
    StrokeSynthTrainer_NoDWI,
    StrokeSynthTrainer_Surrogate,
)


def _trainer(name="StrokeSynthTrainer"):
    return get_trainer_from_args("18", "2d", 0, name, device=torch.device("cpu"))


@pytest.fixture
def raw_copy(nnunet_folders, tmp_path, monkeypatch):
    """The raw data set's targets in a folder that a test may change; preprocessed data too."""
    raw = tmp_path / "raw" / nnunet_folders.raw.name
    raw.mkdir(parents=True)
    for name in ("imagesTr", "labelsTr"):
        (raw / name).symlink_to(nnunet_folders.raw / name)
    shutil.copytree(nnunet_folders.raw / "targetsTr", raw / "targetsTr")
    preprocessed = tmp_path / "preprocessed"
    shutil.copytree(
        nnunet_folders.preprocessed,
        preprocessed / nnunet_folders.preprocessed.name,
        ignore=shutil.ignore_patterns("*_targets"),
    )
    monkeypatch.setenv("nnUNet_raw", str(raw.parent))
    monkeypatch.setenv("nnUNet_preprocessed", str(preprocessed))
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    return raw


def _log(trainer):
    return Path(trainer.log_file).read_text()


def test_without_any_dwi_the_three_networks_learn_by_the_segmentation_alone(raw_copy):
    shutil.rmtree(raw_copy / "targetsTr")
    trainer = _trainer()
    trainer.on_train_start()
    trainer.on_train_epoch_start()
    warnings = [line for line in _log(trainer).splitlines() if "WARNING" in line]
    assert len(warnings) == 3
    assert all(
        name in _log(trainer)
        for name in ("_NoDWI", "_FineTune", "targetsTr", "no pseudo", "outline")
    )
    assert trainer.unwrapped_network.segmentation_gradient == 1.0
    assert len({group["lr"] for group in trainer.optimizer.param_groups}) == 1
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    assert np.isfinite(trainer.train_step(next(trainer.dataloader_train))["loss"])
    weights = [name for name, _ in trainer.network.named_parameters()]
    after = trainer.network.state_dict()
    moved = {name.split(".")[0] for name in weights if not torch.equal(before[name], after[name])}
    assert moved >= {"extractor", "generator", "segmenter"}
    saved = json.loads((Path(trainer.output_folder_base) / "plans.json").read_text())
    assert saved["configurations"]["2d"][PLANS_KEY]["learned"] == "nothing"


@pytest.mark.parametrize("name", ["StrokeSynthTrainer_Wang2020"])
def test_without_any_dwi_a_papers_trainer_stops_and_names_the_other_trainer(
    raw_copy, name, monkeypatch
):
    shutil.rmtree(raw_copy / "targetsTr")
    monkeypatch.setenv("strokesynth_base_features", "4")
    trainer = _trainer(name)
    trainer.initialize()  # makes the cases
    with pytest.raises(ValueError, match=r"targetsTr.*StrokeSynthTrainer_NoDWI"):
        trainer.get_tr_and_val_datasets()


def _stale_targets(raw_copy, nnunet_folders, preprocessed):
    """Targets as an earlier training left them."""
    name = "nnUNetPlans_2d_frames_brain_targets"
    target = preprocessed / nnunet_folders.preprocessed.name / name
    shutil.copytree(nnunet_folders.preprocessed / name, target)
    return target


@pytest.mark.parametrize("folder_stays", [True, False])
def test_withdrawn_dwis_are_not_trained_on_from_earlier_targets(
    raw_copy, nnunet_folders, tmp_path, folder_stays
):
    stale = _stale_targets(raw_copy, nnunet_folders, tmp_path / "preprocessed")
    assert list(stale.glob("*.b2nd"))
    shutil.rmtree(raw_copy / "targetsTr")
    if folder_stays:
        (raw_copy / "targetsTr").mkdir()
    trainer = _trainer()
    train, _ = trainer.get_tr_and_val_datasets()
    assert not train.cases_with_target and "has a DWI: the three networks" in _log(trainer)
    assert not list(stale.iterdir())


def test_without_raw_data_earlier_targets_serve(raw_copy, nnunet_folders, tmp_path, monkeypatch):
    _stale_targets(raw_copy, nnunet_folders, tmp_path / "preprocessed")
    monkeypatch.delenv("nnUNet_raw")
    train, _ = _trainer().get_tr_and_val_datasets()
    assert len(train.cases_with_target) == 10


def test_cases_without_a_dwi_are_nan_and_the_loss_stays_finite(raw_copy):
    trainer = _trainer()
    train_ids, _ = trainer.do_split()
    for case_id in train_ids[1:]:
        (raw_copy / "targetsTr" / f"{case_id}.nii.gz").unlink()
    trainer.initialize()
    trainer.on_train_start()
    # One in 64 batches of two holds nothing but the one case that has a DWI.
    batches = (next(trainer.dataloader_train) for _ in range(8))
    batch = next(batch for batch in batches if torch.isnan(batch["target"][1]).any())
    trainer.network.train()
    assert np.isfinite(trainer.train_step(batch)["loss"])
    for parameter in trainer.network.parameters():
        assert torch.isfinite(parameter).all()


def _meta(**attributes):
    """StrokeSynthTrainer with other attributes, as a candidate of the arena has them."""
    candidate = type("StrokeSynthTrainer", (StrokeSynthTrainer,), attributes)
    return initialised(make_trainer(candidate))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_warm_up_keeps_the_segmentations_gradient_out_of_the_synthesis(nnunet_variables, share):
    trainer = _meta(segmentation_gradient=share, synthesis_warmup=0.25)
    trainer.num_epochs = 8
    found = []
    for epoch in range(8):
        trainer.current_epoch = epoch
        with quiet():
            trainer.on_train_epoch_start()
        found.append(trainer.unwrapped_network.segmentation_gradient)
    assert found == [0.0] * 2 + [share] * 6


def test_context_encoders_differ_in_what_learns_and_in_the_loss(nnunet_variables):
    found = {}
    for kind in CONTEXT_ENCODERS:
        trainer = _meta(context_encoder=kind)
        encoder = trainer.unwrapped_network.context_encoder
        learns = [parameter.requires_grad for parameter in encoder.parameters()]
        assert len(set(learns)) == 1
        last = type(encoder.layers[-1]).__name__
        loss = trainer.loss
        found[kind] = (learns[0], last, loss.spread_weight, loss.relative_context)
    assert found == {
        "paper": (True, "ReLU", 0.0, False),
        "frozen": (False, "ReLU", 0.0, True),
        "spread": (True, "Identity", 1.0, False),
    }


@pytest.mark.parametrize(
    "attributes", [{"segmenter_inputs": ("DWI^",)}, {"segmenter_norm": nn.BatchNorm2d}]
)
def test_a_candidate_changes_the_networks_by_attributes(nnunet_variables, attributes):
    ours, other = _meta(), _meta(**attributes)
    shapes = [
        {name: value.shape for name, value in trainer.network.state_dict().items()}
        for trainer in (ours, other)
    ]
    assert shapes[0] != shapes[1]


def _checkpoint(path, plans):
    torch.save({"init_args": {"plans": plans}}, path)
    return path


def test_a_checkpoint_of_another_preparation_is_refused_in_one_line(nnunet_variables, tmp_path):
    trainer = make_trainer(StrokeSynthTrainer)
    plans, now = plans_and_dataset("wang2020")[0], trainer.plans_manager.plans
    same = _checkpoint(tmp_path / "same.pth", now)
    check_same_preparation(same, now, "2d")
    check_same_preparation(read_checkpoint(same), now, "2d")  # nnU-Net's signature allows it
    earlier = with_fixed_intensities(plans, "2d", PRESETS["wang2020"].names)
    del earlier["configurations"]["2d"][
        "strokesynth_frames"
    ]  # as before the frames were one volume
    path = _checkpoint(tmp_path / "checkpoint_latest.pth", earlier)
    with pytest.raises(ValueError, match="checkpoint_latest.pth.*CTP frames: None, now one volume"):
        trainer.load_checkpoint(str(path))
    clipped = copy.deepcopy(now)
    clipped["configurations"]["2d"]["strokesynth_pseudo_dwi"]["scale_version"] = 0
    with pytest.raises(ValueError, match=r"scale: 0, now 1.*nnUNetv2_predict") as raised:
        check_same_preparation(_checkpoint(tmp_path / "clipped.pth", clipped), now, "2d")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("cls", "scale", "learned"),
    [
        (StrokeSynthTrainer, "brain", "DWI"),
        (StrokeSynthTrainer_Wang2020, "paper", "DWI"),
        (StrokeSynthTrainer_Surrogate, "brain", "blurred lesion"),
        (StrokeSynthTrainer_NoDWI, "brain", "nothing"),
    ],
)
def test_the_plans_of_a_model_say_what_its_pseudo_dwi_is(nnunet_variables, cls, scale, learned):
    plans = make_trainer(cls).plans_manager.plans
    content = plans["configurations"]["2d"][PLANS_KEY]
    assert PseudoDwiRecord.parse(content, "plans") == (scale, 1, learned)
