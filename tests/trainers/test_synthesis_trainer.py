"""DWI targets in a training: cases without one, and data sets without any."""

import shutil

import numpy as np
import pytest
import torch
from nnunetv2.run.run_training import get_trainer_from_args


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


def test_without_any_dwi_it_stops_and_names_the_other_trainer(raw_copy):
    shutil.rmtree(raw_copy / "targetsTr")
    trainer = _trainer()
    with pytest.raises(ValueError, match=r"targetsTr.*StrokeSynthTrainer_NoDWI"):
        trainer.get_tr_and_val_datasets()


def _stale_targets(raw_copy, nnunet_folders, preprocessed):
    """Targets as an earlier training left them."""
    name = "nnUNetPlans_2d_physical_targets"
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
    with pytest.raises(ValueError, match=r"targetsTr.*StrokeSynthTrainer_NoDWI"):
        _trainer().get_tr_and_val_datasets()
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
