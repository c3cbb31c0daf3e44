"""The same files read by dcm2niix, where it is installed (`pip install dcm2niix`)."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from dicom_files import tilt_about_x, write_ctp

from nnunetv2_strokesynth.inference.study import find_study
from nnunetv2_strokesynth.io.nifti import read_volume
from nnunetv2_strokesynth.io.placement import place

DCM2NIIX = shutil.which("dcm2niix", path=str(Path(sys.executable).parent)) or shutil.which(
    "dcm2niix"
)


@pytest.mark.skipif(DCM2NIIX is None, reason="dcm2niix is not installed")
@pytest.mark.parametrize("direction", [tilt_about_x(0), tilt_about_x(12)])
def test_voxels_and_positions_are_those_of_dcm2niix(tmp_path, ctp, direction):
    """One frame: dcm2niix makes a file of each where it takes times for different scans."""
    tags = {"0008|0008": "ORIGINAL\\PRIMARY\\AXIAL", "0018|5100": "HFS", "0008|0020": "20240305"}
    tags |= {"0008|0030": "102030", "0020|0011": "3", "0020|0012": "1", "0008|0070": "SIEMENS"}
    paths = write_ctp(tmp_path / "s", ctp, direction=direction, tags=tags)
    for folder in ("one", "out"):
        (tmp_path / folder).mkdir()
    for path in paths[4]:
        shutil.copy(path, tmp_path / "one")
    command = [DCM2NIIX, "-m", "y", "-z", "n", "-f", "ct", "-o", tmp_path / "out", tmp_path / "one"]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = (tmp_path / "out").glob("*.nii")
    ours = find_study(tmp_path / "s")
    theirs = place(path, ours.reference)
    assert theirs.moved is None and not theirs.notes  # the same voxels, in another order of axes
    frame = list(ours.series)[4]
    np.testing.assert_array_equal(theirs.image(read_volume(path)), frame)
