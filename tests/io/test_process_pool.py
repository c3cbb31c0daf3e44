from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time

import pytest

from nnunetv2_strokesynth.evaluation.matching import CasePair
from nnunetv2_strokesynth.evaluation.measure import measure_case
from nnunetv2_strokesynth.io.process_pool import (
    WorkerKilledError,
    map_cases,
    try_cases,
)

SQUARES = [9.0, 0.0, 4.0, 1.0]


@pytest.mark.parametrize("workers", [1, 2])
def test_results_keep_the_order(workers):
    found = map_cases(math.sqrt, SQUARES, workers=workers, description="roots")
    assert found == [3, 0, 2, 1]


def test_an_error_in_a_worker_arrives(tmp_path):
    cases = [CasePair(f"case_{k}", tmp_path / "a", tmp_path / "b") for k in range(2)]
    with pytest.raises(ValueError, match=r"case case_\d: .*a does not exist"):
        map_cases(measure_case, cases, workers=2, description="measure")


@pytest.mark.parametrize("workers", [1, 2])
def test_tolerated_errors_do_not_stop_the_others(workers):
    options = {"workers": workers, "description": "roots"}
    found, errors = try_cases(math.sqrt, [9.0, -1.0, 4.0], tolerated=(ValueError,), **options)
    assert found == [3, 2]
    assert [type(error) for error in errors] == [ValueError]
    with pytest.raises(TypeError):
        try_cases(math.sqrt, [9.0, "x", 4.0], tolerated=(ValueError,), **options)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_worker_is_an_error_of_its_own():
    with pytest.raises(WorkerKilledError, match="--workers 1"):
        map_cases(_kill_itself, [0, 1], workers=2, description="kills")


def _kill_itself(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_no_workers():
    with pytest.raises(ValueError, match="--workers is 0"):
        map_cases(math.sqrt, SQUARES, workers=0, description="roots")


INTERRUPTED = """
import signal, sys, time
from nnunetv2_strokesynth.io.process_pool import map_cases
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run with &
    try:
        print("begins", flush=True)
        map_cases(time.sleep, [0.3] * 6, workers=2, description="sleeps")
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize("after_s", [0.0, 0.15, 0.5])
def test_ctrl_c_ends_without_a_traceback(after_s, tmp_path):
    """In the first moments, too, when the workers are still importing."""
    program = tmp_path / "program.py"
    program.write_text(INTERRUPTED)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, program], start_new_session=True, **pipes) as child:
        assert child.stdout.readline() == "begins\n"
        time.sleep(after_s)
        os.killpg(child.pid, signal.SIGINT)  # as a terminal does: to the workers, too
        _, stderr = child.communicate(timeout=60)
    assert (child.returncode, stderr) == (130, "")
