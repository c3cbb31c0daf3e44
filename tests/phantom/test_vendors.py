"""Vendors: that every number of theirs matters, when frames are taken, and what is written."""

import json
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path

import nibabel
import numpy as np
import pytest

from nnunetv2_strokesynth import cli
from nnunetv2_strokesynth.ctp.background import clear_background
from nnunetv2_strokesynth.ctp.frame_times import frame_times_of
from nnunetv2_strokesynth.ctp.time_steps import check_times
from nnunetv2_strokesynth.phantom.acquisition import noise_image
from nnunetv2_strokesynth.phantom.anatomy import SlabGrid
from nnunetv2_strokesynth.phantom.case import Case, simulate_case
from nnunetv2_strokesynth.phantom.dataset import LAYOUTS, simulate_scan, write_phantom
from nnunetv2_strokesynth.phantom.isles2024_layout import covered_slices
from nnunetv2_strokesynth.phantom.patient import draw_patient
from nnunetv2_strokesynth.phantom.physics import DEFAULT_PHYSICS
from nnunetv2_strokesynth.phantom.plan import PhantomSettings, plan_isles2024_scans, plan_scans
from nnunetv2_strokesynth.phantom.timetable import Timetable, even_timetable
from nnunetv2_strokesynth.phantom.vendors import (
    REFERENCE,
    VENDOR_NAMES,
    VENDORS,
    Detector,
    Software,
    Timing,
    draw_vendor,
)

pytest.importorskip("nilearn")
SETTINGS = PhantomSettings(size=32, seed=5, max_slices=4)
# Another value than the reference's for every field.
DETECTORS = {"noise": 2.0, "kernel": 8.0, "slow_noise_loss": 0.9, "slice_weight": 0.5}
DETECTORS |= {"contrast": 0.5}
SOFTWARES = {
    "smoothing": 3.0,
    "threshold": 3.0,
    "reference": 2.0,
    "delay_sensitive": True,
    "aif_voxels": 1,
}
SOFTWARES |= {"scale_aif": True, "step_s": 2.0}


EACH_SECOND = even_timetable(43)


@lru_cache
def scan(vendor=REFERENCE, timetable=EACH_SECOND) -> Case:
    """A patient of two coarse slices on a vendor's scanner."""
    grid = SlabGrid(size=48, pixel_mm=4.9, n_slices=2, slice_mm=10.0, bottom_mm=16.0)
    patient = draw_patient(np.random.default_rng(3), (grid,), DEFAULT_PHYSICS)
    rng = np.random.default_rng(4)
    return simulate_case(
        patient, 0, rng, timetable=timetable, physics=DEFAULT_PHYSICS, vendor=vendor
    )


def test_every_field_has_another_value_here():
    for cls, values in ((Detector, DETECTORS), (Software, SOFTWARES)):
        assert {field.name for field in fields(cls)} == set(values)


@pytest.mark.parametrize("name", DETECTORS)
def test_every_number_of_the_detector_changes_the_series(name):
    other = replace(REFERENCE, detector=Detector(**{name: DETECTORS[name]}))
    assert np.any(scan(other).ctp != scan().ctp)
    np.testing.assert_array_equal(scan(other).truth, scan().truth)


@pytest.mark.parametrize("name", SOFTWARES)
def test_every_number_of_the_software_changes_the_maps_and_nothing_else(name):
    other = replace(REFERENCE, software=Software(**{name: SOFTWARES[name]}))
    np.testing.assert_array_equal(scan(other).ctp, scan().ctp)
    assert np.any(scan(other).maps.cbf != scan().maps.cbf)


def noise(**options) -> np.ndarray:
    rng = np.random.default_rng(0)
    kernel = {"density_hu_mm": 10.0, "kernel_sigma_mm": 1.0, "voxel_mm": (5.0, 0.9)}
    return noise_image(rng, (6, 256, 256), **kernel, **options)


