"""The doctor and the converter never disagree: what it calls fine converts, what it refuses stops.

Nothing here says which defect is refused: the converter decides, and may change its mind.
"""

import contextlib
import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import damages
import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from scan_files import BidsScans, MriScans, Scans

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.commands.convert import kind_arguments
from nnunetv2_strokesynth.dataset_conversion.job import CaseJob, convert_case
from nnunetv2_strokesynth.dataset_conversion.registry import KINDS, load_kind
from nnunetv2_strokesynth.dataset_conversion.scans import header_problems

WRITERS = {"isles2018": Scans, "isles2017": MriScans, "isles2024": BidsScans}


def call(*command) -> tuple[int, str]:
    """Exit code and last line on stderr."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = main([str(word) for word in command])
    return code, (said.getvalue().splitlines() or [""])[-1]


def doctor(kind: str, src: Path, *options: str) -> tuple[int, dict]:
    """Exit code and the JSON; an empty one where the command refuses."""
    path = src.parent / "doctor.json"
    path.unlink(missing_ok=True)
    words = ["--kind", kind, "--json", path, "--workers", "1", *options]
    words += [] if "--convert" in options else ["--convert"]
    code, _ = call("doctor", src, *words, "--folds", "2")
    return code, json.loads(path.read_text()) if path.is_file() else {}


def refused(content: dict) -> set[str]:
    """Case ids of the scans that are refused."""
    return {scan["case_id"] for scan in content["scans"] if scan["verdict"] == "refused"}


def refused_by_the_converter(kind_name: str, src: Path, folder: Path) -> dict[str, str]:
    """Case id -> why, of the scans that the converter's own steps do not take."""
    kind = load_kind(kind_name)
    args = kind_arguments(kind_name, [str(src), "--folds", "2"])
    found, twice = kind.find_scans(src)
    why = {fault.case_id: fault for fault in twice}
    for scan in kind.select_scans(found, args):
        problems = header_problems(scan)
        problems += [fault for fault in twice if fault.case_id == scan.case_id]
        if not problems:
            try:
                convert_case(CaseJob(scan, folder, kind.settings_of(args), kind.convert))
            except (ValueError, OSError) as error:
                problems.append(str(error))
        if problems:
            why[scan.case_id] = "; ".join(problems)
    return why


def put(writer, number, modality, array):
    """Write another array into the file of a modality."""
    if isinstance(writer, BidsScans):
        writer.write(number, modality, array)
    else:
        writer.replace(number, modality, array)


def array_of(writer, number, modality):
    """The stored array of a modality, (X, Y, Z[, T])."""
    return np.array(nibabel.load(writer.path(number, modality)).dataobj)  # not mapped


def with_values(writer, number, modality, values):
    """Write some values into the middle of an image."""
    array = array_of(writer, number, modality).astype(np.float64)
    array[8, 7, 0, ...] = values
    put(writer, number, modality, array)


def truncate(path, share=0.6):
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def reorder(writer, number, modality):
    """Store a file in another order of axes, with a right header."""
    path = writer.path(number, modality)
    image = nibabel.load(path).as_reoriented(np.array([[1, -1], [0, 1], [2, -1]]))
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), image.affine), path)


MAP = {"isles2018": "Tmax", "isles2024": "Tmax", "isles2017": "TTP"}
REFERENCE = {"isles2018": "CT", "isles2024": "CT", "isles2017": "ADC"}


def _of_map(change):
    return lambda w, n, kind: change(w, n, MAP[kind])


