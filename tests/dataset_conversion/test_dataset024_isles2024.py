import csv
import json
import shutil

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_strokesynth.channels import (
    CT,
    CTP,
    LESION,
)
from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.ctp.intensity_windows import equalised
from nnunetv2_strokesynth.dataset_conversion.Dataset024_ISLES2024 import find_scans
from nnunetv2_strokesynth.dataset_conversion.downsampling import (
    block_majority,
    block_mean,
)
from nnunetv2_strokesynth.dataset_conversion.scans import (
    TEST,
    TRAIN,
)

FOLDER = "Dataset024_ISLES2024"


@pytest.fixture
def convert(bids_scans, nnunet_raw, capsys):
    """Convert; returns (exit code, stderr, data set's folder)."""

    def run(*options):
        code = main(["convert", "isles2024", str(bids_scans.root), "--workers", "1", *options])
        return code, capsys.readouterr().err, nnunet_raw / FOLDER

    return run


def read(folder, name):
    return sitk.ReadImage(str(folder / name))


def lps(path):
    """The image in the order in which data sets are written; the patients here are stored LAS."""
    return sitk.DICOMOrient(sitk.ReadImage(str(path)), "LPS")


def test_files_are_found_by_number_and_ending(bids_scans):
    bids_scans.add(7).add(12)
    scans, problems = find_scans(bids_scans.root)
    assert not problems
    assert [scan.case_id for scan in scans] == ["case_0007", "case_0012"]
    files = scans[0].files
    assert files[CT] == bids_scans.path(7, "CT")
    assert files[CTP] == bids_scans.path(7, "4DPWI")
    assert files["Tmax"].parent.name == "perfusion-maps"
    assert files[LESION].name.endswith("_lesion-msk.nii.gz")


@pytest.mark.parametrize("tree", ["rawdata", "RAWDATA"])
def test_spellings_of_folders_and_sessions(bids_scans, tree):
    bids_scans.add(1)
    source = bids_scans.root / "raw_data/sub-stroke0001/ses-01"
    other = source.with_name("ses-0001")
    source.rename(other)
    (other / "sub-stroke0001_ses-01_ncct.nii.gz").rename(
        other / "sub-stroke0001_ses-0001_ncct.nii.gz"
    )
    (bids_scans.root / "raw_data").rename(bids_scans.root / tree)
    (scan,), problems = find_scans(bids_scans.root.parent)  # one folder further up
    assert not problems
    assert len(scan.files) == 8


def test_series_off_the_ct_grid_and_litter_are_left_alone(bids_scans):
    bids_scans.add(1)
    folder = bids_scans.root / "raw_data/sub-stroke0001/ses-01"
    for name in ("sub-stroke0001_ses-01_ctp.nii.gz", "._sub-stroke0001_ses-01_ncct.nii.gz"):
        (folder / name).write_bytes(b"not to be read")
    (scan,), problems = find_scans(bids_scans.root)
    assert not problems
    assert scan.files[CTP] == bids_scans.path(1, "4DPWI")


def test_patients_without_a_lesion_are_test_scans(bids_scans):
    bids_scans.add(1, lesion=False).add(2)
    scans, _ = find_scans(bids_scans.root)
    assert [(scan.case_id, scan.split) for scan in scans] == [
        ("case_0002", TRAIN),
        ("test_0001", TEST),
    ]


def test_two_files_of_one_modality(bids_scans, convert):
    bids_scans.add(1).add(2)
    bids_scans.write(1, "DWI", np.ones((18, 16, 2), np.float32), session="ses-03")
    code, error, _ = convert("--folds", "2")
    assert code == 2
    assert "two files for DWI" in error and "ses-02" in error and "ses-03" in error


