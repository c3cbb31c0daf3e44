"""Gomez 2023: the rows, their networks and inputs, the schedule, the recipe inside nnU-Net."""

import math

import numpy as np
import pytest
import torch
from batchgenerators.utilities.file_and_folder_operations import load_json

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.papers.gomez2023 import trainers as gomez2023
from nnunetv2_strokesynth.papers.gomez2023.loss import (
    sigmoid_focal_loss,
    softmax_cross_entropy,
)
from nnunetv2_strokesynth.papers.gomez2023.warm_up_cosine import WarmUpCosineSchedule

CW, AUX_CW = (0.3, 0.7), (0.7, 2.0, 7.0)
# Row -> maps of a head, class weights, heads, attention; Table 2, then Fig. 8.
ROWS = {
    "": (3, AUX_CW, 6, True),
    "_UNetBinary": (1, (1, 1), 1, False),
    "_UNetAux": (3, (1, 1, 1), 1, False),
    "_CWDSBinary": (1, CW, 6, False),
    "_CWDSAux": (3, AUX_CW, 6, False),
    "_AttBinary": (1, CW, 6, True),
    "_MRI": (1, CW, 6, True),
    "_MRIUNet": (1, (1, 1), 1, False),
    "_MRICW": (1, CW, 1, False),
    "_MRICWDS": (1, CW, 6, False),
}
ADC_TTP_TMAX = {"0": "ADC", "1": "TTP", "2": "Tmax"}


class Configuration:
    """What ``build_network_architecture`` asks of nnU-Net's configuration manager."""

    def __init__(self, base_features, patch_size=(64, 64)):
        self.configuration = {"strokesynth_base_features": base_features}
        self.patch_size = patch_size


def row(name):
    return getattr(gomez2023, f"Gomez2023Trainer{name}")


def build(name, base_features=4, channels=None, classes=2, patch_size=(64, 64)):
    trainer = row(name)
    channels = channels or len(PRESETS[trainer.preset].names)
    configuration = Configuration(base_features, patch_size)
    return trainer.build_network_architecture(None, configuration, channels, classes, True)


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_those_of_the_thesis(name):
    n_maps, class_weights, n_heads, attention = ROWS[name]
    trainer = row(name)
    with torch.device("meta"):
        network = build(name)
    segmenter = network.segmenter
    assert [head.out_channels for head in segmenter.heads] == [n_maps] * n_heads
    assert all((level.attention is not None) == attention for level in segmenter.decoder)
    assert tuple(trainer.class_weights) == class_weights
    # Six logits of 0: each row's class map, pixel loss and class weights by hand.
    lesion = np.zeros((9, 9), bool)
    lesion[2:7, 2:7] = True
    classes = trainer.task.class_map(lesion)
    n_pixels = {0: 56, 1: 9, 2: 16} if n_maps == 3 else {0: 56, 1: 25}
    assert {k: (classes == k).sum() for k in n_pixels} == n_pixels
    per_pixel = math.log(3) if n_maps == 3 else 0.25 * math.log(2)
    expected = per_pixel * sum(n * class_weights[k] for k, n in n_pixels.items()) / 81
    loss = trainer._build_loss(trainer)
    output = (None, *torch.zeros(n_heads, 1, n_maps, 9, 9))
    assert loss(output, [None, torch.from_numpy(classes)[None, None]]).item() == pytest.approx(
        expected
    )


def test_tasks_belong_together():
    assert gomez2023.BINARY.pixel_loss is sigmoid_focal_loss
    assert gomez2023.WITH_BOUNDARY.pixel_loss is softmax_cross_entropy
    for task in (gomez2023.BINARY, gomez2023.WITH_BOUNDARY):
        logits = task.two_class_logits(torch.randn(1, task.n_maps, 4, 4))
        assert logits.shape == (1, 2, 4, 4)


def test_size():
    with torch.device("meta"):
        network = build("", base_features=32)
    assert sum(p.numel() for p in network.parameters()) == 61_352_386


@pytest.mark.parametrize("name", ["", "_UNetBinary"])
def test_ct_rows_read_the_ct_and_the_perfusion_maps_only(name):
    torch.manual_seed(0)
    network = build(name).eval().double()
    network.return_heads = False
    image = torch.randn(1, 12, 64, 64, dtype=torch.float64)
    logits = network(image)
    seen = []
    for index, channel in enumerate(PRESETS["wang2020"].names):
        changed = image.clone()
        changed[:, index] += 1
        if not torch.equal(network(changed), logits):
            seen.append(channel)
    assert seen == "CT CBF CBV MTT Tmax".split()


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_mri_rows_read_what_the_data_set_has(channels):
    network = build("_MRI", channels=channels)
    assert network.segmenter.encoder[0][0].in_channels == channels
    logits, *heads = network(torch.randn(2, channels, 64, 64))
    assert logits.shape == (2, 2, 64, 64) and len(heads) == 6


def test_schedule():
    """0.005 (e + 1) / 90 up to epoch 90, then half a cosine over 510 epochs."""
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
    schedule = WarmUpCosineSchedule(optimizer, 0.005, 600)
    epochs = np.arange(600)
    expected = np.where(
        epochs < 90,
        0.005 * (epochs + 1) / 90,
        0.0025 * (1 + np.cos(np.pi * (epochs - 90) / 510)),
    )
    found = []
    for epoch in epochs:
        schedule.step(int(epoch))
        found.append(optimizer.param_groups[0]["lr"])
    np.testing.assert_allclose(found, expected)
    assert expected[345] == pytest.approx(0.0025) and found[-1] < 1e-6


