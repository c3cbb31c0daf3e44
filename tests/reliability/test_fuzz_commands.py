"""A small share of ``python -m benchmarks.fuzz``: every command on inputs damaged at random.

``STROKESYNTH_FUZZ_CASES`` sets how many; a quarter of it is tried here.
"""

import io
import json
import os
import sys

import numpy as np
import pytest
from pydicom import dcmread

from benchmarks.fuzz import damages
from benchmarks.fuzz.__main__ import fuzz
from benchmarks.fuzz.inputs import build
from benchmarks.fuzz.targets import RAW, TARGETS
from benchmarks.fuzz.trial import quiet_commands, run_trial
from nnunetv2_strokesynth import cli

TRIALS = int(os.environ.get("STROKESYNTH_FUZZ_CASES", "150")) // 4


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    base = tmp_path_factory.mktemp("fuzz")
    build(base)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
            patch.setenv(name, str(base))  # a trial sets its own
        yield base


def test_damaged_inputs_give_a_result_or_one_line(inputs):
    outcomes = fuzz(inputs, list(TARGETS), range(TRIALS), seed=1)
    findings = [one for one in outcomes if one.finding]
    assert findings == [], "\n\n".join(f"{one.finding}\n{one}" for one in findings)
    assert {one.code for one in outcomes} >= {0, 2}


@pytest.mark.parametrize("target", TARGETS)
def test_whole_inputs_give_a_result(inputs, target, monkeypatch):
    """Otherwise the fuzz would only try how inputs are refused."""
    monkeypatch.setattr("benchmarks.fuzz.trial._spoil_some", lambda *_: [])
    monkeypatch.setattr("benchmarks.fuzz.trial.pick", lambda *_: "")
    with quiet_commands():
        found = run_trial(inputs, target, 0, 0)
    assert found.finding == "", found
    assert found.code in TARGETS[target].codes, found


def _npz(probabilities):
    content = io.BytesIO()
    np.savez_compressed(content, probabilities=probabilities)
    return content.getvalue()


# What the fuzz has found: target, file that is damaged, its new content.
FOUND = [
    ("score-maps", "truth/case_1/truth.json", b"[" * 50_000),
    ("reproduce", f"nnUNet_raw/{RAW}/splits_final.json", b'[{"train": [], "val": [[], "a"]}]'),
    ("reproduce", f"nnUNet_raw/{RAW}/dataset.json", b'{"file_ending": 3}'),
    ("reproduce", f"nnUNet_raw/{RAW}/conversion_report.csv", b"case_id,patient\n\xff\n"),
    ("reproduce", "table/StrokeSynthTrainer_SegUNet/evaluation/cases.csv", b"a,b\n1,2,3\n"),
    ("reproduce", "table/reproduce.json", b'{"also": 3}'),
    ("phantom", "out/phantom.json", b"{}"),
    ("fingerprint", f"nnUNet_raw/{RAW}/imagesTr/case_001_0000.nii.gz", b"no image"),
    ("synthesize", "images/case_001_0003.nii.gz", b""),
    ("postprocess", "prob/case_001.npz", _npz(np.full((2, 2, 24, 24), "0.5"))),
    ("report", "model/fold_0/loss_terms.csv", b"epoch,a\n" + b"1" * 200_000),
]


@pytest.mark.parametrize(("target", "file", "content"), FOUND)
def test_what_the_fuzz_has_found_is_refused_by_the_name_of_the_file(
    inputs, target, file, content, monkeypatch
):
    def damage(work, *_):
        (work / file).write_bytes(content)
        return []

    monkeypatch.setattr("benchmarks.fuzz.trial._spoil_some", damage)
    monkeypatch.setattr("benchmarks.fuzz.trial.pick", lambda *_: "")
    with quiet_commands():
        found = run_trial(inputs, target, 0, 0)
    assert found.finding == "" and found.code == 2, found
    assert file.rpartition("/")[2] in found.said


@pytest.mark.parametrize("element", ["BitsAllocated", "PixelRepresentation"])
def test_an_enhanced_file_without_what_its_pixels_need_is_named(inputs, element, monkeypatch):
    def damage(work, *_):
        data = dcmread(work / "study" / "ct.dcm")
        delattr(data, element)
        data.save_as(work / "study" / "ct.dcm")
        return []

    monkeypatch.setattr("benchmarks.fuzz.trial._spoil_some", damage)
    monkeypatch.setattr("benchmarks.fuzz.trial.pick", lambda *_: "")
    with quiet_commands():
        found = run_trial(inputs, "enhanced", 0, 0)
    assert found.finding == "" and found.code == 2 and "ct.dcm" in found.said, found


def test_a_changed_record_of_a_conversion_is_made_again(inputs, monkeypatch):
    """Its warnings were a number, which ended in a traceback when the report was written."""

    def damage(work, *_):
        path = work / f"nnUNet_raw/{RAW}/conversion/case_001.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "warnings": [3]}))
        return []

    monkeypatch.setattr("benchmarks.fuzz.trial._spoil_some", damage)
    monkeypatch.setattr("benchmarks.fuzz.trial.pick", lambda *_: "")
    with quiet_commands():
        found = run_trial(inputs, "convert", 0, 0)
    assert (found.code, found.finding) == (0, "")
    record = inputs / "work" / f"nnUNet_raw/{RAW}/conversion/case_001.json"
    assert json.loads(record.read_text())["warnings"] != [3]


def _fails(_):
    raise KeyError("a bug")


def _says_two_lines(_):
    sys.stderr.write("strokesynth tune: one\nand two\n")
    return 2


@pytest.mark.parametrize(
    ("command", "finding"),
    [(_fails, "traceback"), (_says_two_lines, "2 lines"), (lambda _: 0, "output lacks"),
     (lambda _: 7, "exit code 7")],
)  # fmt: skip
def test_a_bug_is_found(inputs, monkeypatch, command, finding):
    monkeypatch.setattr(cli, "main", command)
    with quiet_commands():
        assert run_trial(inputs, "tune", 0, 0).finding.startswith(finding)


def test_damages_are_the_same_for_the_same_seed(tmp_path):
    texts = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "x.json"
        path.write_text(json.dumps({"a": [1, 2], "b": {"c": 3}}))
        texts.append([damages.json_value(path, np.random.default_rng(3)), path.read_text()])
    assert texts[0] == texts[1]
