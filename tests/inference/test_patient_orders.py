"""The same head, stored with its axes in any order: the same channels, lesion and millilitres."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from dicom_files import write_ctp
from orders import ORDERS, TILTED, save_in_order

from nnunetv2_strokesynth.channels import PERFUSION_MAPS, PRESETS
from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.inference import patient, patient_result
from nnunetv2_strokesynth.inference.orientation_check import orientation_notes
from nnunetv2_strokesynth.inference.study import find_study
from nnunetv2_strokesynth.inference.synthesis import build_predictor, synthesize_case
from nnunetv2_strokesynth.io.nifti import read_volume

SHAPE, FRAMES = (4, 22, 18), 12
MODEL = Path("model")
# Voxels so large that few of them make a brain of 160 cm2.
COARSE = TILTED @ np.diag([4, 4, 1, 1])


def head():
    """Maps, CT and a series (T, Z, Y, X) without any symmetry."""
    rng = np.random.default_rng(3)
    z, y, x = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    brain = ((y - 9) / 9) ** 2 + ((x - 8) / 7) ** 2 < 1
    images = {name: np.where(brain, rng.uniform(1, 9, SHAPE), 0) for name in PERFUSION_MAPS}
    images["CT"] = np.where(brain, rng.normal(35, 3, SHAPE), -1000)
    bolus = 30 * np.exp(-(((np.arange(FRAMES) - 5) / 2.0) ** 2))
    noise = rng.normal(0, 1, (FRAMES, *SHAPE))
    images["CTP"] = np.where(brain, 35 + bolus[:, None, None, None] + noise + y, -1000)
    return {name: image.astype(np.float32) for name, image in images.items()}


def prediction(prepared):
    """A network that finds late Tmax on one side only, and whose probability is the CTA."""
    names = PRESETS["song2018"].names
    channels = dict(zip(names, prepared.made.channels, strict=True))
    lesion = channels["Tmax"] > 6
    lesion[:, :, : lesion.shape[2] // 2] = False
    return patient.Prediction(lesion, channels["CTA_3"], channels["MIP"])


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The scan stored LPS: what is read, and what is predicted."""
    folder = tmp_path_factory.mktemp("lps")
    return predicted(folder, head(), dict.fromkeys(head(), "LPS"))


def predicted(folder, images, orders):
    for name, image in images.items():
        path = folder / "case" / f"{name}.nii"
        save_in_order(path, image, orders[name], affine=COARSE)
    study = find_study(folder / "case")
    prepared = patient.prepare(study, PRESETS["song2018"])
    found = prediction(prepared)
    result = patient_result.describe_result({}, study, prepared, found)
    (folder / "out").mkdir()
    patient_result.write_images(folder / "out", prepared, found, study.reference)
    return study, prepared, result