def test_the_mask_on_the_ct_s_grid_counts(bids_scans, convert):
    """As of patient 142 of the release: the other one lies on the DWI's voxels."""
    bids_scans.add(1).add(2)
    native = bids_scans.path(2, "OT")
    ours = native.with_name(native.name.replace("_lesion", "_space-ncct_lesion"))
    shutil.copy2(native, ours)
    bids_scans.write(2, "OT", np.ones((6, 5, 2), np.uint8))
    scans, faults = find_scans(bids_scans.root)
    assert not faults and scans[1].files[LESION] == ours
    code, error, folder = convert("--folds", "2")
    assert code == 0, error
    with (folder / "conversion_report.csv").open() as file:
        row = list(csv.DictReader(file))[1]
    assert f"{ours.name} is read as OT, and derivatives/" in row["warnings"]
    assert f"{native.name} is not" in row["warnings"]


@pytest.mark.parametrize("tree", ["raw_data", "rawdata"])
def test_a_dwi_beside_the_ct(bids_scans, tree):
    """One on the CT's grid is read wherever it lies, that in ``derivatives`` first."""
    bids_scans.add(1)
    dwi = bids_scans.path(1, "DWI")
    other = bids_scans.root / tree / dwi.relative_to(bids_scans.root / "derivatives")
    other.parent.mkdir(parents=True)
    shutil.copy2(dwi, other)
    (scan,), faults = find_scans(bids_scans.root)
    assert not faults and scan.files["DWI"] == dwi
    (note,) = scan.notes
    assert note == f"{dwi.name} is read as DWI, and {other.relative_to(bids_scans.root)} is not"
    dwi.unlink()
    (scan,), _ = find_scans(bids_scans.root)
    assert scan.files["DWI"] == other and not scan.notes
    other.rename(other.with_name("sub-stroke0001_ses-02_dwi.nii.gz"))
    (scan,), faults = find_scans(bids_scans.root)
    assert "DWI" not in scan.files and not faults
    assert scan.notes == (
        "sub-stroke0001_ses-02_dwi.nii.gz is not on the CT's grid, which DWI has to be: not used",
    )


@pytest.mark.parametrize("dtype", ["u2", "f4", "f8"])
def test_masks_of_other_types(bids_scans, convert, dtype):
    """The release has masks of uint16, and of float64 with a maximum of 0.9999999997."""
    bids_scans.add(1).add(2)
    mask = bids_scans.arrays(1)["OT"]
    noise = 0.9999999997 if dtype.startswith("f") else 1
    bids_scans.write(1, "OT", (mask * noise).astype(dtype))
    code, error, folder = convert("--folds", "2")
    assert code == 0, error
    label = sitk.GetArrayFromImage(read(folder, "labelsTr/case_0001.nii.gz"))
    np.testing.assert_array_equal(label, mask.T[:, ::-1])


def test_converted_case(bids_scans, convert):
    for number in (1, 2, 3):
        bids_scans.add(number)
    bids_scans.add(4, lesion=False, dwi=False)
    code, error, folder = convert("--folds", "2")
    assert code == 0, error
    header = json.loads((folder / "dataset.json").read_text())
    assert header["numTraining"] == 3 and "CC BY-NC-SA" in header["licence"]
    assert len(list((folder / "imagesTr").iterdir())) == 3 * 12
    assert len(list((folder / "targetsTr").iterdir())) == 3
    assert len(list((folder / "imagesTs").iterdir())) == 12
    assert len(json.loads((folder / "splits_final.json").read_text())) == 2
    arrays = {name: nibabel.load(bids_scans.path(2, name)).get_fdata() for name in ("CBF", "4DPWI")}
    cbf = sitk.GetArrayFromImage(read(folder, "imagesTr/case_0002_0001.nii.gz"))
    # Stored LAS, written LPS: y runs the other way.
    np.testing.assert_array_equal(cbf, arrays["CBF"].T[:, ::-1])
    mip = sitk.GetArrayFromImage(read(folder, "imagesTr/case_0002_0005.nii.gz"))
    inside = cbf != 0
    np.testing.assert_array_equal(mip[inside], arrays["4DPWI"].max(axis=3).T[:, ::-1][inside])


