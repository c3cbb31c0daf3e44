"""What a trainer cannot train on is refused before anything is made, by every trainer we export."""

import copy
import inspect
import json
import os
from pathlib import Path

import pytest
import torch
from nnunetv2.run.run_training import run_training
from trainer_world import META, plans_and_dataset, quiet

from nnunetv2_strokesynth.nnunet_commands import trainers_folder
from nnunetv2_strokesynth.nnunet_ext import strokesynth_trainers

pytestmark = pytest.mark.usefixtures("nnunet_variables")
TRAINERS = {
    name: value for name, value in vars(strokesynth_trainers).items() if inspect.isclass(value)
}
OURS = {name: value for name, value in TRAINERS.items() if hasattr(value, "n_dimensions")}
CPU = torch.device("cpu")
THREE_CLASSES = {"background": 0, "core": 1, "penumbra": 2}


@pytest.fixture(autouse=True)
def nothing_is_made():
    """Nothing new in nnU-Net's three folders at the end of a test."""
    yield
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        assert not list(Path(os.environ[name]).rglob("*"))


def _make(trainer, configuration=None, device=META, dataset=(), plans=()):
    """A trainer on made-up plans; ``dataset`` and ``plans`` replace their entries."""
    made_plans, made_dataset = plans_and_dataset(getattr(trainer, "preset", "wang2020"))
    with quiet():
        return trainer(
            copy.deepcopy(made_plans | dict(plans)),
            configuration or getattr(trainer, "configuration", "2d"),
            0,
            made_dataset | dict(dataset),
            device=device,
        )


def test_all_but_the_stock_trainer_have_dimensions():
    assert set(TRAINERS) - set(OURS) == {"StrokeSynthTrainer_Stock"}


@pytest.mark.parametrize("name", TRAINERS)
def test_whatever_any_trainer_cannot_train_on(name, monkeypatch):
    trainer = TRAINERS[name]
    said = "no configuration '3d_lowres', but 2d, 3d_fullres|in place of 3d_lowres"
    with pytest.raises(ValueError, match=said):
        _make(trainer, "3d_lowres")
    for variable in ("num_epochs", "num_val_iterations_per_epoch"):
        with monkeypatch.context() as patch:
            patch.setenv(f"strokesynth_{variable}", "0.5")
            with pytest.raises(ValueError, match=f"strokesynth_{variable} is '0.5'"):
                _make(trainer)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=f"{name}: PyTorch finds no CUDA device.*`-device cpu`"):
        _make(trainer, device=torch.device("cuda"))


@pytest.mark.parametrize("name", OURS)
def test_whatever_one_of_ours_cannot_train_on(name):
    """Other dimensions, other channels, and a label that its losses do not know."""
    trainer = OURS[name]
    right = trainer.configuration
    for wrong in {"2d", "3d_fullres"} - {right}:
        said = f"{name} works on (slices|volumes|patches).*: (use|name) .*{right}"
        with pytest.raises(ValueError, match=said):
            _make(trainer, wrong)
    with pytest.raises(ValueError, match=f"{name} reads .* lists T1, T2"):
        _make(trainer, dataset={"channel_names": {"0": "T1", "1": "T2"}})
    if not trainer.knows_ignore_label:
        with pytest.raises(ValueError, match=f"'ignore', which {name} does not know"):
            _make(trainer, dataset={"labels": {"background": 0, "lesion": 1, "ignore": 2}})
    regions = {"background": 0, "whole": [1, 2], "core": 2}
    with pytest.raises(ValueError, match=rf"regions of several labels \(whole\), and {name} "):
        _make(trainer, dataset={"labels": regions, "regions_class_order": [1, 2]})
    if trainer.one_lesion:
        with pytest.raises(ValueError, match=f"{name} tells lesion from background.* 3 classes"):
            _make(trainer, dataset={"labels": THREE_CLASSES})


@pytest.mark.parametrize("name", [name for name in OURS if not OURS[name].one_lesion])
def test_a_loss_of_several_classes_teaches_each_of_them(name):
    """Every trainer that accepts three classes; the others read the logit of one lesion."""
    loss = OURS[name]._segmentation_loss(OURS[name])
    logits = torch.zeros(2, 3, 8, 8, requires_grad=True)
    labels = torch.randint(0, 3, (2, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    loss([logits], [labels.float(), torch.ones(2, 1, 8, 8)]).backward()
    for label in range(3):
        falls = logits.grad[:, label][labels[:, 0] == label]
        assert (falls < 0).all(), f"class {label} is not taught where it is"


def test_a_configuration_that_inherits_its_dimensions():
    plans, _ = plans_and_dataset("wang2020")
    configurations = plans["configurations"] | {"own": {"inherits_from": "3d_fullres"}}
    trainer = OURS["StrokeSynthTrainer_Wang2020"]
    with pytest.raises(ValueError, match="StrokeSynthTrainer_Wang2020 works on slices"):
        _make(trainer, "own", plans={"configurations": configurations})


def test_weights_of_scans_that_are_no_numbers():
    with pytest.raises(ValueError, match="gives case_1 the weight 'much'"):
        _make(OURS["StrokeSynthTrainer"], dataset={"scan_weights": {"case_1": "much"}})


def test_nnunets_own_training_leaves_no_folder(tmp_path, monkeypatch):
    """The way of ``nnUNetv2_train 108 3d_fullres 0 -tr StrokeSynthTrainer``."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(name, str(tmp_path / name))
        (tmp_path / name).mkdir()
    monkeypatch.setenv("nnUNet_extTrainer", str(trainers_folder()))
    plans, dataset = plans_and_dataset("wang2020")
    folder = tmp_path / "nnUNet_preprocessed" / plans["dataset_name"]
    folder.mkdir()
    (folder / "nnUNetPlans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    before = sorted(tmp_path.rglob("*"))
    with quiet(), pytest.raises(ValueError, match="StrokeSynthTrainer works on slices"):
        run_training(plans["dataset_name"], "3d_fullres", 0, "StrokeSynthTrainer", device=CPU)
    assert sorted(tmp_path.rglob("*")) == before
