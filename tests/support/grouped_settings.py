"""Settings of many trainers in a file that can be read: for each setting, who has which value."""

from __future__ import annotations

import json
from typing import Any

OTHERS = "all others"


def grouped(settings: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Trainer -> setting -> value, turned into setting -> values, each with its trainers."""
    names = sorted(settings)
    found = {}
    for key in sorted({key for of_trainer in settings.values() for key in of_trainer}):
        by_value: dict[str, list[str]] = {}
        for name in names:
            by_value.setdefault(json.dumps(settings[name].get(key)), []).append(name)
        *rarer, commonest = sorted(by_value.items(), key=lambda pair: len(pair[1]))
        found[key] = [{"trainers": who, "value": json.loads(value)} for value, who in rarer]
        found[key].append({"trainers": OTHERS, "value": json.loads(commonest[0])})
    return {"trainers": names, "settings": found}


def expanded(stored: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The inverse of ``grouped``."""
    found: dict[str, dict[str, Any]] = {name: {} for name in stored["trainers"]}
    for key, values in stored["settings"].items():
        for entry in reversed(values):  # "all others" comes last in the file
            who = stored["trainers"] if entry["trainers"] == OTHERS else entry["trainers"]
            for name in who:
                found[name][key] = entry["value"]
    return found


def as_text(stored: dict[str, Any]) -> str:
    """JSON with one line for each value, so that a change can be read."""
    settings = ",\n".join(
        f"{json.dumps(key)}: [\n " + ",\n ".join(json.dumps(entry) for entry in entries) + "\n]"
        for key, entries in stored["settings"].items()
    )
    trainers = json.dumps(stored["trainers"])
    return f'{{\n"trainers": {trainers},\n"settings": {{\n{settings}\n}}\n}}\n'
