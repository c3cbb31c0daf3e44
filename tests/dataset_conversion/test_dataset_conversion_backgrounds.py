"""The converted voxels do not depend on the constant that maps hold outside the brain."""

import csv
import tempfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from backgrounds import BACKGROUNDS, with_background
from hypothesis import given, settings
from hypothesis import strategies as st
from scan_files import BidsScans

from nnunetv2_strokesynth.channels import PERFUSION_MAPS, PRESETS
from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.dataset_conversion.ctp_case import convert_ctp
from nnunetv2_strokesynth.dataset_conversion.Dataset024_ISLES2024 import find_scans
from nnunetv2_strokesynth.dataset_conversion.downsampling import block_mean
from nnunetv2_strokesynth.dataset_conversion.job import CaseJob, convert_case
from nnunetv2_strokesynth.dataset_conversion.settings import Settings


def converted(root, values, *, factor, preset, mask=True, bad=None):
    """All channels, (C, Z, Y, X), of a patient whose maps have these backgrounds; the record.

    ``bad``: file -> place (x, y, z[, t]) -> value that is written there.
    """
    scans = BidsScans(root / "release").add(1)
    arrays = scans.arrays(1)
    for name, value in zip(PERFUSION_MAPS, values, strict=True):
        scans.write(1, name, with_background(arrays[name], value))
    for name, own in (bad or {}).items():
        spoilt = arrays[name].astype(np.float32)
        for place, value in own.items():
            spoilt[place] = value
        scans.write(1, name, spoilt)
    (scan,), _ = find_scans(scans.root)
    how = Settings(preset, mask, 5, 0, downsample=factor)
    job = CaseJob(scan, root / "out", how, convert_ctp)
    record = convert_case(job)
    paths = [job.output("images", f"_{k:04d}") for k in range(len(PRESETS[preset].names))]
    return np.stack([sitk.GetArrayFromImage(sitk.ReadImage(str(p))) for p in paths]), record


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """(factor, preset, mask) -> channels and record with background 0, converted once."""
    made = {}

    def get(factor, preset, mask):
        key = (factor, preset, mask)
        if key not in made:
            root = tmp_path_factory.mktemp("reference")
            made[key] = converted(root, (0, 0, 0, 0), factor=factor, preset=preset, mask=mask)
        return made[key]

    return get


@settings(max_examples=15, deadline=None)
@given(
    BACKGROUNDS,
    st.sampled_from([1, 2, 3]),
    st.sampled_from(["wang2020", "clerigues2019"]),
    st.booleans(),
)
def test_channels_are_those_of_background_0(reference, values, factor, preset, mask):
    expected, first = reference(factor, preset, mask)
    with tempfile.TemporaryDirectory() as root:
        kind = {"factor": factor, "preset": preset, "mask": mask}
        found, record = converted(Path(root), values, **kind)
    np.testing.assert_array_equal(found, expected)
    for name in ("brain_volume_ml", "lesion_outside_mask_ml", "brain_mask"):
        assert record["row"][name] == first["row"][name]
    names = [name for name, value in zip(PERFUSION_MAPS, values, strict=True) if value != 0]
    assert [
        part.split()[0] for part in filter(None, record["row"]["map_background"].split("; "))
    ] == (names)


def test_background_enters_no_block():
    """8 s beside -30, cleared to 0, stays 8 s; a block of background alone stays background."""
    tmax = np.zeros((1, 4, 4), np.float32)
    tmax[0, 0, :3] = 8
    found = block_mean(tmax, 2, tmax == 0)
    np.testing.assert_array_equal(found, [[[8, 8], [0, 0]]])
    np.testing.assert_array_equal(block_mean(tmax, 2), [[[4, 2], [0, 0]]])
    stripped = np.where(tmax == 0, np.float32(-3024), np.float32(40))
    np.testing.assert_array_equal(
        block_mean(stripped, 2, stripped == -3024), [[[40, 40], [-3024, -3024]]]
    )


@pytest.mark.parametrize(("lesion", "n_warnings"), [(4, 0), (9, 1), (None, 2)])
def test_lesion_outside_the_mask(bids_scans, nnunet_raw, caplog, lesion, n_warnings):
    """Nothing up to 2 %; a sentence above; a second, louder one above 10 %; the label is whole."""
    bids_scans.add(1).add(2)
    shape = bids_scans.arrays(1)["OT"].shape
    label = np.zeros(shape, np.uint8)
    brain = np.any([bids_scans.arrays(1)[name] != 0 for name in PERFUSION_MAPS], axis=0)
    label[brain] = lesion is not None
    n_outside = {4: 1, 9: int(0.05 * label.sum()), None: 20}[lesion]
    label.reshape(-1)[np.flatnonzero(~brain)[:n_outside]] = 1
    bids_scans.write(1, "OT", label)
    with caplog.at_level("WARNING"):
        words = ["--folds", "2", "--workers", "1"]
        assert main(["convert", "isles2024", str(bids_scans.root), *words]) == 0
    folder = nnunet_raw / "Dataset024_ISLES2024"
    with (folder / "conversion_report.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    said = [
        "outside the brain mask" in row["warnings"],
        "OF THE LESION LIES WHERE THE NETWORK SEES NOTHING" in row["warnings"],
    ]
    assert sum(said) == n_warnings and said == sorted(said, reverse=True)
    loud = [line for line in caplog.messages if line.startswith("WARNING: in 1 of 2 cases")]
    assert len(loud) == (n_warnings == 2)
    written = sitk.ReadImage(str(folder / "labelsTr/case_0001.nii.gz"))
    assert sitk.GetArrayFromImage(written).sum() == label.sum()


