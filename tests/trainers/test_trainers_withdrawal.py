"""Withdrawn cases in every trainer: left out and named, and refused where a split names one."""

import inspect
import json
import shutil
from pathlib import Path

import pytest
from nnunetv2.paths import nnUNet_raw
from trainer_world import SLICES, make_trainer, quiet

from nnunetv2_strokesynth.dataloading import withdrawal
from nnunetv2_strokesynth.nnunet_ext import strokesynth_trainers
from nnunetv2_strokesynth.trainers.stock import StrokeSynthTrainer_Stock
from nnunetv2_strokesynth.trainers.strokesynth import StrokeSynthTrainer

TRAINERS = [value for value in vars(strokesynth_trainers).values() if inspect.isclass(value)]
GONE = "case_0"  # the validation case of the made-up split
pytestmark = pytest.mark.usefixtures("nnunet_variables")


def _raw(trainer, case_ids):
    """A raw data set with these cases; their files are empty."""
    folder = Path(str(nnUNet_raw)) / trainer.plans_manager.dataset_name
    shutil.rmtree(folder, ignore_errors=True)
    for case_id in case_ids:
        for name in (f"imagesTr/{case_id}_0000", f"labelsTr/{case_id}"):
            path = folder / f"{name}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return folder


@pytest.fixture
def trainer_of():
    """A trainer whose log is a list; its split file is put back after the test."""
    made = []

    def make(cls, fold=0):
        trainer = make_trainer(cls)
        trainer.fold = fold
        splits = Path(trainer.preprocessed_dataset_folder_base) / "splits_final.json"
        made.append((splits, splits.read_text(), trainer))
        trainer.log = []
        trainer.print_to_log_file = lambda *words, **_: trainer.log.append(
            " ".join(map(str, words))
        )
        return trainer, splits

    yield make
    for splits, text, trainer in reversed(made):
        splits.write_text(text)
        shutil.rmtree(Path(str(nnUNet_raw)) / trainer.plans_manager.dataset_name,
                      ignore_errors=True)  # fmt: skip


@pytest.mark.parametrize("cls", TRAINERS)
def test_a_split_that_names_a_withdrawn_case_is_refused_by_every_trainer(trainer_of, cls):
    trainer, splits = trainer_of(cls)
    raw = _raw(trainer, [case_id for case_id in SLICES if case_id != GONE])
    with pytest.raises(ValueError) as error:
        trainer.do_split()
    for part in (f"fold 0 of {splits}", f"{GONE} (val; no images in {raw})", "--overwrite"):
        assert part in str(error.value)
    assert any(f"1 cases are gone from {raw}" in line and GONE in line for line in trainer.log)


@pytest.mark.parametrize("cls", [StrokeSynthTrainer, StrokeSynthTrainer_Stock])
@pytest.mark.parametrize("fold", ["all", 1])
def test_what_nnunet_draws_from_the_folder_is_without_them(trainer_of, cls, fold):
    """Fold ``all``, and the random split of a fold that the file lacks."""
    trainer, _ = trainer_of(cls, fold)
    _raw(trainer, [case_id for case_id in SLICES if case_id != GONE])
    training, validation = trainer.do_split()
    assert {*training, *validation} == set(SLICES) - {GONE}
    trainer.do_split()
    assert sum("are gone from" in line for line in trainer.log) == 1  # said once
    folder = Path(trainer.preprocessed_dataset_folder)
    assert any(
        "still hold them" in line and f"{folder.name} ({GONE})" in line for line in trainer.log
    )
    assert (folder / f"{GONE}.b2nd").is_file()


def test_a_split_that_nnunet_writes_is_without_them(trainer_of, monkeypatch):
    trainer, splits = trainer_of(StrokeSynthTrainer_Stock)
    monkeypatch.setattr(  # five folds need more than two cases
        "nnunetv2.training.nnUNetTrainer.nnUNetTrainer.generate_crossval_split",
        lambda keys, **_: [{"train": list(keys[1:]), "val": list(keys[:1])}],
    )
    _raw(trainer, [case_id for case_id in SLICES if case_id != GONE])
    splits.unlink()
    trainer.do_split()
    assert GONE not in splits.read_text() and "case_1" in splits.read_text()


def test_without_raw_data_everything_is_used_and_that_is_said(trainer_of):
    trainer, splits = trainer_of(StrokeSynthTrainer)
    training, validation = trainer.do_split()
    assert {*training, *validation} == set(SLICES)
    assert any("withdrawn cases: not checked" in line for line in trainer.log)
    splits.write_text(json.dumps([{"train": ["case_1", "case_7"], "val": ["case_0"]}]))
    with pytest.raises(ValueError, match=r"case_7 \(train; not in "):
        trainer.do_split()


def test_nothing_withdrawn_changes_nothing(trainer_of):
    trainer, splits = trainer_of(StrokeSynthTrainer)
    raw = _raw(trainer, SLICES)
    split = json.loads(splits.read_text())[0]
    assert trainer.do_split() == (split["train"], split["val"])
    assert any(line == f"withdrawn cases: none ({raw} was compared)" for line in trainer.log)


def test_other_ranks_follow_the_first(trainer_of, monkeypatch):
    """They look at nothing themselves: their machine may see another folder."""
    trainer, _ = trainer_of(StrokeSynthTrainer_Stock, "all")
    raw = _raw(trainer, SLICES)
    found = withdrawal.Withdrawal(raw, {"case_2": "no label"}, [], [], [], {}, [])
    answers = iter([found, None])
    monkeypatch.setattr(trainer, "_on_first_rank", lambda function: next(answers))
    with quiet():
        training, _ = trainer.do_split()
    assert sorted(training) == ["case_0", "case_1"]
