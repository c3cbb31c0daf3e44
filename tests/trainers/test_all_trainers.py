"""Every trainer we export: found by nnU-Net, trains a step, and its checkpoint predicts."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from batchgenerators.utilities.file_and_folder_operations import load_json
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.run.run_training import get_trainer_from_args
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

from nnunetv2_strokesynth.nnunet_ext import strokesynth_trainers

TRAINERS = sorted(
    name for name, value in vars(strokesynth_trainers).items() if inspect.isclass(value)
)


@pytest.fixture
def short_run(monkeypatch):
    for name in ("epochs", "iterations_per_epoch", "val_iterations_per_epoch"):
        monkeypatch.setenv(f"strokesynth_num_{name}", "1")
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")


@pytest.mark.parametrize("name", TRAINERS)
def test_step_checkpoint_and_prediction(name, nnunet_folders, short_run):
    trainer = get_trainer_from_args("18", "2d", 0, name, device=torch.device("cpu"))
    assert type(trainer).__name__ == name
    assert type(trainer).__module__.startswith("nnunetv2_strokesynth.trainers")
    trainer.initialize()
    before = {key: value.clone() for key, value in trainer.network.state_dict().items()}
    trainer.run_training()

    history = trainer.logger.local_logger.my_fantastic_logging
    assert np.isfinite(history["train_losses"]).all() and np.isfinite(history["val_losses"]).all()
    changed = {
        key.split(".")[0]
        for key, value in trainer.network.state_dict().items()
        if not torch.equal(value, before[key])
    }
    assert changed == {key.split(".")[0] for key in before}, "a part of the network did not learn"

    model = Path(trainer.output_folder_base)
    predictor = nnUNetPredictor(
        use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False, use_gaussian=False
    )
    predictor.initialize_from_trained_model_folder(str(model), ("0",), "checkpoint_final.pth")
    image = torch.randn(trainer.num_input_channels, 1, *trainer.configuration_manager.patch_size)
    logits = predictor.predict_logits_from_preprocessed_data(image)
    trainer.set_deep_supervision_enabled(False)
    trainer.network.eval()
    with torch.no_grad():
        expected = trainer.network(image[:, 0][None])[0]
    torch.testing.assert_close(logits[:, 0].float(), expected, atol=2e-2, rtol=2e-2)


def test_every_exported_name_is_what_nnunet_finds(monkeypatch):
    from nnunetv2_strokesynth.nnunet_commands import trainers_folder

    monkeypatch.setenv("nnUNet_extTrainer", str(trainers_folder()))
    assert "StrokeSynthTrainer" in TRAINERS
    for name in TRAINERS:
        assert recursive_find_trainer_class_by_name(name) is getattr(strokesynth_trainers, name)


def test_every_exported_trainer_explains_itself():
    for name in TRAINERS:
        assert inspect.getdoc(vars(strokesynth_trainers)[name])


def test_data_set_of_the_pipeline_matches_the_preset(pipeline):
    names = load_json(str(pipeline.raw / "dataset.json"))["channel_names"]
    assert [names[str(index)] for index in range(len(names))][
        :6
    ] == "CT CBF CBV MTT Tmax MIP".split()
