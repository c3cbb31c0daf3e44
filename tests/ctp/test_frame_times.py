"""Times of the frames: user, sidecar, header, and what happens where they contradict each other."""

import json
import tempfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.ctp.frame_times import frame_times_of

T = 30
PER_SECOND = {"sec": 1, "msec": 1e3, "usec": 1e6}


def save(folder, series, header_s, unit="sec", sidecar=None):
    """A series (T, Z, Y, X) whose header says ``header_s``, and its sidecar."""
    path = folder / "ctp.nii.gz"
    image = nibabel.Nifti1Image(np.asarray(series, np.float32).T, np.diag([2.5, 2.5, 5, 1]))
    image.header.set_xyzt_units("mm", unit)
    image.header["pixdim"][4] = header_s * PER_SECOND.get(unit, 1)
    nibabel.save(image, path)
    if sidecar is not None:
        (folder / "ctp.json").write_text(json.dumps(sidecar))
    return path


def sidecar_with(field, step_s):
    starts = (3 + step_s * np.arange(T)).tolist()
    values = {"RepetitionTime": step_s, "FrameDuration": [step_s] * T}
    return {field: values.get(field, starts)}


FIELDS = st.sampled_from(["FrameTimesStart", "VolumeTiming", "RepetitionTime", "FrameDuration"])


@settings(max_examples=60, deadline=None)
@given(
    FIELDS,
    st.sampled_from([*PER_SECOND, "unknown"]),
    st.floats(0.4, 9),
    st.floats(0.4, 9).filter(lambda s: s != 1),
)
def test_units_and_contradictions(field, unit, sidecar_s, header_s):
    """The header's unit does not matter; more than 5 % apart is refused, with both values."""
    with tempfile.TemporaryDirectory() as folder:
        path = save(
            Path(folder), np.zeros((T, 1, 2, 2)), header_s, unit, sidecar_with(field, sidecar_s)
        )
        apart = abs(header_s - sidecar_s) / sidecar_s
        if unit == "unknown" or apart < 0.0499:
            found = frame_times_of(path, T)
            np.testing.assert_allclose(found.times_s, sidecar_s * np.arange(T), rtol=1e-9)
            assert f"ctp.json ({field})" in found.notes[0]
        elif apart > 0.0501:
            with pytest.raises(ValueError, match="--frame-s") as error:
                frame_times_of(path, T)
            assert f"{sidecar_s:g} s by ctp.json" in str(error.value)
        chosen = frame_times_of(path, T, 2.0)
        np.testing.assert_array_equal(chosen.times_s, 2.0 * np.arange(T))
        if abs(sidecar_s - 2) > 0.11:
            assert "--frame-s 2 is used, and ctp.json is not" in chosen.notes[0]


@pytest.mark.parametrize("unit", ["sec", "unknown"])
def test_the_1_s_that_programs_write_is_no_contradiction(tmp_path, unit):
    path = save(tmp_path, np.zeros((T, 1, 2, 2)), 1.0, unit, {"RepetitionTime": 1.8})
    found = frame_times_of(path, T)
    assert found.times_s[1] == 1.8 and "where they do not know" in found.notes[0]


def test_header_alone_and_header_of_nonsense(tmp_path):
    path = save(tmp_path, np.zeros((T, 1, 2, 2)), 1.5)
    assert frame_times_of(path, T).times_s[1] == 1.5 and not frame_times_of(path, T).notes
    path = save(tmp_path, np.zeros((T, 1, 2, 2)), 0.0)
    with pytest.raises(ValueError, match="pass --frame-s"):
        frame_times_of(path, T)
    (tmp_path / "ctp.json").write_text('{"RepetitionTime": 1.5}')
    assert frame_times_of(path, T).times_s[1] == 1.5


def test_sidecar_in_ms_and_malformed(tmp_path):
    path = save(tmp_path, np.zeros((T, 1, 2, 2)), 1.5, sidecar={"RepetitionTime": 1500})
    with pytest.raises(ValueError, match="1500 s .*is it in ms.*--frame-s"):
        frame_times_of(path, T)
    (tmp_path / "ctp.json").write_text("{")
    with pytest.raises(ValueError, match=r"ctp.json: not a JSON file .*--frame-s"):
        frame_times_of(path, T)
    found = frame_times_of(path, T, 1.5)
    assert found.times_s[1] == 1.5 and "the sidecar is not" in found.notes[0]


def uneven_head(make_head):
    """One frame a second for 40 s, then one every 3 s, as scanners save dose."""
    times = np.r_[np.arange(40.0), np.arange(42, 61, 3)]
    return make_head(times), times


def test_uneven_times_reach_the_maps(make_head, tmp_path):
    """As from DICOM: interpolated to the median step, with a warning; ten header seconds lose."""
    head, times = uneven_head(make_head)
    even = save(tmp_path, make_head().series, 1.0)
    assert main(["maps", str(even), "-o", str(tmp_path / "even")]) == 0
    path = save(tmp_path, head.series, 1.0, sidecar={"FrameTimesStart": (7.5 + times).tolist()})
    assert main(["maps", str(path), "-o", str(tmp_path / "uneven")]) == 0
    record = json.loads((tmp_path / "uneven" / "maps.json").read_text())
    assert record["frame_s"] == 1.0
    assert any("1.00 to 3.00 s apart: interpolated to 1.00 s" in w for w in record["warnings"])
    assert any("ctp.json (FrameTimesStart)" in n for n in record["notes"])
    first, second = (
        np.asarray(nibabel.load(tmp_path / name / "tmax.nii.gz").dataobj).T
        for name in ("even", "uneven")
    )
    for half in (head.left, head.right):
        assert np.median(second[half]) == pytest.approx(np.median(first[half]), abs=0.5)


def test_contradiction_stops_maps_and_frame_s_decides(make_head, tmp_path, capsys):
    path = save(tmp_path, make_head().series, 2.0, sidecar={"RepetitionTime": 1.0})
    out = tmp_path / "out"
    assert main(["maps", str(path), "-o", str(out)]) == 2
    assert "2 s by the header (pixdim[4]) and 1 s by ctp.json" in capsys.readouterr().err
    assert not out.exists()
    assert main(["maps", str(path), "-o", str(out), "--frame-s", "2"]) == 0
    record = json.loads((out / "maps.json").read_text())
    assert record["frame_s"] == 2.0
    assert any("--frame-s 2 is used, and ctp.json is not" in n for n in record["notes"])
