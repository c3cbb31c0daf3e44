"""The phantom in ISLES 2024's layout: names, geometry, coverage, hidden truth, resumption."""

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from scipy import ndimage

from nnunetv2_strokesynth import cli
from nnunetv2_strokesynth.ctp.deconvolution import PerfusionMaps
from nnunetv2_strokesynth.phantom.anatomy import build_head
from nnunetv2_strokesynth.phantom.dataset import (
    PhantomSettings,
    simulate_scan,
    write_phantom,
)
from nnunetv2_strokesynth.phantom.isles2024_layout import (
    ISLES2024,
    admission_volumes,
)
from nnunetv2_strokesynth.phantom.patient import draw_patient
from nnunetv2_strokesynth.phantom.physics import Physics
from nnunetv2_strokesynth.phantom.plan import plan_isles2024_scans
from nnunetv2_strokesynth.phantom.vendors import VENDOR_NAMES

pytest.importorskip("nilearn")
# One order of axes and one vendor, so that files can be compared with what was simulated; the other
# vendors' files are tested in test_vendors.py.
VENDOR = ("A",)
SETTINGS = PhantomSettings(
    size=32, seed=5, max_slices=4, layout="isles2024", orientation="LPS", vendors=VENDOR
)
_CROSS = np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]], bool)
MAPS = ("cbf", "cbv", "mtt", "tmax")
DTYPES = {
    "ncct": "int16",
    "ctp": "int16",
    "cta": "int16",
    "cbf": "float32",
    "cbv": "float32",
    "mtt": "float32",
    "tmax": "float32",
    "dwi": "float32",
    "adc": "float32",
    "lesion-msk": "uint8",
}


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    """Four training patients, the last with long session names, and a test patient."""
    root = tmp_path_factory.mktemp("phantom") / "out"
    write_phantom(root, 4, 1, SETTINGS)
    return root


@pytest.fixture(scope="module")
def simulated():
    """The plan and the scan of the phantom's second patient."""
    plan = plan_isles2024_scans(5, 0, 2, size=32, max_slices=4, vendors=VENDOR)[1]
    return plan, simulate_scan(plan, ISLES2024)


