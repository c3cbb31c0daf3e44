"""Damaged inputs for maps, predict, outline, evaluate, tune, postprocess, report and doctor.

    OMP_NUM_THREADS=1 python -m benchmarks.fuzz [--trials 2000] [--seed 0] [--only maps tune]

Each trial copies small valid inputs, spoils one to three of their files, and sometimes adds an
option that makes no sense; then it calls the command in this process. The command has to end in one
of two ways: a result with all its files, or exit code 2, one line on stderr and no output. Anything
else is a finding: a traceback, several lines, half an output, a temporary file, a changed input, a
run of more than a minute. Figures are drawn and not rendered; nnU-Net's commands, which ``outline``
calls, have a stand-in; the network of ``predict`` is tiny. A finding is repeated by its number:
``--only TARGET --trial NUMBER``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.fuzz.inputs import build
from benchmarks.fuzz.targets import TARGETS
from benchmarks.fuzz.trial import Outcome, quiet_commands, run_trial


def fuzz(base: Path, names: list[str], numbers: range, seed: int) -> list[Outcome]:
    """Run trials on copies of the inputs in ``base``; the targets take turns."""
    with quiet_commands():
        return [run_trial(base, names[n % len(names)], n, seed) for n in numbers]


def main() -> int:
    """Run, print what was found, and write it; 1 if there is a finding."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of the first trial")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=list(TARGETS), default=list(TARGETS),
                        help="these take turns; one that is named twice has two turns")  # fmt: skip
    parser.add_argument("--trial", type=int, help="this one alone")
    parser.add_argument("--trace", action="store_true", help="a line for each trial")
    parser.add_argument("--limit", type=float, default=1e9, metavar="S", help="stop after so long")
    parser.add_argument(
        "--json", type=Path, help="file for the outcomes, a line each; more are added"
    )
    args = parser.parse_args()
    numbers = range(args.first, args.first + args.trials)
    if args.trial is not None:
        numbers = range(args.trial, args.trial + 1)
    outcomes: list[Outcome] = []
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        with quiet_commands():
            build(Path(temporary), list(dict.fromkeys(args.only)))
        for number in numbers:
            if time.monotonic() - start > args.limit:
                break
            outcomes += fuzz(Path(temporary), args.only, range(number, number + 1), args.seed)
            if args.trace:
                print(number, outcomes[-1].target, outcomes[-1].code, outcomes[-1].done, flush=True)
                print("   ", outcomes[-1].said, flush=True)
            if outcomes[-1].finding:
                print(json.dumps(outcomes[-1]._asdict(), indent=1), flush=True)
            if args.json:
                with args.json.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(outcomes[-1]._asdict()) + "\n")
    for name in dict.fromkeys(args.only):
        own = [one for one in outcomes if one.target == name]
        codes = Counter(one.code for one in own)
        n_found = sum(bool(one.finding) for one in own)
        print(f"{name}: {len(own)} trials, exit codes {dict(codes)}, {n_found} findings")
    print(f"{len(outcomes)} trials in {time.monotonic() - start:.0f} s")
    return int(any(one.finding for one in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
