"""Every trainer we export: found by nnU-Net, trains, resumes, validates, and predicts."""

import contextlib
import functools
import inspect
import json
import multiprocessing
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from batchgenerators.utilities.file_and_folder_operations import load_json
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.run.run_training import get_trainer_from_args, run_training
from nnunetv2.training.logging.nnunet_logger import LocalLogger
from nnunetv2.utilities import find_class_by_name
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

from nnunetv2_strokesynth.nnunet_ext import strokesynth_trainers
from nnunetv2_strokesynth.papers.abulnaga2018 import pspnet
from nnunetv2_strokesynth.papers.gomez2023.mri_subsets import SUBSET_TRAINERS
from nnunetv2_strokesynth.trainers import stroke_trainer

# Of the 40 trainers of Gomez' figures that differ in their inputs alone, one is trained here.
UNTRAINED = set(SUBSET_TRAINERS) - {"Gomez2023Trainer_MRI_ADC_TTP_Tmax"}
TRAINERS = sorted(
    name
    for name, value in vars(strokesynth_trainers).items()
    if inspect.isclass(value) and name not in UNTRAINED
)


SYSTEMS = (
    "StrokeSynthTrainer",
    "Song2018Trainer",
    "Clerigues2019Trainer",
    "Gomez2023Trainer",
    "Abulnaga2018Trainer",
)


class Interrupted(Exception):
    """Stands for the end of a job's time."""


@pytest.fixture
def short_run(monkeypatch):
    for name in ("iterations_per_epoch", "val_iterations_per_epoch"):
        monkeypatch.setenv(f"strokesynth_num_{name}", "1")
    monkeypatch.setenv("strokesynth_base_features", "4")
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    # Pictures, and workers that take seconds to import nnU-Net, are for the pipeline to test.
    monkeypatch.setattr(stroke_trainer, "plot_terms", lambda folder, history: None)
    monkeypatch.setattr(LocalLogger, "plot_progress_png", lambda self, output_folder: None)
    forked = multiprocessing.get_context("fork")
    monkeypatch.setattr(multiprocessing, "get_context", lambda method=None: forked)


def _interrupt_before_the_last_epoch(monkeypatch, trainer_class):
    original = trainer_class.on_epoch_start

    @functools.wraps(original)
    def on_epoch_start(self):
        self.save_every = 1
        if self.current_epoch == self.num_epochs - 1:
            raise Interrupted
        original(self)

    monkeypatch.setattr(trainer_class, "on_epoch_start", on_epoch_start)


@pytest.fixture
def learned_weights(tmp_path, monkeypatch):
    """A file for the trainers that start from learned weights; its weights are random."""
    path = tmp_path / "resnet50.pth"

    def provide():
        torch.save(pspnet.dilated_resnet50().state_dict(), path)
        monkeypatch.setenv("strokesynth_pretrained", str(path))

    return provide


def _shallow_resnet(weights: None, **options) -> torchvision.models.ResNet:
    """One block in each stage, of which ResNet-50 has 3, 4, 6 and 3."""
    return torchvision.models.ResNet(torchvision.models.resnet.Bottleneck, [1, 1, 1, 1], **options)


@pytest.fixture
def small_pspnet(name, monkeypatch):
    """The PSPNet's width cannot be set as that of the other networks.

    One of its trainers is trained at its real size.
    """
    if name != "Abulnaga2018Trainer_Pretrained":
        monkeypatch.setattr(pspnet, "resnet50", _shallow_resnet)
        monkeypatch.setattr(pspnet, "_REDUCED_FEATURES", 16)


def _smallest_fold(pipeline, number: int) -> int:
    """The fold whose validation scans have the fewest voxels, since they take the most time."""
    (folder,) = pipeline.preprocessed.parent.glob(f"Dataset{number:03d}_*")
    splits = json.loads((folder / "splits_final.json").read_text())
    cases = [split["val"] for split in splits if "test" not in split]
    size = {path.stem: path.stat().st_size for path in folder.glob("nnUNetPlans_2d/*.b2nd")}
    return min(range(len(cases)), key=lambda fold: sum(size[case_id] for case_id in cases[fold]))


