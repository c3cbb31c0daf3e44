"""The findings of ``strokesynth doctor`` as text: counts, a line for each scan, grouped notes."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from nnunetv2_strokesynth.dataset_conversion.findings import (
    CaseFinding,
    Diagnosis,
    Level,
)
from nnunetv2_strokesynth.dataset_conversion.scans import SPLIT_NAMES, UNOUTLINED
from nnunetv2_strokesynth.io.messages import name_some

_WIDTH = 100
_WORDS = {Level.REFUSED: "REFUSED", Level.DOUBTFUL: "doubtful", Level.NOTE: "note"}
_WHOLE = "data set"
# Of a sentence: what differs from scan to scan, such as numbers and the paths that hold them.
_OWN = re.compile(r"\S*\d\S*")


def table(diagnosis: Diagnosis) -> str:
    """All findings for the console: counts first, then the worst; notes that are alike once."""
    lines = [*_heading(diagnosis), ""]
    rows = [
        (scan.case_id, scan.source, finding)
        for scan in diagnosis.scans
        for finding in scan.findings
    ]
    rows = [*((_WHOLE, "", finding) for finding in diagnosis.findings), *rows]
    decided = sorted((row for row in rows if row[2].level < Level.NOTE), key=lambda r: r[2].level)
    lines += [line for row in decided for line in _row(*row)]
    if decided:
        lines.append("")
    notes = [(case_id, finding) for case_id, _, finding in rows if finding.level == Level.NOTE]
    lines += _notes(notes)
    return "\n".join(lines).rstrip()


def _heading(diagnosis: Diagnosis) -> Iterator[str]:
    splits = [scan.split for scan in diagnosis.scans]
    parts = [
        f"{splits.count(split)} {name}"
        for split, name in SPLIT_NAMES.items()
        if split != UNOUTLINED or split in splits
    ]
    n_scans = len(diagnosis.scans)
    scans = "1 scan" if n_scans == 1 else f"{n_scans} scans"
    yield f"{diagnosis.kind} in {diagnosis.src}: {scans} ({', '.join(parts)})"
    how = "headers only; without --quick voxels are read, too" if diagnosis.is_quick else ""
    options = f"with {' '.join(diagnosis.options)}" if diagnosis.options else ""
    said = "; ".join(part for part in (how, options) if part)
    if said:
        yield f"({said})"
    counts = diagnosis.counts()
    if counts["fine"] == n_scans:
        yield f"all {n_scans} scans are fine" if n_scans != 1 else "the scan is fine"
    else:
        yield ", ".join(f"{n} {verdict}" for verdict, n in counts.items())


def _row(case_id: str, source: str, finding: CaseFinding) -> Iterator[str]:
    """One finding of one scan; long sentences go on below."""
    start = f"{_WORDS[finding.level]:<9} {case_id:<10} "
    yield from _wrapped(f"{source}: {_sentence(finding)}" if source else _sentence(finding), start)
    if finding.known:
        yield from _wrapped(f"known: {finding.known}", " " * len(start))


def _notes(notes: list[tuple[str, CaseFinding]]) -> Iterator[str]:
    """Notes that differ in numbers and names alone are one line, with the scans that have it."""
    groups: dict[tuple[str, str], list[tuple[str, CaseFinding]]] = {}
    for case_id, finding in notes:
        groups.setdefault((finding.modality, _OWN.sub("", finding.text)), []).append(
            (case_id, finding)
        )
    for group in groups.values():
        names = [case_id for case_id, _ in group]
        finding = group[0][1]
        start = f"{_WORDS[Level.NOTE]:<9} "
        where = names[0] if len(names) == 1 else f"{len(names)} scans ({name_some(names, 4)})"
        example = " (the first)" if len({f.text for _, f in group}) > 1 else ""
        yield from _wrapped(f"{where}: {_sentence(finding)}{example}", start)
        if finding.known:
            yield from _wrapped(f"known: {finding.known}", " " * len(start))


def _sentence(finding: CaseFinding) -> str:
    return f"{finding.modality}: {finding.text}" if finding.modality else finding.text


def _wrapped(text: str, start: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    )
