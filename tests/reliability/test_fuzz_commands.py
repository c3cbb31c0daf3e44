"""A small share of ``python -m benchmarks.fuzz``: every command on inputs damaged at random.

``STROKESYNTH_FUZZ_CASES`` sets how many; a quarter of it is tried here.
"""

import json
import os
import sys

import numpy as np
import pytest

from benchmarks.fuzz import damages
from benchmarks.fuzz.__main__ import fuzz
from benchmarks.fuzz.inputs import build
from benchmarks.fuzz.targets import TARGETS
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
