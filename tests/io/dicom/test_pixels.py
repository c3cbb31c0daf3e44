"""The voxels of multi-frame files."""

import numpy as np
import pytest

from benchmarks.fuzz.enhanced import write_enhanced
from nnunetv2_strokesynth.io.dicom.pixels import read_pixels


@pytest.mark.parametrize("kinds", [(False, True), (True, False)])
def test_a_file_that_takes_the_place_of_another_is_read_anew(tmp_path, kinds):
    """What is known of an opened file belongs to that file, not to its path."""
    random = np.random.default_rng(0)
    for legacy in kinds:
        series = random.integers(-500, 500, (3, 2, 8, 8))
        write_enhanced(tmp_path / "ct.dcm", series, 1.5, legacy=legacy)
        for index, image in enumerate(series.reshape(-1, 8, 8)):
            found = read_pixels(tmp_path / "ct.dcm", index, (1.0, -1024.0), (8, 8))
            np.testing.assert_array_equal(found, image)
