import random

import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from nnunetv2_strokesynth.papers.abulnaga2018.plateau_schedule import (
    PlateauSchedule,
    n_drops,
)

NAN = float("nan")


def optimizer(lr=1.0):
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)


def random_scores(seed: int, n: int = 120) -> list[float]:
    """Scores that plateau: few values, so that ties happen."""
    draw = random.Random(seed)
    return [draw.randrange(20) / 20 + 0.002 * epoch * draw.random() for epoch in range(n)]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], 0),
        ([0.5], 0),
        ([0.5, 0.4, 0.5], 0),  # two epochs without a better one
        ([0.5, 0.4, 0.5, 0.5], 1),  # three: a tie is not better
        ([0.5, 0.4, 0.4, 0.6, 0.5, 0.5], 0),
        ([0.5, 0.4, 0.4, 0.4, 0.4, 0.4], 1),  # counted anew after the drop
        ([0.5, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4], 2),
        ([0.5, 0.4, 0.4, 0.4, 0.6, 0.4, 0.4, 0.4], 2),
        ([0.5, NAN, NAN, NAN], 1),
        ([NAN, NAN, 0.1, 0.0, 0.0], 0),
    ],
)
def test_hand_values(scores, expected):
    assert n_drops(scores, patience=3) == expected


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("patience", [1, 4, 20])
def test_equals_pytorchs_schedule(seed, patience):
    scores = random_scores(seed)
    theirs = optimizer()
    schedule = ReduceLROnPlateau(
        theirs, mode="max", factor=0.5, patience=patience - 1, threshold=0.0, eps=0.0
    )
    for epoch, score in enumerate(scores, start=1):
        schedule.step(score)
        drops = n_drops(scores[:epoch], patience)
        assert theirs.param_groups[0]["lr"] == pytest.approx(0.5**drops)


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_definition(seed):
    """A drop ends each run of ``patience`` epochs, none of which is above all before it."""
    scores, patience = random_scores(seed), 7
    begin, expected = 0, 0
    for epoch in range(len(scores)):
        if all(scores[epoch] > earlier for earlier in scores[:epoch]):
            begin = epoch + 1
        elif epoch + 1 - begin == patience:
            begin, expected = epoch + 1, expected + 1
    assert n_drops(scores, patience) == expected > 0


def test_paper_a_tenth_after_20_epochs_in_each_stage_anew():
    """Stage one of 30 epochs stops to rise after its third; stage two never beats its first."""
    scores: list[float] = []
    used = optimizer()
    schedule = PlateauSchedule(used, lambda: scores, initial_lrs=(1e-2, 1e-4), epochs_per_stage=30)
    rates = []
    for epoch in range(60):
        schedule.step(epoch)
        rates.append(used.param_groups[0]["lr"])
        scores.append([0.1, 0.2, 0.9][epoch] if epoch < 3 else 0.3)
    # Epochs 3 to 22 are no better than epoch 2; epochs 31 to 50 no better than epoch 30.
    expected = [1e-2] * 23 + [1e-3] * 7 + [1e-4] * 21 + [1e-5] * 9
    assert rates == pytest.approx(expected)


def test_a_resumed_training_gets_the_same_rates():
    scores = random_scores(3, 90)
    history: list[float] = []
    used = optimizer()
    schedule = PlateauSchedule(
        used, lambda: history, initial_lrs=(1.0,), epochs_per_stage=90, patience=5
    )
    rates = []
    for epoch, score in enumerate(scores):
        schedule.step(epoch)
        rates.append(used.param_groups[0]["lr"])
        history.append(score)
    for epoch in (1, 40, 89):
        resumed = optimizer(lr=7.0)
        PlateauSchedule(
            resumed, lambda: scores, initial_lrs=(1.0,), epochs_per_stage=90, patience=5
        ).step(epoch)
        assert resumed.param_groups[0]["lr"] == rates[epoch]
    assert len(set(rates)) > 3


def test_epochs_beyond_the_last_stage_keep_its_rate():
    used = optimizer()
    PlateauSchedule(used, lambda: [0.5] * 8, initial_lrs=(1.0, 0.1), epochs_per_stage=4).step(8)
    assert used.param_groups[0]["lr"] == 0.1
