"""An arterial curve for tests."""

import numpy as np


def bolus(start, height, n_frames=40):
    """(n_frames,), HU over the baseline: a bolus from frame ``start`` on, which leaves 10 %."""
    t = np.maximum(np.arange(n_frames) - start, 0) / 4.0
    return height * t**2 * np.exp(2 * (1 - t) / 1.0) / 1.0 + 0.1 * height * (t > 1)