def _bytes(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def _files(root: Path, number: int) -> dict[str, Path]:
    """Last word of the name (``ctp``) -> file, of one patient."""
    found = {}
    for path in root.glob(f"*/sub-stroke{number:04d}/**/*.nii.gz"):
        found[path.name.removesuffix(".nii.gz").rpartition("_")[2]] = path
    return found


def _voxels(path: Path) -> np.ndarray:
    return np.asarray(nibabel.load(path).dataobj)


@pytest.mark.parametrize(
    ("number", "first", "second"),
    [(1, "ses-01", "ses-02"), (4, "ses-0001", "ses-0002"), (5, "ses-01", None)],
)
def test_files_and_their_names(phantom, number, first, second):
    subject = f"sub-stroke{number:04d}"
    acute, start = f"derivatives/{subject}/{first}", f"{subject}_{first}"
    wanted = {f"raw_data/{subject}/{first}/{start}_ncct.nii.gz"}
    wanted |= {f"{acute}/{start}_space-ncct_{name}.nii.gz" for name in ("ctp", "cta")}
    wanted |= {f"{acute}/perfusion-maps/{start}_space-ncct_{name}.nii.gz" for name in MAPS}
    if second:
        late, start = f"derivatives/{subject}/{second}", f"{subject}_{second}"
        endings = ("dwi", "adc", "lesion-msk")
        wanted |= {f"{late}/{start}_space-ncct_{name}.nii.gz" for name in endings}
    paths = [p for p in phantom.rglob("*") if p.is_file() and subject in p.parts]
    assert {path.relative_to(phantom).as_posix() for path in paths} == wanted


def test_nothing_else_is_there(phantom):
    names = {"raw_data", "derivatives", "TESTING_truth", "phantom.json"}
    assert {path.name for path in phantom.iterdir()} == names
    subjects = [f"sub-stroke{number:04d}" for number in range(1, 6)]
    for tree in ("raw_data", "derivatives"):
        assert sorted(path.name for path in (phantom / tree).iterdir()) == subjects


def test_shapes_types_and_units(phantom):
    plans = plan_isles2024_scans(5, 0, 4, size=32, max_slices=4, vendors=VENDOR)
    for plan in plans:
        files = _files(phantom, plan.number)
        assert set(files) == set(DTYPES)
        for name, path in files.items():
            image = nibabel.load(path)
            series = name == "ctp"
            assert image.shape == ((32, 32, 4, plan.n_frames) if series else (32, 32, 4))
            assert image.get_data_dtype() == DTYPES[name]
            assert image.header.get_xyzt_units() == ("mm", "sec")
            zooms = (plan.grid.pixel_mm, plan.grid.pixel_mm, plan.grid.slice_mm)
            assert np.allclose(image.header.get_zooms(), (*zooms, 1.0) if series else zooms)


def test_one_sane_geometry_per_patient(phantom):
    tilts = []
    for number in range(1, 6):
        images = [nibabel.load(path) for path in _files(phantom, number).values()]
        if number == 5:
            truths = sorted((phantom / "TESTING_truth").rglob("*.nii.gz"))
            images += [nibabel.load(path) for path in truths]
            assert len(images) == 9
        affine = images[0].affine
        for image in images:
            assert np.array_equal(image.affine, affine)
            for matrix, code in (image.get_sform(coded=True), image.get_qform(coded=True)):
                assert code == 1
                np.testing.assert_allclose(matrix, affine, atol=1e-3)
        axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
        np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-5)
        assert np.linalg.det(axes) == pytest.approx(1)
        assert nibabel.aff2axcodes(affine) == ("L", "P", "S")
        np.testing.assert_allclose(axes[:, 0], [-1, 0, 0], atol=1e-6)
        tilts.append(np.degrees(np.arcsin(axes[2, 1])))
        assert np.all(np.abs(affine[:3, 3]) > 1e-3)
    assert len(set(np.round(tilts, 3))) == 5
    assert all(1.99 < abs(tilt) < 8.01 for tilt in tilts)


def test_other_software_reads_the_same_geometry(phantom):
    files = _files(phantom, 1)
    ncct, affine = SimpleITK.ReadImage(str(files["ncct"])), nibabel.load(files["ncct"]).affine
    index = (3, 7, 2)
    ras = affine @ [*index, 1]
    point = ncct.TransformIndexToPhysicalPoint(index)
    np.testing.assert_allclose(point, [-ras[0], -ras[1], ras[2]], atol=1e-3)


def test_stored_volumes_are_the_simulated_ones(phantom, simulated):
    plan, scan = simulated
    files = _files(phantom, plan.number)
    stored = {name: _voxels(path) for name, path in files.items()}
    np.testing.assert_array_equal(stored["ncct"], scan.case.ct.T)
    np.testing.assert_array_equal(stored["dwi"], scan.case.dwi.T)
    np.testing.assert_array_equal(stored["adc"], scan.adc.T)
    np.testing.assert_array_equal(stored["lesion-msk"], scan.case.lesion.T)
    inner = slice(1, -1)
    np.testing.assert_array_equal(stored["ctp"][:, :, inner], scan.case.ctp.T[:, :, inner])
    for name in MAPS:
        volume = getattr(scan.case.maps, name)
        np.testing.assert_array_equal(stored[name][:, :, inner], volume.T[:, :, inner])


def test_ctp_and_maps_end_before_the_ncct_does(phantom):
    for number in range(1, 6):
        stored = {name: _voxels(path) for name, path in _files(phantom, number).items()}
        for name in ("ctp", *MAPS):
            filled = [bool(stored[name][:, :, k].any()) for k in range(4)]
            assert filled == [False, True, True, False], name
        for name in {"ncct", "cta", "dwi", "adc"} & set(stored):
            assert all(stored[name][:, :, k].any() for k in range(4)), name
        brain = stored["cbf"] > 0
        assert 0.05 < brain.mean() < 0.5
        assert 20 < np.median(stored["ctp"][brain]) < 60
        assert 20 < np.median(stored["ncct"][brain]) < 50


