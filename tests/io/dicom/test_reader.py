"""DICOM perfusion series: what is read, in which order, and what is refused."""

import datetime
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import ORIGIN, SPACING, STUDY, clock_tags, tilt_about_x, write_ctp, write_slice

from nnunetv2_strokesynth.io.dicom import tags as dicom_tags
from nnunetv2_strokesynth.io.dicom.reader import (
    holds_dicom,
    read_ctp_series,
)
from nnunetv2_strokesynth.io.dicom.stack import stack_slices
from nnunetv2_strokesynth.io.nifti import (
    read_geometry,
    write_volume,
)

T, Z, Y, X = 12, 3, 8, 9
FEET_NORMAL = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
UNEVEN_S = [0, 1.5, 3, 4.5, 6, 9, 12, 15, 18, 30, 45, 60]


@pytest.fixture
def ctp():
    return np.random.default_rng(0).integers(-1024, 3000, (T, Z, Y, X))


def voxels(series):
    return np.stack(list(series))


def refusal(folder, *args, **options):
    """The error's text: one line that names the folder."""
    with pytest.raises(ValueError) as caught:
        read_ctp_series(folder, *args, **options)
    text = str(caught.value)
    assert str(folder) in text and "\n" not in text
    return text


# --- voxels, geometry, times -----------------------------------------------------------------


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


@pytest.mark.parametrize("direction", [tilt_about_x(10), tilt_about_x(-35), FEET_NORMAL])
def test_geometry_is_that_of_simpleitk(tmp_path, ctp, direction):
    paths = write_ctp(tmp_path / "s", ctp, direction=direction)
    if direction == FEET_NORMAL:  # written from head to feet
        paths, ctp = paths[:, ::-1], ctp[:, ::-1]
    series = read_ctp_series(tmp_path / "s")
    np.testing.assert_array_equal(voxels(series), ctp)
    expected = sitk.ReadImage([str(path) for path in paths[0]])
    geometry = series.geometry
    np.testing.assert_allclose(geometry.spacing_zyx_mm[::-1], expected.GetSpacing(), atol=1e-6)
    np.testing.assert_allclose(geometry.origin_xyz_mm, expected.GetOrigin(), atol=1e-6)
    last = expected.TransformIndexToPhysicalPoint((X - 1, Y - 1, Z - 1))
    steps = np.array(geometry.spacing_zyx_mm[::-1]) * (X - 1, Y - 1, Z - 1)
    reached = np.array(geometry.origin_xyz_mm) + np.reshape(geometry.direction, (3, 3)) @ steps
    np.testing.assert_allclose(reached, last, atol=1e-4)
    assert reached[2] > geometry.origin_xyz_mm[2] - Y * SPACING[1]
    assert np.reshape(geometry.direction, (3, 3))[2, 2] > 0  # towards the head


