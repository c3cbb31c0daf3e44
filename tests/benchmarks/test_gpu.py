"""Parts of the GPU run: each keeps to itself and to its time; what they found is kept."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmarks.gpu import page, steps, turns
from benchmarks.gpu.names import PLAIN_NORM, SYSTEMS
from benchmarks.gpu.rounds import Part, Rounds
from benchmarks.gpu.settings import settings
from benchmarks.gpu.systems import System, packed_targets
from nnunetv2_strokesynth.dataloading.transforms import PackTargets
from nnunetv2_strokesynth.nnunet_ext import strokesynth_trainers

CPU = torch.device("cpu")
SAVE = "from pathlib import Path; Path('{folder}/{name}.json').write_text('{{\"found\": 1}}'); "
SLEEP = "import time; time.sleep(60)"
TAKE_A_TURN = """
import time, json
from pathlib import Path
folder = Path({folder!r})
(folder / "{name}.ready").touch()
while not (folder / "{name}.go").exists():
    time.sleep(0.01)
start = time.monotonic()
time.sleep(0.1)
(folder / "{name}.json").write_text(json.dumps({{"from": start, "to": time.monotonic()}}))
"""


@pytest.fixture
def seen():
    """The records as they were after each part."""
    return []


@pytest.fixture
def rounds(tmp_path, seen):
    found = Rounds(
        tmp_path,
        time.monotonic() + 60,
        lambda records: seen.append(json.loads(json.dumps(records))),
    )
    yield found
    found.stop_all()


def part(rounds, name, code, limit_s=30.0, warm_up_s=0.0):
    text = code.format(folder=str(rounds.folder), name=name)
    return Part(name, [sys.executable, "-c", text], limit_s, warm_up_s)


def test_a_part_that_fails_is_recorded_and_the_next_one_runs(rounds, seen):
    for name, code in (("bad", SAVE + "raise RuntimeError('no such kernel')"), ("good", SAVE)):
        rounds.finish(rounds.start(part(rounds, name, code)))
    bad, good = rounds.records["bad"], rounds.records["good"]
    assert (bad["status"], good["status"]) == ("failed", "done")
    assert bad["error"].endswith("RuntimeError: no such kernel")
    assert bad["result"] == good["result"] == {"found": 1}
    assert [list(records) for records in seen] == [["bad"], ["bad", "good"]]


def test_a_part_that_takes_too_long_is_cut_off_with_all_that_it_started(rounds, tmp_path):
    spawn = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', '" + SLEEP + "']); "
    )
    write = "Path('{folder}/pid').write_text(str(p.pid)); "
    rounds.finish(rounds.start(part(rounds, "slow", SAVE + spawn + write + SLEEP, limit_s=2.0)))
    record = rounds.records["slow"]
    assert (record["status"], record["result"]) == ("cut off", {"found": 1})
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):  # a killed process may take a moment to be gone
        if not _lives(pid):
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} still runs")


def _lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().split(")")[-1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_part_asked_to_end_may_write_what_it_has(rounds):
    code = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))\ntry:\n    "
    code += SLEEP + "\nfinally:\n    " + SAVE
    rounds.finish(rounds.start(part(rounds, "slow", code, limit_s=1.0)))
    assert rounds.records["slow"]["status"] == "cut off"
    assert rounds.records["slow"]["result"] == {"found": 1}


def test_nothing_starts_after_the_total_limit(tmp_path):
    rounds = Rounds(tmp_path, time.monotonic() - 1, lambda _: None)
    rounds.finish(rounds.start(part(rounds, "late", SAVE)))
    assert rounds.records["late"]["status"] == "not started"
    assert not (tmp_path / "late.json").exists()


def test_parts_warm_up_together_and_measure_alone(rounds):
    names = ("one", "two", "three")
    running = [rounds.start(part(rounds, name, TAKE_A_TURN, warm_up_s=20.0)) for name in names]
    rounds.wait_ready(running)
    assert all((rounds.folder / f"{name}.ready").exists() for name in names)
    for each in running:
        rounds.finish(each)
    spans = [rounds.records[name]["result"] for name in names]
    assert all(a["to"] <= b["from"] for a, b in zip(spans, spans[1:], strict=False))


def test_a_part_that_never_warms_up_costs_the_others_nothing(rounds):
    stuck = rounds.start(part(rounds, "stuck", SLEEP, warm_up_s=0.5))
    fine = rounds.start(part(rounds, "fine", TAKE_A_TURN, warm_up_s=20.0))
    rounds.wait_ready([stuck, fine])
    rounds.finish(stuck)
    rounds.finish(fine)
    assert rounds.records["stuck"]["status"] == "cut off"
    assert "warm up" in rounds.records["stuck"]["error"]
    assert rounds.records["fine"]["status"] == "done"


def measured(monkeypatch, tmp_path, step):
    """The result of the part that times ``step``."""
    monkeypatch.setattr(steps, "build", lambda *_: System(step, (2, 12, 64, 64)))
    monkeypatch.setattr(steps, "STEPS", (3, 3))
    (tmp_path / "X.go").touch()
    turn = turns.Turn(tmp_path, "X")
    steps.measure_system(turn, settings(CPU, True))
    return json.loads((tmp_path / "X.json").read_text())


def test_what_does_not_compile_is_timed_without_the_compiler(monkeypatch, tmp_path):
    calls = iter([RuntimeError("cannot trace")])

    def step():
        for error in calls:
            raise error
        return 0.5

    found = measured(monkeypatch, tmp_path, step)
    assert found["compiled"]["error"].endswith("RuntimeError: cannot trace")
    assert found["eager"]["loss"] == 0.5
    assert found["eager"]["images_per_s"] > 0


def test_a_loss_that_is_not_finite_is_shown(monkeypatch, tmp_path):
    found = measured(monkeypatch, tmp_path, lambda: float("nan"))
    assert found["compiled"]["loss"] == found["eager"]["loss"] == "nan"


def test_compiling_has_a_limit():
    limit = turns.time_limit(0.05, "compiling")
    with pytest.raises(TimeoutError, match="compiling took more"), limit:
        time.sleep(5)


def test_the_page_shows_ratios_of_the_time_a_slice_and_errors(tmp_path):
    def timed(images_per_s):
        numbers = {"ms": 10.0, "ms_p10": 9.0, "ms_p90": 11.0, "loss": 0.5}
        return {"eager": numbers | {"images_per_s": images_per_s}, "shape": [2, 12]}

    def done(result):
        return {"status": "done", "seconds": 1.0, "error": "", "result": result}

    records = {
        "StrokeSynthTrainer": done(timed(50.0) | {"compiled": {"error": "cannot trace"}}),
        "StrokeSynthTrainer_Stock": done(timed(200.0)),
    }
    page.write_page(tmp_path, records, {"device": "cpu"})
    text = (tmp_path / "gpu.md").read_text()
    assert "| StrokeSynthTrainer | 2x12 | eager | 10 | 9-11 | 50 | 4 |" in text
    assert "| StrokeSynthTrainer | 2x12 | compiled | failed |" in text
    assert "cannot trace" in text
    assert json.loads((tmp_path / "gpu.json").read_text())["parts"] == records


def test_every_system_exists():
    special = {"bare_unets", PLAIN_NORM}
    assert all(hasattr(strokesynth_trainers, name) for name in SYSTEMS if name not in special)


@pytest.mark.parametrize(("uses_dwi", "length"), [(True, 3), (False, 2)])
def test_targets_are_those_that_the_trainer_packs(uses_dwi, length):
    labels = torch.zeros(4, 1, 16, 16, dtype=torch.int16)
    labels[:, :, 3:6, 3:6] = 1
    trainer = SimpleNamespace(uses_dwi=uses_dwi, _pack_targets=PackTargets)
    target = packed_targets(trainer, labels)
    assert len(target) == length
    assert all(part.shape == labels.shape for part in target)
    assert torch.equal(target[0], labels)
    assert target[-1].max() > target[-1].min()


def test_the_shell_script_asks_for_a_folder():
    script = Path(__file__).parents[2] / "benchmarks" / "gpu.sh"
    if os.name == "nt":
        pytest.skip("a shell script")
    found = subprocess.run(["bash", str(script)], capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert "usage" in found.stderr
