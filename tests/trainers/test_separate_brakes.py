"""Each network has a brake and a rate of its own, in all of nnU-Net's precisions."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from resolved_settings import exported_trainers
from torch import nn
from trainer_world import initialised, make_trainer, quiet

from nnunetv2_strokesynth.trainers.separate_brakes import (
    RatedSchedule,
    clip_separately,
    learning_parts,
    split_by_rate,
    training_step,
)

RATE = 0.1


class TwoParts(nn.Module):
    """A synthesiser and a segmenter that do not depend on each other."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.generator = nn.Linear(3, 1)
        self.segmenter = nn.Linear(3, 2)
        self.fixed = nn.Linear(1, 1).requires_grad_(False)

    def forward(self, x):
        return self.segmenter(x), self.generator(x)


class _Scaler:
    """Notes the order of calls; scales as a gradient scaler does."""

    def __init__(self):
        self.calls = []

    def scale(self, loss):
        self.calls.append("scale")
        return 8 * loss

    def unscale_(self, optimizer):
        self.calls.append("unscale")
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad /= 8

    def step(self, optimizer):
        self.calls.append("step")
        optimizer.step()

    def update(self):
        self.calls.append("update")


def _stepped(weight, scaler=None, norm=0.05, wrap=lambda network: network):
    """The steps of both parts with a weight on the generator's loss, and the loss.

    The trainer holds the wrapped network, as a compiled or a distributed one.
    """
    network = TwoParts()
    wrapped = wrap(network)
    before = [p.detach().clone() for p in network.parameters()]

    def loss(output, target):
        return output[0].square().mean() + weight * output[1].square().mean()

    trainer = SimpleNamespace(
        device=torch.device("cpu"),
        optimizer=torch.optim.SGD(wrapped.parameters(), lr=RATE),
        grad_scaler=scaler,
        network=wrapped,
        loss=loss,
    )
    parts = learning_parts(network)
    batch = {"data": torch.arange(6.0).reshape(2, 3), "target": [torch.zeros(1)]}
    outputs = training_step(trainer, batch, parts, dict.fromkeys(parts, norm))
    steps = [a.detach() - b for a, b in zip(network.parameters(), before, strict=True)]
    return {"generator": steps[:2], "segmenter": steps[2:4], "fixed": steps[4:]}, outputs["loss"]


def _assert_alike(first, second):
    for part in ("generator", "segmenter"):
        for one, other in zip(first[part], second[part], strict=True):
            torch.testing.assert_close(one, other)


def _norm(steps):
    return float(np.sqrt(sum((step.numpy() ** 2).sum() for step in steps)))


def test_a_weight_on_one_loss_does_not_slow_the_other_network():
    light, _ = _stepped(1.0)
    heavy, loss = _stepped(1000.0)
    assert np.isfinite(loss)
    for one, other in zip(light["segmenter"], heavy["segmenter"], strict=True):
        torch.testing.assert_close(one, other)
    assert _norm(heavy["generator"]) == pytest.approx(RATE * 0.05, rel=1e-3)
    assert _norm(heavy["fixed"]) == 0


def test_a_gradient_below_the_norm_stays_as_it_is():
    network = TwoParts()
    network(torch.ones(1, 3))[0].sum().backward()
    network(torch.ones(1, 3))[1].sum().backward()
    before = [p.grad.clone() for p in network.generator.parameters()]
    clip_separately(learning_parts(network), {"generator": 100.0, "segmenter": 0.5})
    for parameter, gradient in zip(network.generator.parameters(), before, strict=True):
        assert torch.equal(parameter.grad, gradient)
    assert _norm([p.grad for p in network.segmenter.parameters()]) == pytest.approx(0.5, rel=1e-4)


def test_gradients_are_clipped_after_the_scaler_has_taken_its_factor_out():
    plain, _ = _stepped(3.0)
    scaler = _Scaler()
    scaled, _ = _stepped(3.0, scaler)
    assert scaler.calls == ["scale", "unscale", "step", "update"]
    _assert_alike(plain, scaled)


