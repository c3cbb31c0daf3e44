"""Patients, slabs, slices and frames of a data set."""

import numpy as np

from nnunetv2_strokesynth.phantom.plan import plan_scans


def test_a_longer_plan_begins_with_a_shorter_one():
    assert plan_scans(3, 0, 40, size=96)[:17] == plan_scans(3, 0, 17, size=96)


def test_splits_and_seeds_differ():
    plans = [plan_scans(seed, split, 5, size=96) for seed, split in ((3, 0), (3, 1), (4, 0))]
    assert len({plan[0].scan_seed for plan in plans}) == 3


def test_slabs_of_a_patient_are_consecutive_scans_and_touch():
    scans = plan_scans(0, 0, 200, size=256)
    assert [scan.number for scan in scans] == list(range(1, 201))
    pairs = [(a, b) for a, b in zip(scans, scans[1:], strict=False) if a.patient == b.patient]
    assert len(pairs) > 30
    for low, high in pairs:
        assert (low.slab, high.slab) == (0, 1)
        top_mm = low.grid.bottom_mm + low.grid.n_slices * low.grid.slice_mm
        assert np.isclose(top_mm, high.grid.bottom_mm)


def test_slices_frames_and_pixels_are_distributed_as_in_the_release():
    scans = plan_scans(0, 0, 2000, size=256)
    slices = np.array([scan.grid.n_slices for scan in scans])
    for count, of_94 in ((2, 51), (4, 19), (8, 9), (16, 13), (22, 2)):
        assert abs(np.mean(slices == count) - of_94 / 94) < 0.05
    assert len({scan.patient for scan in scans}) / 2000 - 63 / 94 < 0.03
    each_second = [scan.n_frames for scan in scans if scan.vendor == "A"]
    assert {43, 64} <= set(each_second) and all(43 <= count <= 64 for count in each_second)
    assert all(0.8 <= scan.grid.pixel_mm <= 1.04 for scan in scans)
    assert all(scan.grid.slice_mm in (10, 12) for scan in scans if scan.grid.n_slices == 2)


def test_size_keeps_the_field_of_view():
    fine, coarse = (plan_scans(0, 0, 20, size=size) for size in (256, 64))
    for a, b in zip(fine, coarse, strict=True):
        assert np.isclose(a.grid.pixel_mm * 256, b.grid.pixel_mm * 64)
        assert a.grid._replace(size=0, pixel_mm=0) == b.grid._replace(size=0, pixel_mm=0)


def test_max_slices_caps_and_keeps_the_slices_thick():
    free, capped = (plan_scans(0, 0, 50, size=64, max_slices=k) for k in (None, 3))
    assert max(scan.grid.n_slices for scan in capped) == 3
    assert [s.grid.slice_mm for s in free] == [s.grid.slice_mm for s in capped]
