"""Threshold calibration: Dice by brute force, the choice, and what ends up in the weights."""

import numpy as np
import pytest
import torch
from nnunetv2.run.run_training import get_trainer_from_args
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunetv2_strokesynth.trainers.threshold_calibration import (
    SHIFTS,
    best_shift,
    dice_by_shift,
)


def brute_force(margin, lesion, shift):
    predicted = margin + shift > 0
    total = predicted.sum() + lesion.sum()
    return 2 * (predicted & lesion).sum() / total if total else 1.0


def test_dice_is_that_of_every_threshold():
    rng = np.random.default_rng(0)
    lesion = rng.random((3, 20, 30)) < 0.1
    margin = rng.normal(-2, 2, lesion.shape).astype(np.float32) + lesion
    margin[0, 0, :5] = -SHIFTS[3]  # on the border is not over it
    expected = [brute_force(margin, lesion, shift) for shift in SHIFTS]
    np.testing.assert_allclose(dice_by_shift(margin, lesion, SHIFTS), expected, rtol=1e-12)


def test_nothing_there_and_nothing_predicted_is_right():
    nothing = np.zeros((1, 4, 4), dtype=bool)
    dice = dice_by_shift(np.full(nothing.shape, -3.0), nothing, np.array([0.0, 4.0]))
    assert dice.tolist() == [1.0, 0.0]


def test_the_smallest_shift_among_the_good_ones():
    shifts = np.array([-1.0, 0.0, 1.0, 2.0, 3.0])
    dice = np.array([[0.1, 0.3, 0.492, 0.5, 0.45], [0.1, 0.3, 0.496, 0.5, 0.45]])
    assert best_shift(dice, shifts) == 1.0
    assert best_shift(np.full((4, 5), 0.5), shifts) == 0.0
    assert best_shift(np.array([[0.9, 0.1, 0.0, 0.0, 0.0]]), shifts) == -1.0


@pytest.fixture
def trainer(nnunet_folders, monkeypatch):
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    device = torch.device("cpu")
    trainer = get_trainer_from_args("18", "2d", 0, "StrokeSynthTrainer_Tuned", device=device)
    trainer.initialize()
    return trainer


def test_a_careful_network_is_made_bolder(trainer, monkeypatch):
    """Lesions get 0.12 everywhere, the rest less: only a shift of the logit finds them."""
    scans = trainer.dataset_class(trainer.preprocessed_dataset_folder, trainer.do_split()[1])
    truth = {scans.load_case(name)[0].shape: scans.load_case(name)[1] for name in scans.identifiers}

    def logits(self, image):
        lesion = torch.from_numpy(np.asarray(truth[tuple(image.shape)][:])) > 0
        margin = torch.where(lesion, -2.0, -4.0)
        return torch.cat((torch.zeros_like(margin), margin))

    name = "nnunetv2_strokesynth.trainers.threshold_calibration.nnUNetPredictor"
    monkeypatch.setattr(f"{name}.predict_sliding_window_return_logits", logits)
    before = trainer._last_layer().bias.detach().clone()
    trainer._calibrate_threshold()
    added = (trainer._last_layer().bias - before).tolist()
    assert added == [0.0, pytest.approx(2.25)]
    assert trainer._last_layer() is trainer.network.segmenter.decoder.seg_layers[-1]


def test_several_kinds_of_lesion_get_bolder_together(trainer, monkeypatch):
    """What is lesion depends on the likeliest kind, so the biases of all of them move."""
    layer = torch.nn.Conv2d(1, 3, 1)
    before = layer.bias.detach().clone()
    monkeypatch.setattr(trainer, "_last_layer", lambda: layer)
    scans = trainer.dataset_class(trainer.preprocessed_dataset_folder, trainer.do_split()[1])
    shape = scans.load_case(scans.identifiers[0])[0].shape[1:]
    label = torch.zeros(1, *shape)
    label[0, 0, :4, :4], label[0, 0, 4:8, :4] = 1, 2
    case = (np.zeros((12, *shape), dtype=np.float32), label.numpy(), None, {})
    monkeypatch.setattr(trainer.dataset_class, "load_case", lambda self, case_id: case)
    logits = torch.stack([torch.zeros(shape), *(2.0 * (label[0] == kind) - 4 for kind in (1, 2))])

    name = "nnunetv2_strokesynth.trainers.threshold_calibration.nnUNetPredictor"
    monkeypatch.setattr(f"{name}.predict_sliding_window_return_logits", lambda *_: logits)
    trainer._calibrate_threshold()
    added = (layer.bias - before).tolist()
    assert added == [0.0, pytest.approx(2.25), pytest.approx(2.25)]


def test_another_rank_takes_what_the_first_one_found(trainer, monkeypatch):
    """It predicts nothing: the scans would be predicted once per GPU."""
    bias = trainer._last_layer().bias
    before = bias.detach().clone()
    monkeypatch.setattr(trainer, "do_split", lambda: (["a"], ["b"]))
    monkeypatch.setattr(trainer, "_on_first_rank", lambda function: 1.5)
    trainer._calibrate_threshold()
    assert (bias - before).tolist() == [0.0, 1.5]


def test_without_validation_scans_of_its_own_nothing_moves(trainer):
    trainer.fold = "all"
    before = trainer._last_layer().bias.detach().clone()
    trainer._calibrate_threshold()
    assert torch.equal(trainer._last_layer().bias, before)


def test_it_comes_before_the_final_checkpoint(trainer, monkeypatch):
    calls = []
    monkeypatch.setattr(trainer, "_calibrate_threshold", lambda: calls.append("calibrate"))
    monkeypatch.setattr(nnUNetTrainer, "on_train_end", lambda self: calls.append("save"))
    trainer.on_train_end()
    assert calls == ["calibrate", "save"]