def slow(image: np.ndarray) -> float:
    """Standard deviation of the means over squares of 29 mm."""
    return float(image.reshape(6, 8, 32, 8, 32).mean(axis=(2, 4)).std())


def test_a_sharp_kernel_takes_the_slow_noise_away():
    plain, sharp = noise(), noise(slow_loss=0.5)
    assert slow(sharp) / slow(plain) == pytest.approx(0.5, abs=0.1)
    assert sharp.std() / plain.std() > 0.85


def test_neighbouring_slices_share_noise_and_no_slice_has_more():
    shared = noise(slice_weight=0.4)
    deviations = shared.std(axis=(1, 2))
    np.testing.assert_allclose(deviations, noise().std(axis=(1, 2)), rtol=0.05)
    of_neighbours = [
        np.corrcoef(a.ravel(), b.ravel())[0, 1]
        for a, b in zip(shared[:-1], shared[1:], strict=True)
    ]
    assert min(of_neighbours) > 0.5
    assert abs(np.corrcoef(noise()[0].ravel(), noise()[1].ravel())[0, 1]) < 0.1


def test_frames_of_each_vendor():
    """Long and fine enough for a bolus; multiples of the 0.25 s of which curves are made."""
    for vendor in VENDORS.values():
        for step_s in vendor.timing.steps_s:
            for duration_s in (43, 64):
                timetable = vendor.timing.timetable(duration_s, step_s, 16)
                check_times(timetable.times_s, len(timetable.times_s))
                assert timetable.times_s[-1] < duration_s + vendor.timing.longer_s
                assert timetable.times_s[-1] >= duration_s - 2 * step_s
                for value in (*timetable.times_s, *timetable.slice_offset_s):
                    assert value % 0.25 == 0


def test_the_vendors_cover_what_the_issue_asks_for():
    steps = {step for vendor in VENDORS.values() for step in vendor.timing.steps_s}
    assert {1.0, 1.5, 2.0, 2.5, 3.0} <= steps
    assert any(vendor.timing.slow_from_s for vendor in VENDORS.values())
    assert any(vendor.timing.shuttle for vendor in VENDORS.values())
    assert len({vendor.detector for vendor in VENDORS.values()}) == len(VENDORS)
    assert {vendor.software.delay_sensitive for vendor in VENDORS.values()} == {True, False}
    assert {order for vendor in VENDORS.values() for order in vendor.files.orders} == {
        *("LPS", "LAS", "RAS")
    }


def test_fast_and_then_slow():
    times = Timing(steps_s=(1.5,), slow_from_s=6.0).timetable(14.0, 1.5, 2).times_s
    assert times == (0.0, 1.5, 3.0, 4.5, 6.0, 9.0, 12.0)


def test_a_shuttle_images_the_upper_half_later():
    timing = Timing(steps_s=(3.0,), shuttle=True)
    assert timing.timetable(40, 3.0, 5).slice_offset_s == (0, 0, 0, 1.5, 1.5)
    assert timing.timetable(40, 3.0, 2).slice_offset_s == ()
    times = tuple(3.0 * k for k in range(20))
    still, shuttle = (
        scan(replace(REFERENCE, detector=Detector(noise=0.0)), timetable)
        for timetable in (Timetable(times), Timetable(times, (0.0, 1.5)))
    )
    later = scan(
        replace(REFERENCE, detector=Detector(noise=0.0)),
        Timetable(tuple(time + 1.5 for time in times)),
    )
    np.testing.assert_array_equal(shuttle.ctp[:, 0], still.ctp[:, 0])
    np.testing.assert_array_equal(shuttle.ctp[:, 1], later.ctp[:, 1])
    assert np.any(shuttle.ctp[:, 1] != still.ctp[:, 1])


def lateness(case: Case) -> float:
    """Median Tmax of the upper slice over that of the lower one, s."""
    lower, upper = (np.median(case.maps.tmax[k][scan().computed[k]]) for k in (0, 1))
    return float(upper - lower)


