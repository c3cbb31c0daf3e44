"""A normalisation of its own in a trainer: its plans, its cases, and data that do not fit."""

import json

import pytest
import torch
from nnunetv2.run.run_training import get_trainer_from_args
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from trainer_world import plans_and_dataset

from nnunetv2_strokesynth.trainers.earlier_checkpoint import SYNTHESIS_KEY
from nnunetv2_strokesynth.trainers.own_normalization import OwnNormalization
from nnunetv2_strokesynth.trainers.strokesynth import StrokeSynthTrainer


def _trainer(name="StrokeSynthTrainer"):
    return get_trainer_from_args("18", "2d", 0, name, device=torch.device("cpu"))


def test_model_is_predicted_with_the_normalisation_it_learned_from(nnunet_folders):
    """nnUNetv2_predict goes by the plans in the model's folder."""
    for model, scheme, folder in (
        (nnunet_folders.model, "CTNormalization", "nnUNetPlans_2d_frames"),
        (nnunet_folders.preprocessed / "nnUNetPlans.json", "ZScoreNormalization", "nnUNetPlans_2d"),
    ):
        file = model / "plans.json" if model.is_dir() else model
        planned = json.loads(file.read_text())["configurations"]["2d"]
        assert planned["normalization_schemes"][5] == scheme  # the MIP
        assert planned["normalization_schemes"][1] == "ZScoreNormalization"  # CBF
        assert planned["data_identifier"] == folder


def test_fixed_intensities_are_those_of_hu_and_seconds(nnunet_folders):
    trainer = _trainer("StrokeSynthTrainer_Tuned")
    assert trainer.preprocessed_dataset_folder.endswith("nnUNetPlans_2d_physical")
    schemes = trainer.configuration_manager.normalization_schemes
    assert schemes == [
        "CTNormalization",
        *["ZScoreNormalization"] * 2,
        *["CTNormalization"] * 9,
    ]


def _parts_with_batch_norm(plans):
    manager = PlansManager(plans)
    network = StrokeSynthTrainer.build_network_architecture(
        manager, manager.get_configuration("2d"), 12, 2
    )
    names = {key.split(".")[0] for key in network.state_dict() if "running_mean" in key}
    first = next(p for p in network.generator.parameters() if p.ndim == 4)
    return names, first.shape[1]


def test_a_model_of_an_earlier_version_is_built_as_it_was():
    """Its plans do not say what the synthesis is made of; the name of its cases tells the rest."""
    plans, _ = plans_and_dataset("wang2020")
    own = plans["configurations"]["2d"]
    for cases, with_batch_norm in (
        ("nnUNetPlans_2d_physical", {"extractor", "generator", "segmenter"}),
        ("nnUNetPlans_2d_frames", set()),
    ):
        own["data_identifier"] = cases
        assert _parts_with_batch_norm(plans) == (with_batch_norm, 5 + 1)


def test_a_model_of_this_version_says_what_its_synthesis_is_made_of(nnunet_folders):
    plans = _trainer().plans_manager.plans
    assert plans["configurations"]["2d"][SYNTHESIS_KEY]["norm"] == "BatchNorm2d"
    assert _parts_with_batch_norm(plans) == ({"extractor", "generator"}, 12 + 1)


def test_the_papers_synthesis_keeps_nnunets_normalisation_but_for_the_series(nnunet_folders):
    trainer = _trainer("StrokeSynthTrainer_Wang2020")
    assert trainer.preprocessed_dataset_folder.endswith("nnUNetPlans_2d_frames")
    schemes = trainer.configuration_manager.normalization_schemes
    assert schemes == ["CTNormalization", *["ZScoreNormalization"] * 4, *["CTNormalization"] * 7]


@pytest.mark.parametrize("name", ["StrokeSynthTrainer_Stock", "Gomez2023Trainer"])
def test_trainers_that_read_no_series_and_stock_keep_nnunets_normalisation(nnunet_folders, name):
    trainer = _trainer(name)
    assert trainer.preprocessed_dataset_folder.endswith("nnUNetPlans_2d")
    assert "CTNormalization" not in trainer.configuration_manager.normalization_schemes[1:]


def test_no_cases_are_made_of_other_channels(nnunet_folders, monkeypatch):
    trainer = _trainer()
    names = trainer.dataset_json["channel_names"]
    trainer.dataset_json["channel_names"] = {**names, "0": names["1"], "1": names["0"]}
    monkeypatch.setattr(OwnNormalization, "_prepare_cases", lambda self: pytest.fail("made cases"))
    with pytest.raises(ValueError, match="preset wang2020"):
        trainer.initialize()