@pytest.mark.parametrize("n_epochs", [1, 2, 3, 10])
def test_schedule_of_short_trainings_starts_and_stays_above_zero(n_epochs):
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
    schedule = WarmUpCosineSchedule(optimizer, 0.005, n_epochs)
    for epoch in range(n_epochs):
        schedule.step(epoch)
        assert 0 < optimizer.param_groups[0]["lr"] <= 0.005


def test_data_with_several_lesion_classes_are_refused():
    with pytest.raises(ValueError, match="Gomez2023Trainer_CWDSAux.*has 3 classes"):
        build("_CWDSAux", classes=3)


def test_three_dimensional_patches_are_refused():
    with pytest.raises(ValueError, match="Gomez2023Trainer_MRICW works on slices"):
        build("_MRICW", patch_size=(16, 64, 64))


@pytest.fixture
def trainer(nnunet_folders, monkeypatch):
    """A function that makes a small, initialised trainer on the pipeline's data."""
    monkeypatch.setenv("strokesynth_base_features", "4")
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    plans = load_json(str(nnunet_folders.preprocessed / "nnUNetPlans.json"))
    dataset = load_json(str(nnunet_folders.preprocessed / "dataset.json"))

    def make(name, channel_names=None):
        changed = {**dataset, "channel_names": channel_names or dataset["channel_names"]}
        made = row(name)(
            {**plans, "continue_training": False}, "2d", 0, changed, device=torch.device("cpu")
        )
        torch.manual_seed(0)
        made.initialize()
        return made

    return make


def test_recipe(trainer):
    made = trainer("")
    assert isinstance(made.optimizer, torch.optim.AdamW)
    (group,) = made.optimizer.param_groups
    assert (group["lr"], group["weight_decay"]) == (0.005, 1e-5)
    assert made.num_epochs == 600 and made.batch_size == 32
    assert isinstance(made.lr_scheduler, WarmUpCosineSchedule)
    assert made.lr_scheduler.n_epochs == 600 and made.lr_scheduler.initial_lr == 0.005
    assert all(side % 64 == 0 for side in made.configuration_manager.patch_size)
    assert made.one_pass_epochs and made.oversample_foreground_percent == 0


def test_rotation_of_seven_degrees_mirroring_and_no_scaling(trainer):
    made = trainer("")
    rotation, _, initial, axes = made.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
    angle = 7 * math.pi / 180
    assert rotation == pytest.approx((-angle, angle))
    assert axes == made.inference_allowed_mirroring_axes == (0, 1)
    side = made.configuration_manager.patch_size[0]
    assert initial[0] == pytest.approx(side * (math.cos(angle) + math.sin(angle)), abs=1)
    steps = made.get_training_transforms(
        (64, 64), rotation, None, axes, False, use_mask_for_norm=[True], regions=None
    ).transforms
    names = [type(getattr(step, "transform", step)).__name__ for step in steps]
    assert names[0] == "GridDistortion" and names[-1] == "PackTargets"
    (spatial,) = (step for step in steps if type(step).__name__ == "SpatialTransform")
    assert spatial.rotation == rotation


@pytest.mark.parametrize(("name", "classes"), [("", {0, 1, 2}), ("_AttBinary", {0, 1})])
def test_a_batch_has_the_rows_classes_and_a_step_is_finite(trainer, name, classes):
    made = trainer(name)
    made.batch_size = made.configuration_manager.configuration["batch_size"] = 4
    made.num_iterations_per_epoch = made.num_val_iterations_per_epoch = 1
    made.on_train_start()
    made.on_train_epoch_start()
    seen = set()
    for _ in range(10):  # 40 slices: some have a lesion
        batch = next(made.dataloader_train)
        labels, found = batch["target"]
        seen |= set(found.unique().tolist())
        assert torch.equal(found > 0, labels > 0) and set(labels.unique().tolist()) <= {0, 1}
    assert seen == classes
    assert np.isfinite(made.train_step(batch)["loss"])
    assert list(made.loss.terms) == ["L_total", *(f"L_{k}" for k in range(1, 7))]
    with torch.no_grad():
        outputs = made.validation_step(next(made.dataloader_val))
    assert np.isfinite(outputs["loss"]) and len(outputs["tp_hard"]) == 1


def test_mri_trainer_takes_a_subset_of_the_mri_channels(trainer):
    made = trainer("_MRI", ADC_TTP_TMAX)
    assert made.unwrapped_network.segmenter.encoder[0][0].in_channels == 3


@pytest.mark.parametrize("names", [None, {"0": "Tmax", "1": "ADC"}])
def test_mri_trainer_refuses_other_channels(trainer, names):
    with pytest.raises(ValueError, match="Gomez2023Trainer_MRI reads any of the channels ADC"):
        trainer("_MRI", names)


def test_ct_trainer_refuses_mri_data(trainer):
    with pytest.raises(ValueError, match="Gomez2023Trainer_CWDSAux reads the channels CT"):
        trainer("_CWDSAux", ADC_TTP_TMAX)
