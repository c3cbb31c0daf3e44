"""Trainers of Wang et al. 2020, which tests of several folders try."""

import pytest
import torch
from nnunetv2.run.run_training import get_trainer_from_args

CPU = torch.device("cpu")


@pytest.fixture
def trainer(nnunet_folders, monkeypatch):
    """A function that makes a small, initialised trainer of a given name."""
    monkeypatch.setenv("strokesynth_base_features", "4")
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")

    def make(name, **attributes):
        made = get_trainer_from_args("18", "2d", 0, f"StrokeSynthTrainer_{name}", device=CPU)
        for attribute, value in attributes.items():
            setattr(made, attribute, value)
        torch.manual_seed(0)
        made.initialize()
        return made

    return make