def test_rounded_cosines_give_orthogonal_axes(tmp_path, ctp):
    """Cosines of 2 digits: 0.98 and 0.17 of 10 degrees, and 0.02 where 0 should be."""
    path = write_ctp(tmp_path / "s", ctp[:1, :1])[0, 0]
    header = dicom_tags.read_slice_header(dicom_tags.gdcm_reader(), path)
    header = header._replace(orientation=(1.0, 0.02, 0.0, 0.0, 0.98, 0.17))
    direction = stack_slices([header], "s").direction
    np.testing.assert_allclose(direction.T @ direction, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(direction[:, 0], (0.9998, 0.019996, 0), atol=1e-6)
    np.testing.assert_allclose(direction[:, 2], (0.0034, -0.1708, 0.9853), atol=1e-3)


def test_geometry_survives_nifti(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp, direction=FEET_NORMAL)
    series = read_ctp_series(tmp_path / "s")
    write_volume(tmp_path / "frame.nii.gz", next(iter(series)), series.geometry)
    read = read_geometry(tmp_path / "frame.nii.gz")
    for found, expected in zip(read, series.geometry, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_single_slice_takes_its_thickness(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp[:, :1], tags={"0018|0050": "7.5"})
    series = read_ctp_series(tmp_path / "s")
    assert series.geometry.spacing_zyx_mm == (7.5, *SPACING[1:]) and series.shape_zyx == (1, Y, X)
    write_ctp(tmp_path / "thin", ctp[:, :1], tags={"0018|0050": "0"})
    assert "SliceThickness" in refusal(tmp_path / "thin")


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


@pytest.mark.parametrize(
    "clock",
    "AcquisitionDateTime AcquisitionTime AcquisitionTimeOnly ContentTime TriggerTime "
    "FrameReferenceTime".split(),
)
def test_each_clock_sorts_the_frames(tmp_path, ctp, clock):
    """InstanceNumber runs backwards, so that only the clock gives this order."""
    backwards = {"tags_of": lambda t, z: {"0020|0013": str((T - t) * Z + z)}}
    write_ctp(tmp_path / "s", ctp, times_s=UNEVEN_S, clocks=[clock], **backwards)
    series = read_ctp_series(tmp_path / "s")
    np.testing.assert_array_equal(voxels(series), ctp)
    np.testing.assert_allclose(series.times_s, UNEVEN_S, atol=1e-9)
    assert any("ContentTime" in w for w in series.warnings) == (clock == "ContentTime")


def test_best_clock_wins_if_it_tells_frames_apart(tmp_path, ctp):
    """AcquisitionTime stands still, ContentTime runs; then AcquisitionDateTime beats both."""
    still = clock_tags("AcquisitionTime", 0)
    write_ctp(tmp_path / "s", ctp, clocks=["ContentTime"], tags=still)
    np.testing.assert_allclose(read_ctp_series(tmp_path / "s").times_s, 2.0 * np.arange(T))

    def reversed_content(t, z):
        return clock_tags("ContentTime", 100 - t) | clock_tags("AcquisitionDateTime", 3 * t)

    write_ctp(tmp_path / "both", ctp, clocks=[], tags=still, tags_of=reversed_content)
    series = read_ctp_series(tmp_path / "both")
    np.testing.assert_allclose(series.times_s, 3.0 * np.arange(T))
    np.testing.assert_array_equal(voxels(series), ctp)


@pytest.mark.parametrize("clock", ["AcquisitionTimeOnly", "AcquisitionTime", "AcquisitionDateTime"])
def test_midnight(tmp_path, ctp, clock):
    start = datetime.datetime(2024, 2, 29, 23, 59, 51)
    write_ctp(tmp_path / "s", ctp, clocks=[clock], start=start)
    series = read_ctp_series(tmp_path / "s")
    np.testing.assert_allclose(series.times_s, 2.0 * np.arange(T), atol=1e-9)
    np.testing.assert_array_equal(voxels(series), ctp)


def test_frame_time_is_the_median_of_its_slices(tmp_path, ctp):
    """Slices at +0, +0.1 and +0.4 s: a frame counts from +0.1 s; one late slice is nothing."""

    def times(t, z):
        late = 0.6 * (t == 5 and z == 2) + 0.3 * (t == 7)
        return clock_tags("TriggerTime", 2 * t + [0, 0.1, 0.4][z] + late)

    write_ctp(tmp_path / "s", ctp, clocks=[], tags_of=times)
    series = read_ctp_series(tmp_path / "s")
    np.testing.assert_allclose(series.times_s, 2.0 * np.arange(T) + 0.3 * (np.arange(T) == 7))
    assert series.warnings == []


def test_moving_table_gives_a_warning(tmp_path, ctp):
    slab = {"tags_of": lambda t, z: clock_tags("AcquisitionDateTime", 2 * t + 30 * (z > 1))}
    write_ctp(tmp_path / "s", ctp, **slab)
    series = read_ctp_series(tmp_path / "s")
    assert "up to 30.00 s apart, frames 2.00 s apart" in series.warnings[0]
    np.testing.assert_array_equal(voxels(series), ctp)


@pytest.mark.parametrize("tag", ["0020|0100", "0020|0012", "0020|0013"])
def test_numbers_give_the_order_without_times(tmp_path, ctp, tag):
    def numbers(t, z):
        return {"0020|0013": str((T - t) * Z + z)} | {tag: str(10 * t + 3)}

    write_ctp(tmp_path / "s", ctp, clocks=[], tags_of=numbers)
    assert "--frame-s" in refusal(tmp_path / "s")
    series = read_ctp_series(tmp_path / "s", frame_s=1.5)
    np.testing.assert_allclose(series.times_s, 1.5 * np.arange(T))
    np.testing.assert_array_equal(voxels(series), ctp)
    assert "1.5 s apart (given)" in series.warnings[0]


def test_temporal_resolution_gives_the_step(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp, clocks=[], tags={"0020|0110": "1400"})
    series = read_ctp_series(tmp_path / "s")
    np.testing.assert_allclose(series.times_s, 1.4 * np.arange(T))
    assert read_ctp_series(tmp_path / "s", frame_s=2.0).times_s[1] == 2.0


def test_frame_s_gives_way_to_times_and_must_be_positive(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp)
    series = read_ctp_series(tmp_path / "s", frame_s=1.5)
    assert series.times_s[1] == 2.0 and "1.5 s between frames was given" in series.warnings[0]
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="above 0"):
            read_ctp_series(tmp_path / "s", frame_s=wrong)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("102030.25", 37230.25),
        ("10:20:30", 37230),  # ACR-NEMA
        ("1020", 37200),
        ("10", 36000),
        ("000000", 0),
        ("250000", None),
        ("", None),
        ("10203a", None),
    ],
)
def test_times_of_day(text, seconds):
    found = dicom_tags.parse_time(text)
    assert found == (None if seconds is None else seconds * 1_000_000)


