"""Memory of each command, all its processes together, at the size of ISLES 2018 and of ISLES 2024.

    OMP_NUM_THREADS=1 python -m benchmarks.command_memory FOLDER [--size 2024] [--only NAME ...]
    python -m benchmarks.command_memory FOLDER --table

What is run is in ``benchmarks.memory_runs``. Every command runs in processes of its own; every
50 ms (less often if they hold gigabytes) their proportional set sizes (memory that two share counts
half for each) are added up. Linux only. ``FOLDER/SIZE/memory.json`` is renewed after each command,
and what is in it is not measured again: a run that was cut off goes on where it stopped. The
network is a narrow one, so that a CPU can train and predict in seconds: what it adds on a GPU is
measured by ``benchmarks.gpu_memory``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.memory_runs import SIZES, prepared
from nnunetv2_strokesynth.evaluation.tables import markdown_grid
from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.nnunet_commands import command_words, environment

LEAST_PAUSE_S = 0.05
LOOKING = 0.1
"""Share of the time in which processes are looked at, which takes longer the more they hold."""
RECORD = "memory.json"
NARROW = {
    "strokesynth_num_epochs": "1",
    "strokesynth_num_iterations_per_epoch": "2",
    "strokesynth_num_val_iterations_per_epoch": "1",
    "strokesynth_base_features": "4",
    "nnUNet_n_proc_DA": "2",
    "nnUNet_def_n_proc": "2",
    "OMP_NUM_THREADS": "1",
}


def processes(root: int) -> Iterator[int]:
    """A process and all below it."""
    waiting = [root]
    while waiting:
        number = waiting.pop()
        yield number
        try:
            for task in Path(f"/proc/{number}/task").iterdir():
                waiting += map(int, (task / "children").read_text(encoding="ascii").split())
        except OSError:  # it has ended
            continue


def proportional_mb(number: int) -> float:
    """Proportional set size of a process, MB; 0 if it has ended."""
    try:
        text = Path(f"/proc/{number}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0.0
    return next(
        (int(line.split()[1]) * 1024 / 1e6 for line in text.splitlines() if line[:4] == "Pss:"), 0.0
    )


def peak_mb(
    command: list[str], folder: Path, *, log: Path, codes: Sequence[int] = (0,)
) -> tuple[float, float]:
    """The most memory of a command and of its largest process, MB.

    Raises:
        ValueError: it failed; its output is in ``log``.
    """
    together = largest = 0.0
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        words = [*command_words(command[0]), *command[1:]]
        running = subprocess.Popen(
            words, env=environment(folder, **NARROW), stdout=file, stderr=subprocess.STDOUT
        )
        while running.poll() is None:
            start = time.perf_counter()
            sizes = [proportional_mb(number) for number in processes(running.pid)]
            together, largest = max(together, sum(sizes)), max(largest, *sizes)
            time.sleep(max(LEAST_PAUSE_S, (time.perf_counter() - start) / LOOKING))
    if running.returncode not in codes:
        raise ValueError(f"{' '.join(command)} failed; see {log}")
    return together, largest


def measured(root: Path) -> dict[str, dict[str, int]]:
    """What was measured with scans of one size: name of the command -> MB."""
    record = root / RECORD
    return json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}


def table(folder: Path) -> str:
    """What was measured so far, GB of all processes together, as a Markdown table."""
    found = {size: measured(folder / size) for size in SIZES}
    names = dict.fromkeys(name for commands in found.values() for name in commands)
    rows = [[f"`{name}`", *(_gb(found[size].get(name)) for size in SIZES)] for name in names]
    return markdown_grid(("command", *(f"ISLES {size}" for size in SIZES)), rows)


def _gb(found: dict[str, int] | None) -> str:
    return "-" if found is None else f"{found['together_mb'] / 1000:.2g} GB"


def measure(root: Path, size: str, only: list[str] | None, say: Callable[[str], object]) -> None:
    """Run the commands that were not measured yet, one after the other; those in ``only`` anew."""
    runs = prepared(root, size, lambda words, log: peak_mb(words, root, log=log))
    for run in runs:
        if run.name not in only if only else run.name in measured(root):
            continue
        log = root / "logs" / f"{run.name.replace(' ', '_')}.txt"
        start = time.perf_counter()
        try:
            if run.needs and not run.needs.is_file():
                raise ValueError(f"{run.name} is not run without {run.needs}")
            if run.anew:
                run.anew.unlink(missing_ok=True)
            together, largest = peak_mb(run.words, root, log=log, codes=run.codes)
        except ValueError as error:
            say(str(error))
            continue
        mb = {"together_mb": round(together), "largest_mb": round(largest)}
        write_json(root / RECORD, {**measured(root), run.name: mb})
        wall = time.perf_counter() - start
        say(f"{run.name:<24}{together:8.0f} MB{largest:8.0f} MB{wall:8.1f} s")


def main(say: Callable[[str], object] = print) -> None:
    """Measure, and print what each command took; or print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="for scans, models and figures; kept")
    parser.add_argument("--size", choices=SIZES, default=SIZES[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these commands, once more")
    parser.add_argument("--table", action="store_true", help="print what was measured; run nothing")
    args = parser.parse_args()
    if not args.table:
        measure(args.folder.resolve() / args.size, args.size, args.only, say)
    say(table(args.folder))


if __name__ == "__main__":
    main()
