"""Contrast transport: arterial and venous curves, and tissue curves by convolution."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import fft

from nnunetv2_strokesynth.ctp.deconvolution import (
    BRAIN_DENSITY_G_PER_ML,
    HAEMATOCRIT_FACTOR,
    SECONDS_100G,
)
from nnunetv2_strokesynth.phantom.physics import BolusPhysics

_FINE_S = 0.25
_HISTORY_S = 24.0
_MTT_GRID_S = np.geomspace(1.0, 40.0, 28)
_DELAY_GRID_S = np.linspace(0.0, 18.0, 73)


class BolusCurves(NamedTuple):
    """One scan's bolus. Times in s after the first frame, HU without partial volume."""

    peak_s: float
    fwhm_s: float
    alpha: float
    venous_lag_s: float
    venous_fwhm_s: float
    peak_hu: float
    recirculation: float

    def arterial(self, time_s: np.ndarray) -> np.ndarray:
        """Enhancement (HU) of the feeding artery at the given times."""
        curve = gamma_variate(time_s, self.peak_s, fwhm_s=self.fwhm_s, alpha=self.alpha)
        return self.peak_hu * (
            curve + self.recirculation * _plateau(time_s, self.peak_s, self.fwhm_s)
        )

    def venous(self, time_s: np.ndarray) -> np.ndarray:
        """Enhancement (HU) of the draining sinus; its height conserves the area."""
        peak_s = self.peak_s + self.venous_lag_s
        curve = gamma_variate(time_s, peak_s, fwhm_s=self.venous_fwhm_s, alpha=self.alpha)
        height = self.peak_hu * min(self.fwhm_s / self.venous_fwhm_s, 1.0)
        plateau = self.recirculation * _plateau(time_s, peak_s, self.venous_fwhm_s)
        return height * curve + self.peak_hu * plateau


def _plateau(time_s: np.ndarray, peak_s: float, fwhm_s: float) -> np.ndarray:
    # Rises behind the first pass: recirculating contrast.
    return 1.0 / (1.0 + np.exp(-(time_s - peak_s - 0.6 * fwhm_s) / (0.25 * fwhm_s)))


def _half_width(alpha: float) -> float:
    """Full width at half maximum of x^alpha exp(alpha (1 - x)), in units of its time to peak."""
    x = np.linspace(1e-6, 12.0, 24001)
    above = x[alpha * (np.log(x) + 1 - x) > np.log(0.5)]
    return float(above[-1] - above[0])


def gamma_variate(time_s: np.ndarray, peak_s: float, *, fwhm_s: float, alpha: float) -> np.ndarray:
    """Gamma-variate of height 1 at ``peak_s`` with the given full width at half maximum (s)."""
    rise_s = fwhm_s / _half_width(alpha)
    x = np.maximum((time_s - peak_s) / rise_s + 1.0, 0.0)
    return x**alpha * np.exp(alpha * (1.0 - x))


def _curve_covariance(physics: BolusPhysics) -> np.ndarray:
    correlation = np.eye(len(physics.curve_sd))
    rows, columns = np.triu_indices(len(correlation), 1)
    correlation[rows, columns] = correlation[columns, rows] = physics.curve_correlation
    return correlation * np.outer(physics.curve_sd, physics.curve_sd)


def draw_bolus(rng: np.random.Generator, physics: BolusPhysics) -> BolusCurves:
    """Curve parameters of one scan, spread and correlated like the measured curves."""
    covariance = _curve_covariance(physics)
    values = rng.multivariate_normal(physics.curve_mean, covariance, method="cholesky")
    values = np.clip(values, physics.curve_low, physics.curve_high)
    peak_s, fwhm_s = float(values[0]), float(np.exp(values[1]))
    if rng.random() < physics.no_precontrast_probability:
        peak_s = min(peak_s, 0.55 * fwhm_s)
    peak_hu = physics.peak_median_hu * np.exp(physics.peak_log_sd * rng.normal())
    recirculation = rng.normal(physics.recirculation, physics.recirculation_sd)
    return BolusCurves(
        peak_s,
        fwhm_s,
        float(np.exp(values[2])),
        float(values[3]),
        max(float(np.exp(values[4])), fwhm_s),
        float(np.clip(peak_hu, *physics.peak_limits_hu)),
        float(np.clip(recirculation, *physics.recirculation_limits)),
    )


