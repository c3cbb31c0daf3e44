"""From a series to maps, also where no frame precedes the contrast."""

import numpy as np
import pytest
from bolus import bolus

from nnunetv2_strokesynth.ctp.scanner_maps import (
    MapSettings,
    maps_from_series,
    measured_curves,
)


def series_of(arterial, tissue):
    """(T, 1, 24, 24): an artery of 3 x 3 pixels in the middle of tissue, and the brain."""
    series = np.full((len(arterial), 1, 24, 24), 35.0, np.float32)
    series += np.asarray(tissue, np.float32)[:, None, None, None]
    series[:, 0, 11:14, 11:14] = 35 + np.asarray(arterial, np.float32)[:, None, None]
    return series, np.ones((1, 24, 24), bool)


@pytest.mark.parametrize("start", [6, -4])
def test_arterial_curve_is_over_its_baseline(start):
    """-4: the series begins in the middle of the bolus, as some of the release do."""
    arterial = bolus(start, 200.0)
    series, brain = series_of(arterial, bolus(start - 1, 8.0))
    curves, aif = measured_curves(series, brain, pixel_mm=1.0, frame_s=1.0)
    assert aif.sum() > 0 and aif.max() > 0.8 * (arterial.max() - arterial[-1])
    assert curves.shape == (24 * 24, 40)
    maps = maps_from_series(series, brain, pixel_mm=1.0, times_s=np.arange(len(series)))
    assert all(np.isfinite(volume).all() for volume in maps)
    assert np.median(maps.cbf[brain]) > 0


def test_with_frames_before_the_contrast_they_are_the_baseline():
    series, brain = series_of(bolus(6, 200.0), bolus(5, 8.0))
    _, aif = measured_curves(series, brain, pixel_mm=1.0, frame_s=1.0)
    np.testing.assert_allclose(aif[:5], 0, atol=1e-3)
    np.testing.assert_allclose(aif, bolus(6, 200.0), atol=0.5)


def vascular_series(times_s, offset_s=(0.0, 0.0)):
    """(T, 2, 24, 24): an artery and tissue that follows by 3 s, seen at any times."""
    series = []
    for offset in offset_s:
        fine_s = np.arange(0, 60, 0.25)
        artery, tissue = (np.interp(times_s + offset, fine_s, curve) for curve in _boluses(fine_s))
        series.append(series_of(artery, tissue)[0])
    return np.concatenate(series, axis=1), np.ones((2, 24, 24), bool)


def _boluses(fine_s):
    for start, height, width in ((8.0, 200.0, 3.0), (11.0, 8.0, 4.0)):
        x = np.maximum(fine_s - start, 0) / width
        yield height * x**2 * np.exp(2 - x) / 4


UNEVEN = np.r_[np.arange(0, 30, 1.5), np.arange(30, 59, 3.0)]
TISSUE = (slice(None), slice(0, 4))


@pytest.mark.parametrize("offset_s", [(0.0, 0.0), (0.0, 1.5)])
@pytest.mark.parametrize("delay_sensitive", [False, True])
def test_uneven_frames_and_late_slices_give_the_same_maps(offset_s, delay_sensitive):
    """Interpolated to 1 s, and close to what a frame each second gives."""
    settings = MapSettings(step_s=1.0, delay_sensitive=delay_sensitive)
    even, uneven = (
        maps_from_series(
            *vascular_series(times_s, offsets),
            pixel_mm=2.0,
            times_s=times_s,
            slice_offset_s=offsets,
            settings=settings,
        )
        for times_s, offsets in ((np.arange(60.0), ()), (UNEVEN, offset_s))
        for offsets in [offsets or (0.0, 0.0)]
    )
    for name, tolerance in (("cbf", 0.15), ("cbv", 0.1), ("tmax", 0.25)):
        found, wanted = getattr(uneven, name)[TISSUE], getattr(even, name)[TISSUE]
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=0.3)


def test_a_vein_corrects_the_artery():
    """A thin artery makes flow and volume too high alike; the sinus' area puts it right."""
    times_s = np.arange(60.0)
    series, brain = vascular_series(times_s)
    artery = series[:, :, 12, 12] - 35
    series[:, :, 11:14, 11:14] = 35 + 0.5 * artery[:, :, None, None]  # half a voxel
    vein = np.interp(times_s - 6, times_s, artery[:, 0])
    series[:, 0, 18:20, 4:10] = 35 + vein[:, None, None]
    plain, scaled = (
        maps_from_series(
            series, brain, pixel_mm=2.0, times_s=times_s, settings=MapSettings(scale_aif=scale)
        )
        for scale in (False, True)
    )
    where = (slice(1, 2), slice(0, 4))
    ratio = plain.cbv[where] / scaled.cbv[where]
    np.testing.assert_allclose(ratio, 2.0, rtol=0.15)
    np.testing.assert_allclose(plain.mtt[where], scaled.mtt[where], rtol=1e-4)
