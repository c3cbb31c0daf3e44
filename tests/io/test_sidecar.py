"""Frame times by a BIDS sidecar."""

import json

import numpy as np
import pytest

from nnunetv2_strokesynth.io.sidecar import read_sidecar_times, sidecar_of

T = 12


def beside(tmp_path, content, name="ctp.nii.gz"):
    """The series' path, beside which a sidecar lies; text is written as it is."""
    path = tmp_path / name
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / f"{name.split('.')[0]}.json").write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["ctp.nii", "ctp.nii.gz", "ctp.NII.gz"])
def test_the_sidecar_s_name(tmp_path, name):
    path = beside(tmp_path, {}, name)
    assert sidecar_of(path) == tmp_path / "ctp.json"
    assert sidecar_of(tmp_path / "other.nii.gz") is None


UNEVEN = [5.0, 6, 7, 8, 9, 10, 13, 16, 19, 22, 25, 28]


@pytest.mark.parametrize(
    ("content", "field", "expected"),
    [
        ({"FrameTimesStart": UNEVEN}, "FrameTimesStart", np.array(UNEVEN) - 5),
        ({"VolumeTiming": UNEVEN}, "VolumeTiming", np.array(UNEVEN) - 5),
        ({"RepetitionTime": 1.5}, "RepetitionTime", 1.5 * np.arange(T)),
        ({"FrameDuration": [2] * T}, "FrameDuration", 2.0 * np.arange(T)),
        ({"FrameDuration": 2.5}, "FrameDuration", 2.5 * np.arange(T)),
        (
            {"FrameDuration": [1] * 6 + [3] * 6},
            "FrameDuration",
            [0, 1, 2, 3, 4, 5, 6, 9, 12, 15, 18, 21],
        ),
        # Exposures of 0.4 s with pauses between them.
        (
            {"FrameDuration": [0.4] * T, "FrameTimesStart": UNEVEN, "RepetitionTime": None},
            "FrameTimesStart",
            np.array(UNEVEN) - 5,
        ),
        ({"FrameDuration": 0.4, "RepetitionTime": 1.5}, "RepetitionTime", 1.5 * np.arange(T)),
    ],
)
def test_fields(tmp_path, content, field, expected):
    found = read_sidecar_times(beside(tmp_path, content), T)
    assert found.field == field
    np.testing.assert_allclose(found.times_s, expected)


@pytest.mark.parametrize("content", [{}, {"description": "Train_01_A"}, {"RepetitionTime": None}])
def test_no_times(tmp_path, content):
    assert read_sidecar_times(beside(tmp_path, content), T) is None
    assert read_sidecar_times(tmp_path / "alone.nii", T) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not a JSON file"),
        ("{", "not a JSON file"),
        ("[" * 100_000, "not a JSON file"),
        ("null", "expected a JSON object"),
        ("[1, 2]", "expected a JSON object"),
        ({"RepetitionTime": "1.5"}, "RepetitionTime must hold numbers in s, found .*1.5"),
        ({"RepetitionTime": True}, "must hold numbers"),
        ({"RepetitionTime": [1.5, 1.5]}, "must hold numbers"),
        ('{"RepetitionTime": NaN}', "must hold numbers"),
        ('{"RepetitionTime": 1' + "0" * 400 + "}", "must hold numbers"),
        ({"RepetitionTime": -1}, "must be positive, found -1"),
        ({"FrameTimesStart": {"0": 1}}, "must hold numbers"),
        ({"FrameTimesStart": [[0], [1]]}, "must hold numbers"),
        ({"FrameTimesStart": UNEVEN[:-1]}, "has 11 times, the series has 12 frames"),
        ({"VolumeTiming": []}, "has 0 times"),
        ({"FrameTimesStart": UNEVEN[::-1]}, "must increase"),
        ({"FrameTimesStart": [0] * T}, "must increase"),
        ({"FrameDuration": [2] * 11}, "has 11 values"),
        ({"FrameDuration": [2] * 11 + [0]}, "must be positive"),
        ({"FrameDuration": "long"}, "must hold numbers"),
        (
            {"FrameTimesStart": list(range(T)), "RepetitionTime": 2},
            "1 s apart by FrameTimesStart and 2 s by RepetitionTime",
        ),
    ],
)
def test_malformed_sidecars_name_the_file(tmp_path, content, message):
    with pytest.raises(ValueError, match=rf"ctp\.json: .*{message}"):
        read_sidecar_times(beside(tmp_path, content), T)
