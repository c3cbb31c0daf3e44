"""Which kind of data set a folder holds, by its layout: the kinds' own finders decide."""

from __future__ import annotations

import shlex
from pathlib import Path

from nnunetv2_strokesynth.dataset_conversion.faults import Fault
from nnunetv2_strokesynth.dataset_conversion.kind import DatasetKind
from nnunetv2_strokesynth.dataset_conversion.registry import KINDS, load_kind
from nnunetv2_strokesynth.dataset_conversion.scans import Scan


def kinds_of(src: Path) -> list[str]:
    """The kinds, keys of ``KINDS``, whose finder finds at least one file in a folder."""
    return [name for name in KINDS if _finds_files(load_kind(name), src)]


def find_scans(kind: DatasetKind, src: Path) -> tuple[list[Scan], list[Fault]]:
    """The scans of a kind in a folder, and the problems met; see ``DatasetKind.find_scans``.

    Raises:
        ValueError, FileNotFoundError: no scan is found. Where the folder looks like another kind,
            the message says so, and what to type.
    """
    try:
        found, problems = kind.find_scans(src)
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f"{error}{_other_kind(kind, src)}") from error
    if any(scan.files for scan in found):
        return found, problems
    other = _other_kind(kind, src)
    if other:
        raise ValueError(f"{src}: the folders of {len(found)} scans hold no file{other}")
    return found, problems


def _finds_files(kind: DatasetKind, src: Path) -> bool:
    try:
        found, _ = kind.find_scans(src)
    except (ValueError, OSError):
        return False
    return any(scan.files for scan in found)


def _other_kind(kind: DatasetKind, src: Path) -> str:
    """A sentence about the kind that a folder looks like; empty if it is like none."""
    others = [name for name in kinds_of(src) if load_kind(name) is not kind]
    if not others:
        return ""
    commands = (
        f"`strokesynth convert {name} {shlex.quote(str(src))} -d {load_kind(name).dataset_id}`"
        for name in others
    )
    return f". It looks like {' and '.join(others)}: type {' or '.join(commands)}"
