"""The segmentation losses of Wang et al. 2020, Table 4, against numpy."""

import numpy as np
import pytest
import torch
from loss_batches import make_batch

from nnunetv2_strokesynth.losses.segmentation import (
    generalized_dice_loss,
    hardness_aware_dice_loss,
)
from nnunetv2_strokesynth.papers.shared.segmentation_terms import (
    dice_loss,
    segmentation_loss,
)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def tensor(values) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values))


def test_dice_loss_equals_numpy(rng):
    p = rng.random((2, 4, 5))
    y = (rng.random((2, 4, 5)) > 0.6).astype(float)
    expected = 1 - 2 * (p * y).sum() / ((p**2).sum() + (y**2).sum())
    found = dice_loss(tensor(np.stack([1 - p, p], 1)), tensor(np.stack([1 - y, y], 1)))
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_dice_loss_by_hand_and_at_the_ends():
    y = torch.tensor([[[0.0, 1.0, 1.0, 0.0]]])[:, 0]
    onehot = torch.stack([1 - y, y], 1)
    assert dice_loss(onehot, onehot).item() == pytest.approx(0, abs=1e-6)
    assert dice_loss(1 - onehot, onehot).item() == pytest.approx(1, abs=1e-6)
    half = torch.full_like(onehot, 0.5)  # 2 * (2 * 0.5) / (2 + 4 * 0.25) = 2/3
    assert dice_loss(half, onehot).item() == pytest.approx(1 / 3, rel=1e-5)
    nothing = torch.stack([torch.ones_like(y), torch.zeros_like(y)], 1)
    assert dice_loss(nothing, nothing).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "names", [("L_ce",), ("L_dice",), ("L_gd",), ("L_hgd",), ("L_ce", "L_hgd")]
)
def test_segmentation_loss_sums_the_named_terms(names):
    output, target = make_batch()
    logits, labels = output[0].detach(), target[0][:, 0].long()
    probs = logits.softmax(1)
    onehot = torch.stack([labels == 0, labels == 1], 1).float()
    p_true = np.where(labels == 1, probs[:, 1], probs[:, 0])
    values = {
        "L_ce": -np.log(p_true).mean(),
        "L_dice": dice_loss(probs, onehot).item(),
        "L_gd": generalized_dice_loss(probs, onehot).item(),
        "L_hgd": hardness_aware_dice_loss(probs, onehot).item(),
    }
    loss = segmentation_loss(names)
    expected = sum(values[name] for name in names)
    assert loss(output, target).item() == pytest.approx(expected, rel=1e-5)
    assert set(loss.terms) == {"L_s", *names}
