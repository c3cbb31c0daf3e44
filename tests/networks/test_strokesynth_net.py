import copy

import pytest
import torch
from torch import nn

from nnunetv2_strokesynth.losses.joint import JointLoss
from nnunetv2_strokesynth.networks.squeeze_excite import SqueezeExcite
from nnunetv2_strokesynth.networks.strokesynth_net import StrokeSynthNet, planned_networks
from nnunetv2_strokesynth.papers.shared.switchable_norm import SwitchableNorm2d
from nnunetv2_strokesynth.papers.shared.synthesis_networks import synthesis_networks

N_CHANNELS = 12
PARTS = ("extractor", "generator", "segmenter", "context_encoder")


class Recorder(nn.Module):
    """Keeps its input; returns the sum over channels, times a factor."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        self.seen = x
        return self.factor * x.sum(dim=1, keepdim=True)


def test_wiring_by_channel_name():
    """Channel c holds the value c: CT 0, maps 1-4, MIP 5, frames 6-11."""
    extractor, generator, segmenter = Recorder(1), Recorder(2), Recorder(3)
    network = StrokeSynthNet(
        extractor,
        generator,
        segmenter,
        None,
        frame_indices=[6, 7, 8, 9, 10, 11],
        generator_indices=[1, 2, 3, 4, 5],
        return_heads=True,
    )
    x = torch.arange(12.0)[None, :, None, None].expand(2, 12, 3, 3)
    logits, pseudo_dwi, feature = network(x)
    assert extractor.seen[0, :, 0, 0].tolist() == [6, 7, 8, 9, 10, 11]
    assert generator.seen[0, :, 0, 0].tolist() == [1, 2, 3, 4, 5, 51]
    assert feature.unique().tolist() == [51]
    assert pseudo_dwi.unique().tolist() == [2 * 66]
    assert torch.equal(segmenter.seen, pseudo_dwi)
    assert logits.unique().tolist() == [3 * 2 * 66]


@pytest.fixture(params=["paper", "PlainConvUNet", "ResidualEncoderUNet"])
def build(request, architectures):
    """A function that builds one of the networks, small."""
    if request.param == "paper":
        return lambda **kwargs: synthesis_networks(2, base_features=4, **kwargs)
    return lambda **kwargs: planned_networks(architectures[request.param], "wang2020", 2, **kwargs)


def test_heads_are_switched_by_the_attribute(build):
    network = build().eval()
    x = torch.randn(2, N_CHANNELS, 32, 32)
    assert network.return_heads is False
    logits_only = network(x)
    assert logits_only.shape == (2, 2, 32, 32)
    network.return_heads = True
    logits, pseudo_dwi, feature = network(x)
    assert pseudo_dwi.shape == feature.shape == (2, 1, 32, 32)
    assert torch.equal(logits, logits_only)
    again = network.synthesize(x)
    assert torch.equal(again[0], pseudo_dwi) and torch.equal(again[1], feature)


def batch(size: int = 32, n_without_dwi: int = 0):
    torch.manual_seed(5)
    x = torch.randn(3, N_CHANNELS, size, size)
    labels = torch.zeros(3, 1, size, size, dtype=torch.int16)
    labels[:, :, 8:14, 9:17] = 1
    dwi = torch.rand(3, 1, size, size)
    dwi[:n_without_dwi] = torch.nan
    return x, [labels, dwi, 0.5 + torch.rand(3, 1, size, size)]


@pytest.mark.parametrize("n_without_dwi", [0, 2])
def test_joint_loss_reaches_every_part(build, n_without_dwi):
    torch.manual_seed(1)
    network = build(return_heads=True)
    x, target = batch(n_without_dwi=n_without_dwi)
    JointLoss(network.context_encoder)(network(x), target).backward()
    for part in PARTS:
        gradients = [p.grad for p in getattr(network, part).parameters()]
        assert all(g is not None and g.isfinite().all() for g in gradients), part
        assert any((g != 0).any() for g in gradients), part


def test_batch_without_any_dwi_gives_zero_gradients_not_none(build):
    network = build(return_heads=True)
    x, target = batch(n_without_dwi=3)
    JointLoss(network.context_encoder)(network(x), target).backward()
    assert all(p.grad is not None for p in network.parameters())
    assert all((p.grad == 0).all() for p in network.context_encoder.parameters())
    assert any((p.grad != 0).any() for p in network.extractor.parameters())


def test_without_context_encoder(build):
    network = build(with_context_encoder=False, return_heads=True)
    assert network.context_encoder is None
    x, target = batch()
    logits, *_ = network(x)
    logits.square().mean().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_state_dict_round_trip(build):
    torch.manual_seed(0)
    network, twin = build(return_heads=True), build()
    network(torch.randn(2, N_CHANNELS, 32, 32))
    assert any(key.startswith("context_encoder.") for key in network.state_dict())
    twin.load_state_dict(network.state_dict())
    network.return_heads = False
    x = torch.randn(1, N_CHANNELS, 32, 32)
    assert torch.equal(twin.eval()(x), network.eval()(x))


def test_a_few_steps_lower_the_joint_loss(build):
    torch.manual_seed(0)
    network = build(return_heads=True)
    loss = JointLoss(network.context_encoder)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    x, target = batch()
    history = []
    for _ in range(5):
        optimizer.zero_grad()
        value = loss(network(x), target)
        value.backward()
        optimizer.step()
        history.append(value.item())
    assert history[-1] < 0.95 * history[0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_stays_finite(build, dtype):
    torch.manual_seed(0)
    network = build(return_heads=True)
    loss = JointLoss(network.context_encoder)
    x, target = batch(n_without_dwi=1)
    with torch.autocast("cpu", dtype=dtype):
        value = loss(network(x), target)
    value.backward()
    assert value.dtype == torch.float32 and value.isfinite()
    assert all(p.grad.isfinite().all() for p in network.parameters())


def test_planned_parts(architecture):
    network = planned_networks(
        architecture, "wang2020", 2, synthesis_norm=nn.BatchNorm2d, segmenter_norm=SwitchableNorm2d
    )
    assert network.extractor.unet.encoder.output_channels == [2, 4, 8, 8]
    assert network.generator.unet.encoder.output_channels == [4, 8, 16, 16]
    norms = {SwitchableNorm2d, nn.InstanceNorm2d, nn.BatchNorm2d}
    for part, expected in (
        ("extractor", nn.BatchNorm2d),
        ("generator", nn.BatchNorm2d),
        ("segmenter", SwitchableNorm2d),
    ):
        kinds = {type(module) for module in getattr(network, part).modules()}
        assert kinds & norms == {expected}


def test_planned_networks_follow_the_preset(architecture):
    network = planned_networks(architecture, "song2018", 2).eval()
    assert network(torch.randn(1, 18, 32, 32)).shape == (1, 2, 32, 32)


def test_planned_segmenter_sees_the_channels_it_is_given(architecture):
    """The CT is no input of extractor and generator: it reaches the logits by the segmenter."""
    torch.manual_seed(0)
    image = torch.randn(1, 12, 32, 32)
    other_ct = image.clone()
    other_ct[:, 0] += 1
    for names, differs in ((("DWI^",), False), (("CT", "MIP", "DWI^"), True)):
        network = planned_networks(architecture, "wang2020", 2, segmenter_inputs=names).eval()
        assert torch.equal(network(image), network(other_ct)) is not differs
        first = next(network.segmenter.parameters())
        assert first.shape[1] == len(names)


def _gradients(architecture, share):
    """Gradients of a loss of the logits in each part, and the logits."""
    torch.manual_seed(0)
    network = planned_networks(
        architecture,
        "wang2020",
        2,
        segmenter_inputs=("CT", "DWI^"),
        segmentation_gradient=share,
        return_heads=True,
    )
    logits, pseudo_dwi, _ = network(torch.randn(1, 12, 32, 32))
    logits.square().mean().backward(retain_graph=True)
    found = {
        part: [p.grad.clone() for p in getattr(network, part).parameters() if p.grad is not None]
        for part in ("extractor", "generator", "segmenter")
    }
    pseudo_dwi.mean().backward()
    assert all(p.grad is not None for p in network.generator.parameters())
    return found, logits.detach()


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_share_of_the_segmentations_gradient_trains_the_synthesis(architecture, share):
    whole, expected = _gradients(architecture, 1.0)
    found, logits = _gradients(architecture, share)
    assert torch.equal(logits, expected)  # the share changes no output
    for part, gradients in found.items():
        factor = 1.0 if part == "segmenter" else share
        assert len(gradients) == (len(whole[part]) if factor else 0)
        for gradient, full in zip(gradients, whole[part], strict=False):
            torch.testing.assert_close(gradient, factor * full, rtol=1e-3, atol=1e-7)


def test_synthesis_can_be_narrower_than_the_plans(architecture):
    network = planned_networks(architecture, "wang2020", 2, synthesis_width=0.5)
    assert network.extractor.unet.encoder.output_channels == [1, 2, 4, 4]
    assert network.generator.unet.encoder.output_channels == [2, 4, 8, 8]
    assert network.segmenter.encoder.output_channels == [4, 8, 16, 16]


def test_the_norm_is_the_plans_unless_told_otherwise(architecture):
    network = planned_networks(architecture, "wang2020", 2)
    for part in (network.extractor, network.generator, network.segmenter):
        assert nn.InstanceNorm2d in {type(module) for module in part.modules()}
    assert SqueezeExcite in {type(module) for module in network.segmenter.modules()}


def test_three_dimensional_plans_are_refused(architecture):
    three_d = copy.deepcopy(architecture)
    three_d["arch_kwargs"]["conv_op"] = "torch.nn.modules.conv.Conv3d"
    with pytest.raises(ValueError, match=r"Conv3d.*configuration 2d"):
        planned_networks(three_d, "wang2020", 2)
