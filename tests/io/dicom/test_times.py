"""When the frames of a DICOM series were taken, and in which order they lie."""

import datetime

import numpy as np
import pytest
from dicom_files import CTP_SHAPE, clock_tags, refusal, voxels, write_ctp

from nnunetv2_strokesynth.io.dicom.reader import read_ctp_series

T, Z, Y, X = CTP_SHAPE
UNEVEN_S = [0, 1.5, 3, 4.5, 6, 9, 12, 15, 18, 30, 45, 60]


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
    """Slices at +0, +0.02 and +0.09 s: a frame counts from +0.02 s, and nothing is interpolated."""

    def times(t, z):
        return clock_tags("TriggerTime", 2 * t + [0, 0.02, 0.09][z] + 0.3 * (t == 7))

    write_ctp(tmp_path / "s", ctp, clocks=[], tags_of=times)
    series = read_ctp_series(tmp_path / "s")
    np.testing.assert_allclose(series.times_s, 2.0 * np.arange(T) + 0.3 * (np.arange(T) == 7))
    np.testing.assert_array_equal(voxels(series), ctp)
    assert series.warnings == []


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


def test_frame_s_without_effect_is_refused_and_must_be_positive(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp)
    text = refusal(tmp_path / "s", frame_s=1.5)
    assert "--frame-s 1.5 has no effect" in text and "2.00 s between frames" in text
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="above 0"):
            read_ctp_series(tmp_path / "s", frame_s=wrong)


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