def _spectrum(kernel: np.ndarray, area: float, length: int) -> np.ndarray:
    return fft.rfft(kernel * (area / kernel.sum()), length)


def unit_flow_curves(
    bolus: BolusCurves, times_s: np.ndarray, dispersion_per_delay: float
) -> np.ndarray:
    """(AIF(t - delay) * dispersion * R)(t) for a flow of 1/s on a grid of transit times and delays.

    R(t) = exp(-t / MTT) (a well-mixed compartment).

    Args:
        bolus: the scan's bolus.
        times_s: (T,) of the frames; multiples of 0.25 s.
        dispersion_per_delay: time constant of the exponential dispersion, per second of delay.

    Returns:
        (n MTT, n delays, T) float32 in HU s.
    """
    time_s = np.arange(-_HISTORY_S, times_s.max() + 2 * _FINE_S, _FINE_S)
    length = fft.next_fast_len(2 * len(time_s), real=True)
    lag_s = np.arange(len(time_s)) * _FINE_S
    aif = fft.rfft(bolus.arterial(time_s), length)
    frames = np.rint((times_s + _HISTORY_S) / _FINE_S).astype(np.int64)
    residue = np.stack([_spectrum(np.exp(-lag_s / mtt), mtt, length) for mtt in _MTT_GRID_S])
    table = np.empty((len(_MTT_GRID_S), len(_DELAY_GRID_S), len(frames)), np.float32)
    frequency = fft.rfftfreq(length, _FINE_S)
    for index, delay_s in enumerate(_DELAY_GRID_S):
        shift = np.exp(-2j * np.pi * frequency * delay_s)
        if delay_s > 0:
            spread = np.exp(-lag_s / (dispersion_per_delay * delay_s))
            shift = shift * _spectrum(spread, 1.0, length)
        curves = fft.irfft(aif * shift * residue, length, axis=1)
        table[:, index] = curves[:, frames]
    return table


def _grid_position(value: np.ndarray, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the grid point below ``value`` and the fraction of the way to the next."""
    position = np.interp(value, grid, np.arange(len(grid)))
    low = np.minimum(position.astype(np.int64), len(grid) - 2)
    return low, (position - low).astype(np.float32)


def tissue_curves(
    cbf: np.ndarray, cbv: np.ndarray, delay_s: np.ndarray, table: np.ndarray
) -> np.ndarray:
    """Enhancement of tissue, c(t) = (rho / k_H) CBF (AIF * R)(t).

    Args:
        cbf, cbv, delay_s: (N,) in mL/100 g/min, mL/100 g and s; MTT = 60 CBV / CBF.
        table: from ``unit_flow_curves``.

    Returns:
        (N, T) float32 in HU.
    """
    mtt_s = 60 * cbv / np.maximum(cbf, 1e-6)
    row, row_part = _grid_position(mtt_s, _MTT_GRID_S)
    column, column_part = _grid_position(delay_s, _DELAY_GRID_S)
    curves = np.zeros((len(cbf), table.shape[-1]), np.float32)
    for i in (0, 1):
        for j in (0, 1):
            weight = (row_part if i else 1 - row_part) * (column_part if j else 1 - column_part)
            curves += weight[:, None] * table[row + i, column + j]
    # CBF is recovered from CBV after clipping the transit time to the grid, so that the area stays
    # CBV.
    flow = 60 * cbv / np.clip(mtt_s, _MTT_GRID_S[0], _MTT_GRID_S[-1])
    scale = BRAIN_DENSITY_G_PER_ML / HAEMATOCRIT_FACTOR / SECONDS_100G
    return curves * (scale * flow).astype(np.float32)[:, None]


def true_tmax_s(
    cbf: np.ndarray, cbv: np.ndarray, delay_s: np.ndarray, dispersion_per_delay: float
) -> np.ndarray:
    """Time (s) of the maximum of the delayed, dispersed residue function, in closed form.

    Args:
        cbf, cbv, delay_s: (N,) as in ``tissue_curves``.
        dispersion_per_delay: as in ``unit_flow_curves``.
    """
    mtt_s = np.maximum(60 * cbv / np.maximum(cbf, 1e-6), 1e-3)
    tau_s = np.maximum(dispersion_per_delay * delay_s, 1e-3)
    ratio = np.where(np.abs(tau_s / mtt_s - 1) < 1e-3, 1.002, tau_s / mtt_s)
    return delay_s + tau_s * np.log(ratio) / (ratio - 1)