@pytest.mark.parametrize("name", VENDORS)
def test_the_patient_does_not_depend_on_the_scanner(name):
    """Truth, DWI and lesion are the same, so that vendors can be compared scan by scan."""
    vendor = VENDORS[name]
    other = scan(vendor, vendor.timing.timetable(50.0, vendor.timing.steps_s[-1], 2))
    assert other.ctp.shape != scan().ctp.shape or np.any(other.ctp != scan().ctp)
    for field in ("dwi", "lesion", "delay_s", "severity", "infarct"):
        np.testing.assert_array_equal(getattr(other, field), getattr(scan(), field))
    np.testing.assert_array_equal(other.truth, scan().truth)
    assert other.bolus == scan().bolus


def test_the_software_of_a_shuttle_corrects_the_offset():
    """How much later than the lower slab the upper one is; without correction 1.5 s less."""
    times = tuple(3.0 * k for k in range(20))
    calm = Detector(noise=0.1)
    knows = replace(REFERENCE, detector=calm, software=Software(step_s=1.0))
    alone, corrected, ignored = (
        lateness(scan(vendor, timetable))
        for vendor, timetable in (
            (knows, Timetable(times)),
            (knows, Timetable(times, (0.0, 1.5))),
            (replace(knows, software=Software()), Timetable(times, (0.0, 1.5))),
        )
    )
    assert corrected == pytest.approx(alone, abs=0.5)
    assert ignored == pytest.approx(alone - 1.5, abs=0.5)


def test_each_of_n_successive_patients_has_another_vendor():
    drawn = [draw_vendor(3, 0, patient, VENDOR_NAMES) for patient in range(1, 41)]
    assert all(set(drawn[k : k + 4]) == set(VENDOR_NAMES) for k in range(0, 40, 4))
    assert len({tuple(drawn[k : k + 4]) for k in range(0, 40, 4)}) > 3
    assert drawn != [draw_vendor(4, 0, patient, VENDOR_NAMES) for patient in range(1, 41)]
    assert {draw_vendor(3, 0, patient, ("C",)) for patient in range(1, 9)} == {"C"}


def test_both_slabs_of_a_patient_are_of_one_scanner():
    scans = plan_scans(0, 0, 80, size=64)
    pairs = [(a, b) for a, b in zip(scans, scans[1:], strict=False) if a.patient == b.patient]
    assert pairs
    assert all(a.vendor == b.vendor and a.timetable == b.timetable for a, b in pairs)


def test_mixed_vendors_have_the_releases_coverage():
    """ISLES 2018: 31 of 63 patients with two slabs; 51, 19, 9, 13 and 2 of 94 scans by slices."""
    shares: dict[tuple[int, int], float] = {}
    for vendor in VENDORS.values():
        assert sum(share for *_, share in vendor.coverage.shares) == pytest.approx(1)
        for slabs, slices, share in vendor.coverage.shares:
            shares[slabs, slices] = shares.get((slabs, slices), 0) + share / len(VENDORS)
    for slabs, slices, share in REFERENCE.coverage.shares:
        assert shares[slabs, slices] == pytest.approx(share, abs=0.005)
    scans = {
        slices: sum(slabs * share for (slabs, n), share in shares.items() if n == slices)
        for slices in (2, 4, 8, 16, 22)
    }
    for slices, of_94 in ((2, 51), (4, 19), (8, 9), (16, 13), (22, 2)):
        assert scans[slices] / sum(scans.values()) == pytest.approx(of_94 / 94, abs=0.02)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> Path:
    """Both CT layouts, four training scans each of which has another vendor where it can."""
    root = tmp_path_factory.mktemp("mixed")
    settings = SETTINGS._replace(truth=True)
    for layout in ("isles2018", "isles2024"):
        write_phantom(root / layout, 6, 1, settings._replace(layout=layout))
    return root


