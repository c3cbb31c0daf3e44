"""Perfusion maps of curves by any of the methods, under the names that the user knows."""

from __future__ import annotations

import numpy as np

from nnunetv2_strokesynth.ctp.deconvolution import METHODS, PerfusionMaps, perfusion_maps
from nnunetv2_strokesynth.ctp.residue_fit import bayesian_maps

SVD, BAYES = "svd", "bayes"
METHOD_NAMES = (BAYES, *METHODS)
FOR_NETWORKS = SVD
"""What networks have read and read, of ``convert --compute-maps`` and of ``predict``."""
FOR_THRESHOLDS = BAYES
"""What volumes beyond a threshold are measured on."""


def maps_by(
    method: str, tissue: np.ndarray, aif: np.ndarray, dt_s: float, *, baseline: slice
) -> PerfusionMaps:
    """CBF, CBV, MTT and Tmax, see ``perfusion_maps`` and ``bayesian_maps``.

    Args:
        method: one of ``METHOD_NAMES``.
        tissue: (N, T) enhancement over the baseline, HU.
        aif: (T,) enhancement of the artery, HU.
        dt_s: time between frames, s.
        baseline: the frames without contrast.

    Raises:
        KeyError: no such method.
        ValueError: see ``perfusion_maps``.
    """
    if method == BAYES:
        return bayesian_maps(tissue, aif, dt_s, baseline=baseline)
    return perfusion_maps(tissue, aif, dt_s, **METHODS[method]._asdict())
