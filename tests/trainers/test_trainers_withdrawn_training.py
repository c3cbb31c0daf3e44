"""Withdrawals while a cross-validation is under way, through real trainings of one batch."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from nnunetv2.run.run_training import get_trainer_from_args
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

from nnunetv2_strokesynth.dataloading.paired_dataset import PairedDataset

GONE, WITHOUT_DWI, REPLACED = "case_006", "case_007", "case_008"  # of the training of folds 0 and 1


@pytest.fixture
def folders(pipeline, tmp_path, monkeypatch):
    """The pipeline's data set, raw and preprocessed, in folders that a test may change."""
    name = pipeline.raw.name
    for variable, source in (
        ("nnUNet_raw", pipeline.raw),
        ("nnUNet_preprocessed", pipeline.preprocessed),
    ):
        shutil.copytree(source, tmp_path / variable / name)
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.setenv("nnUNet_results", str(tmp_path / "nnUNet_results"))
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    for variable in ("num_epochs", "num_iterations_per_epoch", "num_val_iterations_per_epoch"):
        monkeypatch.setenv(f"strokesynth_{variable}", "1")
    return tmp_path / "nnUNet_raw" / name, tmp_path / "nnUNet_preprocessed" / name


@pytest.fixture
def read(monkeypatch):
    """What trainings read: ``case`` and ``target case``."""
    seen = set()
    for cls, method, prefix in (
        (nnUNetDatasetBlosc2, "load_case", ""),
        (PairedDataset, "_load_target", "target "),
    ):
        original = getattr(cls, method)

        def spy(self, case_id, original=original, prefix=prefix):
            seen.add(f"{prefix}{case_id}")
            return original(self, case_id)

        monkeypatch.setattr(cls, method, spy)
    return seen


def _train(fold, checkpoint=None):
    """One training of one batch; a resumed one is left when its data sets are ready."""
    device = torch.device("cpu")
    trainer = get_trainer_from_args("18", "2d", fold, "StrokeSynthTrainer", device=device)
    if checkpoint is None:
        trainer.run_training()
    else:
        trainer.load_checkpoint(str(Path(trainer.output_folder) / checkpoint))
        train, val = trainer.get_tr_and_val_datasets()
        for case_id in train.identifiers:
            train.load_case(case_id)
        assert GONE not in [*train.identifiers, *val.identifiers]
    return Path(trainer.output_folder), Path(trainer.log_file).read_text()


def _leftovers(preprocessed, case_id, suffix):
    return [path for folder in preprocessed.glob(f"*{suffix}") for path in folder.rglob("*")
            if path.name.split(".")[0] in (case_id, f"{case_id}_seg")]  # fmt: skip


def _withdraw(raw):
    """A case, a DWI, and a case that comes back with other voxels."""
    for path in [*raw.glob(f"*Tr/{GONE}*"), raw / "targetsTr" / f"{WITHOUT_DWI}.nii.gz"]:
        path.unlink()
    tmax = raw / "imagesTr" / f"{REPLACED}_0004.nii.gz"
    shutil.copy(tmax.with_name(tmax.name.replace("0004", "0003")), tmax)


def _take_out_of_splits(*files):
    for path in files:
        splits = json.loads(path.read_text())
        for split in splits:
            for part in split:
                split[part] = [case_id for case_id in split[part] if case_id != GONE]
        path.write_text(json.dumps(splits))


def test_withdrawals_between_two_folds_and_before_a_resumption(folders, read):
    raw, preprocessed = folders
    fold_0, log = _train(0)
    assert f"withdrawn cases: none ({raw} was compared)" in log
    assert GONE in json.loads((fold_0 / "trained_cases.json").read_text())["train"]
    assert _leftovers(preprocessed, GONE, "_frames")
    assert _leftovers(preprocessed, WITHOUT_DWI, "_targets")

    _withdraw(raw)
    with pytest.raises(ValueError, match=rf"fold 1 of .*{GONE} \(train; no images in {raw}\)"):
        _train(1)
    assert not _leftovers(preprocessed, GONE, "_frames")
    assert not _leftovers(preprocessed, GONE, "_targets")
    assert not _leftovers(preprocessed, WITHOUT_DWI, "_frames_brain_targets")
    assert _leftovers(preprocessed, GONE, "nnUNetPlans_2d")  # nnU-Net's own

    _take_out_of_splits(raw / "splits_final.json", preprocessed / "splits_final.json")
    read.clear()
    _, log = _train(1)
    assert any(name.startswith("target ") for name in read)
    assert not read & {GONE, f"target {GONE}", f"target {WITHOUT_DWI}"}
    assert f"1 cases are gone from {raw} and left out: {GONE} (no images)" in log
    assert f"nnU-Net's folders in {preprocessed} still hold them: gt_seg" in log
    assert f"nnUNetPlans_2d ({GONE})" in log and "plan and preprocess again" in log

    _, log = _train(0, "checkpoint_final.pth")
    assert not read & {GONE, f"target {GONE}", f"target {WITHOUT_DWI}"}
    assert f"has learned from 1 cases that this fold no longer trains on: {GONE}" in log
    assert "6 of 7 training cases have a DWI" in log
