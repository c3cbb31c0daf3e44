"""All claims about speed and memory, measured: one table of ratios.

    OMP_NUM_THREADS=1 python -m benchmarks.run [--device cuda] [--quick] [--only loader] [--data D]

Each module named in ``MODULES`` has ``measure(device, quick=...)``, which returns rows with
``claim``, ``ours``, ``yardstick``, ``ratio``, ``target`` and ``unit``. A target is "<= 1.15",
">= 0.9", a number (an upper limit) or "" (none). The table is Markdown; the file of ``--json`` gets
the same figures. A module that fails is named in the table, and the others still run.
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
MODULES = (
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
    module: str, device: torch.device, quick: bool, *, data: Path | None = None
) -> list[dict]:
    """The module's rows, or one row that says why it could not be measured.

    Args:
        module: one of ``MODULES``.
        device: where to measure.
        quick: small sizes and few repetitions.
        data: folder in which phantoms stay for the next run; None for temporary ones.
    """
    try:
        measure = importlib.import_module(f"benchmarks.{module}").measure
        keeps = data is not None and "data" in inspect.signature(measure).parameters
        return measure(device, quick=quick, **({"data": data / module} if keeps else {}))
    except Exception as error:
        logger.exception("%s failed", module)
        reason = f"{module} ({type(error).__name__})"
        return [{"claim": reason, "target": "", "unit": "", "ratio": math.nan}]


def target_of(row: dict) -> str:
    """The row's target as "<= x" or ">= x"; empty if it has none."""
    target = row["target"]
    if target is None:
        return ""
    return target if isinstance(target, str) else f"<= {target:g}"


def target_met(row: dict) -> str:
    """``yes``, ``no`` or ``not measured``, with a mark at estimates; empty without a target.

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
    """The rows as a table with ``COLUMNS``."""
    shown = [{**row, "target": target_of(row), "target met": target_met(row)} for row in rows]
    cells = [[_cell(row.get(column, "")) for column in COLUMNS] for row in shown]
    return markdown_grid(COLUMNS, cells)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.3g}"
    return str(value)


def main() -> None:
    """Run the modules, print the machine and the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="small sizes and few repetitions")
    parser.add_argument("--only", nargs="+", choices=MODULES, default=MODULES)
    parser.add_argument("--data", type=Path, help="folder in which the phantoms are kept")
    parser.add_argument("--json", type=Path, default=Path("benchmarks.json"))
    args = parser.parse_args()
    device = torch.device(args.device)
    torch.backends.cudnn.benchmark = device.type == "cuda"  # as nnU-Net
    facts = machine_facts(device)
    rows = []
    for module in args.only:
        rows += measured(module, device, args.quick, data=args.data)
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
