"""Maps of a head whose perfusion is known, from its series alone."""

import weakref

import nibabel
import numpy as np
import pytest

from nnunetv2_strokesynth.ctp.compute_maps import compute_maps
from nnunetv2_strokesynth.io.series import NiftiSeries

# CBF mL/100 g/min, CBV mL/100 g and delay s of the two halves, see conftest.py.
TRUTH = {"left": (40.0, 4.0, 1.0), "right": (15.0, 3.0, 5.0)}


def medians(computed, head, half):
    where = getattr(head, half)
    return {name: float(np.median(v[where])) for name, v in computed.maps._asdict().items()}


def explicit_cbf(tissue, aif, threshold=0.15):
    """CBF by the SVD of the explicit block-circulant matrix, 1 s steps."""
    n = len(aif)
    padded = np.r_[aif, np.zeros(n)]
    matrix = np.stack([np.roll(padded, k) for k in range(2 * n)], axis=1)
    u, s, vt = np.linalg.svd(matrix)
    inverse = np.where(s >= threshold * s.max(), 1 / s, 0)
    residue = (vt.T * inverse) @ u.T @ np.r_[tissue, np.zeros(n)]
    return 6000 * 0.55 / 0.75 / 1.05 * residue.max()


@pytest.mark.parametrize("half", TRUTH)
def test_known_tissue_comes_back(make_head, half):
    """CBV within 4 %; CBF is what the truncated SVD leaves of it, 60 to 85 %."""
    head = make_head()
    found = medians(compute_maps(head.series, **head.inputs), head, half)
    cbf, cbv, _ = TRUTH[half]
    assert found["cbv"] == pytest.approx(cbv, rel=0.04)
    curve = head.series[:, getattr(head, half)][:, 0]
    assert found["cbf"] == pytest.approx(explicit_cbf(curve - curve[0], head.arterial), rel=0.02)
    assert 0.6 * cbf < found["cbf"] < 0.85 * cbf
    assert found["mtt"] == pytest.approx(60 * found["cbv"] / found["cbf"], rel=1e-3)


def test_tikhonov_gives_the_flow_and_the_delay(make_head):
    """Slow tissue loses less to the filter than the reference: too much flow, a late Tmax."""
    head = make_head()
    computed = compute_maps(head.series, **head.inputs, method="tikhonov")
    assert computed.row["method"] == "tikhonov"
    for half, (cbf, cbv, delay_s) in TRUTH.items():
        found = medians(computed, head, half)
        assert cbf < found["cbf"] < (1.3 if half == "left" else 1.6) * cbf
        assert found["cbv"] == pytest.approx(cbv, rel=0.04)
        assert delay_s - 0.5 < found["tmax"] < delay_s + (0.6 if half == "left" else 1.3)


def test_tmax_follows_the_delay(make_head):
    head = make_head()
    computed = compute_maps(head.series, **head.inputs)
    left, right = (medians(computed, head, half)["tmax"] for half in TRUTH)
    assert right - left == pytest.approx(TRUTH["right"][2] - TRUTH["left"][2], abs=1.0)


def test_vessels_brain_and_baseline_are_found(make_head):
    head = make_head(noise_hu=1.0)
    computed = compute_maps(head.series, **head.inputs)
    assert all(head.artery[voxel] for voxel in computed.aif.voxels)
    assert all(head.vein[voxel] for voxel in computed.vof.voxels)
    assert np.count_nonzero(computed.brain ^ head.brain) < 0.03 * head.brain.sum()
    onset = computed.row["onset_frame"]
    assert 6 <= onset <= 9
    np.testing.assert_allclose(computed.baseline_hu, head.series[:onset].mean(axis=0), atol=1e-3)
    np.testing.assert_array_equal(computed.highest_hu, head.series.max(axis=0))
    assert computed.warnings == [] and computed.row["aif_scale"] == pytest.approx(1, abs=0.03)
    assert all(v.dtype == np.float32 and not v[~computed.brain].any() for v in computed.maps)
    assert all(type(value) in (int, float, str) for value in computed.row.values())


