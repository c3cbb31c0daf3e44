"""``strokesynth maps`` from a file to a folder, and what it refuses."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from dicom_files import write_ctp
from schema_check import check_schema

from nnunetv2_strokesynth import cli
from nnunetv2_strokesynth.commands.maps import PAGE, PICTURE
from nnunetv2_strokesynth.ctp import map_files
from nnunetv2_strokesynth.ctp.compute_maps import compute_maps
from nnunetv2_strokesynth.ctp.map_files import FILES
from nnunetv2_strokesynth.ctp.time_steps import frame_s_of
from nnunetv2_strokesynth.inference import scan_maps

VOLUMES = [name for name in FILES if name.endswith(".nii.gz")]
_TURN = np.deg2rad(20)
OBLIQUE = np.array(
    [
        [-2.5 * np.cos(_TURN), 2.5 * np.sin(_TURN), 0, 70.0],
        [-2.5 * np.sin(_TURN), -2.5 * np.cos(_TURN), 0, 90.0],
        [0, 0, 5.0, -12.0],
        [0, 0, 0, 1],
    ]
)


def save_series(path, series, *, frame=1.0, unit="sec", shape=None, **fields):
    """Write (T, Z, Y, X) as int16 with an oblique affine; ``fields`` of the header come last."""
    voxels = np.rint(series).astype(np.int16).T
    image = nibabel.Nifti1Image(voxels.reshape(shape or voxels.shape), OBLIQUE)
    image.set_sform(OBLIQUE, code=2)
    image.set_qform(OBLIQUE, code=1)
    image.header.set_xyzt_units("mm", unit)
    image.header["pixdim"][4] = frame
    for name, value in fields.items():
        image.header[name] = value
    nibabel.save(image, path)
    return path


@pytest.fixture
def head(make_head):
    return make_head(noise_hu=1.0, artery_share=0.7)


@pytest.fixture
def ctp(head, tmp_path):
    return save_series(tmp_path / "ctp.nii.gz", head.series, descrip=b"a scanner", cal_max=80)


def maps(*arguments) -> int:
    return cli.main(["maps", *map(str, arguments)])


def record(folder) -> dict:
    return json.loads((folder / "maps.json").read_text())


def test_writes_maps_in_the_geometry_of_the_series(head, ctp, tmp_path):
    out = tmp_path / "a" / "maps"
    assert maps(ctp, "-o", out) == 0
    assert sorted(path.name for path in out.iterdir()) == sorted([*FILES, PICTURE, PAGE])
    expected = compute_maps(np.rint(head.series), **head.inputs, method="bayes")
    series = nibabel.load(ctp)
    for name in VOLUMES:
        image = nibabel.load(out / name)
        np.testing.assert_allclose(image.affine, series.affine, atol=1e-6)
        assert (image.header["sform_code"], image.header["qform_code"]) == (2, 1)
        assert image.shape == series.shape[:3] and image.header["cal_max"] == 0
        assert image.header.get_xyzt_units()[0] == "mm"
        kind = np.uint8 if name.startswith("brain_mask") else np.float32
        assert image.get_data_dtype() == kind
    for name, volume in expected.maps._asdict().items():
        found = np.asarray(nibabel.load(out / f"{name}.nii.gz").dataobj).T
        np.testing.assert_allclose(found, volume, rtol=1e-5, atol=1e-5)
    mask = np.asarray(nibabel.load(out / "brain_mask.nii.gz").dataobj).T
    np.testing.assert_array_equal(mask, expected.brain)
    written = record(out)
    assert written["warnings"] == expected.warnings and written["units"]["cbf"] == "mL/100 g/min"
    assert {name: written[name] for name in expected.row} == expected.row
    assert not list(tmp_path.rglob(".tmp-*"))
    check_schema(written, Path(map_files.__file__).with_name("maps.schema.json"))
    late = (expected.maps.tmax > 6) & (expected.maps.cbf > 0)
    voxel_ml = 2.5 * 2.5 * 5 / 1000
    assert written["perfusion"]["tmax_above_6s_ml"] == pytest.approx(
        late.sum() * voxel_ml, abs=0.06
    )
    assert written["frame_times_s"] == pytest.approx(head.inputs["times_s"])
    assert "perfusion" in written and "other_artery" in written


def test_chosen_vessels_and_mask_are_used(head, ctp, tmp_path):
    mask = np.where(head.right, 0, head.brain).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(mask.T, OBLIQUE), tmp_path / "mask.nii")
    plain, chosen = tmp_path / "plain", tmp_path / "chosen"
    assert maps(ctp, "-o", plain) == 0
    options = "--aif 24 26 0 --vof 32 51 1 --no-aif-scaling --frame-s 2 --method tikhonov".split()
    assert maps(ctp, "-o", chosen, *options, "--brain-mask", tmp_path / "mask.nii") == 0
    first, second = record(plain), record(chosen)
    assert first["aif_source"] == "automatic" and second["aif_source"] == "given"
    assert second["aif_voxels_xyz"] == "24 26 0"
    assert second["aif_voxels_xyz"] != first["aif_voxels_xyz"]
    assert second["vof_voxels_xyz"] == "32 51 1"
    assert (first["frame_s"], second["frame_s"]) == (1.0, 2.0)
    assert first["method"] == "bayes" and second["method"] == "tikhonov"
    assert first["aif_scale"] > 1.3 and second["aif_scale"] == 1.0
    found = np.asarray(nibabel.load(chosen / "brain_mask.nii.gz").dataobj)
    np.testing.assert_array_equal(found.T, mask)


def test_replaces_only_its_own_folder(ctp, tmp_path, capsys):
    out = tmp_path / "maps"
    out.mkdir()
    assert maps(ctp, "-o", out) == 0  # empty
    assert maps(ctp, "-o", out) == 2
    assert "add --overwrite" in capsys.readouterr().err
    (out / "cbf.nii.gz").unlink()
    assert maps(ctp, "-o", out, "--overwrite") == 0
    assert (out / "cbf.nii.gz").is_file()
    (out / "notes.txt").write_text("mine")
    assert maps(ctp, "-o", out, "--overwrite") == 2
    assert "holds notes.txt" in capsys.readouterr().err
    assert (out / "notes.txt").read_text() == "mine"
    (out / "notes.txt").unlink()
    (out / "maps.json").unlink()
    assert maps(ctp, "-o", out, "--overwrite") == 2
    assert "has no maps.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--frame-s", "0.1"], "--frame-s 0.1: expected 0.3 to 10 s"),
        (["--frame-s", "nan"], "--frame-s nan: expected"),
        (["--aif", "64", "0", "0"], "voxel x y z = 64 0 0 lies outside the image of (64, 64, 2)"),
        (["--vof", "0", "0", "-1"], "lies outside the image"),
        (["--brain-mask", "ctp.nii.gz"], "expected (64, 64, 2) as of"),
        (["--brain-mask", "gone.nii"], "gone.nii"),
    ],
)
def test_bad_options_are_one_line_and_exit_2(ctp, tmp_path, capsys, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    assert maps(ctp, "-o", tmp_path / "maps", *options) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("strokesynth maps: ") and message in last
    assert [path.name for path in tmp_path.iterdir()] == ["ctp.nii.gz"]


def test_unusable_files_exit_2(head, tmp_path, capsys):
    out = tmp_path / "maps"
    one = save_series(tmp_path / "one.nii", head.series[:1])
    assert maps(one, "-o", out) == 2 and "expected a series" in capsys.readouterr().err
    short = save_series(tmp_path / "short.nii", head.series[:8], frame=4.0)
    assert maps(short, "-o", out) == 2 and "8 frames" in capsys.readouterr().err
    still = save_series(tmp_path / "still.nii", head.series[:1].repeat(30, axis=0))
    assert maps(still, "-o", out) == 2 and "constant over time" in capsys.readouterr().err
    cut = tmp_path / "cut.nii.gz"
    whole = save_series(tmp_path / "whole.nii.gz", head.series).read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    assert maps(cut, "-o", out) == 2 and "truncated or damaged" in capsys.readouterr().err
    assert maps(tmp_path / "gone.nii", "-o", out) == 2 and "gone.nii" in capsys.readouterr().err
    assert maps(one, "-o", one) == 2 and "expected a folder" in capsys.readouterr().err
    assert not out.exists() and not list(tmp_path.glob(".tmp-*"))


@pytest.mark.parametrize(
    ("frame", "unit", "expected"),
    [(1.5, "sec", 1.5), (1500, "msec", 1.5), (2e6, "usec", 2.0), (1.0, "unknown", 1.0)],
)
def test_time_step_of_the_header(tmp_path, frame, unit, expected):
    path = save_series(tmp_path / "a.nii", np.zeros((12, 1, 4, 4)), frame=frame, unit=unit)
    assert frame_s_of(path) == pytest.approx(expected)
    assert frame_s_of(path, 3.0) == 3.0


@pytest.mark.parametrize(
    ("frame", "unit"),
    [(0, "sec"), (np.nan, "sec"), (1500, "unknown"), (1500, "sec"), (1.0, "msec"), (1.0, "hz")],
)
def test_time_step_that_cannot_be_is_asked_for(tmp_path, frame, unit):
    path = save_series(tmp_path / "a.nii", np.zeros((12, 1, 4, 4)), frame=frame, unit=unit)
    with pytest.raises(ValueError, match=r"a.nii: time between frames .*--frame-s"):
        frame_s_of(path)


def test_time_step_lies_with_its_axis(tmp_path):
    """(X, Y, Z, 1, T): pixdim[4] belongs to the singleton axis."""
    zeros = np.zeros((12, 1, 4, 4))
    path = save_series(tmp_path / "a.nii", zeros, shape=(4, 4, 1, 1, 12), frame=0)
    content = bytearray(path.read_bytes())
    header = nibabel.Nifti1Header(bytes(content[:348]), check=False)
    header["pixdim"][5] = 2.5
    path.write_bytes(header.binaryblock + bytes(content[348:]))
    assert frame_s_of(path) == 2.5


def test_dicom_results_name_the_study_and_lie_where_the_maps_do(head, tmp_path, real_figures):
    """Tmax > 6 s of the DICOM-SEG is that of the map, by position; nothing else is sent on."""
    hd = pytest.importorskip("highdicom")
    write_ctp(
        tmp_path / "ct",
        np.rint(head.series).astype(int)[::2],
        times_s=head.inputs["times_s"][::2],
        spacing_zyx_mm=head.inputs["spacing_zyx_mm"],
        tags={"0010|0020": "42", "0020|0052": "1.2.3.4"},
    )
    out = tmp_path / "maps"
    assert maps(tmp_path / "ct", "-o", out, "--dicom", "--no-motion-correction") == 0
    assert sorted(path.name for path in (out / "dicom").iterdir()) == [
        "page.dcm",
        "segmentation.dcm",
        "volumes.dcm",
    ]
    report = hd.sr.srread(out / "dicom" / "volumes.dcm").content
    groups = [
        *report.get_volumetric_roi_measurement_groups(),
        *report.get_image_measurement_groups(),
    ]
    written = {g.tracking_identifier: float(g.get_measurements()[0].value) for g in groups}
    perfusion = record(out)["perfusion"]
    assert written == {
        **{f"Tmax > {s} s": perfusion[f"tmax_above_{s}s_ml"] for s in (4, 6, 8, 10)},
        **{f"rCBF < {p} %": perfusion[f"rcbf_below_{p}pct_ml"] for p in (20, 30, 34, 38)},
        "mismatch, Tmax > 6 s minus rCBF < 30 %": perfusion["mismatch_ml"],
        "brain in the scan": record(out)["brain_ml"],
    }
    found = hd.seg.segread(out / "dicom" / "segmentation.dcm")
    assert found.PatientID == "42"
    volume = found.get_volume(combine_segments=False)
    ml = abs(np.linalg.det(volume.affine[:3, :3])) / 1000 * volume.array[..., 0].sum()
    assert perfusion["tmax_above_6s_ml"] == pytest.approx(ml, abs=0.06) and ml > 0
    image = nibabel.load(out / "tmax.nii.gz")
    to_nifti = np.linalg.inv(image.affine) @ np.diag([-1, -1, 1, 1]) @ volume.affine
    at = np.argwhere(volume.array[..., 0]) @ to_nifti[:3, :3].T + to_nifti[:3, 3]
    assert (np.asarray(image.dataobj)[tuple(np.rint(at).astype(int).T)] > 6).all()


def test_dicom_results_need_headers_that_can_be_linked_to(tmp_path, capsys, monkeypatch):
    """It is said before the maps are computed, which takes a minute on a real scan."""
    pytest.importorskip("highdicom")
    monkeypatch.setattr(scan_maps, "maps_of_study", None)
    write_ctp(tmp_path / "ct", np.full((12, 2, 8, 8), 40), tags={"0010|0020": "42"})
    assert maps(tmp_path / "ct", "-o", tmp_path / "out", "--dicom") == 2
    assert "has no FrameOfReferenceUID" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_dicom_results_need_a_dicom_study(ctp, tmp_path, capsys):
    assert maps(ctp, "-o", tmp_path / "out", "--dicom") == 2
    assert "is no DICOM series" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
