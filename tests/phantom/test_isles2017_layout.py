"""The MRI phantom: physics of a study, ISLES 2017's layout on disk, and its conversion."""

import csv
import json
import re
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from scipy import ndimage

from nnunetv2_strokesynth import cli
from nnunetv2_strokesynth.phantom.anatomy import build_head
from nnunetv2_strokesynth.phantom.dataset import (
    PhantomSettings,
    simulate_scan,
    write_phantom,
)
from nnunetv2_strokesynth.phantom.isles2017_layout import ISLES2017
from nnunetv2_strokesynth.phantom.patient import draw_patient
from nnunetv2_strokesynth.phantom.physics import Physics
from nnunetv2_strokesynth.phantom.plan import plan_mri_scans

pytest.importorskip("nilearn")
SETTINGS = PhantomSettings(size=32, seed=5, max_slices=2, layout="isles2017")
MAPS = ("ADC", "rCBF", "rCBV", "MTT", "TTP", "Tmax")


PLANS = plan_mri_scans(1, 0, 4, size=48, max_slices=4)


@pytest.fixture(scope="module")
def studies():
    """Four studies, four slices of 48 x 48."""
    return [simulate_scan(plan, ISLES2017) for plan in PLANS]


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantom") / "out"
    write_phantom(root, 3, 2, SETTINGS)
    return root


def _medians(values, study, where):
    """Medians in solid tissue of the selected places and of where nothing is wrong."""
    solid = study.truth.cbf > 0.2
    healthy = solid & (study.severity < 0.05)
    return np.median(values[solid & where]), np.median(values[healthy])


def test_nothing_is_left_outside_the_brain(studies):
    for study in studies:
        outside = ~study.brain
        for volume in (study.adc, study.ttp, *study.maps, study.pwi.max(axis=0)):
            assert not volume[outside].any()
            assert np.isfinite(volume).all() and volume.min() >= 0


def test_perfusion_is_late_in_the_deficit(studies):
    """As measured: TTP, Tmax and MTT long, CBF low. MTT is cut short where arrival is late."""
    prolonged = []
    for study in studies:
        deep = study.severity > 0.6
        ttp = _medians(study.ttp, study, deep)
        tmax = _medians(study.maps.tmax, study, deep)
        assert ttp[0] > ttp[1] + 4 and tmax[0] > tmax[1] + 4
        cbf = _medians(study.maps.cbf, study, deep)
        assert cbf[0] < 0.75 * cbf[1]
        mtt = _medians(study.maps.mtt, study, study.severity > 0.3)
        prolonged.append(mtt[0] / mtt[1])
    assert min(prolonged) > 1 and np.mean(prolonged) > 1.2


def test_adc_is_low_in_the_infarct(studies):
    falls = []
    for study in studies:
        dead, normal = _medians(study.adc, study, study.infarct)
        falls.append(dead / normal)
        assert dead < 0.95 * normal
    assert np.mean(falls) < 0.8


def test_adc_is_recovered(studies):
    """Where there is hardly any CSF in sight of a voxel; what there is raises it a little."""
    for plan, study in zip(PLANS, studies, strict=True):
        rng = np.random.default_rng(plan.patient_seed)
        shape = draw_patient(rng, plan.slabs, Physics()).shape
        head = build_head(plan.grid, shape, Physics().densities)
        nearby = ndimage.maximum_filter(head.csf, (1, 3, 3))
        pure = (nearby < 0.1) & study.brain
        assert np.count_nonzero(pure) > 100
        error = study.adc[pure] - study.adc_truth[pure]
        assert -20 < np.median(error) < 80
        assert np.median(np.abs(error - np.median(error))) < 60


def test_the_core_is_as_restricted_as_in_patients(studies):
    """Down to 55-70 % of grey and white matter's 750-800; healthy tissue is left at that."""
    lowest = min(study.adc_truth[study.adc_truth > 0].min() for study in studies)
    assert 380 < lowest < 500
    for study in studies:
        healthy = (study.severity < 0.02) & (study.truth.cbf > 20)
        assert 700 < np.median(study.adc_truth[healthy]) < 900


