"""DICOM perfusion series: voxels, files beside them, and what the description says."""

import shutil

import numpy as np
import pytest
from dicom_files import CTP_SHAPE, ORIGIN, SPACING, refusal, voxels, write_ctp

from nnunetv2_strokesynth.io.dicom.reader import holds_dicom, read_ctp_series

T, Z, Y, X = CTP_SHAPE
UNEVEN_S = [0, 1.5, 3, 4.5, 6, 9, 12, 15, 18, 30, 45, 60]


@pytest.mark.parametrize("head_first", [False, True])
def test_round_trip(tmp_path, ctp, head_first):
    write_ctp(tmp_path / "s", ctp, times_s=UNEVEN_S, head_first=head_first)
    series = read_ctp_series(tmp_path / "s")
    assert len(series) == T and series.shape_zyx == (Z, Y, X)
    for _ in range(2):  # each walk reads anew
        frames = list(series)
        assert all(frame.dtype == np.float32 and frame.shape == (Z, Y, X) for frame in frames)
        np.testing.assert_array_equal(np.stack(frames), ctp)
    np.testing.assert_allclose(series.times_s, UNEVEN_S, atol=1e-9)
    assert series.geometry.spacing_zyx_mm == SPACING
    assert series.geometry.origin_xyz_mm == ORIGIN
    assert series.warnings == []


def test_rescaling_is_applied(tmp_path, ctp):
    """The stored numbers are HU + 1024; another slope and intercept in the file give other HU."""
    paths = write_ctp(tmp_path / "s", ctp)
    content = paths[4, 1].read_bytes()
    assert content.endswith((ctp[4, 1] + 1024).astype("<i2").tobytes())
    intercept, slope = b"\x28\x00\x52\x10\6\0\0\0-1024 ", b"\x28\x00\x53\x10\2\0\0\x001 "
    assert content.count(intercept) == content.count(slope) == 1
    content = content.replace(intercept, intercept[:-6] + b"-24   ")
    paths[4, 1].write_bytes(content.replace(slope, slope[:-2] + b"2 "))
    read = voxels(read_ctp_series(tmp_path / "s"))
    np.testing.assert_array_equal(read[4, 1], (ctp[4, 1] + 1024) * 2 - 24)
    np.testing.assert_array_equal(read[4, 0], ctp[4, 0])


def test_compressed_files(tmp_path, ctp):
    paths = write_ctp(tmp_path / "s", ctp, compressed=True)
    assert b"1.2.840.10008.1.2.4." in paths[0, 0].read_bytes()[:400]
    np.testing.assert_array_equal(voxels(read_ctp_series(tmp_path / "s")), ctp)


def test_subfolders_and_files_that_are_not_dicom(tmp_path, ctp):
    folder = tmp_path / "s"
    paths = write_ctp(folder, ctp)
    for t in range(T):
        (folder / f"sub{t % 4}" / "deep").mkdir(parents=True, exist_ok=True)
        for path in paths[t]:
            path.rename(folder / f"sub{t % 4}" / "deep" / path.name)
    (folder / "report.txt").write_text("hello " * 50)
    (folder / "sub0" / "empty").write_bytes(b"")
    for hidden in ("DICOMDIR", ".DS_Store", ".trash/I1", "__MACOSX/I2"):
        (folder / hidden).parent.mkdir(exist_ok=True)
        (folder / hidden).write_bytes(b"\0" * 128 + b"DICM")  # would be damaged if looked at
    series = read_ctp_series(folder)
    np.testing.assert_array_equal(voxels(series), ctp)
    assert [w.split(": ", 1)[1] for w in series.warnings] == [
        "ignored 2 file(s) that are not DICOM images"
    ]


def test_dose_report_is_left_out(tmp_path, ctp):
    paths = write_ctp(tmp_path / "s", ctp)
    content = paths[0, 0].read_bytes()
    report = content[: content.index(b"\xe0\x7f\x10\x00")]  # no pixels
    report = report.replace(
        b"UI\x1a\x001.2.840.10008.5.1.4.1.1.2\0", b"UI\x1a\x001.2.840.10008.5.1.4.1.1.88"
    )
    (tmp_path / "s" / "report").write_bytes(report)
    assert "ignored 1 file(s)" in read_ctp_series(tmp_path / "s").warnings[0]


