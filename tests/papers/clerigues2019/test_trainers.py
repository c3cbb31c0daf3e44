"""The recipe of Clerigues et al. 2019: plans, patches, stopping, and what prediction does."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunetv2.run.run_training import get_trainer_from_args
from nnunetv2.training.logging.nnunet_logger import LocalLogger
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.nnunet_ext import strokesynth_trainers
from nnunetv2_strokesynth.papers.clerigues2019.trainers import Clerigues2019Trainer
from nnunetv2_strokesynth.trainers import stroke_trainer

CPU = torch.device("cpu")


def own_plans(trainer_class, configuration="2d_patch64"):
    architecture = {"n_stages": 4}
    plans = {
        "configurations": {
            "2d": {
                "data_identifier": "nnUNetPlans_2d",
                "patch_size": [256, 224],
                "batch_size": 25,
                "architecture": architecture,
            }
        }
    }
    before = json.dumps(plans)
    changed = trainer_class._own_plans(plans, configuration)
    assert json.dumps(plans) == before
    return PlansManager(changed).get_configuration(configuration)


def test_configuration_is_2d_in_patches():
    configuration = own_plans(Clerigues2019Trainer)
    assert list(configuration.patch_size) == [64, 64] and configuration.batch_size == 64
    assert configuration.data_identifier == "nnUNetPlans_2d"
    assert configuration.configuration["strokesynth_base_features"] == 8
    baseline = strokesynth_trainers.Clerigues2019Trainer_Baseline
    assert list(own_plans(baseline, "2d_patch48").patch_size) == [48, 48]


def test_other_configurations_are_refused_with_the_right_name():
    with pytest.raises(ValueError, match="name the configuration 2d_patch64 in place of 2d"):
        Clerigues2019Trainer.check_suitable({}, "2d", {})


@pytest.fixture
def trainer(nnunet_folders, data_sets, monkeypatch):
    """A function that makes an initialised trainer of a given row."""
    monkeypatch.setenv("strokesynth_base_features", "4")
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")

    def make(name=""):
        full = f"Clerigues2019Trainer_{name}".rstrip("_")
        made = get_trainer_from_args(
            str(data_sets["clerigues2019"]),
            getattr(strokesynth_trainers, full).configuration,
            0,
            full,
            device=CPU,
        )
        torch.manual_seed(0)
        made.initialize()
        return made

    return make


def test_recipe(trainer):
    made = trainer()
    assert isinstance(made.optimizer, torch.optim.Adadelta)
    assert made.optimizer.param_groups[0]["lr"] == 1.0
    for epoch in (0, 99):
        made.lr_scheduler.step(epoch)
        assert made.optimizer.param_groups[0]["lr"] == 1.0
    assert (made.num_epochs, made.patience, made.batch_size) == (100, 10, 64)
    train, val = made.get_tr_and_val_datasets()
    assert made.num_iterations_per_epoch == -(-4000 * len(train.identifiers) // 64)
    assert made.num_val_iterations_per_epoch == -(-4000 * len(val.identifiers) // 64)


def test_batches_of_nnunets_own_loader_are_balanced(trainer):
    made = trainer()
    made.on_train_start()
    assert made.inference_allowed_mirroring_axes is None
    plans = json.loads(Path(made.preprocessed_dataset_folder_base, "nnUNetPlans.json").read_text())
    assert plans["configurations"]["2d_patch64"]["inherits_from"] == "2d"
    batch = next(made.dataloader_train)
    assert batch["data"].shape == (64, 10, 64, 64)
    labels, weight = batch["target"]
    with_lesion = (labels > 0).flatten(1).any(dim=1)
    assert with_lesion.float().mean() >= 0.35, "half of the patches are drawn around lesion"
    assert (weight == 1).all() and set(labels.unique().tolist()) <= {0, 1}
    made.on_train_epoch_start()
    assert np.isfinite(made.train_step(batch)["loss"])
    assert set(made.loss.terms) == {"L_s", "L_ce", "L_gd", "l1", "error_rate"}


def test_watched_terms_against_numpy(trainer):
    loss = trainer()._build_loss()
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(2, 2, 5, 6)), rng.integers(0, 2, size=(2, 1, 5, 6))
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    onehot = np.stack([labels[:, 0] == 0, labels[:, 0] == 1], axis=1)
    target = [torch.from_numpy(labels), torch.ones(2, 1, 5, 6)]
    value = loss((torch.from_numpy(logits),), target)
    assert loss.terms["l1"] == pytest.approx(np.abs(probs - onehot).mean())
    wrong = (probs[:, 1] > 0.5) != labels[:, 0]
    assert loss.terms["error_rate"] == pytest.approx(wrong.mean())
    assert value == pytest.approx(loss.terms["L_ce"] + loss.terms["L_gd"])


class Interrupted(Exception):
    """Stands for the end of a job's time."""


