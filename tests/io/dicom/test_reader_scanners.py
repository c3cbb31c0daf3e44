"""Series as different scanners export them: enhanced files, moving tables, a series per frame."""

import numpy as np
import pytest
from dicom_files import CTP_SHAPE, START, STUDY, clock_tags, refusal, voxels, write_ctp
from enhanced_ct import write_enhanced

from nnunetv2_strokesynth.io.dicom.reader import read_ctp_series

T, Z, Y, X = CTP_SHAPE
UNEVEN_S = [0, 1.5, 3, 4.5, 6, 9, 12, 15, 18, 30, 45, 60]


@pytest.mark.parametrize("legacy", [False, True])
def test_enhanced_ct(tmp_path, ctp, legacy):
    """Times, positions and rescaling are those of the functional groups."""
    slopes = [1.0 if t % 2 else 2.0 for t in range(T)]
    even = 2 * (ctp // 2)
    write_enhanced(tmp_path / "s" / "a", even, times_s=UNEVEN_S, legacy=legacy, slopes=slopes)
    series = read_ctp_series(tmp_path / "s")
    np.testing.assert_allclose(series.times_s, UNEVEN_S, atol=1e-6)
    for _ in range(2):
        np.testing.assert_array_equal(voxels(series), even)
    assert series.geometry.spacing_zyx_mm == (5.0, 0.9, 0.8) and not series.warnings
    assert "PID" not in series.description + str(series.images[0][0])


def test_compressed_enhanced_ct(tmp_path, ctp):
    """pydicom has no decoder for it without a plug-in; GDCM has."""
    path = write_enhanced(tmp_path / "s" / "a", ctp, times_s=2.0 * np.arange(T), compressed=True)
    assert b"1.2.840.10008.1.2.4." in path.read_bytes()[:500]
    np.testing.assert_array_equal(voxels(read_ctp_series(tmp_path / "s")), ctp)
    path.write_bytes(path.read_bytes()[:-300])
    assert "truncated" in refusal(tmp_path / "s")


def test_enhanced_file_per_frame(tmp_path, ctp):
    for t in range(T):
        write_enhanced(tmp_path / "s" / f"{t}", ctp[t : t + 1], times_s=[2.5 * t])
    series = read_ctp_series(tmp_path / "s")
    np.testing.assert_array_equal(voxels(series), ctp)
    np.testing.assert_allclose(series.times_s, 2.5 * np.arange(T))


def test_multi_frame_file_without_functional_groups(tmp_path, ctp):
    write_enhanced(tmp_path / "s" / "a", ctp, times_s=range(T), groups=False)
    assert "36 frames" in refusal(tmp_path / "s") and "groups" in refusal(tmp_path / "s")


def test_truncated_enhanced_file(tmp_path, ctp):
    path = write_enhanced(tmp_path / "s" / "a", ctp, times_s=range(T))
    path.write_bytes(path.read_bytes()[:-10])
    assert "truncated" in refusal(tmp_path / "s")


def ramp(times_zt):
    """(T, Z, Y, X) HU that rise by 10 a second in every slice, at the times of its images."""
    rise = np.rint(10 * np.asarray(times_zt).T)[..., None, None]
    return np.broadcast_to(rise, (*rise.shape[:2], Y, X)).astype(int)


def test_moving_table_is_brought_to_common_times(tmp_path):
    """The upper slab is imaged 1.2 s later: at a common time both have the same HU."""
    times = 2.0 * np.arange(T) + np.array([[0], [0], [1.2]])
    tags_of = lambda t, z: clock_tags("AcquisitionDateTime", times[z, t])  # noqa: E731
    write_ctp(tmp_path / "s", ramp(times), clocks=[], tags_of=tags_of)
    series = read_ctp_series(tmp_path / "s")
    frames = voxels(series)[1:-1]
    np.testing.assert_allclose(np.ptp(frames, axis=1), 0, atol=1e-3)
    np.testing.assert_allclose(np.diff(frames[:, 0, 0, 0]), 20, atol=1e-3)
    np.testing.assert_allclose(np.diff(series.times_s), 2)
    assert "up to 1.20 s apart (a moving table?)" in series.warnings[0]


def test_overlapping_slabs_and_unequal_counts(tmp_path):
    """The middle slice is seen from both sides, twice as often; the upper slab lacks a sweep."""
    lower, upper = 3.0 * np.arange(T), 1.4 + 3.0 * np.arange(T - 1)
    seen = {0: lower, 1: np.sort(np.r_[lower, upper]), 2: upper}
    for z, times in seen.items():
        write_ctp(
            tmp_path / "s",
            ramp(times[None]),
            times_s=times,
            origin_xyz_mm=(-20.0, -30.0, 40.0 + 5 * z),
            seed=z,
            tags_of=lambda t, _, z=z: {"0008|0018": f"1.2.{z}.{t}"},
        )
    series = read_ctp_series(tmp_path / "s")
    frames = voxels(series)
    assert len(frames) == len(series.times_s) >= T - 2
    np.testing.assert_allclose(np.ptp(frames[1:-1], axis=1), 0, atol=1e-3)
    assert "1 slices have 11 images, 1 slices have 12 images" in " ".join(series.warnings)


def test_slabs_that_overlap_off_each_other_s_grid(tmp_path):
    """Slices at 0, 5, 10, 15 and, half a step later, 12.5, 17.5, 22.5: each HU is its height."""
    for seed, (heights, late) in enumerate((((0, 5, 10, 15), 0), ((12.5, 17.5, 22.5), 1.5))):
        hu = np.broadcast_to(np.array(heights)[:, None, None] * 10, (len(heights), Y, X))
        write_ctp(
            tmp_path / "s",
            np.tile(hu.astype(int), (T, 1, 1, 1)),
            times_s=late + 3.0 * np.arange(T),
            origin_xyz_mm=(-20.0, -30.0, 40.0 + heights[0]),
            series_uid=STUDY + ".1",
            tags_of=lambda t, z, seed=seed: {"0008|0018": f"1.2.{seed}.{t}.{z}"},
            seed=seed,
        )
    series = read_ctp_series(tmp_path / "s")
    assert series.shape_zyx == (5, Y, X) and series.geometry.spacing_zyx_mm[0] == 5
    expected = 10 * 5.0 * np.arange(5)
    np.testing.assert_allclose(voxels(series)[:, :, 2, 3], np.tile(expected, (len(series), 1)))
    assert "as where slabs overlap: interpolated to 5.00 mm" in " ".join(series.doubts)


def test_slabs_one_after_the_other(tmp_path, ctp):
    slab = {"tags_of": lambda t, z: clock_tags("AcquisitionDateTime", 2 * t + 60 * (z > 1))}
    write_ctp(tmp_path / "s", ctp, **slab)
    assert "give one slab at a time" in refusal(tmp_path / "s")


def test_series_per_frame_with_a_mean_and_a_late_scan(tmp_path, ctp):
    folder = tmp_path / "s"
    write_ctp(folder, ctp, series_per_frame=True)
    kinds = {"0008|0008": "DERIVED\\SECONDARY\\AVERAGE", "0008|103e": "mean of all"}
    write_ctp(folder, ctp[:1], series_uid="1.2.50", seed=1, tags=kinds, times_s=[1.0])
    write_ctp(folder, ctp[:1], series_uid="1.2.51", seed=2, times_s=[400.0])  # minutes later
    write_ctp(folder, ctp[:1], series_uid="1.2.52", seed=3, times_s=[-300.0])  # and earlier
    series = read_ctp_series(folder)
    np.testing.assert_array_equal(voxels(series), ctp)
    np.testing.assert_allclose(series.times_s, 2.0 * np.arange(T))
    left_out = series.warnings[0]
    assert "left out 3 series" in left_out and "'mean of all'" in left_out


def test_mixed_folder_needs_no_choice(tmp_path, ctp):
    """Bolus tracking, maps, a localizer, a plain CT and a damaged file lie beside the series."""
    folder = tmp_path / "s"
    write_ctp(folder, ctp)
    tracking = np.tile(ctp[:, 1:2], (2, 1, 1, 1))
    write_ctp(folder, tracking, series_uid="1.3.1", seed=1, tags={"0008|103e": "Bolus tracking"})
    kinds = {"0008|0008": "DERIVED\\SECONDARY", "0008|103e": "Maps"}
    write_ctp(folder, ctp[:4], series_uid="1.3.2", seed=2, tags=kinds)
    sideways = (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
    localizer = {"0008|0008": "ORIGINAL\\PRIMARY\\LOCALIZER", "0008|103e": "Topogram"}
    write_ctp(folder, ctp[:1, :1], series_uid="1.3.3", seed=3, direction=sideways, tags=localizer)
    write_ctp(folder, ctp[:1], series_uid="1.3.4", seed=4, tags={"0008|103e": "Plain"})
    corrected = {"0008|0008": "DERIVED\\SECONDARY", "0008|103e": "Motion corrected"}
    write_ctp(folder, ctp[::-1], series_uid="1.3.5", seed=5, tags=corrected)
    (folder / "stray").write_bytes(b"\0" * 128 + b"DICM" + b"\x08\0" * 40)
    series = read_ctp_series(folder)
    np.testing.assert_array_equal(voxels(series), ctp)
    text = " ".join(series.warnings)
    assert (
        "left out 1 unreadable file(s)" in text and "stray" in text and "left out 5 series" in text
    )
    for part in ("a single slice", "4 image(s) at each position", "not axial", "1 image(s)"):
        assert part in text
    assert "computed from others" in text
    np.testing.assert_array_equal(voxels(read_ctp_series(folder, "1.3.5")), ctp[::-1])


def whole_seconds(step_s):
    """Tags of a scanner that writes no fractions of seconds."""
    start = START.replace(microsecond=0)

    def tags_of(t, z):
        second = int(step_s * t)
        return {"0020|0013": str(t * Z + z + 1)} | clock_tags("AcquisitionDateTime", second, start)

    return {"clocks": [], "tags_of": tags_of}


@pytest.mark.parametrize("step_s", [0.7, 1.5, 2.0])
def test_whole_seconds_are_resolved(tmp_path, step_s):
    ctp = np.random.default_rng(1).integers(-1024, 3000, (30, 1, Y, X))
    write_ctp(tmp_path / "s", ctp, **whole_seconds(step_s))
    series = read_ctp_series(tmp_path / "s")
    np.testing.assert_array_equal(voxels(series), ctp)
    assert series.times_s[-1] == pytest.approx(29 * step_s, abs=1.0)
    np.testing.assert_allclose(np.diff(series.times_s), step_s, atol=0.04)
    said = " ".join(series.warnings)
    assert ("whole seconds" in said) == (step_s != 2.0)


def test_whole_seconds_that_could_be_two_reconstructions(tmp_path, ctp):
    """Steps of 0.5 s in whole seconds: each time twice, as with two reconstructions."""
    write_ctp(tmp_path / "s", ctp, **whole_seconds(0.5))
    text = refusal(tmp_path / "s")
    assert "whole seconds" in text and "leave one reconstruction" in text
    tags = whole_seconds(0.5)
    numbered = lambda t, z: tags["tags_of"](t, z) | {"0020|9128": str(t + 1)}  # noqa: E731
    write_ctp(tmp_path / "known", ctp, clocks=[], tags_of=numbered)
    series = read_ctp_series(tmp_path / "known", frame_s=0.5)
    np.testing.assert_allclose(series.times_s, 0.5 * np.arange(T))
    assert "0.50 s apart (given)" in series.warnings[-1]


def test_whole_seconds_of_uneven_frames_are_refused(tmp_path, ctp):
    times = [0, 0, 1, 1, 2, 2, 3, 8, 13, 18, 23, 28]

    def tags_of(t, z):
        tags = clock_tags("AcquisitionDateTime", times[t], START.replace(microsecond=0))
        return tags | {"0020|0100": str(t)}

    write_ctp(tmp_path / "s", ctp, clocks=[], tags_of=tags_of)
    assert "whole seconds, which repeat" in refusal(tmp_path / "s")


def test_results_of_ours_are_no_input(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp)
    write_ctp(tmp_path / "s" / "out", ctp[::-1], series_uid=f"{STUDY}.8", seed=4)
    assert "2 perfusion series" in refusal(tmp_path / "s")
    for name in ("maps.json", "brain_mask.nii.gz"):
        (tmp_path / "s" / "out" / name).write_text("{}")
    np.testing.assert_array_equal(voxels(read_ctp_series(tmp_path / "s")), ctp)
