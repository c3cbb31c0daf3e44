"""One patient by ``strokesynth predict``: the same as the data set's way, and everything beside."""

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import write_ctp
from schema_check import check_schema

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.ctp.frame_times import frame_times_of
from nnunetv2_strokesynth.inference import patient_result
from nnunetv2_strokesynth.io.nifti import read_volume

SCHEMA = Path(patient_result.__file__).with_name("result.schema.json")
FILES = {"lesion", "probability", "pseudo_dwi", "brain_mask"}


@pytest.fixture(scope="module")
def case(pipeline):
    return pipeline.out / "ISLES2018_phantom" / "TESTING" / "case_1"


def predict(pipeline, source, out, *options):
    arguments = ["predict", str(source), "-m", str(pipeline.model), "-o", str(out)]
    return main([*arguments, "-device", "cpu", *options])


def read(folder, name):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"{name}.nii.gz")))


@pytest.fixture(scope="module")
def given(pipeline, case, tmp_path_factory):
    """The prediction of a scan that has all its images."""
    out = tmp_path_factory.mktemp("given") / "out"
    assert predict(pipeline, case, out, "--pdf") == 0
    return out


@pytest.fixture(scope="module")
def computed(pipeline, case, tmp_path_factory):
    """The prediction of the scan's series alone, exported as DICOM."""
    folder = tmp_path_factory.mktemp("dicom")
    (path,) = case.glob("*4DPWI*/*.nii")
    ctp = read_volume(path)
    times_s = frame_times_of(path, len(ctp)).times_s
    write_ctp(folder / "export", ctp.astype(int), times_s=times_s, spacing_zyx_mm=(10.0, 4.0, 4.0))
    out = folder / "out"
    assert predict(pipeline, folder / "export", out, "--disable_tta", "-f", "0") == 0
    return out


def test_same_lesion_as_nnunet_s_own_command(pipeline, given):
    """The demo predicted the converted scan with nnUNetv2_predict and the same two folds."""
    expected = sitk.ReadImage(str(pipeline.out / "predictions" / "test_001.nii.gz"))
    probabilities = np.load(pipeline.out / "predictions" / "test_001.npz")["probabilities"]
    np.testing.assert_allclose(read(given, "probability"), probabilities[1], atol=5e-3)
    # Kernels of two processes may round differently: voxels on the border may fall either way.
    clear = np.abs(probabilities[1] - 0.5) > 5e-3
    assert clear.mean() > 0.8
    lesion = sitk.GetArrayFromImage(expected)
    np.testing.assert_array_equal(read(given, "lesion")[clear], lesion[clear])
    pseudo_dwi = sitk.ReadImage(str(pipeline.out / "pseudo_dwi" / "test_001.nii.gz"))
    np.testing.assert_allclose(
        read(given, "pseudo_dwi"), sitk.GetArrayFromImage(pseudo_dwi), atol=5e-3
    )


def test_files_and_numbers(given):
    names = {path.name for path in given.iterdir()}
    assert names == {f"{name}.nii.gz" for name in FILES} | {
        "result.json",
        "report.html",
        "report.png",
        "report.pdf",
    }
    result = json.loads((given / "result.json").read_text())
    image = sitk.ReadImage(str(given / "lesion.nii.gz"))
    volume_ml = read(given, "lesion").sum() * np.prod(image.GetSpacing()) / 1000
    assert result["lesion_ml"] == pytest.approx(volume_ml, abs=1e-3)
    check_schema(result, SCHEMA)
    assert result["lesion_interval"] is None  # of a model without calibration
    assert [row["fold"] for row in result["sensitivity"]["folds"]] == ["0", "1"]
    assert result["answers"]["segmenter"]["ml"] == pytest.approx(volume_ml, abs=0.06)
    assert result["maps"] == "given"
    assert result["given"] == ["CBF", "CBV", "CT", "MTT", "Tmax"]
    assert any("digital phantom, not on patients" in warning for warning in result["warnings"])
    page = (given / "report.html").read_text(encoding="utf-8")
    assert f"Predicted lesion: {volume_ml:.1f} mL" in page
    assert page.index("digital phantom") < page.index("Predicted lesion")
    assert (given / "report.png").read_bytes().startswith(b"\x89PNG")
    assert (given / "report.pdf").read_bytes().startswith(b"%PDF")