def test_geometry_is_the_ct_s(bids_scans, convert):
    bids_scans.add(1).add(2)
    assert convert("--folds", "2")[0] == 0
    *_, folder = convert("--folds", "2")
    expected = lps(bids_scans.path(1, "CT"))
    for name in ("imagesTr/case_0001_0004", "labelsTr/case_0001", "targetsTr/case_0001"):
        image = read(folder, f"{name}.nii.gz")
        np.testing.assert_allclose(image.GetOrigin(), expected.GetOrigin(), atol=1e-4)
        np.testing.assert_allclose(image.GetSpacing(), expected.GetSpacing(), atol=1e-5)
        np.testing.assert_allclose(image.GetDirection(), expected.GetDirection(), atol=1e-5)


def test_downsampled_voxels_stay_where_they_are(bids_scans, convert):
    bids_scans.add(1, scale=2).add(2, scale=2)
    code, error, folder = convert("--folds", "2", "--downsample", "2")
    assert code == 0, error
    image = read(folder, "imagesTr/case_0001_0001.nii.gz")
    assert image.GetSize() == (18, 16, 2)
    full = lps(bids_scans.path(1, "CBF"))
    np.testing.assert_allclose(image.GetSpacing(), np.array(full.GetSpacing()) * (2, 2, 1))
    # Every pixel was there twice along x and y, so means change nothing.
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(full)[:, ::2, ::2]
    )
    centre = np.mean(
        [full.TransformIndexToPhysicalPoint(p) for p in ((4, 6, 1), (5, 7, 1))], axis=0
    )
    np.testing.assert_allclose(image.TransformIndexToPhysicalPoint((2, 3, 1)), centre, atol=1e-4)


def test_files_that_lie_elsewhere_are_resampled_and_reported(bids_scans, convert, caplog):
    """A slice (5 mm) further up: it was joined voxel by voxel once, with a warning."""
    bids_scans.add(1).add(2)
    moved = bids_scans.affine.copy()
    moved[:3, 3] += moved[:3, 2]
    dwi = bids_scans.arrays(2)["DWI"]
    bids_scans.write(2, "DWI", dwi, affine=moved)
    with caplog.at_level("WARNING"):
        code, error, folder = convert("--folds", "2", "--no-brain-mask")
    assert code == 0, error
    (line,) = [line for line in caplog.messages if "was resampled" in line]
    assert "case_0002: sub-stroke0002_ses-02_space-ncct_dwi.nii.gz does not lie on the CT" in line
    assert "18 x 16 x 2 voxels of 9 x 8 x 5 mm (x, y, z), order LAS" in line
    target = sitk.GetArrayFromImage(read(folder, "targetsTr/case_0002.nii.gz"))
    np.testing.assert_allclose(target[1], dwi.T[0, ::-1], rtol=1e-4)
    assert not target[0].any()
    rows = csv.DictReader((folder / "conversion_report.csv").open())
    row = next(row for row in rows if row["case_id"] == "case_0002")
    assert "was resampled" in row["warnings"] and row["orientation"] == "LAS"


def test_ct_in_another_unit_is_refused(bids_scans, convert):
    """It was reported once; on the network's scale in HU it is nonsense. The others are kept."""
    bids_scans.add(1).add(2)
    bids_scans.write(2, "CT", (bids_scans.arrays(2)["CT"] + 1024).astype(np.int16))
    code, error, folder = convert("--folds", "2")
    assert code == 2
    assert "case_0002" in error and "CT (sub-stroke0002_ses-01_ncct.nii.gz)" in error
    assert "values from 24 to" in error and "subtract 1024" in error
    assert (folder / "labelsTr" / "case_0001.nii.gz").is_file()


