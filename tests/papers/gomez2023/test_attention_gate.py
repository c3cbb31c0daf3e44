"""Gomez 2023: the attention formula against numpy."""

import numpy as np
import torch

from nnunetv2_strokesynth.papers.gomez2023.attention_gate import CrossAttention


def test_attention_equals_the_formula():
    torch.manual_seed(0)
    attention = CrossAttention(4, 3).double()
    skip = torch.randn(2, 4, 5, 6, dtype=torch.float64)
    decoded = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    found = attention(skip, decoded).detach().numpy()
    w_e, w_d, w_s = (
        layer.weight.detach().numpy()[:, :, 0, 0]
        for layer in (attention.w_e, attention.w_d, attention.w_s)
    )
    assert w_e.shape == (2, 4) and w_d.shape == (2, 3) and w_s.shape == (1, 2)
    x_e, x_d = skip.numpy(), decoded.numpy()
    for b, y, x in np.ndindex(2, 5, 6):
        s = np.maximum(w_e @ x_e[b, :, y, x] + w_d @ x_d[b, :, y, x], 0)
        weight = 1 / (1 + np.exp(-(w_s @ s)))
        np.testing.assert_allclose(found[b, :, y, x], weight * x_e[b, :, y, x])
    n_parameters = sum(p.numel() for p in attention.parameters())
    assert n_parameters == w_e.size + w_d.size + w_s.size, "no biases, no norm"
