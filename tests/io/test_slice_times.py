"""Slices imaged at times of their own, brought to common times."""

import json

import nibabel
import numpy as np
import pytest
from ctp_head import _tissue, gamma_bolus
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunetv2_strokesynth.ctp.deconvolution import perfusion_maps
from nnunetv2_strokesynth.ctp.frame_times import frame_times_of
from nnunetv2_strokesynth.io.series import NiftiSeries
from nnunetv2_strokesynth.io.slice_times import AlignedSlices, common_times, simultaneous

FINE_S = np.arange(-20, 90, 0.05)
ARTERY = 300 * gamma_bolus(FINE_S, 10.0, 6.0)
TISSUE = _tissue(FINE_S - FINE_S[0], ARTERY, (30.0, 7.0, 3.0))


def at(times_s: np.ndarray) -> np.ndarray:
    """(T, 2) artery and tissue at times, as two voxels of a slice."""
    return np.stack([np.interp(times_s, FINE_S, curve) for curve in (ARTERY, TISSUE)], axis=-1)


def tmax_of(series: np.ndarray, step_s: float) -> np.ndarray:
    """(Z,) Tmax of each slice's tissue by the artery in the first slice, (T, Z, 1, 2)."""
    curves = series[:, :, 0, 1].T.astype(np.float32)
    return perfusion_maps(curves, series[:, 0, 0, 0], step_s).tmax


@settings(max_examples=40, deadline=None)
@given(st.floats(1.0, 3.2), st.floats(0.0, 0.95), st.integers(1, 4), st.booleans())
def test_slabs_of_equal_tissue_have_equal_tmax(step_s, share, n_upper, upper_first):
    times = np.arange(0, 60, step_s)
    offsets = np.array([0.0] * 2 + [share * step_s] * n_upper)
    offsets = offsets[::-1] if upper_first else offsets
    recorded = np.stack([at(times + offset) for offset in offsets], axis=1)[:, :, None]
    aligned = np.stack(list(simultaneous(recorded, times, offsets)))
    assert aligned.shape == recorded.shape
    before, after = tmax_of(recorded, step_s), tmax_of(aligned, step_s)
    assert np.ptp(after) < 0.15 + 0.05 * step_s
    assert abs(np.ptp(before) - share * step_s) < 0.4 + 0.1 * step_s  # the error that is mended


def test_interpolation_is_exact_for_a_parabola_and_at_its_own_times():
    times = [np.array([0.0, 1.0, 2.5, 3.0, 5.0, 6.0]), np.array([0.5, 1.5, 2.0, 3.5, 4.5, 6.5])]
    stored = [(3 + 2 * t - 0.7 * t**2).reshape(-1, 1, 1) for t in times]
    wanted = np.array([1.5, 2.0, 3.2])
    series = AlignedSlices(lambda: lambda z, t: stored[z][t], times, wanted)
    for frame, t in zip(series, wanted, strict=True):
        np.testing.assert_allclose(frame[:, 0, 0], 3 + 2 * t - 0.7 * t**2, atol=1e-6)
    own = AlignedSlices(lambda: lambda z, t: stored[z][t], times[:1], times[0])
    np.testing.assert_array_equal(np.stack(list(own))[:, 0], stored[0])


def test_unequal_counts_share_the_times_that_all_slices_have():
    slabs = [np.arange(0, 40, 2.0), np.arange(0, 40, 2.0), 1 + np.arange(0, 34, 2.0)]
    times = common_times(slabs)
    assert times[0] == 0 and times[-1] == 34 and set(np.diff(times)) == {2.0}
    twice = common_times([slabs[0], np.arange(0, 40, 1.0), 1 + slabs[0]])  # overlapping slabs
    np.testing.assert_allclose(twice, 0.5 + np.arange(0, 40, 2.0))


def test_slabs_one_after_the_other_have_no_common_times():
    with pytest.raises(ValueError, match="from 60 s on and others until 38 s only.*one slab"):
        common_times([np.arange(0, 40, 2.0), 60 + np.arange(0, 40, 2.0)])


def test_simultaneous_slices_stay_as_they_are():
    series = np.zeros((12, 3, 2, 2))
    assert simultaneous(series, np.arange(12.0), None) is series
    assert simultaneous(series, np.arange(12.0), np.array([0, 0.05, 0.1])) is series


def save_shuttle(folder, sidecar):
    times, offsets = 2.0 * np.arange(25), (0.0, 0.0, 1.0, 1.0)
    series = np.stack([at(times + offset) for offset in offsets], axis=1)[:, :, None]
    path = folder / "ctp.nii.gz"
    image = nibabel.Nifti1Image(np.asarray(series, np.float32).T, np.diag([2.0, 2.0, 5.0, 1]))
    nibabel.save(image, path)
    (folder / "ctp.json").write_text(json.dumps(sidecar))
    return path, series


def test_slice_timing_of_a_sidecar(tmp_path):
    sidecar = {"VolumeTiming": (2.0 * np.arange(25)).tolist(), "SliceTiming": [0, 0, 1, 1]}
    path, recorded = save_shuttle(tmp_path, sidecar)
    found = frame_times_of(path, 25)
    np.testing.assert_array_equal(found.slice_offset_s, [0, 0, 1, 1])
    assert "up to 1.00 s apart (SliceTiming)" in found.notes[-1]
    aligned = simultaneous(NiftiSeries(path), found.times_s, found.slice_offset_s)
    for _ in range(2):  # each walk reads anew
        assert np.ptp(tmax_of(np.stack(list(aligned)), 2.0)) < 0.2 < np.ptp(tmax_of(recorded, 2.0))
    sidecar |= {"SliceTiming": [1, 1, 0, 0], "SliceEncodingDirection": "k-"}
    path, _ = save_shuttle(tmp_path, sidecar)
    np.testing.assert_array_equal(frame_times_of(path, 25).slice_offset_s, [0, 0, 1, 1])
    assert frame_times_of(path, 25, 2.0).slice_offset_s is None  # the user's word wins


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ([0, 1], "SliceTiming has 2 times along k, the series has 4 slices"),
        ([0, 0, 1000, 1000], "over 1000 s, and frames lie 2 s apart; is it in ms"),
        ([0, 0, "x", 1], "SliceTiming must hold numbers"),
    ],
)
def test_slice_timing_that_cannot_be(tmp_path, field, message):
    path, _ = save_shuttle(tmp_path, {"RepetitionTime": 2.0, "SliceTiming": field})
    with pytest.raises(ValueError, match=message):
        frame_times_of(path, 25)
