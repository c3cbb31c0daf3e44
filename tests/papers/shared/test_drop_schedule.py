"""The learning rate that drops in each stage."""

import pytest
import torch

from nnunetv2_strokesynth.papers.shared.drop_schedule import DropSchedule


def test_schedule_drops_after_180_of_300_epochs_in_each_stage():
    optimizer = torch.optim.RMSprop([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = DropSchedule(optimizer, 0.002, 300)
    found = {}
    for epoch in (0, 179, 180, 299, 300, 479, 480, 599):
        schedule.step(epoch)
        found[epoch] = optimizer.param_groups[0]["lr"]
    high, low = 0.002, pytest.approx(0.0004)
    assert found == {
        0: high, 179: high, 180: low, 299: low, 300: high, 479: high, 480: low, 599: low,
    }  # fmt: skip
