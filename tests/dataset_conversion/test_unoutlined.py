"""``convert --unoutlined``: scans with a DWI and no outline, apart from training and test scans."""

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_strokesynth.cli import main

FOLDERS = {"isles2018": "Dataset018_ISLES2018", "isles2024": "Dataset024_ISLES2024"}


@pytest.fixture(params=FOLDERS)
def release(request, scans, bids_scans, nnunet_raw):
    """Patients 1 to 3 with an outline; 4 and 5 with a DWI alone; 6 with neither in ISLES 2018."""
    kind = request.param
    writer = scans if kind == "isles2018" else bids_scans
    for number in range(1, 6):
        writer.add(number, dwi=True) if kind == "isles2018" else writer.add(number)
    for number in (4, 5):
        writer.path(number, "OT").unlink()
    return kind, writer, nnunet_raw / FOLDERS[kind]


def convert(release, *options):
    kind, writer, _ = release
    return main(["convert", kind, str(writer.root), "--folds", "3", "--workers", "1", *options])


def name(release, number):
    return f"case_{number:04d}" if release[0] == "isles2024" else f"case_{number:03d}"


def files(folder, inner):
    return sorted(path.name for path in (folder / inner).glob("*.nii.gz"))


def test_they_lie_apart_and_are_marked(release, caplog):
    folder = release[2]
    with caplog.at_level("INFO"):
        assert convert(release, "--unoutlined") == 0
    number = int(folder.name[7:10])
    assert f"strokesynth outline -d {number} -o {number + 100}" in caplog.text
    unoutlined, outlined = ([name(release, n) for n in ns] for ns in ((4, 5), (1, 2, 3)))
    content = json.loads((folder / "dataset.json").read_text())
    assert content["unoutlined"] == unoutlined and content["numTraining"] == 3
    assert {file[: len(unoutlined[0])] for file in files(folder, "imagesUn")} == {*unoutlined}
    assert files(folder, "targetsUn") == [f"{case_id}.nii.gz" for case_id in unoutlined]
    assert files(folder, "labelsTr") == [f"{case_id}.nii.gz" for case_id in outlined]
    assert {file[: len(unoutlined[0])] for file in files(folder, "imagesTr")} == {*outlined}
    assert not files(folder, "imagesTs")
    for split in json.loads((folder / "splits_final.json").read_text()):
        assert not {*split["train"], *split["val"], *split.get("test", ())} & {*unoutlined}
    with (folder / "conversion_report.csv").open(newline="") as report:
        rows = {row["case_id"]: row for row in csv.DictReader(report)}
    assert [rows[case_id]["split"] for case_id in unoutlined] == ["unoutlined"] * 2
    assert [rows[case_id]["fold"] for case_id in unoutlined] == ["", ""]
    assert [rows[case_id]["lesion_volume_ml"] for case_id in unoutlined] == ["", ""]


def test_their_voxels_are_those_of_an_outlined_scan(release):
    """Only the outline is missing: channels and target are what they would be with one."""
    _, writer, folder = release
    assert convert(release, "--unoutlined") == 0
    apart = {
        inner: [sitk.GetArrayFromImage(sitk.ReadImage(str(folder / inner / file))) for file in own]
        for inner in ("imagesUn", "targetsUn")
        for own in [[f for f in files(folder, inner) if f.startswith(name(release, 4))]]
    }
    label = writer.path(1, "OT")
    for number in (4, 5):
        give_outline(release, number, label)
    assert convert(release, "--overwrite") == 0
    for inner, arrays in apart.items():
        inside = inner.replace("Un", "Tr")
        own = [f for f in files(folder, inside) if f.startswith(name(release, 4))]
        found = [sitk.GetArrayFromImage(sitk.ReadImage(str(folder / inside / f))) for f in own]
        assert len(found) == len(arrays) > 0
        assert all(np.array_equal(one, other) for one, other in zip(found, arrays, strict=True))


def give_outline(release, number, label):
    """Write the lesion of scan 1 as that of another."""
    kind, writer, _ = release
    if kind == "isles2018":
        path = writer.root / "TRAINING" / f"case_{number}" / "SMIR.Brain.XX.O.OT.99999"
        path.mkdir()
        path = path / "SMIR.Brain.XX.O.OT.99999.nii"
    else:
        path = writer.path(number, "DWI")
        path = path.with_name(path.name.replace("_space-ncct_dwi", "_space-ncct_lesion-msk"))
    path.write_bytes(label.read_bytes())