@pytest.mark.parametrize("order", ORDERS)
def test_same_channels_lesion_and_millilitres(tmp_path, expected, order):
    """Bit by bit, with each file in an order of its own; results lie on the series' voxels."""
    plain_study, plain, plain_result = expected
    images = head()
    others = {name: ORDERS[(7 * i + ORDERS.index(order)) % 48] for i, name in enumerate(images)}
    study, prepared, result = predicted(tmp_path, images, {**others, "CTP": order})
    np.testing.assert_array_equal(prepared.made.channels, plain.made.channels)
    np.testing.assert_array_equal(prepared.made.mask, plain.made.mask)
    assert result["lesion_ml"] == plain_result["lesion_ml"] > 0
    assert result["brain_ml"] == plain_result["brain_ml"]
    assert result["orientation"] == order and result["notes"] == []
    series = sitk.ReadImage(str(tmp_path / "case" / "CTP.nii"))
    frame = sitk.Extract(series, [*series.GetSize()[:3], 0], [0, 0, 0, 0])
    lesion = sitk.ReadImage(str(tmp_path / "out" / "lesion.nii.gz"))
    assert lesion.GetSize() == frame.GetSize()
    np.testing.assert_allclose(lesion.GetOrigin(), frame.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(lesion.GetDirection(), frame.GetDirection(), atol=1e-5)
    upright = sitk.GetArrayFromImage(sitk.DICOMOrient(lesion, "LPS"))
    np.testing.assert_array_equal(upright, prediction(plain).lesion)
    np.testing.assert_allclose(
        study.geometry.origin_xyz_mm, plain_study.geometry.origin_xyz_mm, atol=1e-3
    )


@pytest.mark.parametrize("order", ["LAS", "PIL"])
def test_computed_maps_and_vessels(tmp_path, make_head, order):
    """``strokesynth maps`` of a series in another order: the same maps, on the series' voxels."""
    series = make_head(noise_hu=1.0).series
    for name in ("LPS", order):
        save_in_order(tmp_path / f"{name}.nii", series, name)
        assert main(["maps", str(tmp_path / f"{name}.nii"), "-o", str(tmp_path / name)]) == 0
    records = [json.loads((tmp_path / name / "maps.json").read_text()) for name in ("LPS", order)]
    assert records[1]["orientation"] == order
    others = [record.pop("other_artery") or {} for record in records]
    for record, other in zip(records, others, strict=True):
        del record["created_utc"]
        other.pop("aif_voxel_xyz", None)
    assert others[0] == others[1]
    differing = {key for key in records[0] if records[0][key] != records[1][key]}
    assert differing == {"source", "orientation", "aif_voxels_xyz", "vof_voxels_xyz"}
    for name in ("cbf", "tmax", "brain_mask", "baseline_ct"):
        plain, other = (
            sitk.ReadImage(str(tmp_path / folder / f"{name}.nii.gz")) for folder in ("LPS", order)
        )
        upright = sitk.DICOMOrient(other, "LPS")
        np.testing.assert_array_equal(
            sitk.GetArrayFromImage(upright), sitk.GetArrayFromImage(plain)
        )
    # The voxels that are named are those of the file, and may be given back.
    artery, vein = (records[1][f"{name}_voxels_xyz"].split("; ")[0] for name in ("aif", "vof"))
    stored = read_volume(tmp_path / f"{order}.nii")
    x, y, z = map(int, artery.split())
    assert np.ptp(stored[:, z, y, x]) > 100
    options = ["--aif", *artery.split(), "--vof", *vein.split(), "-o", str(tmp_path / "again")]
    assert main(["maps", str(tmp_path / f"{order}.nii"), *options]) == 0
    again = json.loads((tmp_path / "again" / "maps.json").read_text())
    assert again["aif_voxels_xyz"].split("; ")[0] == artery


def test_dicom_rows_that_run_the_other_way(tmp_path):
    """A head that lies with its feet first or face down in the scanner is turned, too."""
    ctp = np.arange(12 * 3 * 8 * 9).reshape(12, 3, 8, 9)
    write_ctp(tmp_path / "plain", ctp)
    write_ctp(tmp_path / "prone", ctp, direction=(-1, 0, 0, 0, -1, 0, 0, 0, 1))
    plain, prone = (find_study(tmp_path / name) for name in ("plain", "prone"))
    assert (plain.reference.stored.order, prone.reference.stored.order) == ("LPS", "RAS")
    np.testing.assert_array_equal(np.stack(list(plain.series)), ctp)
    np.testing.assert_array_equal(np.stack(list(prone.series)), ctp[:, :, ::-1, ::-1])


def test_models_of_earlier_versions_and_unknown_orders():
    for order in ("LPS", "unknown"):
        assert orientation_notes({}, MODEL, scan="ctp.nii", order=order) == []
    with pytest.raises(ValueError, match=r"ctp.nii is stored in LAS order.*train again; or,.*LPS"):
        orientation_notes({}, MODEL, scan="ctp.nii", order="LAS")
    new, silent = {"orientation": "LPS"}, {"orientation": "unknown"}
    assert orientation_notes(new, MODEL, scan="a", order="LAS") == []
    (note,) = orientation_notes(new, MODEL, scan="a", order="unknown")
    assert "the header of a does not say how the head lies" in note
    assert orientation_notes(silent, MODEL, scan="a", order="unknown") == []
    (note,) = orientation_notes({"orientation": "mixed"}, MODEL, scan="a", order="LPS")
    assert "several orders" in note
    (note,) = orientation_notes(silent, MODEL, scan="a", order="RAS")
    assert "brought to LPS order" in note


@pytest.fixture(scope="module")
def model(pipeline, tmp_path_factory):
    """The trained model, as one of a data set in LPS order."""
    folder = tmp_path_factory.mktemp("model") / pipeline.model.name
    shutil.copytree(pipeline.model, folder)
    content = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**content, "orientation": "LPS"}))
    return folder


