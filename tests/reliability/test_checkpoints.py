"""Checkpoints are whole: a full disk or a kill leaves the one before."""

import pickle

import numpy as np
import pytest
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import nn

from nnunetv2_strokesynth.papers.shared.staged_trainer import StagedTrainer
from nnunetv2_strokesynth.trainers.stroke_trainer import StrokeTrainer


@pytest.fixture
def trainer(monkeypatch):
    """A trainer without data, whose nnU-Net part writes one word."""
    trainer = object.__new__(StrokeTrainer)
    trainer.local_rank, trainer.disable_checkpointing = 0, False
    trainer.fails = False

    def save_checkpoint(self, filename):
        if self.local_rank == 0 and not self.disable_checkpointing:
            with open(filename, "w") as file:
                file.write("half")
                if self.fails:
                    raise OSError(28, "No space left on device")
                file.write(" and half")

    monkeypatch.setattr(nnUNetTrainer, "save_checkpoint", save_checkpoint)
    return trainer


def test_checkpoint_is_written(trainer, tmp_path):
    trainer.save_checkpoint(str(tmp_path / "checkpoint_latest.pth"))
    assert (tmp_path / "checkpoint_latest.pth").read_text() == "half and half"


def test_full_disk_keeps_the_checkpoint_before(trainer, tmp_path):
    path = tmp_path / "checkpoint_latest.pth"
    path.write_text("old")
    trainer.fails = True
    with pytest.raises(OSError, match="checkpoint_latest"):
        trainer.save_checkpoint(str(path))
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_what_a_kill_left_is_removed(trainer, tmp_path):
    (tmp_path / ".tmp-0123abcd-checkpoint_best.pth").write_text("half")
    trainer.save_checkpoint(str(tmp_path / "checkpoint_final.pth"))
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint_final.pth"]


@pytest.mark.parametrize(("attribute", "value"), [("local_rank", 1), ("disable_checkpointing", 1)])
def test_others_write_nothing(trainer, tmp_path, attribute, value):
    setattr(trainer, attribute, value)
    trainer.save_checkpoint(str(tmp_path / "checkpoint_final.pth"))
    assert list(tmp_path.iterdir()) == []


class _Stage:
    name = "joint"


class _RunsCode:
    def __reduce__(self):
        return (print, ("this must never be called",))


@pytest.fixture
def loader(tmp_path):
    """A trainer that loads weights into one layer from ``checkpoint_best_joint.pth``."""
    trainer = object.__new__(StagedTrainer)
    trainer.is_ddp = trainer.disable_checkpointing = False
    trainer.device = torch.device("cpu")
    trainer.network = nn.Linear(2, 1)
    trainer.print_to_log_file = lambda *lines: None
    trainer.output_folder, trainer.stages = str(tmp_path), (_Stage,)
    return trainer


def _checkpoint(trainer, **more):
    weights = {name: torch.ones_like(w) for name, w in trainer.network.state_dict().items()}
    scores = [np.float32(0.5), np.float64(0.25), np.int64(3)]
    return {"network_weights": weights, "logging": {"mean_fg_dice": scores}, **more}


def test_best_checkpoint_with_numpy_scores_loads(loader):
    path = loader._best_checkpoint(0)
    torch.save(_checkpoint(loader), path)
    loader._load_weights(path)
    assert all(bool((weight == 1).all()) for weight in loader.network.parameters())


def test_best_checkpoint_cannot_run_code(loader, capsys):
    path = loader._best_checkpoint(0)
    torch.save(_checkpoint(loader, extra=_RunsCode()), path)
    with pytest.raises(pickle.UnpicklingError):
        loader._load_weights(path)
    assert "never" not in capsys.readouterr().out


def test_checkpoints_of_the_pipeline_load(pipeline, loader):
    """As nnU-Net writes them."""
    for path in sorted(pipeline.model.glob("fold_0/checkpoint_*.pth")):
        with pytest.raises(RuntimeError, match="state_dict"):  # another network: it was read
            loader._load_weights(path)