def test_an_outline_that_is_added_moves_the_scan(scans, nnunet_raw):
    for number in range(1, 6):
        scans.add(number, dwi=True)
    lesion = scans.path(4, "OT")
    content = lesion.read_bytes()
    lesion.unlink()
    release = ("isles2018", scans, nnunet_raw / FOLDERS["isles2018"])
    assert convert(release, "--unoutlined") == 0
    assert files(release[2], "targetsUn") == ["case_004.nii.gz"]
    lesion.write_bytes(content)
    assert convert(release, "--unoutlined") == 0
    assert not files(release[2], "imagesUn") and not files(release[2], "targetsUn")
    assert "case_004.nii.gz" in files(release[2], "labelsTr")
    assert "unoutlined" not in json.loads((release[2] / "dataset.json").read_text())


def test_without_the_option_the_message_names_it(release, capsys, caplog):
    code = convert(release)
    said = capsys.readouterr().err + caplog.text
    assert "--unoutlined takes" in said
    if release[0] == "isles2018":  # there, the folder says that they are no test scans
        assert code == 2 and "no file for OT" in said
    else:
        assert code == 0 and files(release[2], "imagesTs")


def test_a_scan_without_dwi_and_outline_is_still_a_fault(scans, nnunet_raw, capsys):
    for number in range(1, 5):
        scans.add(number, dwi=number < 4)
    scans.path(4, "OT").unlink()
    release = ("isles2018", scans, nnunet_raw / FOLDERS["isles2018"])
    assert convert(release, "--unoutlined") == 2
    message = capsys.readouterr().err
    assert "case_004" in message and "no file for OT" in message
    assert "--unoutlined takes" not in message


def test_testing_scans_stay_testing_scans(scans, nnunet_raw):
    for number in range(1, 4):
        scans.add(number, dwi=True)
    scans.add(1, "TESTING", dwi=True)
    folder = nnunet_raw / FOLDERS["isles2018"]
    assert convert(("isles2018", scans, folder), "--unoutlined") == 0
    assert files(folder, "imagesTs") and not files(folder, "imagesUn")


def test_two_slabs_of_one_patient_keep_their_patient(scans, nnunet_raw):
    """The slab without an outline must not train where the other slab validates."""
    for number in range(1, 5):
        label = f"Train_{(number + 1) // 2:02d}_{'BA'[number % 2]}"
        scans.add(number, dwi=True, sidecar=label)
    scans.path(4, "OT").unlink()
    folder = nnunet_raw / FOLDERS["isles2018"]
    words = ["convert", "isles2018", str(scans.root), "--folds", "2", "--workers", "1"]
    assert main([*words, "--unoutlined"]) == 0
    with (folder / "conversion_report.csv").open(newline="") as report:
        patients = {row["case_id"]: row["patient"] for row in csv.DictReader(report)}
    assert patients["case_003"] == patients["case_004"] != patients["case_001"]


def test_all_scans_without_an_outline(scans, nnunet_raw, capsys):
    scans.add(1, dwi=True).path(1, "OT").unlink()
    assert convert(("isles2018", scans, nnunet_raw), "--unoutlined") == 2
    assert "none of the 1 scans has an outline" in capsys.readouterr().err


def test_the_doctor_names_the_option_and_heeds_it(release, tmp_path):
    kind, writer, _ = release
    report = tmp_path / "doctor.json"
    words = ["doctor", str(writer.root), "--kind", kind, "--workers", "1", "--quick"]
    words += ["--json", str(report), "--overwrite", "--convert", "--folds", "3"]
    main(words)
    assert "--unoutlined takes" in report.read_text()
    main([*words, "--unoutlined"])
    content = json.loads(report.read_text())
    assert "--unoutlined takes" not in report.read_text()
    splits = {scan["case_id"]: scan["split"] for scan in content["scans"]}
    assert splits[name(release, 4)] == "unoutlined" and content["counts"]["refused"] == 0
