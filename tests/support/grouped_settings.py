"""Settings of many trainers in a file that can be read: for each setting, who has which value.

Trainers that are variants of another one have a line each, with what differs.
"""

from __future__ import annotations

import json
from typing import Any

OTHERS = "all others"


def grouped(
    settings: dict[str, dict[str, Any]], variant_of: dict[str, str] | None = None
) -> dict[str, Any]:
    """Trainer -> setting -> value, turned into setting -> values, each with its trainers.

    Args:
        settings: of all trainers.
        variant_of: trainer -> the one that it is stored as a variant of.
    """
    variants = variant_of or {}
    names = sorted(settings.keys() - variants.keys())
    found = {}
    for key in sorted({key for name in names for key in settings[name]}):
        by_value: dict[str, list[str]] = {}
        for name in names:
            by_value.setdefault(json.dumps(settings[name].get(key)), []).append(name)
        *rarer, commonest = sorted(by_value.items(), key=lambda pair: len(pair[1]))
        found[key] = [{"trainers": who, "value": json.loads(value)} for value, who in rarer]
        found[key].append({"trainers": OTHERS, "value": json.loads(commonest[0])})
    differing = {
        name: {
            "as": base,
            "but": {k: v for k, v in settings[name].items() if v != settings[base].get(k)},
        }
        for name, base in sorted(variants.items())
    }
    return {"trainers": names, "settings": found, "variants": differing}


def expanded(stored: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The inverse of ``grouped``."""
    found: dict[str, dict[str, Any]] = {name: {} for name in stored["trainers"]}
    for key, values in stored["settings"].items():
        for entry in reversed(values):  # "all others" comes last in the file
            who = stored["trainers"] if entry["trainers"] == OTHERS else entry["trainers"]
            for name in who:
                found[name][key] = entry["value"]
    for name, variant in stored["variants"].items():
        found[name] = {**found[variant["as"]], **variant["but"]}
    return found


def as_text(stored: dict[str, Any]) -> str:
    """JSON with one line for each value, so that a change can be read."""
    settings = ",\n".join(
        f"{json.dumps(key)}: [\n " + ",\n ".join(json.dumps(entry) for entry in entries) + "\n]"
        for key, entries in stored["settings"].items()
    )
    variants = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(variant)}" for name, variant in stored["variants"].items()
    )
    trainers = json.dumps(stored["trainers"])
    return (
        f'{{\n"trainers": {trainers},\n"settings": {{\n{settings}\n}},\n'
        f'"variants": {{\n{variants}\n}}\n}}\n'
    )