def plans_of(layout: str) -> list:
    return LAYOUTS[layout].plan(SETTINGS._replace(layout=layout), 6, 1)[0]


def series_of(root: Path, layout: str, plan) -> Path:
    name = LAYOUTS[layout].case_name(0, plan.number)
    patterns = {"isles2018": f"TRAINING/{name}/*4DPWI*/*.nii"}
    patterns["isles2024"] = f"derivatives/{name}/ses-*1/*_ctp.nii.gz"
    (path,) = (root / layout).glob(patterns[layout])
    return path


@pytest.mark.parametrize("layout", ["isles2018", "isles2024"])
def test_header_or_sidecar_say_when_frames_were_taken(mixed, layout):
    """As our own reader understands them."""
    told = set()
    for plan in plans_of(layout):
        path = series_of(mixed, layout, plan)
        read = frame_times_of(path, plan.n_frames)
        np.testing.assert_allclose(read.times_s, plan.timetable.times_s, atol=1e-5)
        sidecar = path.with_name(path.name.split(".nii")[0] + ".json")
        content = json.loads(sidecar.read_text()) if sidecar.is_file() else {}
        assert content.get("SliceTiming", []) == list(plan.timetable.slice_offset_s)
        told.add("sidecar" if "VolumeTiming" in content else "header")
    assert told == {"sidecar", "header"}


@pytest.mark.parametrize("layout", ["isles2018", "isles2024"])
def test_the_record_names_each_scans_vendor(mixed, layout):
    info = json.loads((mixed / layout / "phantom.json").read_text())
    assert info["settings"]["vendors"] == [*VENDOR_NAMES]
    (scans, _), plans = info["cases"].values(), plans_of(layout)
    assert [entry["vendor"] for entry in scans] == [plan.vendor for plan in plans]
    for entry, plan in zip(scans, plans, strict=True):
        assert entry["frames"] == plan.n_frames
        assert set(entry["frame_steps_s"]) == set(np.diff(plan.timetable.times_s))
        assert entry["shuttle_offset_s"] == max(plan.timetable.slice_offset_s, default=0)


def test_maps_hold_the_vendors_background_and_mean_the_same(mixed):
    """Stored otherwise, -1 or -30 where nothing was computed; once it is cleared, in our units."""
    seen = set()
    for plan in plans_of("isles2024"):
        case = simulate_scan(plan, LAYOUTS["isles2024"]).case
        files, inside = VENDORS[plan.vendor].files, covered_slices(plan.grid, VENDORS[plan.vendor])
        folder = series_of(mixed, "isles2024", plan).parent / "perfusion-maps"
        for name, background in zip(case.maps._fields, files.background, strict=True):
            (path,) = folder.glob(f"*_{name}.nii.gz")
            image = nibabel.as_closest_canonical(nibabel.load(path))
            found = np.asarray(image.dataobj).T[inside, ::-1, ::-1]  # RAS to LPS
            wanted = np.where(case.computed, getattr(case.maps, name), background)[inside]
            step = {"cbf": 0.1}.get(name, 0.01) if files.scaled_integers else 0.0
            assert np.all((found == 0) == (np.abs(wanted) <= step / 2))  # 0 stays what it is
            wanted = np.minimum(wanted, 32767 * step) if step else wanted
            np.testing.assert_allclose(found, wanted, atol=0.51 * step, rtol=1e-6)
            assert image.get_data_dtype() == ("int16" if files.scaled_integers else "float32")
            seen.add(background)
            (cleared,) = clear_background([found.astype(np.float32)]).maps
            assert cleared[~case.computed[inside]].max(initial=0) <= step
    assert seen == {0.0, -1.0, -30.0}