def test_no_dicom_and_no_folder(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    assert "no DICOM image in 1 file(s)" in refusal(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_ctp_series(tmp_path / "nowhere")


def test_holds_dicom(tmp_path, ctp):
    assert not holds_dicom(tmp_path)
    (tmp_path / "a.nii").write_bytes(b"\x5c\x01\0\0" + b"\0" * 400)
    (tmp_path / "b.bin").write_bytes(b"\x08\x00" * 200)  # begins like DICOM without a preamble
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    assert not holds_dicom(tmp_path)
    paths = write_ctp(tmp_path / "s" / "t", ctp[:1, :1])
    assert holds_dicom(tmp_path)
    content = paths[0, 0].read_bytes()
    for start in (132, content.index(b"\x08\0\x16\0")):  # no preamble; no file header either
        paths[0, 0].write_bytes(content[start:])
        assert holds_dicom(tmp_path)


def test_copied_file_is_ignored(tmp_path, ctp):
    paths = write_ctp(tmp_path / "s", ctp)
    shutil.copy(paths[2, 1], tmp_path / "s" / "copy")
    series = read_ctp_series(tmp_path / "s")
    np.testing.assert_array_equal(voxels(series), ctp)
    assert "ignored 1 file(s) that are copies" in series.warnings[0]


def test_one_uid_for_all_images_is_no_copy(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp, tags={"0008|0018": "1.2.3"})
    np.testing.assert_array_equal(voxels(read_ctp_series(tmp_path / "s")), ctp)


def test_truncated_file(tmp_path, ctp):
    paths = write_ctp(tmp_path / "s", ctp)
    path = paths[6, 0]
    content = path.read_bytes()
    for n_bytes in (140, 400, len(content) - 10):
        path.write_bytes(content[:n_bytes])
        series = read_ctp_series(tmp_path / "s")
        np.testing.assert_array_equal(voxels(series), np.delete(ctp, 6, axis=0))
        np.testing.assert_allclose(series.times_s, np.delete(2.0 * np.arange(T), 6))
        assert path.name in series.warnings[0] and "truncated" in series.warnings[0]
        assert "1 of 12 frames lack a slice and were dropped: 12.0 s" in series.warnings[1]


def test_file_damaged_after_its_header_was_read(tmp_path, ctp):
    paths = write_ctp(tmp_path / "s", ctp)
    series = read_ctp_series(tmp_path / "s")
    paths[1, 2].unlink()
    frames = iter(series)
    next(frames)
    with pytest.raises(ValueError, match=paths[1, 2].name):
        next(frames)


def test_description_names_the_scanner_and_not_the_patient(tmp_path, ctp):
    tags = {
        "0010|0010": "DOE^JANE", "0010|0020": "PID77", "0008|0080": "HOSPITAL", "0008|0070": "ACME",
        "0008|1090": "One", "0018|0060": "80", "0018|1210": "Hr40",
    }  # fmt: skip
    write_ctp(tmp_path / "s", ctp[:, :2], tags=tags, skip=[(t, 1) for t in range(4)])
    text = refusal(tmp_path / "s")
    write_ctp(tmp_path / "t", ctp, tags=tags)
    series = read_ctp_series(tmp_path / "t")
    assert series.description == "CT, ACME One 80 kV, kernel Hr40"
    for private in ("DOE", "JANE", "PID77", "HOSPITAL"):
        assert private not in text + series.description + " ".join(series.warnings)


def test_description_in_latin1(tmp_path, ctp):
    paths = write_ctp(tmp_path / "s", ctp, tags={"0018|1210": "Schaedel"})
    for path in paths.ravel():
        path.write_bytes(path.read_bytes().replace(b"Schaedel", b"Sch\xe4del "))
    assert read_ctp_series(tmp_path / "s").description == "CT, kernel Schädel"
