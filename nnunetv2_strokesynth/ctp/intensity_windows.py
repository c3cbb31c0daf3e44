"""Intensity windows and histogram equalisation, as the winner of ISLES 2024 prepared its images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

# Lower and upper end by image; CBF in mL/100 g/min, CBV in mL/100 g, MTT and Tmax in s, CTA in HU.
WINDOWS: Mapping[str, tuple[float, float]] = {
    "CBF": (0, 35),
    "CBV": (0, 10),
    "MTT": (0, 20),
    "Tmax": (0, 7),
    "CTA": (0, 90),
}
_LEAST = 1e-4  # of the window's width; what lies lower is background
_N_BINS = 256


def equalised(volume: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Clip a volume to a window and replace each value by the share of the values up to it.

    The histogram is that of the whole volume without its background: in a scan, each grey level is
    as frequent as any other.

    Args:
        volume: of any shape, finite.
        window: lower and upper end, in the volume's units.

    Returns:
        float32 of the same shape, in (0, 1]; 0 at and below the lower end.

    Raises:
        ValueError: the window's ends are in the wrong order.

    Source: Ren et al. 2025 (arXiv 2505.18424) and their released preprocessing; the histogram has
    256 bins over the values found, and the shares are interpolated between the bins' centres.
    """
    low, high = window
    if not low < high:
        raise ValueError(f"an intensity window has to run upwards, found {low} to {high}")
    scaled = (np.clip(np.asarray(volume, dtype=np.float64), low, high) - low) / (high - low)
    result = np.zeros(scaled.shape, dtype=np.float32)
    inside = scaled > _LEAST
    values = scaled[inside]
    if not values.size:
        return result
    counts, edges = np.histogram(values, bins=_N_BINS)
    shares = np.cumsum(counts) / values.size
    result[inside] = np.interp(values, (edges[:-1] + edges[1:]) / 2, shares)
    return result
