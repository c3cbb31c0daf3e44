"""Peaks of memory known by hand, and the time of a schedule from the time of a step."""

import math

import pytest
import torch
from torch.nn import functional as F

from benchmarks import gpu_memory, memory_peaks, schedule, training_step
from nnunetv2_strokesynth.papers.shared.switchable_norm import SwitchableNorm2d
from nnunetv2_strokesynth.trainers.environment import BASE_FEATURES

CPU = torch.device("cpu")
SCALARS = 2048  # bytes: the loss and its gradient, a block of 512 bytes each, and no image


@pytest.fixture
def shallow(monkeypatch):
    """U-Nets of three stages and a few features: what counts is that all the code runs."""
    monkeypatch.setattr(training_step, "FEATURES", (32, 64, 128))
    monkeypatch.setenv(BASE_FEATURES, "4")  # of the paper's networks


def chain(leak: bool = False):
    """Linear, ReLU, Linear: activations of 64 KiB (64 x 256) and weights of four times that."""
    x = torch.randn(64, 256)
    weights = [torch.randn(256, 256, requires_grad=True) for _ in range(2)]
    kept = []

    def step():
        for weight in weights:
            weight.grad = None
        if leak:
            kept.append(torch.empty_like(x))
        F.linear(F.relu(F.linear(x, weights[0])), weights[1]).sum().backward()

    return step


def test_peak_of_a_chain():
    """Input, weights and both of their gradients, and what the first Linear's output gets."""
    activation = 64 * 256 * 4
    expected = activation * (1 + 2 * 4 + 2 * 4 + 1)
    found = memory_peaks.estimated_gib(chain) * memory_peaks.GIB
    assert expected < found <= expected + SCALARS


def test_a_leak_raises_the_peak():
    """By what the first step left and what the second one adds."""
    found, leaking = (
        memory_peaks.estimated_gib(lambda leak=leak: chain(leak)) for leak in (False, True)
    )
    assert (leaking - found) * memory_peaks.GIB == 2 * 64 * 256 * 4


def test_views_and_changes_in_place_take_nothing():
    with memory_peaks.LiveMemory() as memory:
        x = torch.ones(1000)  # 4000 bytes: 8 blocks
        x[2:].view(2, -1).add_(1)
        assert memory.now == memory.peak == 4096
        del x
    assert (memory.now, memory.peak) == (0, 4096)


@pytest.mark.usefixtures("shallow")
@pytest.mark.parametrize("name", ["StrokeSynthTrainer", "nnU-Net's own U-Net"])
def test_fake_tensors_take_what_real_ones_do(name):
    def build():
        return gpu_memory.half_step(name, (2, 12, 64, 64), CPU, 1 / 8)

    assert memory_peaks.estimated_gib(build) * memory_peaks.GIB == memory_peaks.peak_bytes(build)


def test_fake_switchable_norm_takes_what_the_real_one_does():
    """Its backward asks a kernel for some of the gradients only."""

    def build():
        norm = SwitchableNorm2d(4)
        x = torch.randn(2, 4, 64, 64, dtype=torch.float16, requires_grad=True)

        def step():
            x.grad = None
            norm(x).sum().backward()

        return step

    assert memory_peaks.estimated_gib(build) * memory_peaks.GIB == memory_peaks.peak_bytes(build)


@pytest.mark.usefixtures("shallow")
def test_every_system_keeps_weights_gradients_and_momentum():
    for name, networks_and_loss in gpu_memory.SYSTEMS.items():
        network, _ = networks_and_loss(gpu_memory.trainer_plans(1, 32, 1.0))
        weights = sum(parameter.nbytes for parameter in network.parameters())
        (gib,) = gpu_memory.estimated_peaks(name, (1, 12, 32, 32), CPU).values()
        assert gib * memory_peaks.GIB > 3 * weights, name


@pytest.mark.usefixtures("shallow")
def test_images_are_in_half_precision():
    shape, name = (16, 12, 64, 64), "nnU-Net's own U-Net"

    def wide():
        network, loss = gpu_memory.SYSTEMS[name](gpu_memory.trainer_plans(16, 64, 1.0))
        return gpu_memory.make_step(network, loss, CPU, gpu_memory.make_batch(shape, CPU))

    (half,) = gpu_memory.estimated_peaks(name, shape, CPU).values()
    assert memory_peaks.estimated_gib(wide) > 1.7 * half


