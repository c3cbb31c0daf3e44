"""What ``strokesynth doctor`` says about a data set: findings, and its JSON file."""

from __future__ import annotations

from collections import Counter
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

JSON_VERSION = 1


class Level(IntEnum):
    """How much a finding matters, the worst first."""

    REFUSED = 0
    """``strokesynth convert`` stops at it."""
    DOUBTFUL = 1
    """It converts, with a warning: look at it before you train."""
    NOTE = 2
    """Nothing has to be decided."""


class CaseFinding(NamedTuple):
    """One thing that was found.

    Attributes:
        level: how much it matters.
        modality: of the file, such as ``CBF``; empty where it is not one file.
        text: one sentence.
        known: what is known about it in this release, and what the converter does; or empty.
    """

    level: Level
    modality: str
    text: str
    known: str = ""


class Examined(NamedTuple):
    """What was found in one scan.

    Attributes:
        case_id: name in the nnU-Net data set.
        source: folder of the scan.
        split: ``train``, ``test`` or ``unoutlined``.
        files: modality -> file.
        findings: the worst first.
    """

    case_id: str
    source: str
    split: str
    files: dict[str, Path]
    findings: list[CaseFinding]

    @property
    def level(self) -> Level:
        """That of the worst finding; ``NOTE`` without any."""
        return min((finding.level for finding in self.findings), default=Level.NOTE)


class Diagnosis(NamedTuple):
    """What was found in a data set.

    Attributes:
        src: its folder.
        kind: a key of ``KINDS``.
        scans: the scans, in the converter's order.
        findings: what is not of one scan.
        options: of ``strokesynth convert`` for which it holds.
        is_quick: whether voxels were left unread.
        skips_broken: whether the converter leaves refused scans out, by these options.
    """

    src: Path
    kind: str
    scans: list[Examined]
    findings: list[CaseFinding]
    options: list[str]
    is_quick: bool = False
    skips_broken: bool = False

    @property
    def stops(self) -> bool:
        """Whether the converter would stop."""
        refused = any(scan.level == Level.REFUSED for scan in self.scans)
        whole = any(finding.level == Level.REFUSED for finding in self.findings)
        return whole or (refused and not self.skips_broken)

    @property
    def needs_decision(self) -> bool:
        """Whether the converter would stop, or a scan that it takes is doubtful."""
        levels = {scan.level for scan in self.scans} | {f.level for f in self.findings}
        return self.stops or Level.DOUBTFUL in levels

    def counts(self) -> dict[str, int]:
        """How many scans are ``refused``, ``doubtful`` and ``fine``."""
        levels = Counter(scan.level for scan in self.scans)
        return {
            "refused": levels[Level.REFUSED],
            "doubtful": levels[Level.DOUBTFUL],
            "fine": levels[Level.NOTE],
        }

    def content(self) -> dict[str, object]:
        """The JSON file; ``docs/how-to/data.md`` describes its keys."""
        return {
            "version": JSON_VERSION,
            "src": str(self.src),
            "kind": self.kind,
            "quick": self.is_quick,
            "options": self.options,
            "needs_decision": self.needs_decision,
            "counts": self.counts(),
            "findings": [_finding(finding) for finding in self.findings],
            "scans": [
                {
                    "case_id": scan.case_id,
                    "source": scan.source,
                    "split": scan.split,
                    "verdict": "fine" if scan.level == Level.NOTE else scan.level.name.lower(),
                    "files": {modality: str(path) for modality, path in scan.files.items()},
                    "findings": [_finding(finding) for finding in scan.findings],
                }
                for scan in self.scans
            ],
        }


def _finding(finding: CaseFinding) -> dict[str, str]:
    return {**finding._asdict(), "level": finding.level.name.lower()}
