"""Flow, volume and transit time by a Bayesian fit of residue functions.

A truncated or damped deconvolution is a low-pass filter: it keeps half of the flow of normal tissue
and all of the flow of slow tissue, so that no single factor corrects both, and the maximum of a
noisy residue is too high where the flow is low. Here each curve is compared with the curves that
tissue of known transit time, delay and residue would show after this artery, and each of these
counts by how likely the curve is under it (as Mouridsen et al., NeuroImage 2006;33:570-579, and
Boutelier et al., IEEE Trans Med Imaging 2012;31:1381-1395, with other priors).

Transit times are gamma-distributed. The shape is 1 (exponential residue, a well-mixed compartment)
or 3 (nearer to a bundle of equal capillaries): tissue does not say which it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import fft, special

from nnunetv2_strokesynth.ctp.deconvolution import (
    METHODS,
    SECONDS_100G,
    TO_VOLUME,
    PerfusionMaps,
    perfusion_maps,
)
from nnunetv2_strokesynth.ctp.voxel_curves import over_baseline

MTT_S = np.geomspace(2.5, 24.0, 12)
DELAY_S = np.arange(-2.0, 15.5, 1.0)
SHAPES = (1.0, 3.0)
"""The grid; all of it counts the same before a curve is seen. Chosen on the phantom's seeds 401 and
403, see docs/explanation/perfusion-maps.md."""
_FINE_S = 0.25
MODEL_ERROR = 0.03
"""Choice: no tissue follows a candidate more closely than by this share of its own size."""
_TINY = 1e-12
_FREE = 3
"""Parameters that a curve is fitted by: flow, transit time, delay."""
_CHUNK = 8192


class Candidates(NamedTuple):
    """Curves of tissue with a flow of 1 mL/mL/s, and the transit time of each.

    Attributes:
        curves: (K, T) float32, HU s.
        mtt_s: (K,).
    """

    curves: np.ndarray
    mtt_s: np.ndarray


def candidate_curves(aif: np.ndarray, dt_s: float, baseline: slice) -> Candidates:
    """All combinations of shape, delay and transit time, smoothed as tissue curves are.

    Args:
        aif: (T,) enhancement of the artery, HU.
        dt_s: time between frames, s.
        baseline: the frames without contrast, see ``over_baseline``.
    """
    frames_s = dt_s * np.arange(len(aif))
    fine_s = np.arange(0.0, frames_s[-1] + 1e-9, _FINE_S)
    length = fft.next_fast_len(2 * len(fine_s) + int(2 * DELAY_S.max() / _FINE_S), real=True)
    artery = fft.rfft(np.interp(fine_s, frames_s, aif), length)
    frequency = fft.rfftfreq(length, _FINE_S)
    found = []
    for shape in SHAPES:
        residues = 1 - special.gammainc(shape, shape * fine_s / MTT_S[:, None])
        residues[:, 0] /= 2  # trapezoidal rule
        tissue = artery * fft.rfft(residues, length, axis=1) * _FINE_S
        for delay_s in DELAY_S:
            late = tissue * np.exp(-2j * np.pi * frequency * delay_s)
            curves = fft.irfft(late, length, axis=1)[:, : len(fine_s)]
            found += [np.interp(frames_s, fine_s, curve) for curve in curves]
    curves = over_baseline(np.array(found, np.float32), baseline)
    return Candidates(curves, np.tile(MTT_S, len(SHAPES) * len(DELAY_S)))


def fit_residues(tissue: np.ndarray, candidates: Candidates) -> tuple[np.ndarray, np.ndarray]:
    """Posterior means of volume and transit time.

    The noise of a curve is that of its best candidate's remainder, and ``MODEL_ERROR`` at least.
    So curves do not depend on each other. Flow is at least 0.

    Args:
        tissue: (N, T) enhancement, HU.
        candidates: for the same artery and frames.

    Returns:
        (N,) volume in mL/mL and (N,) transit time in s (geometric mean).
    """
    power = np.maximum((candidates.curves**2).sum(axis=1), 1e-12)
    match = tissue.astype(np.float32) @ candidates.curves.T
    flow = np.maximum(match, 0) / power
    explained = flow * match
    best = explained.max(axis=1, keepdims=True)
    remainder = (tissue**2).sum(axis=1, keepdims=True) - best
    free = max(1, tissue.shape[1] - _FREE)
    noise = np.maximum(remainder, MODEL_ERROR**2 * best) / free + _TINY
    weight = np.exp((explained - best) / (2 * noise))
    weight /= weight.sum(axis=1, keepdims=True)
    volume = (weight * flow) @ candidates.mtt_s
    return volume, np.exp(weight @ np.log(candidates.mtt_s))


def bayesian_maps(
    tissue: np.ndarray, aif: np.ndarray, dt_s: float, *, baseline: slice
) -> PerfusionMaps:
    """CBF, CBV and MTT by the fit; Tmax by Tikhonov's deconvolution, whose own Tmax is taken out.

    The fit's delay is no Tmax: dispersion belongs to the latter.

    Args:
        tissue: (N, T) enhancement over the baseline, HU, of ``over_baseline``.
        aif: (T,) enhancement of the artery, HU.
        dt_s: time between frames, s.
        baseline: the frames without contrast.

    Returns:
        In the units of ``perfusion_maps``. MTT = 60 CBV / CBF as there.

    Raises:
        ValueError: see ``perfusion_maps``.
    """
    options = METHODS["tikhonov"]._replace(reference_mtt_s=_TMAX_REFERENCE_S)
    deconvolved = perfusion_maps(tissue, aif, dt_s, **options._asdict())
    candidates = candidate_curves(np.asarray(aif), dt_s, baseline)
    volume, mtt = (np.empty(len(tissue), np.float32) for _ in range(2))
    for start in range(0, len(tissue), _CHUNK):
        part = slice(start, start + _CHUNK)
        volume[part], mtt[part] = fit_residues(tissue[part], candidates)
    cbf = SECONDS_100G * TO_VOLUME * volume / mtt
    return PerfusionMaps(cbf, 100 * TO_VOLUME * volume, mtt * (cbf > 0), deconvolved.tmax)


_TMAX_REFERENCE_S = 3.0
"""MTT of the tissue whose Tmax is taken out; chosen on the same seeds."""
