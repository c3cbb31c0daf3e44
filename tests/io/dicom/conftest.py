import numpy as np
import pytest
from dicom_files import CTP_SHAPE


@pytest.fixture
def ctp():
    """Voxels of a small series, (T, Z, Y, X), in HU."""
    return np.random.default_rng(0).integers(-1024, 3000, CTP_SHAPE)