def test_dicom_series_alone(computed, case):
    result = json.loads((computed / "result.json").read_text())
    assert result["given"] == [] and result["maps"]["aif_source"] == "automatic"
    check_schema(result, SCHEMA)
    assert result["maps"]["threshold_method"] == "bayes" and result["maps"]["method"] == "svd"
    assert any("computed from the series" in note for note in result["notes"])
    assert result["maps"]["brain_ml"] == result["brain_ml"] and "CT" not in result["notes"]
    assert {path.name for path in (computed / "inputs").iterdir()} == {
        f"{name}.nii.gz" for name in ("ct", "cbf", "cbv", "mtt", "tmax")
    }
    # The phantom's own maps, in the release's units, are of the same physics.
    (path,) = case.glob("*CT_Tmax*/*.nii")
    brain = read(computed, "brain_mask") > 0
    given_tmax = read_volume(path)
    both = brain & (given_tmax > 0)
    correlation = np.corrcoef(read(computed, "inputs/tmax")[both], given_tmax[both])[0, 1]
    assert correlation > 0.5
    assert both.sum() > 0.8 * (given_tmax > 0).sum()


def test_nothing_is_overwritten_unasked(pipeline, case, given, tmp_path, capsys):
    before = (given / "result.json").read_bytes()
    assert predict(pipeline, case, given) == 2
    assert "add --overwrite" in capsys.readouterr().err
    assert (given / "result.json").read_bytes() == before
    (tmp_path / "mine.txt").write_text("x")
    assert predict(pipeline, case, tmp_path, "--overwrite") == 2
    assert "was not written by this command" in capsys.readouterr().err
    assert (tmp_path / "mine.txt").is_file()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: shutil.rmtree(next(folder.glob("*4DPWI*"))), "no file is known as the"),
        (lambda folder: next(folder.glob("*CBF*/*.nii")).write_bytes(b""), "the file is empty"),
    ],
)
def test_bad_input(pipeline, case, tmp_path, capsys, spoil, message):
    folder = tmp_path / "case"
    shutil.copytree(case, folder)
    spoil(folder)
    assert predict(pipeline, folder, tmp_path / "out") == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["case"]


def test_model_of_other_channels(pipeline, case, tmp_path, capsys):
    model = tmp_path / "model"
    shutil.copytree(pipeline.model, model)
    content = json.loads((model / "dataset.json").read_text())
    content["channel_names"]["0"] = "ADC"
    (model / "dataset.json").write_text(json.dumps(content))
    arguments = ["predict", str(case), "-m", str(model), "-o", str(tmp_path / "out")]
    assert main([*arguments, "-device", "cpu"]) == 2
    assert "which are not made from CT perfusion" in capsys.readouterr().err


def test_background_of_the_maps_changes_nothing(pipeline, case, given, tmp_path):
    """Tmax of -30 and MTT of NaN outside: the same channels, so the same lesion; and it is said."""
    shutil.copytree(case, tmp_path / "other")
    for name, value in (("Tmax", -30.0), ("MTT", np.nan)):
        (path,) = (tmp_path / "other").glob(f"*CT_{name}*/*.nii")
        image = nibabel.load(path)
        values = image.get_fdata(dtype=np.float32)
        changed = np.where(values == 0, np.float32(value), values)
        header = image.header.copy()
        header.set_data_dtype(np.float32)
        header.set_slope_inter(1, 0)
        with open(path, "wb") as file:
            header["vox_offset"] = 352
            header.write_to(file)
            file.write(b"\0" * (352 - file.tell()))
            file.write(changed.tobytes(order="F"))
    assert predict(pipeline, tmp_path / "other", tmp_path / "out") == 0
    for name in ("brain_mask", "lesion", "probability"):
        np.testing.assert_array_equal(read(tmp_path / "out", name), read(given, name))
    notes = json.loads((tmp_path / "out" / "result.json").read_text())["notes"]
    assert any("set to 0: MTT nan; Tmax -30" in note for note in notes)


def test_brain_mask_from_elsewhere(pipeline, case, given, tmp_path, capsys):
    source = given / "brain_mask.nii.gz"
    half = read(given, "brain_mask")
    half[:, :, half.shape[2] // 2 :] = 0
    image = sitk.GetImageFromArray(half)
    image.CopyInformation(sitk.ReadImage(str(source)))
    sitk.WriteImage(image, str(tmp_path / "half.nii.gz"))
    out = tmp_path / "out"
    options = ("--disable_tta", "-f", "0", "--brain-mask")
    assert predict(pipeline, case, out, *options, str(tmp_path / "half.nii.gz")) == 0
    np.testing.assert_array_equal(read(out, "brain_mask"), half)
    assert json.loads((out / "result.json").read_text())["brain_mask"] == "given"
    assert predict(pipeline, case, tmp_path / "x", *options, str(tmp_path / "gone.nii")) == 2
    assert "gone.nii" in capsys.readouterr().err
    sitk.WriteImage(image[:-1], str(tmp_path / "small.nii.gz"))
    assert predict(pipeline, case, tmp_path / "x", *options, str(tmp_path / "small.nii.gz")) == 2
    n_slices, n_rows, n_columns = half.shape
    expected = f"small.nii.gz has shape ({n_slices}, {n_rows}, {n_columns - 1})"
    assert expected in capsys.readouterr().err
