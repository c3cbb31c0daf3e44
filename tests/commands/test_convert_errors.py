"""Inputs that cannot be used: one line on stderr, exit code 2, nothing that looks complete."""

import numpy as np
import pytest

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.io.folder_lock import only_writer


@pytest.fixture
def fails(scans, nnunet_raw, capsys):
    """Runs the command and returns its one line of error."""

    def run(*options, src=None):
        arguments = ["--folds", "2", "--workers", "1", *options]
        code = main(["convert", "isles2018", str(src or scans.root), *arguments])
        lines = [line for line in capsys.readouterr().err.splitlines() if "it/s" not in line]
        message = lines[-1]
        assert code == 2
        assert message.startswith("strokesynth convert: ")
        assert not any("Traceback" in line for line in lines)
        assert not list(nnunet_raw.rglob("dataset.json"))
        assert not list(nnunet_raw.rglob(".tmp-*"))
        assert not list(nnunet_raw.rglob("case_002*"))
        return message

    return run


def spoil_missing(scans):
    scans.remove(2, "CBV")


def spoil_missing_series(scans):
    scans.remove(2, "4DPWI")


def spoil_no_lesion_file(scans):
    scans.remove(2, "OT")


def spoil_duplicate(scans):
    scans.write(2, "CT_MTT", scans.arrays(2)["MTT"])


def spoil_truncated(scans):
    path = scans.path(2, "4DPWI")
    path.write_bytes(path.read_bytes()[:-100])


def spoil_empty_file(scans):
    scans.path(2, "CT").write_bytes(b"")


def spoil_not_nifti(scans):
    scans.path(2, "CBF").write_text("<html>please log in</html>" * 50)


def spoil_map_shape(scans):
    scans.replace(2, "Tmax", np.ones((18, 15, 2)))


def spoil_slice_count(scans):
    scans.replace(2, "4DPWI", np.ones((18, 16, 3, 14), np.float32))


def spoil_flat_series(scans):
    scans.replace(2, "4DPWI", np.ones((18, 16, 2), np.float32))


def spoil_one_frame(scans):
    scans.replace(2, "4DPWI", np.ones((18, 16, 2, 1), np.float32))


def spoil_map_is_a_series(scans):
    scans.replace(2, "CBF", np.ones((18, 16, 2, 3), np.float32))


def spoil_lesion_shape(scans):
    scans.replace(2, "OT", np.ones((18, 16, 1), np.uint8))


def spoil_dwi_shape(scans):
    scans.write(2, "MR_DWI", np.ones((9, 8, 2), np.float32))


def spoil_pixdim_zero(scans):
    scans.replace(2, "CT", scans.arrays(2)["CT"], spacing=(0.9, 0, 10))


def spoil_pixdim_negative(scans):
    scans.replace(2, "CT", scans.arrays(2)["CT"], spacing=(-0.9, 0.8, 10))


def spoil_map(scans, name, value):
    """No measurement in a quarter of the brain: a few voxels would be let pass."""
    array = scans.arrays(2)[name]
    array[:9, :, 1] = np.where(array[:9, :, 1] > 0, value, 0)
    scans.replace(2, name, array)


def spoil_nan_map(scans):
    spoil_map(scans, "MTT", np.nan)


def spoil_infinite_map(scans):
    spoil_map(scans, "Tmax", np.inf)


def spoil_impossible_map(scans):
    spoil_map(scans, "MTT", -54112)


def spoil_nan_series(scans):
    array = scans.arrays(2)["4DPWI"]
    array[:9, :, 1, 5] = np.where(array[:9, :, 1, 5] > 0, np.nan, -1000)
    scans.replace(2, "4DPWI", array)


def spoil_label_values(scans):
    scans.replace(2, "OT", scans.arrays(2)["OT"] * 255)


def spoil_no_brain(scans):
    for name in ("CBF", "CBV", "MTT", "Tmax"):
        scans.replace(2, name, np.zeros((18, 16, 2)))


def spoil_constant_series(scans):
    scans.replace(2, "4DPWI", np.full((18, 16, 2, 14), 35, np.float32))


def spoil_constant_dwi(scans):
    scans.write(2, "MR_DWI", np.zeros((18, 16, 2), np.float32))


def spoil_nan_dwi(scans):
    scans.write(2, "MR_DWI", np.full((18, 16, 2), np.nan, np.float32))


SPOILT = {
    spoil_missing: "no file for CBV (found: ",
    spoil_missing_series: "no file for 4DPWI (found: ",
    spoil_no_lesion_file: "no file for OT (found: ",
    spoil_duplicate: "two files for MTT: ",
    spoil_truncated: "truncated, 32508 bytes of the 32608",
    spoil_empty_file: "the file is empty (0 bytes)",
    spoil_not_nifti: "not a NIfTI-1 file",
    spoil_map_shape: "has shape (2, 15, 18) (z, y, x), the CT has (2, 16, 18)",
    spoil_slice_count: "has shape (3, 16, 18) (z, y, x), the CT has (2, 16, 18)",
    spoil_flat_series: "is 3-D, expected a series (X, Y, Z, T)",
    spoil_one_frame: "has one frame, expected at least 2",
    spoil_map_is_a_series: "is a series, expected a 3-D image",
    spoil_lesion_shape: "OT: ",
    spoil_dwi_shape: "has shape (2, 8, 9)",
    spoil_pixdim_zero: "expected positive numbers",
    spoil_pixdim_negative: "expected positive numbers",
    spoil_nan_map: "MTT holds no measurement in 25% of the brain",
    spoil_infinite_map: "Tmax holds no measurement in 25% of the brain",
    spoil_impossible_map: "of -54112, expected -5 to 300 s), expected at most 10%",
    spoil_nan_series: "4DPWI holds no measurement in 25% of the brain",
    spoil_label_values: "holds the values 0, 255, expected 0 and 1",
    spoil_no_brain: "CBF, CBV, MTT and Tmax hold nothing but background",
    spoil_constant_series: "are all equal: no contrast agent",
    spoil_constant_dwi: "is 0 everywhere; remove or replace it",
    spoil_nan_dwi: "DWI holds no measurement in any of its 576 voxels: 576 NaN",
}


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: spoil.__name__.removeprefix("spoil_"))
def test_spoilt_scan(scans, fails, spoil):
    scans.add(1).add(2)
    spoil(scans)
    message = fails()
    assert "1 problem in the scans: case_002 (TRAINING/case_2): " in message
    assert SPOILT[spoil] in message


