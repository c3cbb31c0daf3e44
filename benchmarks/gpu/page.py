"""``gpu.json`` and ``gpu.md`` from the records of the parts; written anew after each of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu.names import BARE, COMPILED, EAGER, STOCK, SYSTEMS
from nnunetv2_strokesynth.io.atomic import write_json, write_text

STEP_HEADER = (
    "system", "batch", "mode", "ms a step", "p10-p90", "images/s", "time a slice / stock",
    "/ bare U-Nets", "allocated GiB", "reserved GiB", "GPU %", "last loss",
)  # fmt: skip


def write_page(out: Path, records: dict[str, dict], about: dict[str, Any]) -> None:
    """Write both files, each completely.

    Args:
        out: the folder.
        records: part -> status, seconds, error, result.
        about: of the run as a whole.
    """
    write_json(out / "gpu.json", {**about, "parts": records})
    parts = (machine_text, step_table, other_tables, status_table)
    sections = [text for part in parts if (text := part(records))]
    write_text(out / "gpu.md", "\n".join(sections))


def machine_text(records: dict[str, dict]) -> str:
    """One line about the machine."""
    facts = records.get("machine", {}).get("result", {})
    return ", ".join(f"{name} {value}" for name, value in facts.items()) + "\n"


def step_table(records: dict[str, dict]) -> str:
    """A row for each system and mode; ratios are of the time for one image."""
    rows = []
    for name in SYSTEMS:
        result = records.get(name, {}).get("result", {})
        for mode in (COMPILED, EAGER):
            found = result.get(mode)
            if found is None:
                continue
            if "error" in found:
                rows.append([name, _shape(result), mode, "failed"])
                continue
            rows.append(
                [
                    name,
                    _shape(result),
                    mode,
                    _text(found["ms"]),
                    f"{_text(found['ms_p10'])}-{_text(found['ms_p90'])}",
                    _text(found["images_per_s"]),
                    _text(_ratio(records, STOCK, mode, found)),
                    _text(_ratio(records, BARE, mode, found)),
                    _text(found.get("allocated_gib")),
                    _text(found.get("reserved_gib")),
                    _text(found.get("utilisation")),
                    _text(found["loss"]),
                ]
            )
    return "## Training steps\n\n" + grid(STEP_HEADER, rows) if rows else ""


def _ratio(records: dict[str, dict], yardstick: str, mode: str, found: dict) -> float | None:
    other = records.get(yardstick, {}).get("result", {}).get(mode, {})
    return other["images_per_s"] / found["images_per_s"] if "images_per_s" in other else None


def other_tables(records: dict[str, dict]) -> str:
    """What each further part found: a name and a value in a row, or the part's own table."""
    sections = []
    for name, record in records.items():
        result = record["result"]
        if name in SYSTEMS or name == "machine" or not result:
            continue
        if "rows" in result:
            header = list(result["rows"][0])
            cells = [[_text(row[key]) for key in header] for row in result["rows"]]
        else:
            header, cells = ["what", "value"], [list(pair) for pair in _flat(result)]
        sections.append(f"## {name}\n\n{grid(header, cells)}")
    return "\n".join(sections)


def status_table(records: dict[str, dict]) -> str:
    """How each part ended, and the errors below."""
    rows = [[name, r["status"], _text(r["seconds"])] for name, r in records.items()]
    text = "## Parts\n\n" + grid(("part", "status", "s"), rows)
    for name, record in records.items():
        errors = {"": record["error"]}
        errors |= {
            mode: record["result"].get(mode, {}).get("error")
            for mode in (COMPILED, EAGER)
            if isinstance(record["result"].get(mode), dict)
        }
        for mode, error in errors.items():
            if error:
                text += f"\n{name} {mode}:\n\n```\n{error}\n```\n"
    return text


def grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; short rows are filled up."""
    lines = [list(row) + [""] * (len(header) - len(row)) for row in rows]
    shown = [list(header), ["---"] * len(header), *lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in shown)


def _shape(result: dict) -> str:
    return "x".join(map(str, result.get("shape", [])))


def _flat(found: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    pairs = []
    for name, value in found.items():
        if isinstance(value, dict):
            pairs += _flat(value, f"{prefix}{name}: ")
        else:
            pairs.append((prefix + name, _text(value)))
    return pairs


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return str(value)
