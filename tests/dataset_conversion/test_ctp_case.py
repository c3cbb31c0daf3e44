"""The voxels that one scan turns into."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_strokesynth.channels import (
    PERFUSION_MAPS,
    PRESETS,
)
from nnunetv2_strokesynth.ctp.brain_mask import brain_of_maps
from nnunetv2_strokesynth.ctp.perfusion_window import find_perfusion_window
from nnunetv2_strokesynth.dataset_conversion.ctp_case import convert_ctp
from nnunetv2_strokesynth.dataset_conversion.Dataset018_ISLES2018 import find_scans
from nnunetv2_strokesynth.dataset_conversion.job import (
    CaseJob,
    convert_case,
    finished_record,
)
from nnunetv2_strokesynth.dataset_conversion.settings import Settings


@pytest.fixture
def job_of(scans, tmp_path):
    def make(preset="wang2020", mask=True, index=0):
        scan = find_scans(scans.root)[0][index]
        return CaseJob(scan, tmp_path / "out", Settings(preset, mask, 5, 0), convert_ctp)

    return make


def read(job, kind, suffix=""):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(job.output(kind, suffix))))


def channels(job):
    names = PRESETS[job.settings.preset].names
    return {name: read(job, "images", f"_{i:04d}") for i, name in enumerate(names)}


def mask_of(arrays):
    return brain_of_maps(np.stack([arrays[name].T for name in PERFUSION_MAPS]))


@pytest.mark.parametrize("mask", [True, False])
def test_wang2020(scans, job_of, mask):
    """Every channel against the arrays as written, transposed to (z, y, x) and masked."""
    scans.add(1, dwi=True)
    job = job_of(mask=mask)
    convert_case(job)
    arrays = scans.arrays(1)
    inside = mask_of(arrays) if mask else True
    found = channels(job)
    assert list(found) == list(PRESETS["wang2020"].names)
    for name in ("CT", *PERFUSION_MAPS):
        assert found[name].dtype == np.float32 and found[name].shape == scans.shape_zyx
        np.testing.assert_array_equal(found[name], (arrays[name].T * inside).astype(np.float32))
    series = arrays["4DPWI"].T
    np.testing.assert_array_equal(found["MIP"], series.max(axis=0) * inside)
    t_start, t_end, _ = find_perfusion_window(series.sum(axis=(1, 2, 3), dtype=np.float64))
    for k, position in enumerate(np.linspace(t_start, t_end, 6)):
        low = min(int(position), scans.n_frames - 2)
        frame = series[low] + (position - low) * (series[low + 1] - series[low])
        np.testing.assert_allclose(found[f"CTA_{k}"], frame * inside, atol=1e-3)
    assert read(job, "labels").dtype == np.uint8
    np.testing.assert_array_equal(read(job, "labels"), arrays["OT"].T)
    np.testing.assert_array_equal(read(job, "targets"), arrays["DWI"].T * inside)


def test_mask_zeroes_every_image_but_not_the_label(scans, job_of):
    scans.add(1, dwi=True, lesion=9)
    job = job_of()
    record = convert_case(job)
    outside = ~mask_of(scans.arrays(1, lesion=9))
    for name, image in channels(job).items():
        assert not image[outside].any(), name
    assert not read(job, "targets")[outside].any()
    n_outside = int(read(job, "labels")[outside].sum())
    assert n_outside > 0
    voxel_ml = np.prod(scans.spacing_zyx_mm) / 1000
    assert record["row"]["lesion_outside_mask_ml"] == pytest.approx(n_outside * voxel_ml)
    assert record["row"]["lesion_volume_ml"] == pytest.approx(81 * voxel_ml)
    assert record["row"]["brain_volume_ml"] == pytest.approx((~outside).sum() * voxel_ml)
    assert "outside the brain mask" in record["warnings"][0]


def test_song2018(scans, job_of):
    """Eleven frames, and MIP_P is the maximum over them."""
    scans.add(1)
    job = job_of("song2018")
    record = convert_case(job)
    found = channels(job)
    assert len(found) == 18
    frames = np.stack([found[f"CTA_{k}"] for k in range(11)])
    np.testing.assert_array_equal(found["MIP_P"], frames.max(axis=0))
    assert (found["MIP"] >= found["MIP_P"]).all()
    assert record["row"]["window_rule"] == "kernel5, no trough"  # of a bolus that only washes out


@pytest.mark.parametrize("mask", [True, False])
def test_real_dwi(scans, job_of, mask):
    """The DWI as measured is the only channel, and not a target as well."""
    scans.add(1, dwi=True)
    job = job_of("real_dwi", mask)
    outputs = convert_case(job)["outputs"]
    assert list(outputs) == ["imagesTr/case_001_0000.nii.gz", "labelsTr/case_001.nii.gz"]
    arrays = scans.arrays(1)
    inside = mask_of(arrays) if mask else True
    np.testing.assert_array_equal(channels(job)["DWI"], arrays["DWI"].T * inside)
    np.testing.assert_array_equal(read(job, "labels"), arrays["OT"].T)


def test_presets_of_ct_are_built_and_those_of_mri_are_not():
    assert [name for name, preset in PRESETS.items() if preset.made_from_ctp] == [
        "wang2020",
        "song2018",
        "clerigues2019",
        "real_dwi",
        "isles2024",
    ]


def test_every_output_has_the_same_plain_geometry(scans, job_of):
    scans.add(1, dwi=True)
    job = job_of()
    outputs = convert_case(job)["outputs"]
    assert len(outputs) == 14
    for name in outputs:
        image = sitk.ReadImage(str(job.folder / name))
        assert image.GetSpacing() == pytest.approx(scans.spacing_zyx_mm[::-1])
        assert image.GetOrigin() == (0, 0, 0)
        assert image.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)


def test_spacing_of_another_file_is_reported(scans, job_of):
    scans.add(1)
    scans.replace(1, "Tmax", scans.arrays(1)["Tmax"], spacing=(1, 1, 1))
    (warning,) = convert_case(job_of())["warnings"]
    assert "CT_Tmax" in warning and "the CT's are used" in warning


def test_singleton_axis_of_the_series(scans, job_of):
    scans.add(1)
    convert_case(job_of())
    plain = channels(job_of())
    scans.replace(1, "4DPWI", scans.arrays(1)["4DPWI"][:, :, :, None, :])
    convert_case(job_of())
    for name, image in channels(job_of()).items():
        np.testing.assert_array_equal(image, plain[name])


def test_testing_scan_has_images_only(scans, job_of):
    scans.add(4, "TESTING")
    outputs = convert_case(job_of())["outputs"]
    assert list(outputs) == [f"imagesTs/test_004_{i:04d}.nii.gz" for i in range(12)]


def test_testing_scan_with_lesion_and_dwi(scans, job_of):
    """As a local hold-out has them."""
    scans.add(4, dwi=True)
    (scans.root / "TRAINING").rename(scans.root / "TESTING")
    outputs = convert_case(job_of())["outputs"]
    assert {"labelsTs/test_004.nii.gz", "targetsTs/test_004.nii.gz"} <= outputs.keys()


def test_a_dwi_that_is_gone_leaves_no_target(scans, job_of):
    scans.add(1, dwi=True)
    convert_case(job_of())
    assert job_of().output("targets").is_file()
    scans.remove(1, "DWI")
    assert finished_record(job_of()) is None
    convert_case(job_of())
    assert not job_of().output("targets").exists()


def test_repeated_frames_are_said(scans, job_of):
    scans.add(1).add(2)
    series = scans.arrays(2)["4DPWI"]
    scans.replace(2, "4DPWI", np.ascontiguousarray(series[..., [*range(9), 8, 8, 11, 12, 13]]))
    first, second = (convert_case(job_of(index=index))["warnings"] for index in (0, 1))
    assert not any("repeat the frame" in warning for warning in first)
    assert any("2 of the 14 frames" in warning for warning in second)


def test_a_rehearsal_warns_alike_and_writes_nothing(scans, job_of, tmp_path):
    scans.add(1)
    job = replace(job_of(), is_rehearsal=True)
    rehearsed = convert_ctp(job)
    assert not (tmp_path / "out").exists()
    record = convert_case(job_of())
    assert rehearsed["warnings"] == record["warnings"] and rehearsed["row"] == record["row"]
    assert rehearsed["outputs"] == {} and record["outputs"]
