"""The defects of ISLES 2024 in a phantom: each is there, and convert copes with all of them."""

import csv
import gzip
import json

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.phantom.isles2024_defects import DEFECTS

pytest.importorskip("nilearn")
PATIENTS = len(DEFECTS) + 1
SMALL = f"--layout isles2024 --cases {PATIENTS} --size 48 --max-slices 3 --seed 2".split()


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    root = tmp_path_factory.mktemp("defects") / "out"
    assert main(["phantom", str(root), *SMALL, "--workers", "1", "--defects"]) == 0
    return root


def file_of(root, number, ending):
    (path,) = root.glob(f"*/sub-stroke{number:04d}/**/*_{ending}.nii*")
    return path


def values_of(root, number, ending):
    return np.asarray(nibabel.load(file_of(root, number, ending)).dataobj)


def test_each_defect_is_there(phantom):
    found = json.loads((phantom / "phantom.json").read_text())
    assert [one["case"] for one in found["defects"]] == [f"sub-stroke{n:04d}" for n in DEFECTS]
    mtt = values_of(phantom, 1, "mtt")
    assert np.isnan(mtt).sum() == 1 and np.isinf(mtt).sum() == 1 and (mtt == -54112).sum() == 1
    assert 0.002 < np.isnan(values_of(phantom, 2, "mtt")).mean() < 0.04
    with pytest.raises(EOFError):
        gzip.decompress(file_of(phantom, 3, "cbf").read_bytes())
    masks = sorted(path.name for path in phantom.glob("derivatives/*4/*/*lesion-msk*"))
    assert len(masks) == 2 and masks[0].endswith("_ses-0002_lesion-msk.nii")
    tmax = values_of(phantom, 5, "tmax")
    assert (tmax == -30).mean() > 0.4 and not (tmax == 0).any()
    mask = nibabel.load(file_of(phantom, 6, "lesion-msk"))
    assert mask.get_data_dtype() == "f8" and np.asarray(mask.dataobj).max() == 0.9999999997
    assert nibabel.load(file_of(phantom, 7, "lesion-msk")).get_data_dtype() == "u2"
    volumes = [scan["lesion_volume_ml"] for scan in found["cases"]["training"]]
    assert [n for n, volume in enumerate(volumes, 1) if volume == 0] == [8, 9, 10]
    for number, tree in ((11, "raw_data"), (12, "rawdata"), (13, "derivatives")):
        assert file_of(phantom, number, "dwi").relative_to(phantom).parts[0] == tree


def test_the_whole_release_converts(phantom, tmp_path, monkeypatch, capsys, caplog):
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    words = ["convert", "isles2024", str(phantom), "--folds", "2", "--workers", "1"]
    assert main(words) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "case_0003" in message and "--skip-broken" in message
    with caplog.at_level("INFO"):
        assert main([*words, "--skip-broken"]) == 0
    assert f"1 of {PATIENTS} scans cannot be used and were left out" in caplog.text
    folder = tmp_path / "nnUNet_raw" / "Dataset024_ISLES2024"
    with (folder / "conversion_report.csv").open(newline="") as file:
        rows = {row["case_id"]: row for row in csv.DictReader(file)}
    assert list(rows) == [f"case_{n:04d}" for n in range(1, 14) if n != 3] + ["case_0003"]
    described = json.loads((folder / "dataset.json").read_text())
    assert described["numTraining"] == PATIENTS - 1
    (skipped,) = described["skipped"]
    assert skipped["file"] == file_of(phantom, 3, "cbf").name and "truncated" in skipped["why"]
    assert "truncated" in rows["case_0003"]["skipped"]
    assert rows["case_0001"]["unusable_voxels"] == "MTT 3"
    assert "2 NaN or infinite, 1 of -54112" in rows["case_0001"]["warnings"]
    n_bad = int(np.isnan(values_of(phantom, 2, "mtt")).sum())
    assert rows["case_0002"]["unusable_voxels"] == f"MTT {n_bad}"
    assert "is read as OT, and derivatives/" in rows["case_0004"]["warnings"]
    assert "Tmax -30" in rows["case_0005"]["map_background"]
    for number in (8, 9, 10):
        assert float(rows[f"case_{number:04d}"]["lesion_volume_ml"]) == 0
    assert all(row["dwi_present"] == "yes" for row in rows.values() if not row["skipped"])
    sound = [row for n, row in rows.items() if n != "case_0003"]
    assert all(row["unusable_voxels"] == "" for row in sound[2:])
    volumes = {
        scan["case"]: scan["lesion_volume_ml"]
        for scan in json.loads((phantom / "phantom.json").read_text())["cases"]["training"]
    }
    for row in sound:
        name = f"sub-stroke{row['case_id'][-4:]}"
        assert float(row["lesion_volume_ml"]) == pytest.approx(volumes[name], abs=0.002)
    for path in (folder / "imagesTr").iterdir():
        voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        assert np.isfinite(voxels).all() and voxels.min() > -2000, path.name


def test_settings_that_contradict(tmp_path, capsys):
    for words, said in (
        (["--cases", "12", "--layout", "isles2024"], "--cases with --defects must be at least 13"),
        (["--cases", "13", "--layout", "isles2018"], "those of isles2018 are not known"),
        (["--cases", "13", "--layout", "isles2024", "--no-dwi"], "contradicts --no-dwi"),
    ):
        assert main(["phantom", str(tmp_path / "x"), *words, "--defects"]) == 2
        assert said in capsys.readouterr().err
