"""``maps`` on a folder of patients, on DICOM, and what it refuses or never reads."""

import csv
import json
import shutil

import nibabel
import numpy as np
import pytest
from ctp_head import SPACING_MM
from dicom_files import write_ctp

from nnunetv2_strokesynth import cli
from nnunetv2_strokesynth.commands.patients import TABLE
from nnunetv2_strokesynth.inference.study import find_study, patient_folders

AFFINE = np.diag([-2.5, -2.5, 5.0, 1.0])


def maps(*arguments) -> int:
    return cli.main(["maps", *map(str, arguments), "--no-aif-scaling"])


def rows(out) -> dict:
    with open(out / TABLE, newline="") as file:
        return {row["patient"]: row for row in csv.DictReader(file)}


def other_method(out) -> str:
    used = json.loads((out / "anna" / "maps.json").read_text())["method"]
    return {"svd": "tikhonov"}.get(used, "svd")


@pytest.fixture(scope="module")
def head(make_head):
    return make_head(np.arange(0, 50, 2.0), noise_hu=1.0, artery_share=0.7)


def save(folder, series):
    folder.mkdir(parents=True)
    image = nibabel.Nifti1Image(np.rint(series).astype(np.int16).T, AFFINE)
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = 2.0
    nibabel.save(image, folder / "ctp.nii.gz")


@pytest.fixture
def patients(head, tmp_path):
    """One NIfTI patient, one of DICOM, one whose series is broken; and something else."""
    folder = tmp_path / "patients"
    save(folder / "anna", head.series)
    write_ctp(
        folder / "bert" / "export",
        np.rint(head.series).astype(int),
        times_s=head.times_s,
        spacing_zyx_mm=SPACING_MM,
    )
    save(folder / "cora", head.series[:8])
    (folder / "notes").mkdir()
    (folder / "notes" / "read.me").write_text("x")
    return folder


def test_folder_of_patients(patients, tmp_path, caplog, capsys):
    out = tmp_path / "out"
    assert [path.name for path in patient_folders(patients)] == ["anna", "bert", "cora"]
    assert maps(patients, "-o", out) == 1
    found = rows(out)
    assert [row["status"] for row in found.values()] == ["done", "done", "failed"]
    assert "8 frames" in found["cora"]["error"] and not (out / "cora").exists()
    assert found["anna"]["aif_peak_hu"] == found["bert"]["aif_peak_hu"]
    assert "failed: cora: the series has 8 frames" in caplog.text
    cbf = [nibabel.load(out / name / "cbf.nii.gz") for name in ("anna", "bert")]
    np.testing.assert_allclose(*(np.asarray(one.dataobj) for one in cbf), rtol=1e-3, atol=1e-3)
    record = json.loads((out / "bert" / "maps.json").read_text())
    assert record["motion_largest_mm"] < 0.5 and not record["motion_corrected"]
    # Results in a patient's own folder are never read back.
    shutil.copytree(out / "anna", patients / "anna" / "my maps")
    assert not find_study(patients / "anna").files and not patient_folders(patients / "anna")
    with pytest.raises(ValueError, match="holds results of strokesynth"):
        find_study(out / "anna")
    # Resumed: what is there stays, what failed is tried again.
    before = (out / "anna" / "maps.json").stat().st_mtime_ns
    shutil.rmtree(patients / "cora")
    shutil.copytree(patients / "anna", patients / "cora")
    assert maps(patients, "-o", out) == 0
    assert [row["status"] for row in rows(out).values()] == ["done earlier"] * 2 + ["done"]
    assert (out / "anna" / "maps.json").stat().st_mtime_ns == before
    assert maps(patients, "-o", out, "--method", other_method(out)) == 2
    assert "computed with method" in capsys.readouterr().err


def test_what_is_refused(patients, tmp_path, capsys):
    out = tmp_path / "out"
    assert maps(patients, "-o", out, "--aif", "1", "2", "0") == 2
    assert "--aif is for one scan, and there are 3 patients" in capsys.readouterr().err
    assert maps(patients / "anna", "-o", out, "--series", "1.2") == 2
    assert "--series names a DICOM series" in capsys.readouterr().err
    out.mkdir()
    (out / "mine.txt").write_text("x")
    assert maps(patients, "-o", out) == 2
    assert "holds mine.txt" in capsys.readouterr().err


def test_tilted_gantry_as_nifti(tmp_path):
    """A sheared affine is straightened: a line along the table stands upright after, and a note."""
    lean = AFFINE.copy()
    lean[1, 2] = 2.5  # each slice lies a voxel farther to the front
    series = np.zeros((12, 3, 24, 20))
    for z in range(3):
        series[:, z, 10 + z, 8] = 500
    image = nibabel.Nifti1Image(series.astype(np.int16).T, lean)
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = 2.0
    for name in ("ctp", "ct"):
        one = image if name == "ctp" else image.slicer[..., 0]
        nibabel.save(one, tmp_path / f"{name}.nii.gz")
    study = find_study(tmp_path)
    assert any("gantry was tilted, the last slice lies 5.0 mm" in note for note in study.notes)
    assert study.nifti is None and study.geometry.spacing_zyx_mm == pytest.approx((5.0, 2.5, 2.5))
    frame = next(iter(study.series))
    np.testing.assert_allclose(frame[:, 11, 8], 500, atol=0.01)
    np.testing.assert_array_equal(study.files["CT"].image(series[0]), frame)
    axes = np.reshape(study.geometry.direction, (3, 3))
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-6)
