"""Volumes of maps by hand, on a strip of tissue with a midline."""

import numpy as np
import pytest

from nnunetv2_strokesynth.ctp.deconvolution import PerfusionMaps
from nnunetv2_strokesynth.ctp.perfusion_volumes import perfusion_volumes
from nnunetv2_strokesynth.ctp.scan_numbers import measure_scan
from nnunetv2_strokesynth.ctp.sides import side_of

BRAIN = np.ones((1, 1, 20), bool)
HIGHER = np.broadcast_to(np.arange(20) >= 10, BRAIN.shape)


def strip(**values):
    """20 voxels with CBF 50, CBV 4, MTT 5 and Tmax 1; ``values``: map -> (voxels, value) pairs."""
    maps = {"cbf": 50.0, "cbv": 4.0, "mtt": 5.0, "tmax": 1.0}
    arrays = {name: np.full(BRAIN.shape, value, np.float32) for name, value in maps.items()}
    for name, pairs in values.items():
        for voxels, value in pairs:
            arrays[name][0, 0, voxels] = value
    return PerfusionMaps(**arrays)


def test_every_number_by_hand():
    """Four voxels over 6 s, one of them over 10; two below 30 %, one of those below 20 %."""
    maps = strip(
        tmax=[(slice(10, 13), 7.0), (13, 11.0), (14, 4.5)],
        cbf=[(12, 14.0), (13, 9.0), (11, 18.0)],
        cbv=[(slice(10, 14), 2.0)],
    )
    found = perfusion_volumes(maps, BRAIN, HIGHER, voxel_ml=0.5)
    record = found.record()
    assert found.tmax_above_ml == {4: 2.5, 6: 2.0, 8: 0.5, 10: 0.5}
    assert found.rcbf_below_ml == {20: 0.5, 30: 1.0, 34: 1.0, 38: 1.5}
    assert record["reference_cbf"] == 50.0
    assert record["mismatch_ml"] == 1.0 and record["mismatch_ratio"] == 2.0
    assert record["hypoperfusion_intensity_ratio"] == 0.25
    assert record["cbv_index"] == 0.5
    assert np.flatnonzero(found.core).tolist() == [12, 13]


def test_the_other_side_is_the_healthy_one():
    """Low flow all over the sick side does not lower what it is compared with."""
    for sick, healthy in ((HIGHER, ~HIGHER), (~HIGHER, HIGHER)):
        maps = strip(tmax=[(np.flatnonzero(sick), 8.0)], cbf=[(np.flatnonzero(sick), 10.0)])
        found = perfusion_volumes(maps, BRAIN, HIGHER, 1.0)
        assert found.reference_cbf == 50.0 and found.rcbf_below_ml[30] == 10
        assert (found.core == sick).all() and not (found.core & healthy).any()


def test_without_a_deficit_ratios_are_unknown():
    record = perfusion_volumes(strip(), BRAIN, HIGHER, 1.0).record()
    assert record["tmax_above_6s_ml"] == 0.0 and record["mismatch_ml"] == 0.0
    for name in ("mismatch_ratio", "hypoperfusion_intensity_ratio", "cbv_index"):
        assert record[name] is None


def test_csf_and_outside_are_no_tissue():
    """A CBF of 0 is no core, wherever it lies."""
    maps = strip(cbf=[(slice(0, 5), 0.0)], tmax=[(slice(0, 5), 9.0)])
    found = perfusion_volumes(maps, BRAIN, HIGHER, 1.0)
    assert found.tmax_above_ml[6] == 0 and found.rcbf_below_ml[38] == 0
    outside = perfusion_volumes(strip(tmax=[(3, 9.0)]), BRAIN & False, HIGHER, 1.0)
    assert outside.tmax_above_ml[6] == 0 and outside.reference_cbf == 0


@pytest.mark.parametrize(
    ("voxels", "side"),
    [([], "none"), ([15], "left"), ([2], "right"), ([2, 15], "both"), ([15] + [2], "both")],
)
def test_sides(voxels, side):
    found = np.zeros(BRAIN.shape, bool)
    found[0, 0, voxels] = True
    assert side_of(found, HIGHER, known=True) == side
    unknown = {"left": "unknown", "right": "unknown"}
    assert side_of(found, HIGHER, known=False) == unknown.get(side, side)


def tilted_head(tilt_deg, shift_mm, spacing=(5.0, 2.0, 2.0)):
    """CT with sulci on both sides alike, brain, and the side of higher x of the midline."""
    y, x = (spacing[1] * (np.arange(n) - (n - 1) / 2) for n in (110, 100))
    angle = np.deg2rad(tilt_deg)
    across = np.cos(angle) * (x - shift_mm) + np.sin(angle) * y[:, None]
    along = -np.sin(angle) * (x - shift_mm) + np.cos(angle) * y[:, None]
    brain = (across / 60) ** 2 + (along / 80) ** 2 < 1
    sulci = 35 + 8 * np.cos(np.abs(across) / 6) * np.cos(along / 9 + 0.3)
    ct = np.where(brain, sulci, 0.0).astype(np.float32)
    return tuple(np.stack([plane, plane]) for plane in (ct, brain, across > 0))


@pytest.mark.parametrize("tilt_deg", [-12.0, 0.0, 8.0])
def test_midline_of_a_tilted_head(tilt_deg):
    """The halves of a tilted, shifted head are found along its own middle."""
    ct, brain, higher = tilted_head(tilt_deg, shift_mm=7.0)
    maps = PerfusionMaps(*(np.where(brain, 50.0, 0.0).astype(np.float32) for _ in range(4)))
    found = measure_scan(maps, ct, brain, spacing_zyx_mm=(5.0, 2.0, 2.0), known=True)
    assert ((found.higher_x != higher) & brain).sum() < 0.03 * brain.sum()


def test_midline_where_nothing_can_be_registered():
    """Of a CT without structure it is the middle of the brain."""
    _, brain, higher = tilted_head(0.0, shift_mm=20.0)
    maps = PerfusionMaps(*(np.where(brain, 50.0, 0.0).astype(np.float32) for _ in range(4)))
    found = measure_scan(
        maps, np.zeros(brain.shape), brain, spacing_zyx_mm=(5.0, 2.0, 2.0), known=True
    )
    assert ((found.higher_x != higher) & brain).sum() < 0.03 * brain.sum()
