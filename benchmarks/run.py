"""All claims about speed and memory, measured: one table of ratios.

    OMP_NUM_THREADS=1 python -m benchmarks.run [--device cuda] [--quick] [--only loader] [--data D]

Every script named in ``SCRIPTS`` has ``measure(device, quick=...)``, which returns rows with
``claim``, ``ours``, ``yardstick``, ``ratio``, ``target`` and ``unit``. A target is "<= 1.15", ">=
0.9", a number (at most that) or "" (none). The table is markdown; ``--json`` takes the same
figures. A script that fails is named in the table and keeps none of the others from running.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import logging
import math
import sys
from pathlib import Path

import torch

from benchmarks.machine import machine_facts
from nnunetv2_strokesynth.evaluation.tables import markdown_grid
from nnunetv2_strokesynth.io.atomic import write_json

logger = logging.getLogger(__name__)
SCRIPTS = (
    "converter",
    "gpu_memory",
    "inference",
    "loader",
    "scale",
    "schedule",
    "switchable_norm",
    "training_step",
)
COLUMNS = ("claim", "ours", "yardstick", "unit", "ratio", "target", "target met")


def measured(
    script: str, device: torch.device, quick: bool, data: Path | None = None
) -> list[dict]:
    """The script's rows, or one that says that it could not be measured, and why.

    Args:
        script: one of ``SCRIPTS``.
        device: where to measure.
        quick: small sizes, few repetitions.
        data: phantoms are kept in it, and used again; None: temporary ones.
    """
    try:
        measure = importlib.import_module(script).measure
        keeps = data is not None and "data" in inspect.signature(measure).parameters
        return measure(device, quick=quick, **({"data": data / script} if keeps else {}))
    except Exception as error:
        logger.exception("%s failed", script)
        reason = f"{script} ({type(error).__name__})"
        return [{"claim": reason, "target": "", "unit": "", "ratio": math.nan}]


def target_of(row: dict) -> str:
    """As "<= x" or ">= x"; empty without one."""
    target = row["target"]
    if target is None:
        return ""
    return target if isinstance(target, str) else f"<= {target:g}"


def target_met(row: dict) -> str:
    """``yes``, ``no``, ``not measured``; empty for a row without a target. Says if estimated.

    Raises:
        ValueError: the target is not of the form "<= 1.15" or ">= 0.9".
    """
    ratio = row.get("ratio", math.nan)
    if math.isnan(ratio):
        return "not measured"
    target = target_of(row)
    if not target:
        return ""
    sign, _, limit = target.partition(" ")
    if sign not in ("<=", ">="):
        raise ValueError(f"target of '{row['claim']}' is '{target}', expected '<= x' or '>= x'")
    met = ratio <= float(limit) if sign == "<=" else ratio >= float(limit)
    estimated = " (estimated)" if "estimated" in row["claim"] else ""
    return ("yes" if met else "no") + estimated


def markdown(rows: list[dict]) -> str:
    """The rows under ``COLUMNS``."""
    shown = [{**row, "target": target_of(row), "target met": target_met(row)} for row in rows]
    cells = [[_cell(row.get(column, "")) for column in COLUMNS] for row in shown]
    return markdown_grid(COLUMNS, cells)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.3g}"
    return str(value)


def main() -> None:
    """Run the scripts, print the machine and the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="small sizes, few repetitions")
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, default=SCRIPTS)
    parser.add_argument("--data", type=Path, help="folder in which the phantoms are kept")
    parser.add_argument("--json", type=Path, default=Path("benchmarks.json"))
    args = parser.parse_args()
    device = torch.device(args.device)
    torch.backends.cudnn.benchmark = device.type == "cuda"  # as nnU-Net
    facts = machine_facts(device)
    rows = [row for script in args.only for row in measured(script, device, args.quick, args.data)]
    described = ", ".join(f"{name} {value}" for name, value in facts.items())
    sys.stdout.write(f"{described}\n\n{markdown(rows)}")
    figures = [
        {**row, "ratio": None if math.isnan(row["ratio"]) else row["ratio"]}
        | {"target": target_of(row), "target met": target_met(row)}
        for row in rows
    ]
    write_json(args.json, {"machine": facts, "rows": figures})


if __name__ == "__main__":
    main()