def write_mask(path, mask, dtype=np.uint8, *, far=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = BidsScans.affine.copy()
    affine[0, 3] += 500 * far  # mm
    nibabel.save(nibabel.Nifti1Image(mask.astype(dtype), affine), path)
    return path


@pytest.fixture
def convert(bids_scans, nnunet_raw, capsys, tmp_path):
    """Convert with the masks in ``tmp_path/masks``; (exit code, stderr, folder)."""

    def run(*options):
        words = ["--folds", "2", "--workers", "1", "--brain-masks", str(tmp_path / "masks")]
        code = main(["convert", "isles2024", str(bids_scans.root), *words, *options])
        return code, capsys.readouterr().err, nnunet_raw / "Dataset024_ISLES2024"

    return run


@pytest.mark.parametrize(
    "name",
    [
        "{case}.nii.gz",
        "{case}_0000_mask.nii",
        "sub-{number}.nii.gz",
        "sub-{number}/brain_mask.nii.gz",
        "hd-bet/sub-{number}_ses-01_ncct_bet_mask.nii.gz",
    ],
)
@pytest.mark.parametrize("factor", ["1", "2"])
def test_masks_from_elsewhere(bids_scans, convert, tmp_path, name, factor):
    """Of any of these names, as uint8 or as floats with noise; the stripped image is not taken."""
    masks = {}
    for number, dtype in ((1, np.uint8), (2, np.float64)):
        bids_scans.add(number)
        masks[number] = np.zeros((18, 16, 2))
        masks[number][2 : 8 + 2 * number, 4:10] = 1
        words = {"case": f"case_{number:04d}", "number": f"stroke{number:04d}"}
        values = masks[number] * (1 if dtype == np.uint8 else 0.9999999997)
        write_mask(tmp_path / "masks" / name.format(**words), values, dtype)
    if "mask" in name:
        write_mask(tmp_path / "masks" / "case_0001_bet.nii.gz", bids_scans.arrays(1)["CT"], "f4")
    code, error, folder = convert("--downsample", factor)
    assert code == 0, error
    for number, mask in masks.items():
        ct = sitk.ReadImage(str(folder / f"imagesTr/case_{number:04d}_0000.nii.gz"))
        step = int(factor)
        np.testing.assert_array_equal(
            # Stored LAS, written LPS.
            sitk.GetArrayFromImage(ct) != 0,
            mask[::step, ::step][:, ::-1].T.astype(bool),
        )
    with (folder / "conversion_report.csv").open(newline="") as file:
        assert {row["brain_mask"] for row in csv.DictReader(file)} == {"given"}


def test_masks_that_cannot_be_used(bids_scans, convert, tmp_path):
    bids_scans.add(1).add(2)
    folder = tmp_path / "masks"
    assert "no such folder" in convert()[1]
    mask = bids_scans.arrays(1)["CBF"] > 0
    write_mask(folder / "case_0001.nii.gz", mask)
    code, error, _ = convert()
    assert code == 2 and "no mask for 1 of 2 scans: case_0002 (raw_data/sub-stroke0002)" in error
    second = write_mask(folder / "case_0002.nii.gz", mask, far=True)
    assert (
        "brain mask: " in (error := convert()[1]) and "shows 0 % of the middle of the CT" in error
    )
    write_mask(second, bids_scans.arrays(2)["CT"], np.int16)
    assert "expected 0 and 1; is it the stripped image" in convert()[1]
    write_mask(second, np.zeros_like(mask))
    assert "the brain mask is 0 everywhere" in convert()[1]
    write_mask(second, mask)
    other = write_mask(folder / "sub-stroke0002.nii.gz", mask)
    assert "2 files may be the mask of case_0002" in convert()[1]
    other.unlink()
    assert "contradict each other" in convert("--no-brain-mask")[1]
    assert convert()[0] == 0
    code, error, _ = convert()
    assert code == 0, error


BAD = st.sampled_from([np.nan, np.inf, -np.inf, -54112.0, 1e30])
PLACES = st.dictionaries(
    st.sampled_from([*PERFUSION_MAPS, "4DPWI"]),
    st.lists(
        st.tuples(st.integers(6, 11), st.integers(6, 9), st.integers(0, 1)), min_size=1, max_size=9
    ),
    min_size=1,
)


@settings(max_examples=15, deadline=None)
@given(PLACES, BAD, st.sampled_from([1, 2]))
def test_a_few_bad_voxels_spoil_nothing_else(reference, places, value, factor):
    """Every other voxel of every channel is that of the sound scan, and the counts are right."""
    expected, _ = reference(factor, "wang2020", True)
    bad = {name: {place: value for place in own} for name, own in places.items()}
    with tempfile.TemporaryDirectory() as root:
        kind = {"factor": factor, "preset": "wang2020", "mask": True}
        found, record = converted(Path(root), (0, 0, 0, 0), bad=bad, **kind)
    assert np.isfinite(found).all() and np.abs(found).max() <= 1000
    near = np.zeros(found.shape, bool)
    for name, own in bad.items():
        if name == "4DPWI":
            near[5:] = True
            continue
        for x, y, z in own:
            # Stored LAS, written LPS.
            near[1 + PERFUSION_MAPS.index(name), z, (15 - y) // factor, x // factor] = True
    np.testing.assert_array_equal(found[~near], expected[~near])
    order = [name for name in (*PERFUSION_MAPS, "4DPWI") if name in bad]
    counts = "; ".join(f"{name} {len(bad[name])}" for name in order)
    assert record["row"]["unusable_voxels"] == counts
    assert len(record["warnings"]) == len(order)