def test_csf_has_no_maps_and_does_not_dilute_its_neighbours(make_head):
    head = make_head()
    series = head.series.copy()
    series[:, :, 36:40, 38:44] = 8.0  # inside the right half
    whole, cut = (compute_maps(s, **head.inputs) for s in (head.series, series))
    assert cut.brain[:, 36:40, 38:44].all()
    assert not np.any([volume[:, 37:39, 39:43] for volume in cut.maps])
    beside = (slice(None), slice(36, 40), slice(45, 47))
    np.testing.assert_allclose(cut.maps.cbv[beside], whole.maps.cbv[beside], rtol=0.04)


def test_partial_volume_is_taken_out_by_the_vein(make_head):
    head = make_head(artery_share=0.5)
    scaled = compute_maps(head.series, **head.inputs)
    plain = compute_maps(head.series, **head.inputs, scale_aif=False)
    assert scaled.row["aif_scale"] == pytest.approx(2, rel=0.02)
    assert medians(scaled, head, "left")["cbv"] == pytest.approx(4.0, rel=0.05)
    assert medians(plain, head, "left")["cbv"] == pytest.approx(8.0, rel=0.05)
    np.testing.assert_allclose(plain.maps.tmax, scaled.maps.tmax, atol=1e-4)


def test_uneven_times_equal_even_times(make_head):
    even = make_head()
    times = np.delete(np.arange(60.0), [3, 31, 44, 45, 52])
    times[[20, 33]] += 0.3
    uneven = make_head(times)
    first, second = (compute_maps(head.series, **head.inputs) for head in (even, uneven))
    assert second.row["frame_s"] == 1.0 and len(second.times_s) == 60
    assert first.warnings == [] and "interpolated to 1.00 s" in second.warnings[0]
    for half in TRUTH:
        a, b = (medians(computed, even, half) for computed in (first, second))
        assert b == pytest.approx(a, rel=0.03)


def test_times_matter(make_head):
    """The same frames, 2 s apart: half the flow, as much blood."""
    head = make_head()
    options = {"spacing_zyx_mm": (5, 2.5, 2.5)}
    fast, slow = (compute_maps(head.series, times_s=k * head.times_s, **options) for k in (1, 2))
    a, b = (medians(computed, head, "left") for computed in (fast, slow))
    assert (b["cbf"], b["cbv"]) == pytest.approx((a["cbf"] / 2, a["cbv"]), rel=1e-4)
    assert b["tmax"] == pytest.approx(2 * a["tmax"], abs=0.3)


def test_file_gives_the_same_as_the_array(make_head, tmp_path):
    head = make_head(noise_hu=2.0)
    path = tmp_path / "ctp.nii.gz"
    nibabel.save(nibabel.Nifti1Image(head.series.T, np.eye(4)), path)
    from_array = compute_maps(head.series, **head.inputs)
    from_file = compute_maps(NiftiSeries(path), **head.inputs)
    assert from_file.row == from_array.row
    for a, b in zip(from_file.maps, from_array.maps, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("uneven", [False, True])
def test_the_series_is_never_held(make_head, uneven):
    head = make_head()
    alive, most = [], []

    class Frames:
        def __len__(self):
            return len(head.series)

        def __iter__(self):
            for frame in head.series:
                copy = frame.copy()
                alive.append(weakref.ref(copy))
                most.append(sum(ref() is not None for ref in alive))
                yield copy

    times = head.times_s + (0.3 * (np.arange(60) % 2) if uneven else 0)
    compute_maps(Frames(), spacing_zyx_mm=(5, 2.5, 2.5), times_s=times)
    assert max(most) <= 4


def test_given_brain_and_vessels_are_used(make_head):
    head = make_head()
    brain = head.brain & ~head.right
    aif_at, vof_at = (25, 27, 1), (32, 51, 0)
    computed = compute_maps(head.series, **head.inputs, brain=brain, aif_at=aif_at, vof_at=vof_at)
    np.testing.assert_array_equal(computed.brain, brain)
    assert not computed.maps.cbv[head.right].any() and computed.maps.cbv[head.left].all()
    assert computed.row["aif_voxels_xyz"] == "25 27 1"
    assert computed.row["vof_voxels_xyz"] == "32 51 0"
    assert computed.row["aif_source"] == computed.row["vof_source"] == "given"
    assert computed.aif.voxels[0] == (1, 27, 25)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"times_s": np.arange(24.0), "start_s": 14.0}, "ends before the bolus has passed"),
        ({"start_s": -3.0}, "the baseline is uncertain"),
        ({"vein": False}, "no vein was found"),
        ({"artery_share": 0.2}, "scaled by no more than that"),
    ],
)
def test_doubtful_series_warn(make_head, options, message):
    head = make_head(**options)
    warnings = compute_maps(head.series, **head.inputs).warnings
    assert any(message in warning for warning in warnings)