def test_few_slices_are_all_covered(simulated):
    plan, scan = simulated
    few = scan.case._replace(
        grid=plan.grid._replace(n_slices=3),
        ctp=scan.case.ctp[:, :3],
        computed=scan.case.computed[:3],
        maps=PerfusionMaps(*(volume[:3] for volume in scan.case.maps)),
    )
    volumes = admission_volumes(few, plan.timetable)
    np.testing.assert_array_equal(volumes["space-ncct_ctp"], few.ctp)
    np.testing.assert_array_equal(volumes["perfusion-maps/space-ncct_mtt"], few.maps.mtt)


def test_cta_is_the_frame_at_the_arterial_peak(phantom, simulated):
    plan, scan = simulated
    peak = round(scan.case.bolus.peak_s)
    cta = _voxels(_files(phantom, plan.number)["cta"])
    np.testing.assert_array_equal(cta, scan.case.ctp[peak].T)
    late = scan.case._replace(bolus=scan.case.bolus._replace(peak_s=1000.0))
    last = admission_volumes(late, plan.timetable)["space-ncct_cta"]
    np.testing.assert_array_equal(last, scan.case.ctp[-1])


def test_adc_of_csf_tissue_and_infarct():
    """750 to 800, 65 to 85 % of it in the core, 3000; the tenth of CSF let through adds to it.

    The MRI comes 36 to 200 hours after the onset, so that mobility has recovered in part.
    """
    dead_adc, live_adc, csf_adc = [], [], []
    for plan in plan_isles2024_scans(1, 0, 4, size=64, max_slices=4):
        scan = simulate_scan(plan, ISLES2024)
        rng = np.random.default_rng(plan.patient_seed)
        shape = draw_patient(rng, plan.slabs, Physics()).shape
        head, dead = build_head(plan.grid, shape, Physics().densities), scan.case.infarct
        core = scan.case.adc_loss > 0.75 * scan.case.adc_loss.max()
        solid = head.csf < 0.1
        solid &= head.gm + head.wm > 0.9
        dead_adc.extend(scan.adc[solid & core])
        live_adc.extend(scan.adc[solid & ~ndimage.binary_dilation(dead, _CROSS)])
        csf_adc.extend(scan.adc[head.csf > 0.9])
        assert scan.adc.dtype == np.float32 and np.isfinite(scan.adc).all()
        assert not scan.adc[~scan.case.brain].any()
    assert len(dead_adc) > 50 and len(csf_adc) > 20
    assert 750 < np.median(live_adc) < 950
    assert 480 < np.median(dead_adc) < 0.8 * np.median(live_adc)
    assert 2400 < np.percentile(csf_adc, 90) < 3600


def test_truth_of_a_test_patient(phantom):
    plan = plan_isles2024_scans(5, 1, 1, size=32, max_slices=4, first=5, vendors=VENDOR)[0]
    scan = simulate_scan(plan, ISLES2024)
    truth = phantom / "TESTING_truth"
    found = sorted(path.relative_to(truth).as_posix() for path in truth.rglob("*.nii.gz"))
    assert found == ["dwi/test_0005.nii.gz", "labels/test_0005.nii.gz"]
    label = _voxels(truth / "labels/test_0005.nii.gz")
    assert label.dtype == np.uint8 and label.any()
    np.testing.assert_array_equal(label, scan.case.lesion.T)
    np.testing.assert_array_equal(_voxels(truth / "dwi/test_0005.nii.gz"), scan.case.dwi.T)
    np.testing.assert_array_equal(_voxels(_files(phantom, 5)["ncct"]), scan.case.ct.T)


