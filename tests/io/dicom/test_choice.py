"""Which of several series is the perfusion series."""

import numpy as np
from dicom_files import CTP_SHAPE, STUDY, refusal, voxels, write_ctp

from nnunetv2_strokesynth.io.dicom.reader import read_ctp_series

T, Z, Y, X = CTP_SHAPE


def test_one_series_per_time_point(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp, series_per_frame=True)
    series = read_ctp_series(tmp_path / "s")
    np.testing.assert_array_equal(voxels(series), ctp)
    np.testing.assert_allclose(series.times_s, 2.0 * np.arange(T))
    assert "12 series joined" in series.warnings[0]
    named = read_ctp_series(tmp_path / "s", f"{STUDY}.1.4")
    np.testing.assert_array_equal(voxels(named), ctp)


def test_one_series_per_time_point_with_a_missing_slice(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp, series_per_frame=True, skip=[(4, 2)])
    series = read_ctp_series(tmp_path / "s")
    np.testing.assert_array_equal(voxels(series), np.delete(ctp, 4, axis=0))
    assert "1 of 12 frames lack a slice and were dropped: 8.0 s (50.00 mm)" in series.warnings[-1]


def test_two_reconstructions_of_a_plain_ct_are_not_joined(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp[:1], series_uid="1.2.3", seed=1)
    write_ctp(tmp_path / "s", ctp[1:2], series_uid="1.2.4", seed=2)  # the same times
    assert "none of 2 CT series" in refusal(tmp_path / "s")


def test_plain_ct_beside_the_perfusion_series(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp)
    write_ctp(tmp_path / "s", ctp[:1], series_uid="1.2.3", seed=1)
    write_ctp(tmp_path / "s", ctp[:2, :1], series_uid="1.2.4", seed=2, tags={"0008|0060": "MR"})
    np.testing.assert_array_equal(voxels(read_ctp_series(tmp_path / "s")), ctp)
    assert "1.2.3 has one image at each of its 3 positions" in refusal(tmp_path / "s", "1.2.3")


def test_two_perfusion_series(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp, series_uid="1.2.3", seed=1)
    other = write_ctp(tmp_path / "s", ctp[::-1, 1:], series_uid="1.2.4", seed=2)
    text = refusal(tmp_path / "s")
    assert "1.2.3 'Head perfusion' (3 slices x 12 frames)" in text
    assert "1.2.4 'Head perfusion' (2 slices x 12 frames)" in text and "--series UID" in text
    series = read_ctp_series(tmp_path / "s", "1.2.4")
    assert sorted(sum(series.files, [])) == sorted(other.ravel())
    np.testing.assert_array_equal(voxels(series), ctp[::-1, 1:])
    assert "no CT series 9.9" in refusal(tmp_path / "s", "9.9")


def test_plain_ct(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp[:1])
    text = refusal(tmp_path / "s")
    assert f"series {STUDY}.1 has one image at each of its 3 positions" in text
    assert "no perfusion series" in text


def test_other_modality(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp[:2], tags={"0008|0060": "MR"})
    assert "6 of modality MR" in refusal(tmp_path / "s")
