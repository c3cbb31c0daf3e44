"""Which files of a patient's folder are taken for what."""

import json

import nibabel
import numpy as np
import pytest
from dicom_files import SPACING, write_ctp

from nnunetv2_strokesynth.inference.study import (
    find_study,
    modality_of,
)

SHAPE_XYZ, T = (9, 8, 3), 12
TILTED = np.array([[-2, 0, 0, 40], [0, 1.99, -0.5, -30], [0, 0.2, 4.97, 5], [0, 0, 0, 1.0]])

FAR = np.zeros((4, 4))
FAR[:3, 3] = 300


def save(path, array, affine=TILTED, frame_s=1.5):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(array.astype(np.float32), affine)
    image.header.set_xyzt_units("mm", "sec")
    if array.ndim == 4:
        image.header["pixdim"][4] = frame_s
    nibabel.save(image, path)
    return path


def series():
    return np.arange(np.prod(SHAPE_XYZ) * T).reshape(*SHAPE_XYZ, T)


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("SMIR.Brain.XX.O.CT.345562.nii", "CT"),
        ("SMIR.Brain.XX.O.CT_4DPWI.345564.nii", "4DPWI"),
        ("SMIR.Brain.XX.O.MR_Tmax.12.nii", "Tmax"),
        ("SMIR.Brain.XX.O.MR_DWI.12.nii", None),
        ("SMIR.Brain.XX.O.OT.345570.nii", None),
        ("sub-stroke0001_ses-01_ncct.nii.gz", "CT"),
        ("sub-stroke0001_ses-01_space-ncct_ctp.nii.gz", "4DPWI"),
        ("sub-stroke0001_ses-01_space-ncct_cta.nii.gz", None),
        ("sub-stroke0001_ses-01_space-ncct_cbf.nii.gz", "CBF"),
        ("sub-stroke0001_ses-02_lesion-msk.nii.gz", None),
        ("CTP.nii.gz", "4DPWI"),
        ("patient 7-mtt.nii", "MTT"),
        ("brain_mask.nii.gz", None),
        ("cbvish.nii.gz", None),
    ],
)
def test_modality_by_name(name, modality):
    assert modality_of(name) == modality


def test_folder_with_everything(tmp_path):
    save(tmp_path / "a" / "ctp.nii.gz", series())
    for name in ("ct", "cbf", "cbv", "mtt", "tmax", "dwi"):
        save(tmp_path / "b" / f"{name}.nii.gz", np.ones(SHAPE_XYZ))
    study = find_study(tmp_path)
    assert sorted(study.files) == ["CBF", "CBV", "CT", "MTT", "Tmax"]
    assert study.reference.stored.shape_zyx == SHAPE_XYZ[::-1]
    np.testing.assert_allclose(study.times_s, 1.5 * np.arange(T))
    assert study.orientation_known and not study.notes
    # Stored LAS, read LPS.
    assert study.reference.stored.order == "LAS"
    np.testing.assert_array_equal(np.stack(list(study.series)), series().T[:, :, ::-1])


def test_a_series_of_any_name_is_taken_when_it_is_the_only_one(tmp_path):
    path = save(tmp_path / "scan 1.nii", series())
    assert find_study(tmp_path).series_name == "scan 1.nii"
    assert find_study(path).series_name == "scan 1.nii"
    save(tmp_path / "scan 2.nii", series())
    with pytest.raises(ValueError, match=r"no file is known as the series \(found scan 1.nii"):
        find_study(tmp_path)


def test_header_that_contradicts_itself(tmp_path):
    path = save(tmp_path / "ctp.nii", series(), affine=np.diag([0.9, 0.8, 5, 1]))
    with open(path, "r+b") as file:  # ISLES 2018's: the sform is an identity matrix
        file.seek(280)
        file.write(np.eye(4, dtype="<f4")[:3].tobytes())
    study = find_study(tmp_path)
    assert study.geometry.spacing_zyx_mm == pytest.approx((5, 0.8, 0.9))
    assert study.geometry.origin_xyz_mm == (0, 0, 0)
    assert not study.orientation_known
    assert "contradicts itself" in study.notes[0]


def test_time_between_frames(tmp_path):
    save(tmp_path / "ctp.nii.gz", series(), frame_s=0)
    study = find_study(tmp_path)
    assert study.times_s is None and "--frame-s" in study.notes[0]
    assert find_study(tmp_path, frame_s=2.0).times_s[3] == 6
    with pytest.raises(ValueError, match="--frame-s 99"):
        find_study(tmp_path, frame_s=99)


def test_dicom(tmp_path):
    ctp = np.arange(T * 3 * 8 * 9).reshape(T, 3, 8, 9)
    write_ctp(tmp_path / "export", ctp)
    (tmp_path / "read me.txt").write_text("x")
    study = find_study(tmp_path)
    np.testing.assert_array_equal(np.stack(list(study.series)), ctp)
    assert study.geometry.spacing_zyx_mm == pytest.approx(SPACING)
    assert study.times_s[1] == 2 and not study.files


def test_dicom_beside_nifti_files_that_are_no_series(tmp_path):
    write_ctp(tmp_path / "export", np.zeros((T, 2, 8, 9), int) + np.arange(T)[:, None, None, None])
    save(tmp_path / "mask.nii.gz", np.ones(SHAPE_XYZ))
    study = find_study(tmp_path)
    assert len(study.series) == T and "not used: mask.nii.gz" in study.notes[-1]
    save(tmp_path / "ctp.nii.gz", series())
    assert find_study(tmp_path).nifti == tmp_path / "ctp.nii.gz"


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda folder: None, "neither NIfTI nor DICOM files"),
        (lambda folder: folder.rmdir(), "no such file or folder"),
        (
            lambda folder: [save(folder / f"{n}_ctp.nii", series()) for n in "ab"],
            "two files for 4DPWI",
        ),
        (
            lambda folder: [
                save(folder / "ctp.nii", series()),
                save(folder / "cbf.nii", np.ones((9, 8, 4)), TILTED + FAR),
            ],
            r"cbf.nii shows 0 % of the middle of the series's image.*9 x 8 x 4 .*9 x 8 x 3 .*leave",
        ),
        (
            lambda folder: [save(folder / "ctp.nii", series()), save(folder / "ct.nii", series())],
            "ct.nii is a series, expected one CT volume",
        ),
        (lambda folder: save(folder / "ctp.nii", np.ones(SHAPE_XYZ)), "is no series"),
    ],
)
def test_what_cannot_be_used(tmp_path, prepare, message):
    folder = tmp_path / "case"
    folder.mkdir()
    prepare(folder)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        find_study(folder)


def test_times_of_a_sidecar(tmp_path):
    """Uneven ones reach the maps; one that contradicts the header leaves the times unknown."""
    path = save(tmp_path / "ctp.nii.gz", series())
    sidecar = tmp_path / "ctp.json"
    times = np.r_[np.arange(8) * 1.5, 15, 18, 21, 24].tolist()
    sidecar.write_text(json.dumps({"FrameTimesStart": times}))
    study = find_study(tmp_path)
    np.testing.assert_allclose(study.times_s, times)
    assert "ctp.json (FrameTimesStart)" in study.notes[0]
    sidecar.write_text('{"RepetitionTime": 3}')
    study = find_study(path)
    assert study.times_s is None and "1.5 s by the header" in study.notes[0]
    assert find_study(path, frame_s=3).times_s[1] == 3