def test_rows_name_the_estimate(monkeypatch):
    asked = {}

    def estimate(name, shape, device):
        asked[name] = shape
        return {gpu_memory.ESTIMATED: 1 + shape[0] / 2}

    monkeypatch.setattr(gpu_memory, "estimated_peaks", estimate)
    first, *others, largest = gpu_memory.measure(CPU, False, batch=8)
    assert asked["StrokeSynthTrainer_Wang2020"] == (5, 12, 256, 256)
    assert (first["ours"], first["yardstick"], first["ratio"]) == (5, 11, 5 / 11)
    assert first["target"] == "<= 1"
    assert all("estimated" in row["claim"] for row in (first, *others, largest))
    assert not any(row["target"] for row in others)
    assert (largest["ours"], largest["yardstick"]) == (20, 8)


@pytest.mark.parametrize(
    ("gib", "expected"), [({12: 6.0, 25: 12.5}, 22), ({4: 1.0, 8: 1.5}, 84), ({1: 6.0, 2: 11.0}, 2)]
)
def test_largest_batch(gib, expected):
    assert gpu_memory.largest_batch(gib, 11) == expected


def test_no_largest_batch_of_what_never_fitted():
    assert math.isnan(gpu_memory.largest_batch({12: 6.0, 25: math.nan}, 11))


@pytest.mark.parametrize(("needed", "fits"), [(9, True), (30, False), (50, False)])
def test_too_little_memory_is_reported_with_what_it_took(monkeypatch, needed, fits):
    """A card of 44 GiB; the limit must be off again afterwards."""
    limits = []
    card = type("Properties", (), {"total_memory": 44 * memory_peaks.GIB})
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", limits.append)

    def cuda_peak(build, device, *, eager):
        if needed > 44 * limits[-1]:
            raise torch.OutOfMemoryError
        return memory_peaks.Peak(needed, needed + 1)

    monkeypatch.setattr(memory_peaks, "cuda_peak", cuda_peak)
    peak, within = memory_peaks.peak_within_limit(chain, CPU, 11, eager=True)
    assert within is fits
    assert math.isnan(peak.allocated) if needed > 44 else peak == (needed, needed + 1)
    assert limits[0] == 0.25
    assert limits[-1] == 1


def test_steps_of_the_schedule(monkeypatch):
    """Scans of 2 slices: 20 of them have 40, 32 of which train in 7 batches of 5."""
    plan = type("Plan", (), {"grid": type("Grid", (), {"n_slices": 2})})
    monkeypatch.setattr(schedule, "plan_scans", lambda seed, split, n, size: [plan] * n)
    assert schedule.schedule_steps(20) == 300 * 7


def test_time_of_the_schedule():
    minutes, images, used = schedule.schedule_rows(schedule.Speed(0.06, 80), 30_000)
    assert minutes["ours"] == pytest.approx(30)
    assert minutes["ratio"] == images["yardstick"] / images["ours"] == pytest.approx(2)
    assert minutes["target"] == "<= 1"
    assert images["ours"] == pytest.approx(5 / 0.06)
    assert used["ratio"] == 0.8


def test_nothing_is_measured_on_the_cpu():
    rows = schedule.measure(CPU, True)
    assert len(rows) == 5
    assert all(math.isnan(row["ratio"]) for row in rows)


@pytest.mark.parametrize(
    "name", ["StrokeSynthTrainer", "StrokeSynthTrainer_Stock", "StrokeSynthTrainer_Wang2020"]
)
def test_timed_steps_train_the_trainers_network(monkeypatch, tmp_path, name):
    monkeypatch.setenv(BASE_FEATURES, "4")
    shape = (2, 12, 64, 64)
    trainer = schedule.initialised(getattr(schedule, name), shape, CPU, 1 / 16, tmp_path)
    before = {key: value.clone() for key, value in trainer.network.named_parameters()}
    schedule.make_step(trainer, shape, CPU)()
    changed = [
        key for key, value in trainer.network.named_parameters() if before[key].ne(value).any()
    ]
    assert len(changed) > len(before) / 2


def test_speed_of_a_trainer_leaves_the_environment_alone(monkeypatch):
    monkeypatch.delenv("nnUNet_results", raising=False)
    cls = schedule.StrokeSynthTrainer_Stock
    found = schedule.speed_of(cls, (2, 12, 64, 64), CPU, repetitions=1, width=1 / 16)
    assert found.seconds > 0
    assert math.isnan(found.utilisation)
    assert "nnUNet_results" not in schedule.os.environ


def test_utilisation_is_sampled_while_the_steps_run(monkeypatch):
    monkeypatch.setattr(schedule, "SAMPLE_S", 0.001)
    monkeypatch.setattr(torch.cuda, "utilization", lambda device: 70)
    with schedule.sampled_utilisation(CPU) as samples:
        while not samples:
            pass
    assert set(samples) == {70}