DEFECTS = {
    "none": lambda w, n, kind: None,
    "map truncated": _of_map(lambda w, n, m: truncate(w.path(n, m))),
    "map truncated at its end": _of_map(lambda w, n, m: truncate(w.path(n, m), 0.97)),
    "map of 0 bytes": _of_map(lambda w, n, m: w.path(n, m).write_bytes(b"")),
    "map is a web page": _of_map(lambda w, n, m: w.path(n, m).write_text("<html>" * 100)),
    "map of another shape": _of_map(lambda w, n, m: put(w, n, m, np.ones((18, 15, 2), np.float32))),
    "map with more slices": _of_map(lambda w, n, m: put(w, n, m, np.ones((18, 16, 3), np.float32))),
    "map is a series": _of_map(lambda w, n, m: put(w, n, m, np.ones((18, 16, 2, 3), np.float32))),
    "map is constant": _of_map(lambda w, n, m: put(w, n, m, np.full((18, 16, 2), 7.0))),
    "map missing": _of_map(lambda w, n, m: w.path(n, m).unlink()),
    "map with NaN": _of_map(lambda w, n, m: with_values(w, n, m, np.nan)),
    "map with impossible values": _of_map(lambda w, n, m: with_values(w, n, m, -54112)),
    "map in ms": _of_map(lambda w, n, m: put(w, n, m, 1000.0 * array_of(w, n, m))),
    "map of whole numbers to 255": _of_map(
        lambda w, n, m: put(
            w, n, m, (255 * array_of(w, n, m) / array_of(w, n, m).max()).astype(np.uint8)
        )
    ),
    "map of -30 outside": _of_map(
        lambda w, n, m: put(w, n, m, np.where(array_of(w, n, m) == 0, -30.0, array_of(w, n, m)))
    ),
    "two maps damaged": _of_map(
        lambda w, n, m: (truncate(w.path(n, m)), w.path(n, "MTT").write_bytes(b""))
    ),
    "reference missing": lambda w, n, kind: w.path(n, REFERENCE[kind]).unlink(),
    "reference damaged": lambda w, n, kind: truncate(w.path(n, REFERENCE[kind])),
    "lesion missing": lambda w, n, kind: w.path(n, "OT").unlink(),
    "lesion empty": lambda w, n, kind: put(w, n, "OT", np.zeros((18, 16, 2), np.uint8)),
    "lesion of 0 and 255": lambda w, n, kind: put(w, n, "OT", array_of(w, n, "OT") * np.uint8(255)),
    "lesion of floats": lambda w, n, kind: put(w, n, "OT", array_of(w, n, "OT") * 0.9999999997),
    "lesion damaged": lambda w, n, kind: truncate(w.path(n, "OT")),
}
CTP_DEFECTS = {
    "series truncated": lambda w, n, kind: truncate(w.path(n, "4DPWI")),
    "series missing": lambda w, n, kind: w.path(n, "4DPWI").unlink(),
    "series of one frame": lambda w, n, kind: put(w, n, "4DPWI", array_of(w, n, "4DPWI")[..., :1]),
    "series of two frames": lambda w, n, kind: put(
        w, n, "4DPWI", array_of(w, n, "4DPWI")[..., 5:7]
    ),
    "series without contrast": lambda w, n, kind: put(
        w, n, "4DPWI", np.repeat(array_of(w, n, "4DPWI")[..., :1], 14, axis=3)
    ),
    "series with repeated frames": lambda w, n, kind: put(
        w, n, "4DPWI", array_of(w, n, "4DPWI")[..., [*range(9), 8, 8, 11, 12, 13]]
    ),
    "series with NaN": lambda w, n, kind: with_values(w, n, "4DPWI", np.nan),
    "series offset by 1024": lambda w, n, kind: put(w, n, "4DPWI", array_of(w, n, "4DPWI") + 1024),
    "times contradict": lambda w, n, kind: (
        w.path(n, "4DPWI")
        .with_name(w.path(n, "4DPWI").name.split(".nii")[0] + ".json")
        .write_text('{"FrameTimesStart": [0, 1, 2], "RepetitionTime": 4}')
    ),
    "CT offset by 1024": lambda w, n, kind: put(w, n, "CT", array_of(w, n, "CT") + 1024),
    "DWI damaged": lambda w, n, kind: truncate(w.path(n, "DWI")),
    "DWI missing": lambda w, n, kind: w.path(n, "DWI").unlink(),
    "DWI constant": lambda w, n, kind: put(w, n, "DWI", np.ones((18, 16, 2), np.float32)),
}
BIDS_DEFECTS = {
    "another order of axes": lambda w, n, kind: reorder(w, n, "Tmax"),
    "reference in another order": lambda w, n, kind: reorder(w, n, "CT"),
    "second mask": lambda w, n, kind: shutil.copy(
        w.path(n, "OT"), w.path(n, "OT").with_name("sub-stroke0002_ses-02_x_lesion-msk.nii.gz")
    ),
    "elsewhere": lambda w, n, kind: w.write(
        n, "CBV", w.arrays(n)["CBV"], affine=w.affine + np.eye(4)[:, [3, 1, 2, 0]] * 500
    ),
    "sheared": lambda w, n, kind: w.write(
        n, "CT", np.ones((18, 16, 2), np.int16), affine=w.affine + np.eye(4, k=1)
    ),
}


def write_scans(kind, src, numbers):
    """A writer with sound scans."""
    writer = WRITERS[kind](src)
    for number in numbers:
        writer.add(number, **({"dwi": True} if kind == "isles2018" else {}))
    return writer


