import pytest
import torch
from torch import nn

from nnunetv2_strokesynth.networks.context_encoder import ContextEncoder


@pytest.mark.parametrize("size", [(256, 256), (224, 224), (32, 32), (47, 70)])
def test_sixteen_numbers_for_any_size(size):
    out = ContextEncoder()(torch.rand(3, 1, *size))
    assert out.shape == (3, 16)
    assert out.isfinite().all()


def test_rows_then_columns():
    """With filters that pass their centre on, the map is every 32nd pixel."""
    encoder = ContextEncoder()
    with torch.no_grad():
        for layer in encoder.layers:
            if isinstance(layer, nn.Conv2d):
                layer.weight.zero_()
                layer.weight[0, 0, 1, 1] = 1
    image = torch.rand(2, 1, 256, 256)
    sampled = image[:, 0, ::32, ::32]
    expected = torch.cat((sampled.mean(dim=2), sampled.mean(dim=1)), dim=1)
    torch.testing.assert_close(encoder(image), expected)


def test_layers():
    layers = list(ContextEncoder().layers)
    convolutions, activations = layers[::2], layers[1::2]
    assert [layer.out_channels for layer in convolutions] == [16, 32, 64, 128, 1]
    assert {(layer.kernel_size, layer.stride) for layer in convolutions} == {((3, 3), (2, 2))}
    assert all(isinstance(layer, nn.ReLU) for layer in activations)


def test_last_relu_starts_alive():
    """Without the choice of sign about 8 % of the starts are dead at 128 px."""
    rows, columns = torch.meshgrid(
        torch.linspace(-1, 1, 128), torch.linspace(-1, 1, 128), indexing="ij"
    )
    brains = torch.stack(
        [
            ((rows / height) ** 2 + (columns / width) ** 2 < 1).float()
            for height, width in ((0.78, 0.6), (0.5, 0.4), (2.0, 2.0))
        ]
    )
    generator = torch.Generator().manual_seed(0)
    images = brains * (0.35 + 0.1 * torch.randn(brains.shape, generator=generator)).clamp(0, 1)
    for seed in range(50):
        torch.manual_seed(seed)
        active = (ContextEncoder().layers(images[:, None]) > 0).float().mean(dim=(1, 2, 3))
        assert active.min() > 0.05, f"seed {seed}: shares of the map active {active.tolist()}"


@pytest.mark.parametrize("shape", [(1, 1, 31, 64), (1, 2, 64, 64)])
def test_wrong_shape_is_refused(shape):
    with pytest.raises(ValueError, match="at least 32 pixels, found shape"):
        ContextEncoder()(torch.zeros(shape))
