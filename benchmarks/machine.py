"""What every benchmark reports: where it ran, a table, and the same figures as JSON."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import torch

from nnunetv2_strokesynth.io.atomic import write_json


def machine_facts(device: torch.device) -> dict[str, str | int]:
    """Processor, GPU where one is used, versions and threads."""
    facts: dict[str, str | int] = {
        "processor": _processor_name(),
        "cores": os.cpu_count() or 0,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    if device.type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name(device)
        facts["cuda"] = torch.version.cuda
    elif hasattr(os, "getloadavg"):  # not on Windows
        facts["load_1_min"] = f"{os.getloadavg()[0]:.1f}"  # whether other jobs were running
    return facts


def row(
    claim: str, ours: float, yardstick: float, *, target: float | str = "", unit: str
) -> dict[str, float | str]:
    """One line of ``run.py``'s table.

    Args:
        claim: what is measured.
        ours: the figure.
        yardstick: the figure that it is divided by.
        target: what the ratio should be: "<= 1.15", ">= 0.9", a number (its upper limit), or "".
        unit: of both figures.
    """
    return {
        "claim": claim,
        "ours": ours,
        "yardstick": yardstick,
        "ratio": ours / yardstick,
        "target": target,
        "unit": unit,
    }


def table(rows: list[dict]) -> str:
    """Aligned columns; the header is the keys, which all rows share."""
    header = list(rows[0])
    cells = [header, *([_cell(row[key]) for key in header] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in cells
    )


def report(rows: list[dict], device: torch.device, json_file: Path | None) -> None:
    """Print the machine and the table, and write both to ``json_file`` if it is given."""
    facts = machine_facts(device)
    described = ", ".join(f"{name} {value}" for name, value in facts.items())
    sys.stdout.write(f"{described}\n{table(rows)}\n")
    if json_file is not None:
        write_json(json_file, {"machine": facts, "rows": rows})


def _cell(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _processor_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