def test_bolus_darkens_the_series_and_it_recovers(studies):
    for study in studies:
        grey = (study.truth.cbf > 40) & (study.severity < 0.05)
        curve = study.pwi[:, grey].mean(axis=1)
        assert curve.argmin() > 5
        assert curve.min() < 0.92 * curve[0]
        assert curve.min() < curve[-1] < curve[0]


def _modalities(case: Path) -> dict[str, Path]:
    found = {}
    for folder in case.iterdir():
        name = re.fullmatch(r"VSD\.Brain\.XX\.O\.(MR_[A-Za-z0-9]+|OT)\.\d+", folder.name)
        assert name, folder.name
        assert [path.name for path in folder.iterdir()] == [f"{folder.name}.nii"]
        found[name[1]] = folder / f"{folder.name}.nii"
    return found


def test_files_and_headers(phantom):
    plan = plan_mri_scans(5, 0, 1, size=32, max_slices=2)[0]
    files = _modalities(phantom / "training" / "training_1")
    assert set(files) == {*(f"MR_{name}" for name in MAPS), "MR_4DPWI", "OT"}
    zooms = (plan.grid.pixel_mm, plan.grid.pixel_mm, plan.grid.slice_mm)
    for modality, path in files.items():
        image = nibabel.load(path)
        series = modality == "MR_4DPWI"
        assert image.shape == ((32, 32, 2, 1, plan.n_frames) if series else (32, 32, 2))
        assert image.get_data_dtype() == ("uint8" if modality == "OT" else "float32")
        assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (2, 0)
        assert np.array_equal(image.header.get_sform(), np.eye(4))
        assert np.allclose(image.header["pixdim"][1:4], zooms)
    assert set(_modalities(phantom / "testing" / "test_2")) == {*files} - {"OT"}


def test_stored_volumes_are_the_simulated_ones(phantom):
    """Transposed to (X, Y, Z), and to (X, Y, Z, 1, T)."""
    study = simulate_scan(plan_mri_scans(5, 0, 1, size=32, max_slices=2)[0], ISLES2017)
    files = _modalities(phantom / "training" / "training_1")
    stored = {name: np.asarray(nibabel.load(path).dataobj) for name, path in files.items()}
    expected = {"ADC": study.adc, "TTP": study.ttp, "MTT": study.maps.mtt, "Tmax": study.maps.tmax}
    expected |= {"rCBF": study.maps.cbf, "rCBV": study.maps.cbv}
    for name, volume in expected.items():
        np.testing.assert_array_equal(stored[f"MR_{name}"], volume.T)
    np.testing.assert_array_equal(stored["MR_4DPWI"][:, :, :, 0], study.pwi.T)
    np.testing.assert_array_equal(stored["OT"], study.lesion.T)


def test_settings_and_hidden_truth(phantom):
    info = json.loads((phantom / "phantom.json").read_text())
    assert info["settings"] == {
        "version": 2,
        "layout": "isles2017",
        "size": 32,
        "seed": 5,
        "max_slices": 2,
    }
    assert [scan["case"] for scan in info["cases"]["testing"]] == ["test_1", "test_2"]
    truths = sorted((phantom / "testing_truth").rglob("*.nii.gz"))
    assert [path.relative_to(phantom).as_posix() for path in truths] == [
        "testing_truth/labels/test_001.nii.gz",
        "testing_truth/labels/test_002.nii.gz",
    ]
    for scan, path in zip(info["cases"]["testing"], truths, strict=True):
        label = SimpleITK.ReadImage(str(path))
        voxel_ml = np.prod(label.GetSpacing()) / 1000
        volume = SimpleITK.GetArrayFromImage(label).sum() * voxel_ml
        assert scan["lesion_volume_ml"] == pytest.approx(volume, abs=0.01) and volume > 0