def test_a_vendor_covers_less_than_the_head():
    for plan in plan_isles2024_scans(3, 0, 40, size=64):
        vendor, grid = VENDORS[plan.vendor], plan.grid
        inside = covered_slices(grid, vendor)
        assert inside.start == grid.n_slices - inside.stop >= 1
        height_mm = (inside.stop - inside.start) * grid.slice_mm
        assert height_mm <= vendor.coverage.height_mm + grid.slice_mm
        assert height_mm > 80


@pytest.mark.parametrize("layout", ["isles2018", "isles2024"])
def test_the_truth_lies_on_the_voxels_of_the_series(mixed, layout):
    plan = plans_of(layout)[1]
    simulated = simulate_scan(plan, LAYOUTS[layout])
    case = simulated.case if layout == "isles2024" else simulated
    folder = LAYOUTS[layout].truth_maps_folder(mixed / layout, 0, plan.number)
    record = json.loads((folder / "truth.json").read_text())
    assert record["vendor"] == plan.vendor and record["units"]["cbf"] == "mL/100 g/min"
    series = nibabel.load(series_of(mixed, layout, plan))
    wanted = {
        **case.truth._asdict(),
        "delay": case.delay_s,
        "brain": case.brain,
        "tissue": case.solid,
    }
    assert set(record["meaning"]) == set(wanted)
    for name, volume in wanted.items():
        (path,) = folder.glob(f"{name}.nii*")
        image = nibabel.load(path)
        assert image.shape == series.shape[:3]
        np.testing.assert_array_equal(image.affine, series.affine)
        np.testing.assert_allclose(image.header.get_zooms(), series.header.get_zooms()[:3])
        # The same values at the same places, whatever the order of the axes.
        stored = np.sort(np.asarray(image.dataobj), axis=None)
        np.testing.assert_array_equal(stored, np.sort(volume.astype(np.float32), axis=None))
    assert np.all(case.truth.tmax[case.brain] >= case.delay_s[case.brain])


def test_without_truth_there_is_none_and_the_scans_are_the_same(mixed, tmp_path):
    write_phantom(tmp_path, 2, 0, SETTINGS)
    assert not (tmp_path / "perfusion_truth").exists()
    for path in (path for path in (tmp_path / "TRAINING").rglob("*") if path.is_file()):
        same = mixed / "isles2018" / path.relative_to(tmp_path)
        assert path.read_bytes() == same.read_bytes()


def test_chosen_vendors_in_any_order(tmp_path):
    out = tmp_path / "out"
    small = "--cases 2 --test-cases 1 --size 32 --max-slices 1 --workers 1".split()
    vendors = "--vendors D B --test-vendors C".split()
    assert cli.main(["phantom", str(out), *small, *vendors]) == 0
    info = json.loads((out / "phantom.json").read_text())
    assert info["settings"]["vendors"] == ["B", "D"]
    assert info["settings"]["test_vendors"] == ["C"]
    assert {entry["vendor"] for entry in info["cases"]["TRAINING"]} <= {"B", "D"}
    assert [entry["vendor"] for entry in info["cases"]["TESTING"]] == ["C"]
    write_phantom(out, 2, 1, PhantomSettings(32, 0, True, 1, vendors=("B", "D"), test_vendors="C"))
    with pytest.raises(ValueError, match=r"vendors is \['B', 'D'\], asked for \['A'\]"):
        write_phantom(out, 2, 1, PhantomSettings(32, 0, True, 1, vendors=("A",)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--vendors A Z", "--vendors A Z: expected one or more of A, B, C, D, each once"),
        ("--vendors A A", "--vendors A A: expected"),
        ("--test-vendors a", "--test-vendors a: expected"),
        ("--layout isles2017 --vendors A", "--vendors: isles2017 has no CT scanner"),
        ("--layout isles2017 --truth", "--truth: isles2017 has no CT scanner"),
    ],
)
def test_wrong_vendors_are_refused(tmp_path, capsys, options, message):
    out = tmp_path / "out"
    assert cli.main(["phantom", str(out), "--cases", "1", *options.split()]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()
