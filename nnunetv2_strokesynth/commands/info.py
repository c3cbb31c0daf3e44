"""``strokesynth info``: versions, devices, folders and trainers, for bug reports."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

EXAMPLE = "strokesynth info --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Text or JSON."""
    parser.description = (
        "Says what is installed and set up here, and what is wrong with it. Copy it into a bug "
        "report; it names your folders, so read it before. It changes nothing, and its exit code "
        "is 0 whatever it finds."
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def run(args: argparse.Namespace) -> None:
    """Gather and print."""
    from nnunetv2_strokesynth.installation.advice import problems
    from nnunetv2_strokesynth.installation.facts import all_facts

    facts = all_facts()
    facts["problems"] = problems(facts)
    text = json.dumps(facts, indent=2) if args.json else as_text(facts)
    sys.stdout.write(text + "\n")


def as_text(facts: dict[str, Any]) -> str:
    """The facts as lines, the problems last."""
    system, devices, trainers = facts["system"], facts["devices"], facts["trainers"]
    lines = [
        f"strokesynth {facts['strokesynth']}",
        f"python      {facts['python']['version']}, {facts['python']['executable']}",
        f"system      {system['os']}, {system['cores']} cores, {_gb(system['memory_gb'])}",
        f"devices     {_devices(devices)}",
        "packages    " + ", ".join(f"{k} {v or 'missing'}" for k, v in facts["packages"].items()),
        "extras      " + ", ".join(f"{k} {_yes(v)}" for k, v in facts["extras"].items()),
    ]
    for name, folder in facts["folders"].items():
        lines.append(f"{name:<20}{_folder(folder)}")
    for path, exists in trainers["named_folders"].items() or {"(not set)": True}.items():
        lines.append(f"nnUNet_extTrainer   {path}{'' if exists else ' (no folder)'}")
    lines.append(f"trainers    {_trainers(trainers)}")
    lines += ["", "problems:"] if facts["problems"] else ["", "no problem found"]
    return "\n".join([*lines, *(f"- {problem}" for problem in facts["problems"])])


def _gb(value: float | None) -> str:
    return "unknown" if value is None else f"{value} GB"


def _yes(value: bool) -> str:
    return "installed" if value else "not installed"


def _devices(devices: dict[str, Any]) -> str:
    if devices["error"]:
        return "unknown"
    cards = [f"{card['name']} ({card['memory_gb']} GB)" for card in devices["cuda"]]
    return ", ".join([*cards, *(["mps"] if devices["mps"] else []), "cpu"])


def _folder(folder: dict[str, Any]) -> str:
    if not folder["path"]:
        return "(not set)"
    state = "" if folder["exists"] else ", no folder"
    state += ", not writable" if folder["exists"] and not folder["writable"] else ""
    return f"{folder['path']}{state}, {_gb(folder['free_gb'])} free"


def _trainers(trainers: dict[str, Any]) -> str:
    if trainers["error"]:
        return "unknown"
    return f"{trainers['number']}, {'' if trainers['found_as'] else 'not '}found by nnU-Net"