def test_settings_file(phantom):
    info = json.loads((phantom / "phantom.json").read_text())
    assert info["complete"] is True
    wanted = {"version": 4, "layout": "isles2024", "size": 32, "seed": 5, "dwi": True}
    wanted |= {"vendors": ["A"], "test_vendors": [], "truth": False}
    assert info["settings"] == {**wanted, "max_slices": 4, "orientation": "LPS"}
    names = {split: [scan["case"] for scan in scans] for split, scans in info["cases"].items()}
    assert names["training"] == [f"sub-stroke{number:04d}" for number in (1, 2, 3, 4)]
    assert names["testing"] == ["sub-stroke0005"] and set(names) == {"training", "testing"}
    for scan in info["cases"]["training"] + info["cases"]["testing"]:
        path = phantom / "TESTING_truth/labels/test_0005.nii.gz"
        if scan["patient"] < 5:
            path = _files(phantom, scan["patient"])["lesion-msk"]
        image = SimpleITK.ReadImage(str(path))
        voxel_ml = np.prod(image.GetSpacing()) / 1000
        volume = np.count_nonzero(SimpleITK.GetArrayFromImage(image)) * voxel_ml
        assert scan["lesion_volume_ml"] == pytest.approx(volume, abs=0.001) and volume > 0


def test_same_bytes_from_two_workers(phantom, tmp_path):
    write_phantom(tmp_path / "again", 2, 0, SETTINGS, workers=2)
    again = _bytes(tmp_path / "again")
    assert again.pop("phantom.json")
    assert len(again) == 2 * len(DTYPES)
    ours = _bytes(phantom)
    assert again == {name: ours[name] for name in again}


def test_compressed_files_hold_neither_time_nor_name(phantom):
    for path in phantom.rglob("*.nii.gz"):
        head = path.read_bytes()[:8]
        assert head[:3] == b"\x1f\x8b\x08" and head[3] == 0 and head[4:8] == b"\0\0\0\0"


def test_missing_patients_are_completed_with_the_same_bytes(phantom, tmp_path):
    """The folder in raw_data decides; what else a run left that was cut off is replaced."""
    root = tmp_path / "copy"
    shutil.copytree(phantom, root)
    shutil.rmtree(root / "raw_data" / "sub-stroke0002")
    shutil.rmtree(root / "raw_data" / "sub-stroke0005")
    (root / "derivatives" / "sub-stroke0002" / "half.nii.gz").write_bytes(b"half")
    (root / "TESTING_truth" / "labels" / "test_0002.nii.gz").write_bytes(b"of another run")
    kept = _files(root, 1)["ctp"]
    before = kept.stat().st_mtime_ns
    write_phantom(root, 4, 1, SETTINGS)
    assert _bytes(root) == _bytes(phantom)
    assert kept.stat().st_mtime_ns == before


def test_a_failed_write_leaves_the_patient_undone(tmp_path, simulated):
    plan, scan = simulated
    broken = scan._replace(case=scan.case._replace(ct=np.array("no image")))
    with pytest.raises(ValueError, match="no image"):
        ISLES2024.write_scan(tmp_path, 0, plan, broken, SETTINGS)
    assert not ISLES2024.is_written(tmp_path, 0, plan.number)
    assert not list(tmp_path.glob("raw_data/*"))