def script_epochs(monkeypatch, trainer_class, scores, interrupted_at=None):
    """Leave nnU-Net's loop as it is; in place of training, an epoch logs its given score."""

    def one_epoch(self):
        if self.current_epoch == interrupted_at:
            raise Interrupted
        log = self.logger.local_logger.my_fantastic_logging
        with torch.no_grad():
            next(self.unwrapped_network.parameters()).fill_(self.current_epoch)
        for key in ("train_losses", "val_losses", "mean_fg_dice", "ema_fg_dice", "lrs"):
            log[key].append(0.5)
        log["dice_per_class_or_region"].append([0.5])
        self._train_terms.add({"L_s": torch.tensor(1.0)})
        share = scores[self.current_epoch] / len(self.stopping_terms)
        self._val_terms.add(dict.fromkeys(self.stopping_terms, torch.tensor(share)))

    monkeypatch.setattr(trainer_class, "on_train_epoch_start", one_epoch)
    for hook in ("on_train_epoch_end", "on_validation_epoch_start", "on_validation_epoch_end"):
        monkeypatch.setattr(trainer_class, hook, lambda self, *outputs: None)


@pytest.mark.parametrize("name", ["", "Baseline"])
def test_stops_ten_epochs_after_the_best_also_when_continued(trainer, name, monkeypatch):
    scores = [0.9, 0.5, *[0.6] * 98]
    for variable in ("num_iterations_per_epoch", "num_val_iterations_per_epoch"):
        monkeypatch.setenv(f"strokesynth_{variable}", "1")
    monkeypatch.setattr(Clerigues2019Trainer, "paper_batch_size", 2)  # nothing is trained here
    monkeypatch.setattr(stroke_trainer, "plot_terms", lambda folder, history: None)
    monkeypatch.setattr(LocalLogger, "plot_progress_png", lambda self, output_folder: None)
    made = trainer(name)
    monkeypatch.setattr(type(made), "train_step", lambda self, batch: {})
    monkeypatch.setattr(type(made), "validation_step", lambda self, batch: {})
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
        script_epochs(patch, type(made), scores, interrupted_at=9)
        made.save_every = 3
        made.run_training()
    folder = Path(made.output_folder)

    script_epochs(monkeypatch, type(made), scores)
    resumed = trainer(name)
    resumed.load_checkpoint(str(folder / "checkpoint_latest.pth"))
    assert resumed.current_epoch == 9
    resumed.run_training()
    assert resumed.current_epoch == 12, "epoch 1 is the best, and epochs 2 to 11 are not better"
    final = torch.load(folder / "checkpoint_final.pth", weights_only=False)
    assert (next(iter(final["network_weights"].values())) == 1).all()

    again = trainer(name)
    again.load_checkpoint(str(folder / "checkpoint_final.pth"))
    again.run_training()
    assert again.current_epoch == 12, "what has stopped stays stopped"


@pytest.mark.parametrize(
    ("name", "reads"),
    [
        ("", "CT_Z CBF CBV MTT Tmax CT_M CBF_M CBV_M MTT_M Tmax_M"),
        ("RTSM", "CT_Z CBF CBV MTT Tmax CT_M CBF_M CBV_M MTT_M Tmax_M"),
        ("RT", "CT_Z CBF CBV MTT Tmax"),
        ("RT48", "CT_Z CBF CBV MTT Tmax"),
        ("Baseline", "CT_Z CBF CBV MTT Tmax"),
        ("Baseline64", "CT_Z CBF CBV MTT Tmax"),
    ],
)
def test_a_row_reads_its_inputs_and_no_others(name, reads):
    trainer_class = getattr(strokesynth_trainers, f"Clerigues2019Trainer_{name}".rstrip("_"))
    configuration = own_plans(trainer_class, trainer_class.configuration)
    torch.manual_seed(0)
    network = trainer_class.build_network_architecture(None, configuration, 10, 2, True)
    network = network.eval().double()
    assert (network.n_passes == 3) == (name == "")
    image = torch.randn(1, 10, 64, 64, dtype=torch.float64)
    logits = network(image)[0]
    seen = []
    for index, channel in enumerate(PRESETS["clerigues2019"].names):
        changed = image.clone()
        changed[:, index] += 1
        if not torch.equal(network(changed)[0], logits):
            seen.append(channel)
    assert seen == reads.split()
