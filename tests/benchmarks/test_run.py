"""The table of benchmarks: targets in both directions, and what could not be measured."""

import math

import pytest
import torch

from benchmarks import run


def row(ratio: float, target: object) -> dict:
    return {"claim": "x", "ours": 1.0, "yardstick": 2.0, "ratio": ratio, "target": target}


@pytest.mark.parametrize(
    ("ratio", "target", "expected"),
    [
        (1.15, "<= 1.15", "yes"),
        (1.16, "<= 1.15", "no"),
        (0.89, ">= 0.9", "no"),
        (0.90, ">= 0.9", "yes"),
        (1.6, 1.5, "no"),
        (1.4, 1.5, "yes"),
        (3.0, "", ""),
        (3.0, None, ""),
        (math.nan, "<= 1.15", "not measured"),
    ],
)
def test_target_met(ratio, target, expected):
    assert run.target_met(row(ratio, target)) == expected


def test_an_estimate_is_called_one():
    estimated = row(0.5, "<= 1") | {"claim": "memory, estimated"}
    assert run.target_met(estimated) == "yes (estimated)"


def test_target_of_another_form_is_refused():
    with pytest.raises(ValueError, match="'< 2', expected"):
        run.target_met(row(1.0, "< 2"))


def test_markdown_has_the_targets_as_written():
    lines = run.markdown([row(0.5, 1.5)]).splitlines()
    assert lines[0].startswith("| claim | ours | yardstick")
    assert lines[2] == "| x | 1 | 2 |  | 0.5 | <= 1.5 | yes |"


def test_a_script_that_fails_is_named_and_not_measured():
    (found,) = run.measured("no_such_script", torch.device("cpu"), True)
    assert "no_such_script" in found["claim"]
    assert run.target_met(found) == "not measured"