def test_a_patient_does_not_change_its_split(phantom, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(phantom, root)
    with pytest.raises(ValueError, match="sub-stroke0005 is there as a testing scan.*--cases"):
        write_phantom(root, 5, 0, SETTINGS)
    with pytest.raises(ValueError, match="sub-stroke0004 is there as a training scan.*--cases"):
        write_phantom(root, 3, 1, SETTINGS)
    assert _bytes(root) == _bytes(phantom)


def test_overwrite_removes_both_trees(phantom, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(phantom, root)
    other = SETTINGS._replace(seed=6, max_slices=1)
    with pytest.raises(ValueError, match="seed is 5, asked for 6.*--overwrite"):
        write_phantom(root, 1, 0, other)
    write_phantom(root, 1, 0, other, overwrite=True)
    assert not (root / "TESTING_truth").exists()
    for tree in ("raw_data", "derivatives"):
        assert [path.name for path in (root / tree).iterdir()] == ["sub-stroke0001"]


def test_without_dwi(tmp_path):
    out = tmp_path / "out"
    arguments = "--layout isles2024 --cases 1 --test-cases 1 --size 32 --max-slices 1".split()
    assert cli.main(["phantom", str(out), *arguments, "--workers", "1", "--no-dwi"]) == 0
    assert set(_files(out, 1)) == set(DTYPES) - {"dwi", "adc"}
    assert json.loads((out / "phantom.json").read_text())["settings"]["dwi"] is False
    # The truth is for whoever evaluates, as in ISLES 2018's layout.
    assert (out / "TESTING_truth" / "dwi" / "test_0002.nii.gz").is_file()


def test_several_orders_of_axes_by_default(tmp_path):
    """The same voxels at the same places as in one order; ``phantom.json`` names each order."""
    root, in_one_order = tmp_path / "mixed", tmp_path / "one"
    settings = SETTINGS._replace(vendors=VENDOR_NAMES)
    write_phantom(in_one_order, 4, 0, settings)
    write_phantom(root, 4, 0, settings._replace(orientation="mixed"))
    scans = json.loads((root / "phantom.json").read_text())["cases"]["training"]
    orders = [scan["orientation"] for scan in scans]
    assert len({order["images"] for order in orders}) > 1
    assert any(order["images"] != order["lesion"] for order in orders)
    for number, order in enumerate(orders, start=1):
        plain = _files(in_one_order, number)
        for name, path in _files(root, number).items():
            image = nibabel.load(path)
            expected = order["lesion" if name == "lesion-msk" else "images"]
            assert "".join(nibabel.aff2axcodes(image.affine)) == expected
            lps = SimpleITK.ReadImage(str(plain[name]))
            found = SimpleITK.ReadImage(str(path))
            if name != "ctp":
                found = SimpleITK.DICOMOrient(found, "LPS")
                np.testing.assert_array_equal(
                    SimpleITK.GetArrayFromImage(found), SimpleITK.GetArrayFromImage(lps)
                )
                np.testing.assert_allclose(found.GetOrigin(), lps.GetOrigin(), atol=1e-3)
    with pytest.raises(ValueError, match="--orientation LAP: expected mixed, or an order"):
        write_phantom(tmp_path / "x", 1, 0, SETTINGS._replace(orientation="LAP"))


def test_orientation_needs_headers_that_tell(tmp_path, capsys):
    arguments = ["phantom", str(tmp_path / "out"), "--cases", "1", "--orientation", "LAS"]
    assert cli.main(arguments) == 2
    assert "the headers of isles2018 do not say how the head lies" in capsys.readouterr().err


def test_other_layouts_write_down_what_they_did(tmp_path):
    """A phantom of an earlier version goes on: its settings must still be recognised."""
    settings = {}
    for layout in ("isles2018", "isles2017"):
        root = tmp_path / layout
        write_phantom(root, 1, 0, PhantomSettings(size=32, max_slices=1, layout=layout))
        info = json.loads((root / "phantom.json").read_text())
        settings[layout] = list(info["settings"])
        assert len(info["cases"]) == 2
    vendors = ["vendors", "test_vendors", "truth"]
    assert settings["isles2018"] == ["version", "size", "seed", "dwi", "max_slices", *vendors]
    assert settings["isles2017"] == ["version", "layout", "size", "seed", "max_slices"]


def test_plan():
    plans = plan_isles2024_scans(3, 0, 60, size=512)
    assert plans[:7] == plan_isles2024_scans(3, 0, 7, size=512)
    assert plans[6:9] == plan_isles2024_scans(3, 0, 3, size=512, first=7)
    assert plans[6:9] != plan_isles2024_scans(3, 1, 3, size=512, first=7)
    assert [plan.patient for plan in plans] == [plan.number for plan in plans]
    assert {len(plan.slabs) for plan in plans} == {1}
    assert {plan.grid.n_slices for plan in plans} == {16, 20, 24}
    assert {plan.n_frames for plan in plans if plan.vendor == "A"} == {45, 50, 60}
    thin, thick = {16: 6, 20: 5, 24: 5}, {16: 8, 20: 6, 24: 5}
    for plan in plans:
        grid = plan.grid
        assert thin[grid.n_slices] <= grid.slice_mm <= thick[grid.n_slices]
        assert 0.40 <= grid.pixel_mm <= 0.52
        assert grid.bottom_mm < -20 and grid.bottom_mm + grid.n_slices * grid.slice_mm > 60
    capped = plan_isles2024_scans(3, 0, 5, size=512, max_slices=4)
    assert {plan.grid.n_slices for plan in capped} == {4}