def test_all_scans_are_checked_before_the_first_is_converted(scans, fails, nnunet_raw):
    for number in range(1, 9):
        scans.add(number)
    for number in range(1, 8):
        scans.path(number, "CT").write_bytes(b"")
    message = fails()
    assert "7 problems in the scans: case_001" in message
    assert "; and 2 more. --skip-broken leaves out scans" in message
    assert list(nnunet_raw.iterdir()) == []


def test_good_scans_are_kept_when_one_fails(scans, fails, nnunet_raw, capsys):
    scans.add(1).add(2).add(3)
    spoil_nan_map(scans)
    fails()
    folder = nnunet_raw / "Dataset018_ISLES2018"
    assert sorted(p.name for p in (folder / "labelsTr").iterdir()) == [
        "case_001.nii.gz",
        "case_003.nii.gz",
    ]
    scans.replace(2, "MTT", scans.arrays(2)["MTT"])
    assert main(["convert", "isles2018", str(scans.root), "--folds", "2", "--workers", "1"]) == 0
    assert "2 of 3 cases were up to date" not in capsys.readouterr().err
    assert (folder / "dataset.json").is_file()


def test_wrong_folders(scans, fails, tmp_path):
    assert "no such folder" in fails()
    scans.root.mkdir()
    assert "neither TRAINING nor TESTING" in fails()
    (scans.root / "TRAINING").mkdir()
    assert "no folder case_1" in fails()
    (tmp_path / "file").write_text("x")
    assert "no such folder" in fails(src=tmp_path / "file")


def test_nnunet_raw_is_not_set(scans, fails, monkeypatch):
    scans.add(1).add(2)
    monkeypatch.delenv("nnUNet_raw")
    assert "nnUNet_raw is not set; export nnUNet_raw=" in fails()


@pytest.mark.parametrize("folder", ["nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"])
def test_id_of_another_data_set(scans, fails, nnunet_raw, folder):
    scans.add(1).add(2)
    (nnunet_raw.parent / folder / "Dataset018_Hearts").mkdir()
    assert "Dataset018_Hearts has the id 18 already" in fails()


def test_a_data_set_of_somebody_else_survives_overwrite(scans, fails, nnunet_raw):
    scans.add(1).add(2)
    precious = nnunet_raw / "Dataset018_ISLES2018" / "imagesTr" / "mine.nii.gz"
    precious.parent.mkdir(parents=True)
    precious.write_text("precious")
    assert "was not written by this command" in fails("--overwrite")
    assert precious.read_text() == "precious"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-d", "0"], "expected a number from 1 to 999"),
        (["-d", "1000"], "expected a number from 1 to 999"),
        (["--name", "a/b"], "expected letters, digits"),
        (["--workers", "0"], "expected at least 1"),
        (["--folds", "1"], "expected at least 2"),
        (["--folds", "3"], "2 training patients cannot fill 3 folds; use --folds 2"),
        (["--patients", "absent.csv"], "absent.csv"),
    ],
)
def test_options_that_cannot_be_used(scans, fails, options, message):
    scans.add(1).add(2)
    assert message in fails(*options)


def test_patients_file_without_a_case(scans, fails, tmp_path):
    scans.add(1).add(2)
    (tmp_path / "p.csv").write_text("case,patient\ncase_1,1\n")
    assert "no patient for 1 training scans, case_002" in fails(
        "--patients", str(tmp_path / "p.csv")
    )


@pytest.mark.parametrize(("split", "name"), [("TRAINING", "training"), ("TESTING", "testing")])
def test_real_dwi_without_any_dwi(scans, fails, nnunet_raw, split, name):
    scans.add(1, split).add(2, split)
    message = fails("--preset", "real_dwi")
    assert f"none of the 2 {name} scans has a DWI: the release of today" in message
    assert "June 2018) has it as MR_DWI" in message
    assert list(nnunet_raw.iterdir()) == []


def test_presets_of_mri_are_not_offered(scans, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["convert", "isles2018", str(scans.root), "--preset", "isles2017"])
    assert stopped.value.code == 2
    assert "invalid choice: 'isles2017'" in capsys.readouterr().err


def test_help_shows_an_example(capsys):
    for arguments in (["convert", "--help"], ["convert", "isles2018", "--help"]):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 0
        assert "strokesynth convert isles2018 /data/ISLES2018" in capsys.readouterr().out


def test_a_second_conversion_into_the_same_data_set_stops(scans, nnunet_raw, capsys):
    for number in (1, 2):
        scans.add(number)
    words = ["convert", "isles2018", str(scans.root), "--folds", "2", "--workers", "1"]
    with only_writer(nnunet_raw / "Dataset018_ISLES2018"):
        assert main(words) == 2
    line = capsys.readouterr().err.strip()
    assert "Dataset018_ISLES2018 is being written by another command" in line and "\n" not in line
    assert not list(nnunet_raw.iterdir())
    assert main(words) == 0
    assert [path.name for path in nnunet_raw.iterdir()] == ["Dataset018_ISLES2018"]
