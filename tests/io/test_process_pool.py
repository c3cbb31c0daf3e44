from __future__ import annotations

import math

import pytest

from nnunetv2_strokesynth.evaluation.cases import CasePair
from nnunetv2_strokesynth.evaluation.measure import measure_case
from nnunetv2_strokesynth.io.process_pool import map_cases

SQUARES = [9.0, 0.0, 4.0, 1.0]


@pytest.mark.parametrize("workers", [1, 2])
def test_results_keep_the_order(workers):
    found = map_cases(math.sqrt, SQUARES, workers=workers, description="roots")
    assert found == [3, 0, 2, 1]


def test_an_error_in_a_worker_arrives(tmp_path):
    cases = [CasePair(f"case_{k}", tmp_path / "a", tmp_path / "b") for k in range(2)]
    with pytest.raises(ValueError, match=r"case case_\d: .*a does not exist"):
        map_cases(measure_case, cases, workers=2, description="measure")


def test_no_workers():
    with pytest.raises(ValueError, match="--workers is 0"):
        map_cases(math.sqrt, SQUARES, workers=0, description="roots")