def test_block_mean_by_hand():
    volume = np.arange(15, dtype=np.float32).reshape(1, 3, 5)
    # Row 3 and column 6 repeat the last ones.
    expected = [[[3, 5, 6.5], [10.5, 12.5, 14]]]
    np.testing.assert_array_equal(block_mean(volume, 2), expected)
    lesion = np.zeros((1, 2, 4), bool)
    lesion[0, 0, :3] = True
    np.testing.assert_array_equal(block_majority(lesion, 2), [[[True, False]]])
    assert block_mean(volume, 1) is volume


def test_settings_count(bids_scans, convert):
    bids_scans.add(1).add(2)
    assert convert("--folds", "2", "--downsample", "2")[0] == 0
    code, error, _ = convert("--folds", "2")
    assert code == 2
    assert "downsample 2, now None" in error


def test_incomplete_patients(bids_scans, convert):
    bids_scans.add(1).add(2).add(3, maps=False)
    code, error, _ = convert("--folds", "2")
    assert code == 2
    assert "no file for CBF, CBV, MTT, Tmax" in error and "sub-stroke0003" in error
    code, error, folder = convert("--folds", "2", "--skip-incomplete")
    assert code == 0, error
    assert json.loads((folder / "dataset.json").read_text())["numTraining"] == 2


def elsewhere(affine):
    """The same axes, half a metre to the side."""
    moved = affine.copy()
    moved[0, 3] += 500
    return moved


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda scans: shutil.rmtree(scans.root / "derivatives"), "no folder derivatives"),
        (lambda scans: shutil.rmtree(scans.root), "no such folder"),
        (
            lambda scans: [shutil.rmtree(p) for p in scans.root.glob("*/sub-*")],
            "no file like sub-stroke0001_ses-01_space-ncct_ctp.nii.gz",
        ),
        # A smaller image and another order of axes can be used now; what lies elsewhere cannot.
        (
            lambda scans: scans.write(
                1, "Tmax", np.ones((9, 16, 2), np.float32), affine=elsewhere(scans.affine)
            ),
            "_tmax.nii.gz shows 0 % of the middle of the CT's image. It has 9 x 16 x 2 voxels",
        ),
        (
            lambda scans: scans.write(
                1, "CT", np.ones((18, 16, 2), np.int16), affine=scans.affine[[2, 1, 0, 3]]
            ),
            "of the middle of the CT's image",
        ),
        (
            lambda scans: scans.write(
                1, "CT", np.ones((18, 16, 2), np.int16), affine=scans.affine + 0.3 * np.eye(4, k=1)
            ),
            "its axes are not orthogonal",
        ),
    ],
)
def test_what_cannot_be_used(bids_scans, convert, spoil, message):
    bids_scans.add(1).add(2)
    spoil(bids_scans)
    code, error, folder = convert("--folds", "2")
    assert code == 2
    assert message in error and error.count("strokesynth convert:") == 1
    assert not (folder / "dataset.json").exists()


def test_bad_downsampling(bids_scans, convert):
    bids_scans.add(1).add(2)
    assert "--downsample 0" in convert("--downsample", "0")[1]


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    """Two patients with heads, arteries and a bolus: maps can be computed from their series."""
    root = tmp_path_factory.mktemp("phantom24")
    options = "--layout isles2024 --cases 2 --size 64 --max-slices 6 --seed 3 --workers 1".split()
    assert main(["phantom", str(root), *options]) == 0
    return root