def test_a_compiled_network_steps_alike():
    compiled, _ = _stepped(3.0, wrap=partial(torch.compile, backend="eager"))
    _assert_alike(_stepped(3.0)[0], compiled)


def test_a_distributed_network_steps_alike(tmp_path):
    store = f"file://{tmp_path / 'store'}"
    torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    try:
        distributed, _ = _stepped(3.0, wrap=nn.parallel.DistributedDataParallel)
    finally:
        torch.distributed.destroy_process_group()
    _assert_alike(_stepped(3.0)[0], distributed)


def test_parts_may_have_rates_of_their_own():
    network = TwoParts()
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE, momentum=0.9)
    assert not split_by_rate(optimizer, network, {"generator": 1.0})
    assert len(optimizer.param_groups) == 1
    assert split_by_rate(optimizer, network, {"generator": 30.0})
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 6
    assert {group["momentum"] for group in optimizer.param_groups} == {0.9}

    def set_rate(epoch):
        for group in optimizer.param_groups:
            group["lr"] = RATE / (1 + epoch)

    schedule = RatedSchedule(SimpleNamespace(step=set_rate), optimizer)
    for epoch in (0, 0, 3):  # nnU-Net may set an epoch's rate twice
        schedule.step(epoch)
        rates = [group["lr"] for group in optimizer.param_groups]
        assert rates == pytest.approx([RATE / (1 + epoch), 30 * RATE / (1 + epoch)])


@pytest.mark.parametrize("has_dwi", [True, False])
@pytest.mark.parametrize("had_dwi", [True, False])
def test_a_training_that_goes_on_has_the_rates_of_its_cases(had_dwi, has_dwi, nnunet_variables):
    """Whatever the checkpoint's cases had: the brakes, too, go by the cases of now."""

    def made(with_dwi):
        trainer = initialised(make_trainer(exported_trainers()["StrokeSynthTrainer"]))
        if not with_dwi:
            with quiet():
                trainer._without_any_dwi(3)
        return trainer

    trainer, before = made(has_dwi), made(had_dwi)
    before.lr_scheduler.step(0)
    trainer.optimizer.load_state_dict(before.optimizer.state_dict())
    trainer.lr_scheduler.step(0)
    rates = {id(p): g["lr"] for g in trainer.optimizer.param_groups for p in g["params"]}
    for name, part in trainer.unwrapped_network.named_children():
        (rate,) = {rates[id(parameter)] for parameter in part.parameters()}
        assert rate == pytest.approx(trainer.initial_lr * trainer._rate(name))


@pytest.mark.parametrize("name", ["StrokeSynthTrainer", "StrokeSynthTrainer_Wang2020"])
def test_every_network_of_a_trainer_has_a_brake(name, nnunet_variables, monkeypatch):
    trainer = initialised(make_trainer(exported_trainers()[name]))
    found = {}
    monkeypatch.setattr(
        "nnunetv2_strokesynth.trainers.synthesis_trainer.training_step",
        lambda trainer, batch, parts, norms: found.update(norms) or {"loss": 0.0},
    )
    trainer.train_step({})
    assert set(found) == {"extractor", "generator", "segmenter", "context_encoder"}
    assert found["segmenter"] == 12.0
    assert found["generator"] * trainer.synthesis_rate == pytest.approx(12.0)


def test_a_network_of_one_part_keeps_nnunets_step(nnunet_variables, monkeypatch):
    trainer = initialised(make_trainer(exported_trainers()["StrokeSynthTrainer_NoDWI"]))
    monkeypatch.setattr(
        "nnunetv2.training.nnUNetTrainer.nnUNetTrainer.nnUNetTrainer.train_step",
        lambda self, batch: {"loss": "nnU-Net's"},
    )
    assert trainer.train_step({}) == {"loss": "nnU-Net's"}