@pytest.mark.parametrize("kind", KINDS)
def test_every_defect_is_judged_as_by_the_converter(tmp_path, nnunet_raw, kind):
    defects = DEFECTS | (CTP_DEFECTS if kind != "isles2017" else {})
    defects |= BIDS_DEFECTS if kind == "isles2024" else {}
    numbered = dict(enumerate(defects.items(), start=1))
    src = tmp_path / "src"
    writer = write_scans(kind, src, numbered)
    for number, (_, defect) in numbered.items():
        defect(writer, number, kind)
    code, content = doctor(kind, src)
    converted, line = call("convert", kind, src, "--folds", "2", "--workers", "1", "--skip-broken")
    assert (code, converted) == (1, 0), line
    (description,) = nnunet_raw.glob("*/dataset.json")
    skipped = {fault["case"] for fault in json.loads(description.read_text())["skipped"]}
    names = {f"{number:04d}": name for number, (name, _) in numbered.items()}
    judged, left_out = (
        {names[case_id.rpartition("_")[2].zfill(4)] for case_id in case_ids}
        for case_ids in (refused(content), skipped)
    )
    assert judged == left_out
    assert {"map truncated", "map of 0 bytes", "map missing", "reference damaged"} <= judged
    assert "none" not in judged and len(judged) < len(numbered) == len(content["scans"])
    # What is left out by an option needs no decision; the warnings of the others may.
    _, content = doctor(kind, src, "--quick", "--convert", "--skip-broken")
    whole = [finding for finding in content["findings"] if finding["level"] == "refused"]
    assert refused(content) and not whole


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(plan=damages.plans())
def test_random_damages_are_judged_as_by_the_converter(tmp_path, plan):
    plan = {**plan, "options": [], "patients": None}
    src = tmp_path / "src"
    for name in ("src", "raw"):
        shutil.rmtree(tmp_path / name, ignore_errors=True)
    writers = SimpleNamespace(Scans=Scans, MriScans=MriScans, BidsScans=BidsScans)
    damages.build(plan, src, writers)
    code, content = doctor(plan["kind"], src)
    if code != 2:  # no scan is found
        assert refused(content) == set(
            refused_by_the_converter(plan["kind"], src, tmp_path / "raw")
        )


@pytest.mark.parametrize("spoilt", [False, True])
def test_the_commands_agree(tmp_path, nnunet_raw, spoilt):
    writer = write_scans("isles2024", tmp_path / "src", (1, 2, 3))
    if spoilt:
        truncate(writer.path(2, "CBF"), 0.9)
    code, content = doctor("isles2024", tmp_path / "src")
    converted, line = call(
        "convert", "isles2024", tmp_path / "src", "--folds", "2", "--workers", "1"
    )
    assert (code, converted) == ((1, 2) if spoilt else (0, 0))
    assert refused(content) == ({"case_0002"} if spoilt else set())
    assert ("case_0002 (raw_data/sub-stroke0002)" in line) == spoilt


@pytest.mark.parametrize("kind", KINDS)
def test_all_faults_of_a_scan_are_named_at_once(tmp_path, kind):
    """The converter stops at the first; the doctor reads on."""
    writer = write_scans(kind, tmp_path / "src", (1, 2, 3))
    names = ["MTT", MAP[kind], "OT"]
    for name in names:
        path = writer.path(2, name)
        if path.suffix == ".gz":  # the header survives, the voxels do not
            truncate(path, 0.9)
        else:
            put(writer, 2, name, np.full((18, 16, 2), 7, np.uint8))
            path.write_bytes(path.read_bytes()[:-1])
    code, content = doctor(kind, tmp_path / "src")
    assert code == 1
    (scan,) = [scan for scan in content["scans"] if scan["verdict"] == "refused"]
    found = [f["modality"] for f in scan["findings"] if f["level"] == "refused"]
    assert sorted(found) == sorted(names)


def test_quick_reads_headers_alone(tmp_path):
    writer = write_scans("isles2024", tmp_path / "src", (1, 2, 3))
    writer.path(1, "CBV").write_bytes(b"")
    truncate(writer.path(2, "CBV"), 0.9)
    _, slow = doctor("isles2024", tmp_path / "src")
    code, quick = doctor("isles2024", tmp_path / "src", "--quick")
    assert code == 1 and quick["quick"] and not slow["quick"]
    assert len(refused(slow)) == 2
    assert refused(quick) == {"case_0001"}
