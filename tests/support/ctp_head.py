"""A small head whose perfusion is known: a ring of bone, two halves of tissue, artery and vein."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

SIZE, SLICES = 64, 2
SPACING_MM = (5.0, 2.5, 2.5)
RHO, K_H = 1.05, 0.55 / 0.75
FINE_S = 0.05
CSF, BONE, BRAIN, BLOOD = 8.0, 1000.0, 35.0, 45.0
# Of the left half (columns under 32) and the right one: CBF mL/100 g/min, MTT s, delay s.
LEFT, RIGHT = (40.0, 6.0, 1.0), (15.0, 12.0, 5.0)
ARTERY_ROWS, ARTERY_COLUMNS = slice(26, 29), slice(24, 27)
VEIN_ROWS, VEIN_COLUMNS = slice(50, 53), slice(31, 34)


class Head(NamedTuple):
    """``series`` (T, Z, Y, X) HU at ``times_s``; masks (Z, Y, X); ``arterial`` (T,) HU."""

    series: np.ndarray
    times_s: np.ndarray
    arterial: np.ndarray
    brain: np.ndarray
    artery: np.ndarray
    vein: np.ndarray
    left: np.ndarray
    right: np.ndarray

    @property
    def inputs(self) -> dict:
        return {"spacing_zyx_mm": SPACING_MM, "times_s": self.times_s}


def gamma_bolus(time_s: np.ndarray, start_s: float, rise_s: float) -> np.ndarray:
    x = np.maximum(time_s - start_s, 0) / rise_s
    return x**3 * np.exp(3 * (1 - x))


def _tissue(fine_s: np.ndarray, arterial: np.ndarray, kind: tuple[float, float, float]):
    """c = (rho / k_H) CBF (AIF * R), R = exp(-(t - delay) / MTT) from the delay on."""
    cbf, mtt_s, delay_s = kind
    residue = np.where(fine_s >= delay_s, np.exp(-(fine_s - delay_s) / mtt_s), 0)
    flow = RHO / K_H * cbf / 6000
    return flow * FINE_S * np.convolve(arterial, residue)[: len(fine_s)]


def _masks() -> dict[str, np.ndarray]:
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    radius_mm = 2.5 * np.hypot(y, x)
    plane = np.zeros((SIZE, SIZE), bool)
    artery, vein = plane.copy(), plane.copy()
    artery[ARTERY_ROWS, ARTERY_COLUMNS] = True
    vein[VEIN_ROWS, VEIN_COLUMNS] = True
    brain = radius_mm < 55
    inner = radius_mm < 40
    # Far from the halves' border, the vessels and the rim, which the smoothing mixes.
    far = ~plane
    far[ARTERY_ROWS.start - 6 : ARTERY_ROWS.stop + 6] = False
    planes = {
        "brain": brain,
        "bone": (radius_mm >= 55) & (radius_mm < 63),
        "artery": artery,
        "vein": vein,
        "left": inner & far & (x < -6),
        "right": inner & far & (x > 6),
        "right_half": brain & (x > 0),
    }
    return {name: np.repeat(plane[None], SLICES, axis=0) for name, plane in planes.items()}


@pytest.fixture(scope="session")
def make_head() -> Callable[..., Head]:
    """Builder of heads.

    Keyword arguments: ``times_s``; ``start_s`` of the bolus; ``artery_share``, of an artery's voxel
    that is artery; ``vein``, whether it enhances; ``noise_hu``.
    """

    def make(
        times_s=None, *, start_s=8.0, artery_share=1.0, vein=True, noise_hu=0.0, height_hu=300.0
    ) -> Head:
        times_s = np.arange(60.0) if times_s is None else np.asarray(times_s, float)
        fine_s = np.arange(-20, times_s[-1] + 1, FINE_S)
        arterial = height_hu * gamma_bolus(fine_s, start_s, 5.0)
        # The vein conserves the area: 1.25 times as wide, 0.8 times as high.
        venous = 0.8 * height_hu * gamma_bolus(fine_s, start_s + 4, 6.25)
        masks = _masks()
        head = np.full((SLICES, SIZE, SIZE), -1000.0)
        for name, hu in (("brain", BRAIN), ("bone", BONE), ("artery", BLOOD), ("vein", BLOOD)):
            head[masks[name]] = hu
        lag_s = fine_s - fine_s[0]
        change = np.zeros((len(times_s), *head.shape))
        for name, kind in (("brain", LEFT), ("right_half", RIGHT)):
            curve = np.interp(times_s, fine_s, _tissue(lag_s, arterial, kind))
            change[:, masks[name]] = curve[:, None]
        measured = np.interp(times_s, fine_s, artery_share * arterial)
        change[:, masks["artery"]] = measured[:, None]
        change[:, masks["vein"]] = np.interp(times_s, fine_s, vein * venous)[:, None]
        noise = noise_hu * np.random.default_rng(0).standard_normal(change.shape)
        series = (head + change + noise).astype(np.float32)
        kept = {name: masks[name] for name in Head._fields if name in masks}
        return Head(series=series, times_s=times_s, arterial=measured, **kept)

    return make