def test_predict_by_a_trained_network(pipeline, model, tmp_path, capsys):
    """One scan in two orders: one lesion to the voxel, written where each file lies."""
    case = pipeline.out / "ISLES2018_phantom" / "TESTING" / "case_1"
    words = {"CT_4DPWI": "ctp", "CT": "ct"} | {f"CT_{m}": m.lower() for m in PERFUSION_MAPS}
    arguments = ["-m", str(model), "-device", "cpu", "--disable_tta", "-f", "0"]
    found = {}
    for order in ("LPS", "SRA"):
        for word, name in words.items():
            (path,) = case.glob(f"*.O.{word}.*/*.nii")
            save_in_order(tmp_path / order / f"{name}.nii", read_volume(path), order)
        out = tmp_path / f"out_{order}"
        assert main(["predict", str(tmp_path / order), "-o", str(out), *arguments]) == 0
        image = sitk.DICOMOrient(sitk.ReadImage(str(out / "probability.nii.gz")), "LPS")
        result = json.loads((out / "result.json").read_text())
        assert result["orientation"] == order
        found[order] = sitk.GetArrayFromImage(image), result["lesion_ml"]
    np.testing.assert_array_equal(found["SRA"][0], found["LPS"][0])
    assert found["SRA"][1] == found["LPS"][1]
    content = json.loads((model / "dataset.json").read_text())
    old = tmp_path / "old"
    shutil.copytree(model, old)
    content.pop("orientation")
    (old / "dataset.json").write_text(json.dumps(content))
    arguments[1] = str(old)
    assert main(["predict", str(tmp_path / "SRA"), "-o", str(tmp_path / "x"), *arguments]) == 2
    assert "ctp.nii is stored in SRA order" in capsys.readouterr().err


def test_synthesize_scans_in_nnunet_s_format(pipeline, model, tmp_path):
    predictor = build_predictor(model, folds=("0",), device=torch.device("cpu"), mirroring=False)
    files = {}
    for order in ("LPS", "LAI"):
        files[order] = []
        for path in sorted((pipeline.raw / "imagesTs").glob("test_001_*.nii.gz")):
            array = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
            files[order].append(str(save_in_order(tmp_path / order / path.name, array, order)))
    plain, turned = (synthesize_case(predictor, files[order]) for order in ("LPS", "LAI"))
    np.testing.assert_array_equal(turned[:, ::-1, ::-1], plain)


def test_voxels_without_a_measurement_are_said(tmp_path):
    """A few become background, in the order in which they are stored; many are refused."""
    images = head()
    sound = predicted(tmp_path / "sound", images, dict.fromkeys(images, "LAS"))
    images["MTT"][2, 9, 8:10] = (np.nan, -54112)
    images["CTP"][4, 2, 9, 8] = np.nan
    orders = dict.fromkeys(images, "LAS") | {"MTT": "PSR"}
    _, prepared, result = predicted(tmp_path / "few", images, orders)
    mtt = PRESETS["song2018"].names.index("MTT")
    wanted = sound[1].made.channels[mtt].copy()
    wanted[2, 9, 8:10] = 0
    np.testing.assert_array_equal(prepared.made.channels[mtt], wanted)
    said = [note for note in result["notes"] if "without a measurement" in note]
    assert len(said) == 2
    assert "MTT" in said[0] and "1 NaN or infinite, 1 of -54112" in said[0]
    assert "4DPWI" in said[1] and "1 NaN, infinite or beyond" in said[1]
    images["MTT"][2] = np.where(images["MTT"][2] > 0, np.nan, 0)
    with pytest.raises(ValueError, match="MTT holds no measurement in 25% of the brain"):
        predicted(tmp_path / "many", images, orders)


def test_a_model_with_cta_finds_it_beside_the_series(tmp_path):
    """In an order of its own; where it is missing or there are two, the message says so."""
    images, preset = head(), PRESETS["wang2020"].with_cta()
    names = dict(enumerate(preset.names))
    assert patient.model_preset({"channel_names": names}, MODEL) == preset
    folder = tmp_path / "case"
    for name, image in images.items():
        save_in_order(folder / f"{name}.nii", image, "LPS")
    with pytest.raises(ValueError, match=r"reads a CTA, too: .* beside CTP.nii, found none"):
        patient.prepare(find_study(folder), preset)
    cta = np.where(images["CT"] > -900, images["CT"] + images["Tmax"] * 30, -1000)
    save_in_order(folder / "sub-1_space-ncct_cta.nii", cta.astype(np.float32), "PIL")
    made = patient.prepare(find_study(folder), preset).made
    np.testing.assert_array_equal(made.channels[12], np.where(made.mask, cta, 0).astype("f4"))
    plain = patient.prepare(find_study(folder), PRESETS["wang2020"]).made
    np.testing.assert_array_equal(plain.channels, made.channels[:12])
    save_in_order(folder / "cta.nii", cta.astype(np.float32), "LPS")
    with pytest.raises(ValueError, match="found .*cta.nii, .*cta.nii; add it, leave one"):
        patient.prepare(find_study(folder), preset)
