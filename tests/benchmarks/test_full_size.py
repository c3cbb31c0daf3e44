"""The benchmark's patient is one that the converter reads, as large and as typed as it says."""

import sys

import nibabel
import numpy as np
import pytest

from benchmarks import full_size
from nnunetv2_strokesynth.dataset_conversion.Dataset024_ISLES2024 import find_scans

pytest.importorskip("nilearn")


def test_a_small_patient_is_written_and_converted(tmp_path):
    size = full_size.Size(48, 2, 4, 45)
    full_size.write_patient(tmp_path / "patient", size)
    (scan,), faults = find_scans(tmp_path / "patient")
    assert not faults
    shapes = {name: nibabel.load(path).shape for name, path in scan.files.items()}
    assert shapes["4DPWI"] == (96, 96, 4, 45) and shapes["CBF"] == shapes["CT"] == (96, 96, 4)
    types = {name: nibabel.load(path).get_data_dtype() for name, path in scan.files.items()}
    assert types["4DPWI"] == types["CT"] == types["CTA"] == np.int16
    assert types["Tmax"] == types["DWI"] == np.float32 and types["OT"] == np.uint8
    frames = np.asarray(nibabel.load(scan.files["4DPWI"]).dataobj)
    inside = frames[..., 0] != 0
    assert inside.any() and (frames[inside][:, 0] != frames[inside][:, 1]).mean() > 0.5
    used_mb, seconds = full_size.convert(scan, tmp_path / "out", full_size.WAYS[1])
    assert len(list((tmp_path / "out" / "imagesTr").iterdir())) == 12 and seconds > 0
    if sys.platform.startswith("linux"):
        assert used_mb > 20