def test_missing_scans_are_completed_with_the_same_bytes(phantom, tmp_path):
    def contents(root):
        return {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    root = tmp_path / "copy"
    shutil.copytree(phantom, root)
    shutil.rmtree(root / "training" / "training_2")
    shutil.rmtree(root / "testing" / "test_1")
    write_phantom(root, 3, 2, SETTINGS)
    assert contents(root) == contents(phantom)


def test_another_layout_is_refused_unless_overwritten(phantom, tmp_path, capsys):
    root = tmp_path / "copy"
    shutil.copytree(phantom, root)
    arguments = f"{root} --cases 1 --size 32 --max-slices 1 --seed 5 --workers 1".split()
    assert cli.main(["phantom", *arguments]) == 2
    assert "layout is isles2017, asked for isles2018" in capsys.readouterr().err
    assert cli.main(["phantom", *arguments, "--overwrite"]) == 0
    assert sorted(path.name for path in root.iterdir()) == ["TRAINING", "phantom.json"]
    assert cli.main(["phantom", *arguments, "--layout", "isles2017"]) == 2
    assert "layout is isles2018, asked for isles2017" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--dwi", "--no-dwi"])
def test_there_is_no_dwi_to_choose(tmp_path, capsys, option):
    arguments = ["--layout", "isles2017", "--cases", "1", option]
    assert cli.main(["phantom", str(tmp_path / "out"), *arguments]) == 2
    assert "isles2017 has no DWI" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_plan():
    plans = plan_mri_scans(3, 0, 60, size=96)
    assert plans[:7] == plan_mri_scans(3, 0, 7, size=96)
    assert plans[:7] != plan_mri_scans(3, 1, 7, size=96)
    assert [plan.patient for plan in plans] == [plan.number for plan in plans]
    assert {len(plan.slabs) for plan in plans} == {1}
    assert {plan.grid.n_slices for plan in plans} == {19, 24, 25, 30}
    for plan in plans:
        height_mm = plan.grid.n_slices * plan.grid.slice_mm
        assert 110 < height_mm < 140 and plan.grid.bottom_mm < -30
        assert plan.grid.bottom_mm + height_mm > 70
        assert 205 <= plan.grid.size * plan.grid.pixel_mm <= 267
    capped = plan_mri_scans(3, 0, 5, size=96, max_slices=4)
    for free, few in zip(plans, capped, strict=False):
        middle = [p.grid.bottom_mm + p.grid.n_slices * p.grid.slice_mm / 2 for p in (free, few)]
        assert middle[0] == pytest.approx(middle[1]) and few.grid.n_slices == 4


@pytest.fixture
def nnunet_raw(tmp_path, monkeypatch):
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    return tmp_path / "nnUNet_raw"


def test_conversion_and_evaluation(phantom, nnunet_raw, tmp_path):
    """The chain from the phantom on, with the hidden truth standing in for a prediction."""
    arguments = f"{phantom} --folds 3 --workers 1 --channels ADC TTP Tmax".split()
    assert cli.main(["convert", "isles2017", *arguments]) == 0
    folder = nnunet_raw / "Dataset017_ISLES2017"
    description = json.loads((folder / "dataset.json").read_text())
    assert description["origin"] == "digital phantom"
    assert description["description"].startswith("DIGITAL PHANTOM, not patients: ")
    assert description["channel_names"] == {"0": "ADC", "1": "TTP", "2": "Tmax"}
    files = _modalities(phantom / "training" / "training_2")
    for index, name in enumerate(("ADC", "TTP", "Tmax")):
        image = SimpleITK.ReadImage(str(folder / f"imagesTr/case_002_{index:04d}.nii.gz"))
        stored = np.asarray(nibabel.load(files[f"MR_{name}"]).dataobj)
        np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), stored.T)
    assert len(list((folder / "imagesTs").iterdir())) == 6
    labels, out = phantom / "testing_truth" / "labels", tmp_path / "evaluation"
    assert cli.main(["evaluate", "--gt", str(labels), "--pred", str(labels), "-o", str(out)]) == 0
    (table,) = out.glob("cases.csv")
    with open(table, newline="") as file:
        dice = {row["case_id"]: float(row["dice"]) for row in csv.DictReader(file)}
    assert dice == {"test_001": 1.0, "test_002": 1.0}