def test_dates():
    assert dicom_tags.parse_date("20240301") - dicom_tags.parse_date("2024.02.28") == 2
    assert [dicom_tags.parse_date(text) for text in ("", "20240230", "2024")] == [None] * 3


# --- which series ----------------------------------------------------------------------------


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
    assert "50.00 mm has 11, expected 12 images" in refusal(tmp_path / "s")


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


# --- what is incomplete or ambiguous ---------------------------------------------------------


def test_missing_slice(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp[:, [0, 1, 2, 0, 1]], skip=[(t, 3) for t in range(T)])
    text = refusal(tmp_path / "s")
    assert "slices at 50.00 and 60.00 mm are 10.00 mm apart, the others 5.00 mm" in text
    assert "a slice is missing" in text


def test_small_jitter_of_positions_is_one_position(tmp_path, ctp):
    """0.03 mm is less than 1 % of 5 mm; 0.2 mm is not."""
    for size, name in ((0.03, "small"), (0.2, "large")):
        paths = write_ctp(tmp_path / name, ctp)
        image = sitk.GetImageFromArray(ctp[3, 1:2].astype(np.int16))
        image.SetSpacing(SPACING[::-1])
        image.SetOrigin((*ORIGIN[:2], ORIGIN[2] + 5 + size))
        reader = dicom_tags.gdcm_reader()
        reader.SetFileName(str(paths[3, 1]))
        reader.ReadImageInformation()
        names = set(reader.GetMetaDataKeys()) - {"0020|0032"}
        write_slice(paths[3, 1], image, {n: reader.GetMetaData(n) for n in names})
    np.testing.assert_array_equal(voxels(read_ctp_series(tmp_path / "small")), ctp)
    assert "45.00 mm has 11, 45.20 mm has 1, expected 12" in refusal(tmp_path / "large")


def test_missing_frame(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp, skip=[(7, 1)])
    text = refusal(tmp_path / "s")
    assert "45.00 mm has 11, expected 12 images" in text and "copy incomplete" in text


def test_copied_file_is_ignored(tmp_path, ctp):
    paths = write_ctp(tmp_path / "s", ctp)
    shutil.copy(paths[2, 1], tmp_path / "s" / "copy")
    series = read_ctp_series(tmp_path / "s")
    np.testing.assert_array_equal(voxels(series), ctp)
    assert "ignored 1 file(s) that are copies" in series.warnings[0]


def test_one_uid_for_all_images_is_no_copy(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp, tags={"0008|0018": "1.2.3"})
    np.testing.assert_array_equal(voxels(read_ctp_series(tmp_path / "s")), ctp)


@pytest.mark.parametrize(
    "skip", [[], [(t, z) for t in range(T) for z in range(Z) if (t, z) != (4, 2)]]
)
def test_two_images_of_one_place_and_time(tmp_path, ctp, skip):
    """The whole series reconstructed twice, or one image of it."""
    write_ctp(tmp_path / "s", ctp, seed=1)
    again = {"tags_of": lambda t, z: {"0008|0018": f"1.5.{t}.{z}", "0020|0013": str(900 + t)}}
    write_ctp(tmp_path / "s", ctp, seed=2, skip=skip, **again)
    text = refusal(tmp_path / "s")
    assert "with the same AcquisitionDateTime" in text
    assert ("50.00 mm" if skip else "40.00 mm") in text


def test_second_reconstruction_with_its_own_content_time(tmp_path, ctp):
    for seed in (1, 2):

        def tags_of(t, z, seed=seed):
            return clock_tags("ContentTime", 100 * seed + t) | {"0008|0018": f"1.{seed}.{t}.{z}"}

        write_ctp(tmp_path / "s", ctp, seed=seed, tags_of=tags_of)
    assert "with the same AcquisitionDateTime" in refusal(tmp_path / "s")


