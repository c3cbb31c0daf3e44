"""The written data set: layout quirks, determinism, resumption, hidden truth, errors."""

import json
import re
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from nnunetv2_strokesynth import cli
from nnunetv2_strokesynth.phantom import atlas
from nnunetv2_strokesynth.phantom.dataset import (
    PhantomSettings,
    write_phantom,
)
from nnunetv2_strokesynth.phantom.plan import plan_scans

pytest.importorskip("nilearn")
SETTINGS = PhantomSettings(size=32, seed=5, max_slices=2)
DTYPES = {
    "CT": "int32",
    "CT_4DPWI": "float32",
    "CT_CBF": "uint16",
    "CT_CBV": "uint16",
    "CT_MTT": "float64",
    "CT_Tmax": "float64",
    "MR_DWI": "float32",
    "OT": "uint8",
}


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantom") / "out"
    write_phantom(root, 3, 2, SETTINGS)
    return root


def _bytes(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def _modalities(case: Path) -> dict[str, Path]:
    found = {}
    for folder in case.iterdir():
        name = re.fullmatch(r"SMIR\.Brain\.XX\.O\.([A-Za-z0-9_]+)\.\d+", folder.name)
        assert name, folder.name
        assert sorted(p.name for p in folder.iterdir()) == [
            f"{folder.name}.json",
            f"{folder.name}.nii",
        ]
        found[name[1]] = folder / f"{folder.name}.nii"
    return found


def test_training_cases_have_every_modality_and_dtype(phantom):
    for number in (1, 2, 3):
        files = _modalities(phantom / "TRAINING" / f"case_{number}")
        assert {m: str(nibabel.load(p).get_data_dtype()) for m, p in files.items()} == DTYPES


def test_header_quirks(phantom):
    plan = plan_scans(5, 0, 1, size=32, max_slices=2)[0]
    for modality, path in _modalities(phantom / "TRAINING" / "case_1").items():
        image = nibabel.load(path)
        header = image.header
        assert (int(header["sform_code"]), int(header["qform_code"])) == (2, 0)
        assert np.array_equal(header.get_sform(), np.eye(4))
        zooms = (plan.grid.pixel_mm, plan.grid.pixel_mm, plan.grid.slice_mm)
        assert float(header["pixdim"][0]) == -1
        assert np.allclose(header["pixdim"][1:4], zooms)
        shape = (32, 32, plan.grid.n_slices)
        assert image.shape == (shape if modality != "CT_4DPWI" else (*shape, plan.n_frames))
        if modality == "CT_4DPWI":
            assert float(header["pixdim"][4]) == plan.timetable.header_frame_s
        spacing = SimpleITK.ReadImage(str(path)).GetSpacing()[:3]
        assert np.allclose(spacing, zooms)


def test_sidecars_name_patient_and_slab(phantom):
    descriptions = {}
    for split in ("TRAINING", "TESTING"):
        for path in phantom.glob(f"{split}/case_*/*/*.json"):
            key = (split, path.parents[1].name, path.name.split(".")[4])
            descriptions[key] = json.loads(path.read_text())["description"]
    info = json.loads((phantom / "phantom.json").read_text())["cases"]
    for scan in info["TRAINING"]:
        wanted = f"ISLES 2018 - TRAIN - Train_{scan['patient']:02d}_{scan['slab']} - CT_CBF"
        assert descriptions["TRAINING", scan["case"], "CT_CBF"] == wanted
    assert descriptions["TESTING", "case_1", "CT"] == "ISLES 2018 - TEST - Test_01_A - CT"


def test_values_are_physical(phantom):
    files = _modalities(phantom / "TRAINING" / "case_1")
    volumes = {m: np.asarray(nibabel.load(p).dataobj) for m, p in files.items()}
    assert volumes["CT"].min() < -800
    assert volumes["CT"].max() > 400
    brain = volumes["CT_CBF"] > 0
    assert 0.1 < brain.mean() < 0.6
    assert 20 < np.median(volumes["CT"][brain]) < 50
    for modality in ("CT_CBV", "CT_MTT", "CT_Tmax"):
        assert np.all(np.isfinite(volumes[modality]))
        assert volumes[modality].min() >= 0
        assert np.count_nonzero(volumes[modality][0]) == 0
    assert set(np.unique(volumes["OT"])) == {0, 1}
    enhancement = volumes["CT_4DPWI"].max(axis=-1) - volumes["CT_4DPWI"][..., 0]
    assert np.percentile(enhancement[brain], 99.5) > 30


def test_lesion_is_bright_on_the_dwi(phantom):
    for number in (1, 2, 3):
        files = _modalities(phantom / "TRAINING" / f"case_{number}")
        dwi, lesion, cbf = (
            np.asarray(nibabel.load(files[m]).dataobj) for m in ("MR_DWI", "OT", "CT_CBF")
        )
        assert lesion.any()
        healthy = (cbf > 0) & (lesion == 0)
        assert np.median(dwi[lesion > 0]) > 1.2 * np.median(dwi[healthy])


def test_test_cases_hide_their_truth(phantom):
    for number in (1, 2):
        files = _modalities(phantom / "TESTING" / f"case_{number}")
        assert set(files) == set(DTYPES) - {"MR_DWI", "OT"}
        ct = nibabel.load(files["CT"])
        for kind in ("labels", "dwi"):
            truth = SimpleITK.ReadImage(
                str(phantom / "TESTING_truth" / kind / f"test_{number:03d}.nii.gz")
            )
            assert truth.GetSize() == ct.shape
            assert np.allclose(truth.GetSpacing(), ct.header["pixdim"][1:4])
            assert truth.GetOrigin() == (0, 0, 0)
            assert truth.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)