def test_phantom_with_maps_computed_where_they_are_missing(phantom, bids_scans, convert, capsys):
    shutil.copytree(phantom, bids_scans.root)
    capsys.readouterr()
    assert convert("-d", "26", "--folds", "2", "--name", "WHOLE")[0] == 0
    shutil.rmtree(next(bids_scans.root.glob("derivatives/*1/ses*/perfusion-maps")))
    code, error, _ = convert("--folds", "2")
    assert code == 2 and "no file for CBF, CBV, MTT, Tmax" in error
    ctp = next(bids_scans.root.glob("derivatives/*1/ses*/*_ctp.nii.gz"))
    sidecar = ctp.with_name(ctp.name.replace(".nii.gz", ".json"))
    sidecar.write_text('{"RepetitionTime": 2}')
    options = ("-d", "25", "--name", "COMPUTED", "--folds", "2", "--compute-maps", "--frame-s", "1")
    code, error, folder = convert(*options)
    assert code == 0, error
    with (folder.parent / "Dataset025_COMPUTED" / "conversion_report.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["maps"] for row in rows] == ["computed", "released"]
    assert "computed from the series" in rows[0]["warnings"]
    assert f"--frame-s 1 is used, and {sidecar.name} is not" in rows[0]["warnings"]
    whole, new = (
        sitk.GetArrayFromImage(read(folder.parent / name, "imagesTr/case_0001_0004.nii.gz"))
        for name in ("Dataset026_WHOLE", "Dataset025_COMPUTED")
    )
    both = (whole > 0) & (new > 0)
    assert both.sum() > 0.8 * (whole > 0).sum()
    assert np.corrcoef(whole[both], new[both])[0, 1] > 0.6


def test_frame_time_without_maps_to_compute(bids_scans, convert):
    bids_scans.add(1).add(2)
    assert "--frame-s is used with --compute-maps only" in convert("--frame-s", "2")[1]


def test_a_mask_stored_otherwise_lies_where_it_should(bids_scans, convert):
    """ISLES 2024's masks come in LAS and LPS: the converted case is the same to the voxel."""
    found = {}
    for name, signs in (("AS_STORED", None), ("TURNED", np.diag([1, -1, 1, 1]))):
        for number in (1, 2):
            bids_scans.add(number)
            if signs is not None:
                affine = bids_scans.affine @ signs
                affine[:3, 3] = (bids_scans.affine @ [0, 15, 0, 1])[:3]
                for modality in ("OT", "Tmax"):
                    array = bids_scans.arrays(number)[modality][:, ::-1]
                    bids_scans.write(number, modality, array, affine=affine)
        number = str(30 + len(found))
        code, error, folder = convert("--folds", "2", "-d", number, "--name", name)
        assert code == 0, error
        folder = folder.parent / f"Dataset0{number}_{name}"
        files = ("labelsTr/case_0001.nii.gz", "imagesTr/case_0001_0004.nii.gz")
        found[name] = [sitk.GetArrayFromImage(read(folder, file)) for file in files]
        assert json.loads((folder / "dataset.json").read_text())["orientation"] == "LPS"
    for plain, turned in zip(*found.values(), strict=True):
        assert plain.any()
        np.testing.assert_array_equal(turned, plain)


def test_a_data_set_of_an_earlier_version_is_not_added_to(bids_scans, convert):
    bids_scans.add(1).add(2)
    *_, folder = convert("--folds", "2")
    path = folder / "conversion" / "settings.json"
    settings = json.loads(path.read_text())
    assert settings.pop("orientation") == "LPS"
    path.write_text(json.dumps(settings))
    code, error, _ = convert("--folds", "2")
    assert code == 2 and "converted by an earlier version" in error and "--overwrite" in error
    assert convert("--folds", "2", "--overwrite")[0] == 0


def test_the_winners_channels_are_windowed_and_equalised_in_the_brain(bids_scans, convert):
    bids_scans.add(1).add(2)
    for number in (1, 2):
        ct = bids_scans.arrays(number)["CT"]
        rng = np.random.default_rng(number)
        bids_scans.write(number, "CTA", (ct + rng.uniform(0, 90, ct.shape)).astype(np.int16))
    code, _, folder = convert("--preset", "isles2024", "--folds", "2")
    assert code == 0
    names = json.loads((folder / "dataset.json").read_text())["channel_names"]
    assert tuple(names.values()) == ("EQ_CBF", "EQ_CBV", "EQ_MTT", "EQ_Tmax", "EQ_CTA")
    cta = sitk.GetArrayFromImage(lps(bids_scans.path(1, "CTA")))
    found = sitk.GetArrayFromImage(read(folder, "imagesTr/case_0001_0004.nii.gz"))
    tmax = sitk.GetArrayFromImage(read(folder, "imagesTr/case_0001_0003.nii.gz"))
    assert found.min() >= 0 and found.max() <= 1 and tmax.max() <= 1
    brain = found > 0
    # The share of the brain's values up to a voxel's own, and 0 elsewhere.
    expected = equalised(np.where(brain, cta, 0), (0, 90))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    shares = np.quantile(found[brain], [0.25, 0.5])  # above the window, a share of 1
    np.testing.assert_allclose(shares, [0.25, 0.5], atol=0.05)


def test_without_a_cta_the_winners_channels_are_refused(bids_scans, convert, scans, capsys):
    bids_scans.add(1).add(2)
    code, error, _ = convert("--preset", "isles2024")
    assert code == 2 and "has a CTA: only ISLES 2024 has one" in error
    scans.add(1).add(2)
    assert main(["convert", "isles2018", str(scans.root), "--preset", "isles2024"]) == 2
    assert "only ISLES 2024 has one" in capsys.readouterr().err


def test_a_cta_that_no_channel_reads_is_no_input(bids_scans, convert):
    bids_scans.add(1).add(2)
    bids_scans.write(1, "CTA", bids_scans.arrays(1)["CT"].astype(np.int16))
    code, _, folder = convert("--folds", "2")
    assert code == 0
    records = [path.read_text() for path in folder.rglob("*.json")]
    assert not any("_cta.nii.gz" in record for record in records)


@pytest.fixture
def with_cta(bids_scans, monkeypatch):
    """The patients' files may be CT angiographies, too."""
    monkeypatch.setattr(bids_scans, "endings", {**bids_scans.endings, "CTA": "cta"})
    return bids_scans


def test_cta_is_one_more_channel(with_cta, convert):
    """After those of the preset, in HU, on the CT's voxels."""
    for number in (1, 2, 3):
        with_cta.add(number)
        cta = np.where(with_cta.arrays(number)["CT"] > -900, 35 + 10 * number, -1000)
        with_cta.write(number, "CTA", cta.astype(np.int16))
    code, error, folder = convert("--folds", "2", "--cta")
    assert code == 0, error
    names = json.loads((folder / "dataset.json").read_text())["channel_names"]
    assert len(names) == 13 and names["12"] == "CTA"
    stored = sitk.GetArrayFromImage(lps(with_cta.path(2, "CTA")))
    brain = sitk.GetArrayFromImage(read(folder, "imagesTr/case_0002_0000.nii.gz")) != 0
    found = sitk.GetArrayFromImage(read(folder, "imagesTr/case_0002_0012.nii.gz"))
    np.testing.assert_array_equal(found, np.where(brain, stored, 0))
    code, error, _ = convert("--folds", "2")
    assert code == 2 and "cta True, now None" in error
    with_cta.path(2, "CTA").unlink()
    code, error, _ = convert("--folds", "2", "--cta")
    assert code == 2 and "--cta: 1 of 3 patients have no file ending in" in error
    assert "raw_data/sub-stroke0002" in error and "Leave out --cta" in error
    code, error, _ = convert("--folds", "2", "--cta", "--skip-incomplete", "--overwrite")
    assert code == 0, error
    assert len(list((folder / "imagesTr").glob("*_0012.nii.gz"))) == 2
    code, error, _ = convert("--folds", "2", "--cta", "--skip-broken", "--overwrite")
    assert code == 0, error
    (skipped,) = json.loads((folder / "dataset.json").read_text())["skipped"]
    assert "no file for CTA" in skipped["why"]


def test_without_the_option_a_cta_is_not_read(with_cta, convert):
    for number in (1, 2):
        with_cta.add(number)
        with_cta.write(number, "CTA", np.ones((2, 2, 2), np.int16)).write_bytes(b"not read")
    code, error, folder = convert("--folds", "2")
    assert code == 0, error
    assert not list((folder / "imagesTr").glob("*_0012.nii.gz"))