def test_jolt_in_place_of_an_artery_warns(make_head):
    head = make_head()
    series = head.series.copy()
    series[:, head.artery] = 45.0
    series[14:18, head.artery] = 245.0
    computed = compute_maps(series, **head.inputs, aif_at=(25, 27, 0))
    assert any("jumps from one frame to the next" in warning for warning in computed.warnings)


def test_wrong_vein_warns(make_head):
    head = make_head()
    warnings = compute_maps(head.series, **head.inputs, vof_at=(45, 32, 0)).warnings
    assert "a wrong vein?" in warnings[0]


def with_nan(series):
    changed = series.copy()
    changed[7, 0, 0, 0] = np.nan
    return changed


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda s: s[:9], {"times_s": np.arange(9) * 4}, "9 frames, expected at least 10"),
        (lambda s: s, {"times_s": np.arange(59)}, r"60 frames, but times of shape \(59,\)"),
        (lambda s: s, {"times_s": np.arange(60)[::-1]}, "must increase"),
        (lambda s: s, {"times_s": np.r_[0, 0, np.arange(2, 60)]}, "must increase"),
        (lambda s: s, {"times_s": np.arange(60) * 0.3}, "lasts 17.7 s"),
        (with_nan, {}, "frame 7 holds NaN"),
        (lambda s: np.where(s > 900, np.inf, s), {}, "frame 0 holds NaN or infinity"),
        (lambda s: np.repeat(s[:1], 60, axis=0), {}, "constant over time"),
        (lambda s: [*s[:5], s[5, :1], *s[6:]], {}, r"frame 5 has shape \(1, 64, 64\)"),
        (lambda s: s, {"brain": np.ones((1, 64, 64), bool)}, "mask has shape"),
        (lambda s: s, {"brain": np.zeros((2, 64, 64), bool)}, "mask is empty"),
        (lambda s: s, {"aif_at": (64, 0, 0)}, "lies outside the image"),
        (lambda s: s, {"aif_at": (45, 32, 0)}, "no bolus: .* x y z = 45 32 0 .*--aif"),
        (lambda s: s, {"spacing_zyx_mm": (5, 0, 1)}, "voxel sizes"),
        (lambda s: s + 1000, {}, "stored without its rescale intercept"),
    ],
)
def test_useless_input_is_named(make_head, change, options, message):
    head = make_head()
    with pytest.raises(ValueError, match=message):
        compute_maps(change(head.series), **{**head.inputs, **options})


@pytest.mark.parametrize("noise_hu", [0.5, 5.0, 30.0])
@pytest.mark.parametrize("times_s", [np.arange(60.0), np.r_[:20:1.5, 21:60:3.0]])
def test_noise_alone_is_no_bolus(make_head, noise_hu, times_s):
    head = make_head(times_s, height_hu=0.0, noise_hu=noise_hu)
    with pytest.raises(ValueError, match="no bolus"):
        compute_maps(head.series, **head.inputs)