def test_volumes_in_the_settings_file_are_those_of_the_labels(phantom):
    info = json.loads((phantom / "phantom.json").read_text())
    assert info["complete"] is True
    for scan in info["cases"]["TRAINING"]:
        label = nibabel.load(_modalities(phantom / "TRAINING" / scan["case"])["OT"])
        voxel_ml = scan["pixel_mm"] ** 2 * scan["slice_mm"] / 1000
        volume = np.count_nonzero(np.asarray(label.dataobj)) * voxel_ml
        assert scan["lesion_volume_ml"] == pytest.approx(volume, abs=0.01)


def test_same_bytes_from_two_workers(phantom, tmp_path):
    write_phantom(tmp_path / "again", 3, 2, SETTINGS, workers=2)
    assert _bytes(tmp_path / "again") == _bytes(phantom)


def test_other_seed_other_images(phantom, tmp_path):
    write_phantom(tmp_path / "other", 1, 0, SETTINGS._replace(seed=6))
    ours, theirs = (
        np.asarray(nibabel.load(_modalities(root / "TRAINING" / "case_1")["CT"]).dataobj)
        for root in (phantom, tmp_path / "other")
    )
    assert ours.shape != theirs.shape or np.any(ours != theirs)


def test_missing_scans_are_completed_and_the_rest_left(phantom, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(phantom, root)
    shutil.rmtree(root / "TRAINING" / "case_2")
    kept = next((root / "TRAINING" / "case_1").rglob("*.nii"))
    before = kept.stat().st_mtime_ns
    write_phantom(root, 3, 2, SETTINGS)
    assert _bytes(root) == _bytes(phantom)
    assert kept.stat().st_mtime_ns == before


def test_no_dwi(tmp_path):
    arguments = ["--cases", "1", "--size", "32", "--max-slices", "1", "--workers", "1", "--no-dwi"]
    assert cli.main(["phantom", str(tmp_path / "out"), *arguments]) == 0
    assert set(_modalities(tmp_path / "out" / "TRAINING" / "case_1")) == set(DTYPES) - {"MR_DWI"}


def test_other_settings_are_refused_unless_overwritten(phantom, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(phantom, root)
    other = SETTINGS._replace(dwi=False)
    with pytest.raises(ValueError, match="dwi is True, asked for False.*--overwrite"):
        write_phantom(root, 1, 0, other)
    write_phantom(root, 1, 0, other, overwrite=True)
    assert [p.name for p in (root / "TRAINING").iterdir()] == ["case_1"]
    assert not (root / "TESTING").exists()


def test_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match="is not a phantom"):
            write_phantom(tmp_path, 1, 0, SETTINGS, overwrite=overwrite)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_train": 0}, "--cases must be at least 1, found 0"),
        ({"n_test": -1}, "--test-cases"),
        ({"workers": 0}, "--workers"),
        ({"settings": SETTINGS._replace(size=8)}, "--size must be at least 32"),
        ({"settings": SETTINGS._replace(seed=-1)}, "--seed"),
        ({"settings": SETTINGS._replace(max_slices=0)}, "--max-slices"),
    ],
)
def test_bad_settings_are_named(tmp_path, change, message):
    call = {"n_train": 1, "n_test": 0, "settings": SETTINGS, **change}
    with pytest.raises(ValueError, match=message):
        write_phantom(tmp_path / "out", **call)
    assert not (tmp_path / "out").exists()


def test_without_nilearn_the_message_names_the_extra(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(atlas.importlib.util, "find_spec", lambda name: None)
    atlas.load_atlas.cache_clear()
    try:
        assert cli.main(["phantom", str(tmp_path / "out"), "--cases", "1"]) == 2
    finally:
        atlas.load_atlas.cache_clear()
    assert "pip install 'nnunetv2_strokesynth[demo]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
