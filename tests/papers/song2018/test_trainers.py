"""What Song2018Trainer adds to the machinery of Wang et al.'s trainer."""

import pytest
import torch
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from nnunetv2.run.run_training import get_trainer_from_args
from torch import nn

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.nnunet_ext import strokesynth_trainers
from nnunetv2_strokesynth.papers.song2018.trainers import Song2018Trainer


class Configuration:
    patch_size = (64, 64)

    def __init__(self, base_features):
        self.configuration = {"strokesynth_base_features": base_features}


def build(name="Song2018Trainer", base_features=64):
    trainer = getattr(strokesynth_trainers, name)
    return trainer.build_network_architecture(None, Configuration(base_features), 18, 2, True)


def test_sizes():
    with torch.device("meta"):
        network = build()
    sizes = {k: sum(p.numel() for p in m.parameters()) for k, m in network.named_children()}
    assert sizes["extractor"] == 7_766_849 + 5 * 9 * 32  # 11 frames in place of 6
    assert sizes["generator"] == 31_044_162 + 3 * 9 * 64 - 65  # 7 channels -> 1
    assert sizes["segmenter"] == 33_841_710 - 3 * 9 * 64  # 1 channel -> 2
    assert sizes["context_encoder"] == sizes["real_context_encoder"]


def test_inputs_are_normalised_without_learned_parameters():
    network = build(base_features=4)
    for part, n_channels in (("extractor", 11), ("generator", 7), ("segmenter", 1)):
        norm = getattr(network, part)[0]
        assert isinstance(norm, nn.BatchNorm2d) and norm.num_features == n_channels
        assert not list(norm.parameters())


@pytest.mark.parametrize(
    ("name", "reads"),
    [
        ("UNetCE", "CBF CBV MTT Tmax"),
        ("G", "CBF CBV MTT Tmax MIP_P"),
        ("GSDFSNE", "CBF CBV MTT Tmax MIP_P CTA_0 CTA_2 CTA_4 CTA_6 CTA_8 CTA_10"),
        ("", "CBF CBV MTT Tmax MIP MIP_P " + " ".join(f"CTA_{k}" for k in range(11))),
    ],
)
def test_a_row_reads_its_inputs_and_no_others(name, reads):
    torch.manual_seed(0)
    network = build(f"Song2018Trainer_{name}".rstrip("_"), base_features=4).eval().double()
    image = torch.randn(1, 18, 64, 64, dtype=torch.float64)
    logits = network(image)[0]
    seen = []
    for index, channel in enumerate(PRESETS["song2018"].names):
        changed = image.clone()
        changed[:, index] += 1
        if not torch.equal(network(changed)[0], logits):
            seen.append(channel)
    assert seen == reads.split()


@pytest.fixture
def trainer(nnunet_folders, data_sets, monkeypatch):
    monkeypatch.setenv("strokesynth_base_features", "4")
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    made = get_trainer_from_args(
        str(data_sets["song2018"]), "2d", 0, "Song2018Trainer", device=torch.device("cpu")
    )
    made.initialize()
    return made


def test_recipe(trainer):
    assert trainer.num_epochs == 400 and trainer.batch_size == 5
    found = []
    for epoch in (0, 4, 5, 179, 180, 299, 300, 399):
        trainer.lr_scheduler.step(epoch)
        found.append(trainer.optimizer.param_groups[0]["lr"])
    low, lower = 0.002 * 0.2, 0.002 * 0.04
    expected = [0.002 / 6, 0.002 * 5 / 6, 0.002, 0.002, low, low, lower, lower]
    assert found == pytest.approx(expected)


def test_a_batch_has_signed_weights_and_the_loss_all_terms(trainer):
    trainer.on_train_start()
    trainer.on_train_epoch_start()
    batch = next(trainer.dataloader_train)
    labels, _, weight = batch["target"]
    lesion = labels > 0
    if lesion.any():
        assert (weight[lesion] > 1).all()
    assert (weight[~lesion] < 1).all()
    trainer.train_step(batch)
    assert set(trainer.loss.terms) == {
        "L_s", "L_wce", "L_hgd", "feature_lesion", "synthesis_pixel", "synthesis_context",
        "context_spread",
    }  # fmt: skip


def test_radial_distortion_is_part_of_the_training_transforms_only():
    def names(transforms: ComposeTransforms):
        return [type(getattr(t, "transform", t)).__name__ for t in transforms.transforms]

    training = Song2018Trainer.get_training_transforms(
        (64, 64), (-0.1, 0.1), None, (0, 1), False, regions=None, ignore_label=None
    )
    validation = Song2018Trainer.get_validation_transforms(None, regions=None, ignore_label=None)
    assert names(training)[:2] == ["SplitTarget", "RadialDistortion"]
    assert "RadialDistortion" not in names(validation)
