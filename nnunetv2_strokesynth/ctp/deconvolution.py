"""Perfusion maps from concentration curves by block-circulant deconvolution.

The tissue curve is the arterial input function (AIF) convolved with the flow-scaled residue
function: c(t) = (rho / k_H) CBF (AIF * R)(t). Wu et al. (Magn Reson Med 2003;50:164-174) invert it
with the SVD of a block-circulant matrix of the zero-padded AIF, which makes CBF insensitive to an
arrival delay. A circulant matrix is diagonal in the Fourier basis, and its singular values are the
moduli of the AIF's discrete Fourier transform. So truncating the SVD at a fraction of the largest
singular value drops the frequencies whose modulus is smaller. We compute the same thing with two
FFTs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy import fft

BRAIN_DENSITY_G_PER_ML = 1.05
# k_H = (1 - arterial haematocrit) / (1 - capillary haematocrit), as contrast stays in the plasma.
HAEMATOCRIT_FACTOR = (1 - 0.45) / (1 - 0.25)
TO_VOLUME = HAEMATOCRIT_FACTOR / BRAIN_DENSITY_G_PER_ML
"""From the ratio of tissue's and artery's enhancement to mL of blood in a g of tissue."""
SECONDS_100G = 6000.0
"""mL/100 g/min in one mL/g/s."""
SVD_THRESHOLD = 0.15
"""The threshold of ``perfusion_maps`` for a CTP series."""
_EARLY_LAG_S = 4.0
_CHUNK = 32768


class Method(NamedTuple):
    """How a series is deconvolved: keyword arguments of ``perfusion_maps``."""

    threshold: float
    tikhonov: bool = False
    reference_mtt_s: float | None = None


METHODS = {
    "svd": Method(threshold=SVD_THRESHOLD),
    "tikhonov": Method(threshold=0.15, tikhonov=True, reference_mtt_s=3.5),
}
"""The deconvolutions of ``maps_by.METHOD_NAMES``. The numbers were chosen on the phantom's seeds 21
and 77, see docs/explanation/perfusion-maps.md."""


class PerfusionMaps(NamedTuple):
    """(N,) float32 each: CBF in mL/100 g/min, CBV in mL/100 g, MTT and Tmax in s."""

    cbf: np.ndarray
    cbv: np.ndarray
    mtt: np.ndarray
    tmax: np.ndarray


def deconvolve(tissue: np.ndarray, aif: np.ndarray, dt_s: float, *, threshold: float) -> np.ndarray:
    """Residue function times flow, k(t) = (rho / k_H) CBF R(t), by block-circulant SVD.

    Args:
        tissue: (N, T) enhancement over the baseline, HU.
        aif: (T,) enhancement of the artery, HU.
        dt_s: time between frames, s.
        threshold: singular values under this fraction of the largest are dropped.

    Returns:
        (N, 2T) in 1/s. Columns from T on are negative lags: column 2T - 1 is lag -dt_s.
    """
    length = 2 * len(aif)
    spectrum = fft.rfft(aif.astype(np.float64), length) * dt_s
    modulus = np.abs(spectrum)
    kept = modulus >= threshold * modulus.max()
    inverse = np.zeros_like(spectrum)
    inverse[kept] = 1.0 / spectrum[kept]
    return fft.irfft(fft.rfft(tissue, length, axis=1) * inverse, length, axis=1)


def deconvolve_tikhonov(
    tissue: np.ndarray, aif: np.ndarray, dt_s: float, *, threshold: float
) -> np.ndarray:
    """The same with Tikhonov's filter, which weakens singular values where the SVD drops them.

    A value s is inverted as s / (s^2 + l^2), l = ``threshold`` of the largest. Without a sharp edge
    the residue oscillates less, and its peak is easier to place.

    Args, Returns: as ``deconvolve``.
    """
    length = 2 * len(aif)
    spectrum = fft.rfft(aif.astype(np.float64), length) * dt_s
    power = np.abs(spectrum) ** 2
    inverse = np.conj(spectrum) / (power + threshold**2 * power.max())
    return fft.irfft(fft.rfft(tissue, length, axis=1) * inverse, length, axis=1)


def deconvolve_causal(
    tissue: np.ndarray, aif: np.ndarray, dt_s: float, *, threshold: float
) -> np.ndarray:
    """The same by the SVD of a triangular matrix, which knows no negative lags.

    So an arrival delay between artery and tissue changes the flow (Ostergaard et al., Magn Reson
    Med 1996;36:715-725; the matrix is their Eq. 7).

    Args, Returns: as ``deconvolve``; the columns of the negative lags are 0.
    """
    length = len(aif)
    padded = np.concatenate([[0.0], aif.astype(np.float64), [aif[-1]]])
    column = dt_s * (padded[:-2] + 4 * padded[1:-1] + padded[2:]) / 6
    rows, columns = np.tril_indices(length)
    matrix = np.zeros((length, length))
    matrix[rows, columns] = column[rows - columns]
    left, values, right = np.linalg.svd(matrix)
    inverse = np.where(values >= threshold * values[0], 1 / np.maximum(values, 1e-12), 0.0)
    residue = tissue @ (left * inverse @ right)
    return np.concatenate([residue, np.zeros_like(residue)], axis=1)


def _peak(residue: np.ndarray, dt_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Height (1/s) and time (s, >= 0) of each row's maximum, refined by a parabola."""
    n_frames = residue.shape[1] // 2
    early = min(n_frames, int(round(_EARLY_LAG_S / dt_s)))  # 0 from 8 s on
    negative = residue[:, residue.shape[1] - early :]
    ordered = np.concatenate([negative, residue[:, :n_frames]], axis=1)
    top = np.argmax(ordered, axis=1)
    rows = np.arange(len(ordered))
    centre = np.clip(top, 1, ordered.shape[1] - 2)
    left, mid, right = (ordered[rows, centre + k] for k in (-1, 0, 1))
    curvature = left - 2 * mid + right
    offset = np.where(curvature < 0, 0.5 * (left - right) / np.minimum(curvature, -1e-12), 0.0)
    offset = np.where(centre == top, np.clip(offset, -0.5, 0.5), top - centre)
    return ordered[rows, top], np.maximum((centre + offset - early) * dt_s, 0.0)


