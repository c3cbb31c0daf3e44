"""``python -m benchmarks.gpu OUT``: all parts in their order, within a total time."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.gpu.names import SYSTEMS
from benchmarks.gpu.page import write_page
from benchmarks.gpu.rounds import Part, Rounds

MARGIN_S = 8.0  # before the total limit
DATA_LIMIT_S = 150.0
WARM_UP_S = 160.0
LOG_BYTES = 200_000
SMALL_AHEAD = 2  # so many processes warm up at the same time
TRAINED = ("StrokeSynthTrainer", "StrokeSynthTrainer_Stock")


TRAININGS = {f"train_{name}": 110.0 for name in TRAINED}
PREDICTIONS = {f"predict_{name}": 90.0 for name in TRAINED}
NEED_DATA = ("loader", *TRAININGS, *PREDICTIONS, "ddp")


def ahead_parts(command: list[str]) -> list[Part]:
    """What starts ahead, compiles and then waits for its turn."""
    limits = dict.fromkeys(SYSTEMS, 60.0)
    limits |= {"schedule": 10.0, "switchable_norm": 60.0, "loader": 75.0}
    return [_part(name, command, limit_s, WARM_UP_S) for name, limit_s in limits.items()]


def later_parts(command: list[str]) -> list[Part]:
    """What follows, one by one."""
    pairs = zip(TRAININGS.items(), PREDICTIONS.items(), strict=True)
    limits = dict(limit for pair in pairs for limit in pair) | {"ddp": 120.0}
    return [_part(name, command, limit_s) for name, limit_s in limits.items()]


def _part(name: str, command: list[str], limit_s: float, warm_up_s: float = 0.0) -> Part:
    first, *rest = command
    module = [first, "-m", "benchmarks.gpu.child"]
    return Part(name, [*module, name, *rest], limit_s, warm_up_s)


def run(rounds: Rounds, command: list[str], only: list[str], ahead: int) -> None:
    """Make data while the steps compile, then give each part its turn.

    Args:
        rounds: starts and records the parts.
        command: interpreter, folder, device and what else all children get.
        only: parts to run; empty for all.
        ahead: how many parts warm up at the same time.
    """
    waiting = [part for part in ahead_parts(command) if not only or part.name in only]
    later = [part for part in later_parts(command) if not only or part.name in only]
    needs_data = [part for part in [*waiting, *later] if part.name in NEED_DATA]
    data = rounds.start(_part("data", command, DATA_LIMIT_S)) if needs_data else None
    first = rounds.start(_part("machine", command, 60.0))
    while waiting:
        started = [rounds.start(part) for part in waiting[:ahead]]
        waiting = waiting[ahead:]
        rounds.finish(first)
        rounds.wait_ready([running for running in started if running])
        rounds.finish(data)
        first = data = None
        for running in started:
            rounds.finish(running)
    rounds.finish(first)
    rounds.finish(data)
    for part in later:
        rounds.finish(rounds.start(part))


def keep_logs(folder: Path, out: Path) -> None:
    """The ends of all logs in one file."""
    with (out / "gpu_logs.txt").open("wb") as target:
        for log in sorted([*folder.glob("*.txt"), *folder.glob("data/logs/*.txt")]):
            target.write(f"\n===== {log.name}\n".encode())
            target.write(log.read_bytes()[-LOG_BYTES:])


def main() -> None:
    """Run all parts; ``OUT`` gets ``gpu.json``, ``gpu.md`` and ``gpu_logs.txt``."""
    parser = argparse.ArgumentParser(prog="benchmarks/gpu.sh", description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the results")
    parser.add_argument("--limit", type=float, default=360.0, help="seconds in all")
    parser.add_argument("--small", action="store_true", help="small sizes, on the CPU")
    parser.add_argument("--device", help="cpu or cuda (default: cpu with --small, else cuda)")
    parser.add_argument("--only", nargs="+", default=[], help="names of parts")
    parser.add_argument("--work", type=Path, help="folder for data and logs, kept")
    parser.add_argument("--started", type=float, help=argparse.SUPPRESS)  # Unix time
    args = parser.parse_args()
    device = args.device or ("cpu" if args.small else "cuda")
    args.out.mkdir(parents=True, exist_ok=True)
    folder = Path(args.work or tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    spent_s = time.time() - args.started if args.started else 0.0
    deadline = time.monotonic() + args.limit - spent_s - MARGIN_S
    cores = os.cpu_count() or 1
    variables = {
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        "TORCHINDUCTOR_COMPILE_THREADS": str(max(1, cores // 4)),
        "PYTHONUNBUFFERED": "1",
    }
    about = {"device": device, "small": args.small, "limit_s": args.limit}
    rounds = Rounds(folder, deadline, partial(_show, args.out, about=about), variables=variables)
    command = [sys.executable, str(folder), device, *(["small"] if args.small else [])]
    try:
        run(
            rounds,
            command,
            args.only,
            SMALL_AHEAD if device == "cpu" else len(ahead_parts(command)),
        )
    finally:
        rounds.stop_all()
        keep_logs(folder, args.out)
        if args.work is None:
            shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write((args.out / "gpu.md").read_text(encoding="utf-8"))


def _show(out: Path, records: dict[str, dict], *, about: dict) -> None:
    write_page(out, records, about)
    name, record = list(records.items())[-1]
    sys.stdout.write(f"{name}: {record['status']} after {record['seconds']} s\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
