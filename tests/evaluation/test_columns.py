from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from nnunetv2_strokesynth.evaluation.columns import COLUMNS, TABLES, number_text
from nnunetv2_strokesynth.evaluation.measure import segmentation_metrics, synthesis_metrics

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"


def test_every_column_belongs_to_a_table():
    assert {column.table for column in COLUMNS} == set(TABLES)


def test_every_measured_value_is_described_and_nothing_else():
    mask = np.zeros((3, 20, 20), bool)
    mask[1, 5:9, 5:9] = True
    image = np.random.default_rng(0).random(mask.shape).astype(np.float32)
    measured = set(segmentation_metrics(mask, mask, (5.0, 1.0, 1.0)))
    measured |= set(synthesis_metrics(image, image, mask))
    measured |= {"cut_dice", "cut_threshold"}  # of all scans together: measure_cases adds them
    assert {column.key for column in COLUMNS} <= measured
    cells = re.findall(r"^\| (`[^|]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {key for cell in cells for key in re.findall(r"`(\w+)`", cell)} == measured


def test_titles_are_those_of_the_page():
    page = PAGE.read_text(encoding="utf-8")
    for column in COLUMNS:
        if column.table != "synthesis":
            assert f"`{column.key}` | {column.title} |" in page


@pytest.mark.parametrize(
    ("value", "signed", "expected"),
    [
        (-0.001, False, "0.00"),
        (-0.001, True, "0.00"),
        (0.001, True, "0.00"),
        (-0.006, True, "-0.01"),
        (1.234, True, "+1.23"),
        (float("nan"), False, "nan"),
    ],
)
def test_there_is_no_negative_zero(value, signed, expected):
    assert number_text(value, 2, signed=signed) == expected
