"""What ischaemia does to the water of brain tissue: its mobility falls, and its T2 rises.

Both are graded. The core has lost most mobility, the infarct's border half of that, and a rim that
will recover a little. Mobility falls within minutes and is normal again after one to two weeks; T2
rises over hours and stays long, which lights a DWI up by itself (shine-through).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.phantom.physics import DiffusionPhysics
from nnunetv2_strokesynth.phantom.random_field import RandomField, draw_random_field
from nnunetv2_strokesynth.phantom.stroke import sigmoid

_TEXTURE_MM = 8.0


class Oedema(NamedTuple):
    """How one patient's tissue answers to damage.

    Attributes:
        deepest_loss: share of the ADC that the core loses.
        border: damage over which the loss rises, see ``Tissue.damage``.
        t2_gain: relative signal that the core gains by a longer T2, without diffusion weighting.
        texture: relative spread of the loss from place to place.
    """

    deepest_loss: float
    border: float
    t2_gain: float
    texture: RandomField


def draw_oedema(rng: np.random.Generator, hours: float, physics: DiffusionPhysics) -> Oedema:
    """The oedema of a patient whose MRI comes ``hours`` after the onset."""
    recovery = np.exp(-hours / physics.recovery_hours)
    t2_gain = rng.uniform(*physics.t2_gain_range) * (1 - np.exp(-hours / physics.t2_hours))
    return Oedema(
        rng.uniform(*physics.deepest_loss_range) * recovery,
        rng.uniform(*physics.border_range),
        t2_gain,
        draw_random_field(rng, _TEXTURE_MM),
    )


def mobility_loss(
    oedema: Oedema, damage: np.ndarray, points_mm: np.ndarray, physics: DiffusionPhysics
) -> np.ndarray:
    """Share of the ADC that tissue has lost, (N,) from 0 to ``physics.most_loss``.

    Args:
        oedema: the patient's.
        damage: (N,), over 0 where tissue infarcts.
        points_mm: (3, N), for the texture.
        physics: spread and limit.
    """
    loss = oedema.deepest_loss * sigmoid(damage / oedema.border)
    loss = loss * np.exp(physics.loss_sd * oedema.texture(points_mm))
    return np.minimum(loss, physics.most_loss).astype(np.float32)


def signal_gain(
    oedema: Oedema, damage: np.ndarray, loss: np.ndarray, *, b_adc: float
) -> np.ndarray:
    """Relative signal that damaged tissue gains on a DWI, (N,) >= 0.

    S / S_healthy - 1 = (1 + T2 gain) exp(b ADC loss) - 1.

    Args:
        oedema: the patient's.
        damage: (N,), over 0 where tissue infarcts.
        loss: (N,), from ``mobility_loss``.
        b_adc: b times the healthy ADC, without a unit.
    """
    t2_gain = oedema.t2_gain * sigmoid(damage / oedema.border)
    return (1 + t2_gain) * np.exp(b_adc * loss) - 1