class Recovery(NamedTuple):
    """What a deconvolution makes of a reference tissue: share of its flow, and its Tmax in s."""

    flow: float = 1.0
    tmax_s: float = 0.0


def reference_recovery(
    invert: Callable[[np.ndarray], np.ndarray], aif: np.ndarray, dt_s: float, mtt_s: float
) -> Recovery:
    """What a deconvolution makes of a tissue without delay and noise.

    The deconvolution is a low-pass filter: of an exponential residue it keeps a lower and later
    peak, at the wide boluses of CT about half of its height and 2 s late. Software that knows its
    own filter can take this out.

    Args:
        invert: (1, T) tissue curve -> (1, 2T) residue times flow, 1/s.
        aif: (T,) enhancement of the artery, HU.
        dt_s: time between frames, s.
        mtt_s: of the reference tissue, whose residue is exp(-t / mtt_s).
    """
    residue = np.exp(-dt_s * np.arange(len(aif)) / mtt_s)
    residue[0] /= 2  # trapezoidal rule
    residue *= 1.0 / (residue.sum() * dt_s)  # a volume of 1, so that the flow is 1 / mtt_s
    curve = dt_s * np.convolve(aif, residue)[: len(aif)]
    height, tmax_s = _peak(invert(curve[None]), dt_s)
    return Recovery(float(height[0]) * mtt_s, float(tmax_s[0]))


def perfusion_maps(
    tissue: np.ndarray,
    aif: np.ndarray,
    dt_s: float,
    *,
    threshold: float = 0.1,
    delay_sensitive: bool = False,
    tikhonov: bool = False,
    reference_mtt_s: float | None = None,
) -> PerfusionMaps:
    """CBF, CBV, MTT and Tmax of every voxel.

    Args:
        tissue: (N, T) enhancement over the baseline, HU; baseline already subtracted.
        aif: (T,) enhancement of the artery, HU. Partial volume in it scales CBF and CBV up alike.
        dt_s: time between frames, s.
        threshold: fraction of the largest singular value under which components are dropped.
        delay_sensitive: deconvolve by ``deconvolve_causal``.
        tikhonov: deconvolve by ``deconvolve_tikhonov``.
        reference_mtt_s: flow and Tmax are corrected for what the deconvolution makes of a tissue
            with this MTT (``reference_recovery``); None for no correction.

    Returns:
        CBF = max of the residue (Ostergaard et al. 1996), CBV = ratio of the areas under the
        curves, MTT = CBV / CBF (central volume theorem; 0 where CBF is 0), Tmax = time of the peak
        (negative lags count as 0). Nothing is negative.

    Raises:
        ValueError: shapes do not fit, dt_s is not positive, threshold is outside [0, 1), both
            ``tikhonov`` and ``delay_sensitive``, or the AIF has no positive area.
    """
    tissue, aif = np.asarray(tissue), np.asarray(aif)
    if tissue.ndim != 2 or aif.ndim != 1 or tissue.shape[1] != len(aif) or len(aif) < 3:
        raise ValueError(
            f"tissue must be (N, T) and aif (T,) with T >= 3, found {tissue.shape} and {aif.shape}"
        )
    if not dt_s > 0 or not 0 <= threshold < 1:
        raise ValueError(f"need dt_s > 0 and 0 <= threshold < 1, found {dt_s} and {threshold}")
    if tikhonov and delay_sensitive:
        raise ValueError("tikhonov and delay_sensitive are two methods; choose one")
    area = float(aif.sum())
    if not area > 0:
        raise ValueError("the arterial input function has no positive area; pick another artery")
    cbv = np.maximum(100 * TO_VOLUME * tissue.sum(axis=1) / area, 0).astype(np.float32)
    cbf, tmax = np.empty_like(cbv), np.empty_like(cbv)
    method = deconvolve_causal if delay_sensitive else deconvolve
    method = deconvolve_tikhonov if tikhonov else method
    invert = partial(method, aif=aif, dt_s=dt_s, threshold=threshold)
    known = Recovery()
    if reference_mtt_s is not None:
        known = reference_recovery(invert, aif, dt_s, reference_mtt_s)
    for start in range(0, len(tissue), _CHUNK):
        part = slice(start, start + _CHUNK)
        height, late_s = _peak(invert(tissue[part]), dt_s)
        cbf[part] = np.maximum(SECONDS_100G * TO_VOLUME * height / known.flow, 0)
        tmax[part] = np.maximum(late_s - known.tmax_s, 0)
    mtt = np.divide(60 * cbv, cbf, out=np.zeros_like(cbv), where=cbf > 0)
    return PerfusionMaps(cbf, cbv, mtt, tmax)
