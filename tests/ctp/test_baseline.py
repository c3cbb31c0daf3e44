"""The frames without contrast, also where the series begins in the middle of the bolus."""

import numpy as np
import pytest
from bolus import bolus

from nnunetv2_strokesynth.ctp.baseline import (
    baseline_frames,
    lower_baseline,
)


@pytest.mark.parametrize(
    ("arterial", "plain", "lower"),
    [
        (40 + bolus(8, 200.0), slice(7), slice(7)),
        (40 + bolus(-8, 200.0), slice(-5, None), slice(-5, None)),
        # The first frame lies over the end, and under the mean.
        (np.r_[80, 100, 200 - 4.1 * np.arange(38)], slice(1), slice(-5, None)),
    ],
)
def test_baseline_is_before_the_contrast_or_at_the_end(arterial, plain, lower):
    assert baseline_frames(arterial) == plain
    assert lower_baseline(arterial) == lower