def test_truncated_file(tmp_path, ctp):
    paths = write_ctp(tmp_path / "s", ctp)
    path = paths[6, 0]
    content = path.read_bytes()
    for n_bytes in (140, 400, len(content) - 10):
        path.write_bytes(content[:n_bytes])
        text = refusal(tmp_path / "s")
        assert path.name in text and "truncated" in text


def test_file_damaged_after_its_header_was_read(tmp_path, ctp):
    paths = write_ctp(tmp_path / "s", ctp)
    series = read_ctp_series(tmp_path / "s")
    paths[1, 2].unlink()
    frames = iter(series)
    next(frames)
    with pytest.raises(ValueError, match=paths[1, 2].name):
        next(frames)


def test_multi_frame_file(tmp_path, ctp):
    image = sitk.GetImageFromArray(ctp[0].astype(np.int16))
    write_slice(tmp_path / "a", image, {"0008|0060": "CT", "0020|000e": "1.2.3"})
    text = refusal(tmp_path)
    assert "enhanced multi-frame file (3 frames)" in text and "dcm2niix" in text


def test_not_axial(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp, direction=SAGITTAL)
    assert "not axial" in refusal(tmp_path / "s")


def test_two_matrices_in_one_series(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp, seed=1)
    write_ctp(tmp_path / "s", ctp[..., :-1], seed=2, tags={"0008|0018": "1.2.9"})
    assert "matrix (rows, columns)" in refusal(tmp_path / "s")


def test_tilted_gantry_that_shears_the_volume(tmp_path, ctp):
    """Slices of identity orientation whose positions move by 1 mm in y from slice to slice."""
    for z in range(Z):
        origin = (ORIGIN[0], ORIGIN[1] + z, ORIGIN[2] + 5 * z)
        uid = {"tags_of": lambda t, _, z=z: {"0008|0018": f"1.2.{t}.{z}"}}
        write_ctp(tmp_path / "s", ctp[:, z : z + 1], origin_xyz_mm=origin, seed=z, **uid)
    series = read_ctp_series(tmp_path / "s")
    np.testing.assert_array_equal(voxels(series), ctp)
    assert "gantry was tilted, the last slice lies 2.0 mm sideways" in series.warnings[0]
    assert series.geometry.spacing_zyx_mm[0] == 5


def test_shifted_image(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp, skip=[(5, 1)])
    origin = (ORIGIN[0] + 4, ORIGIN[1], ORIGIN[2])
    others = [(t, z) for t, z in np.ndindex(T, Z) if (t, z) != (5, 1)]
    write_ctp(tmp_path / "s", ctp, skip=others, origin_xyz_mm=origin, seed=1)
    assert "at 45.00 mm is shifted sideways by 4.00 mm" in refusal(tmp_path / "s")


# --- privacy ---------------------------------------------------------------------------------


def test_description_names_the_scanner_and_not_the_patient(tmp_path, ctp):
    tags = {
        "0010|0010": "DOE^JANE", "0010|0020": "PID77", "0008|0080": "HOSPITAL", "0008|0070": "ACME",
        "0008|1090": "One", "0018|0060": "80", "0018|1210": "Hr40",
    }  # fmt: skip
    write_ctp(tmp_path / "s", ctp[:, :2], tags=tags, skip=[(0, 1), (1, 1)])
    text = refusal(tmp_path / "s")
    write_ctp(tmp_path / "t", ctp, tags=tags)
    series = read_ctp_series(tmp_path / "t")
    assert series.description == "CT, ACME One 80 kV, kernel Hr40"
    for private in ("DOE", "JANE", "PID77", "HOSPITAL"):
        assert private not in text + series.description + " ".join(series.warnings)


def test_no_patient_tag_is_read():
    """Group 0010 is the patient's; these of group 0008 name people, places and the request."""
    folder = Path(dicom_tags.__file__).parent
    source = "".join(path.read_text() for path in folder.glob("*.py"))
    assert "0020|0032" in source
    source = source.replace("0008|103e", "").replace("0008|1090", "")  # series, scanner model
    for tag in ("0010|", "0008|0050", "0008|0080", "0008|0081", "0008|0090", "0008|10"):
        assert tag not in source


def test_description_in_latin1(tmp_path, ctp):
    paths = write_ctp(tmp_path / "s", ctp, tags={"0018|1210": "Schaedel"})
    for path in paths.ravel():
        path.write_bytes(path.read_bytes().replace(b"Schaedel", b"Sch\xe4del "))
    assert read_ctp_series(tmp_path / "s").description == "CT, kernel Schädel"
