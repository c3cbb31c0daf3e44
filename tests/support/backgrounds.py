"""Other backgrounds for perfusion maps, as other software writes them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

CONSTANTS = (0.0, -1.0, -30.0, -1000.0, float("nan"), 1e6)
BACKGROUNDS = st.tuples(*(st.sampled_from(CONSTANTS) for _ in range(4)))


def with_background(volume, value, outside=None, noise=0.0):
    """A map with another constant where it is 0, or only in ``outside``."""
    where = volume == 0 if outside is None else outside
    rng = np.random.default_rng(0)
    constant = value + noise * rng.standard_normal(volume.shape)
    return np.where(where, constant, volume).astype(np.float32)
