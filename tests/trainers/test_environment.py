"""Environment variables that shorten a training."""

import pytest
import torch
from nnunetv2.run.run_training import get_trainer_from_args


def test_environment_must_hold_whole_numbers(nnunet_folders, monkeypatch):
    monkeypatch.setenv("strokesynth_num_epochs", "many")
    with pytest.raises(ValueError, match="strokesynth_num_epochs is 'many'"):
        get_trainer_from_args("18", "2d", 0, "StrokeSynthTrainer", device=torch.device("cpu"))
