"""What the first of two processes does for both.

This file is also the program that each process runs: ``RANK FOLDER``.
"""

import json
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

from torch import distributed as dist

from nnunetv2_strokesynth.trainers.first_rank import FirstRank

PATIENCE_S = 0.5  # of the processes otherwise; NCCL's is 600


def _prepare() -> str:
    time.sleep(2 * PATIENCE_S)
    return "prepared"


def _fail() -> None:
    raise ValueError("case_1: damaged")


def run_rank(rank: int, folder: Path) -> None:
    """One process; writes what it was told."""
    store = (folder / "store").as_uri()
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    first_rank, called = FirstRank(rank), []
    dist.barrier()  # both are there: from now on they are impatient
    dist.distributed_c10d._set_pg_timeout(timedelta(seconds=PATIENCE_S))
    told = [first_rank.call(lambda: called.append(1) or _prepare())]
    try:
        first_rank.call(_fail)
    except ValueError as error:
        told.append(str(error))
    told += [first_rank.call(lambda: None), len(called)]
    (folder / f"{rank}.json").write_text(json.dumps(told))
    dist.destroy_process_group()


def test_all_wait_for_the_first_one_and_are_told(tmp_path):
    """Longer than the processes wait for each other otherwise, and what goes wrong there, too."""
    processes = [
        subprocess.Popen([sys.executable, __file__, str(rank), str(tmp_path)]) for rank in range(2)
    ]
    assert [process.wait(120) for process in processes] == [0, 0]
    told = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert told == [["prepared", "case_1: damaged", None, n_called] for n_called in (1, 0)]


if __name__ == "__main__":
    run_rank(int(sys.argv[1]), Path(sys.argv[2]))