@pytest.mark.parametrize("name", TRAINERS)
def test_trains_resumes_validates_and_predicts(
    name, nnunet_folders, data_sets, short_run, learned_weights, small_pspnet
):
    trainer_class = getattr(strokesynth_trainers, name)
    if getattr(trainer_class, "starts_pretrained", False):
        learned_weights()
    folders = ("nnunetv2_strokesynth.trainers.", "nnunetv2_strokesynth.papers.")
    assert trainer_class.__module__.startswith(folders)
    dataset = str(data_sets[getattr(trainer_class, "preset", "wang2020")])
    configuration = getattr(trainer_class, "configuration", "2d")
    number = _smallest_fold(nnunet_folders, int(dataset))
    n_stages = max(1, len(getattr(trainer_class, "stages", "1")))
    train = functools.partial(
        run_training,
        dataset,
        configuration,
        number,
        name,
        device=torch.device("cpu"),
        val_with_best=False,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("strokesynth_num_epochs", "2" if n_stages == 1 else "1")
        with pytest.MonkeyPatch.context() as interruption:
            _interrupt_before_the_last_epoch(interruption, trainer_class)
            with pytest.raises(Interrupted):
                train()
        train(continue_training=True)

        trainer = get_trainer_from_args(
            dataset, configuration, number, name, device=torch.device("cpu")
        )
    trainer.initialize()
    fresh = {key: value.clone() for key, value in trainer.network.state_dict().items()}
    fold = Path(trainer.output_folder)
    trainer.load_checkpoint(str(fold / "checkpoint_final.pth"))
    history = trainer.logger.local_logger.my_fantastic_logging
    assert len(history["train_losses"]) == max(2, n_stages)
    assert np.isfinite(history["train_losses"]).all() and np.isfinite(history["val_losses"]).all()
    learned = {
        key.split(".")[0]
        for key, value in trainer.network.state_dict().items()
        if not torch.equal(value, fresh[key])
    }
    assert learned == {key.split(".")[0] for key in fresh}
    validated = json.loads((fold / "validation" / "summary.json").read_text())
    assert len(validated["metric_per_case"]) == len(trainer.do_split()[1])

    predictor = nnUNetPredictor(
        use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False, use_gaussian=False
    )
    predictor.initialize_from_trained_model_folder(
        trainer.output_folder_base, (str(number),), "checkpoint_final.pth"
    )
    patch_size = trainer.configuration_manager.patch_size
    image = torch.randn(trainer.num_input_channels, 1, *patch_size)
    if len(patch_size) == 3:  # nnU-Net's predictor takes volumes; a slice is one of depth 1
        image = image[:, 0]
    logits = predictor.predict_logits_from_preprocessed_data(image)
    trainer.set_deep_supervision_enabled(False)
    trainer.network.eval()
    with torch.no_grad():
        inputs = image if len(patch_size) == 3 else image[:, 0]
        expected = trainer.network(inputs[None])[0].reshape(logits.shape)
    torch.testing.assert_close(logits.float(), expected, atol=2e-2, rtol=2e-2)


def test_every_exported_name_is_what_nnunet_finds(monkeypatch):
    from nnunetv2_strokesynth.nnunet_commands import trainers_folder

    monkeypatch.setenv("nnUNet_extTrainer", str(trainers_folder()))
    assert "StrokeSynthTrainer" in TRAINERS
    for name in ["StrokeSynthTrainer", *TRAINERS]:
        assert recursive_find_trainer_class_by_name(name) is getattr(strokesynth_trainers, name)
        # What it does with thousands of imported modules after each search is the same each time.
        cleanup = "temporarily_cleanup_imports_from_path"  # not in every version
        monkeypatch.setattr(find_class_by_name, cleanup, contextlib.nullcontext, raising=False)


def test_every_exported_trainer_explains_itself():
    for name in TRAINERS:
        assert inspect.getdoc(vars(strokesynth_trainers)[name])


def test_the_reference_lists_every_trainer():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "trainers.md").read_text()
    listed = set(re.findall(r"`(\w+)`", page))
    listed |= {f"{system}_{name}" for name in listed for system in SYSTEMS}
    assert set(TRAINERS) <= listed


def test_data_set_of_the_pipeline_matches_the_preset(pipeline):
    names = load_json(str(pipeline.raw / "dataset.json"))["channel_names"]
    assert [names[str(index)] for index in range(len(names))][
        :6
    ] == "CT CBF CBV MTT Tmax MIP".split()
