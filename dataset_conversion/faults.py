"""Why a scan cannot be converted, and which scans stay when ``--skip-broken`` leaves such out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from nnunetv2_strokesynth.dataset_conversion.scans import Scan
from nnunetv2_strokesynth.io.messages import name_some

SKIP_ADVICE = "--skip-broken leaves out scans that cannot be used, and lists them"


class Fault(str):
    """A sentence that also knows its scan: ``case_043 (sub-stroke0043): CBF: ... truncated``.

    It is text wherever text is expected, and survives the way from a worker process.

    Attributes:
        case_id: of the scan.
        source: folder of the scan; empty where two folders claim to be it.
        why: what was found, and what was expected.
        file: name of the file; empty where the sentence is not about one.
    """

    case_id: str
    source: str
    why: str
    file: str

    def __new__(cls, case_id: str, source: str, why: str, file: str = "") -> Fault:
        fault = super().__new__(cls, f"{case_id} ({source}): {why}" if source else why)
        fault.case_id, fault.source, fault.why, fault.file = case_id, source, why, file
        return fault

    def __getnewargs__(self) -> tuple[str, str, str, str]:  # type: ignore[override]
        return self.case_id, self.source, self.why, self.file

    @property
    def row(self) -> dict[str, str]:
        """For ``dataset.json``."""
        return {"case": self.case_id, "source": self.source, "file": self.file, "why": self.why}


def fault_of(scan: Scan, sentence: str) -> Fault:
    """A fault of a scan; the file is the one that the sentence names, or whose modality it does."""
    why = sentence.removeprefix(f"{scan.case_id} ({scan.source}): ")
    named = [path.name for path in scan.files.values() if path.name in why]
    named += [
        path.name
        for modality, path in scan.files.items()
        if re.match(rf"{re.escape(modality)}\b", why)
    ]
    return Fault(scan.case_id, scan.source, why, named[0] if named else "")


def without_faulty(scans: Sequence[Scan], faults: Iterable[Fault]) -> tuple[list[Scan], list[Scan]]:
    """The scans that have no fault, and those that have one.

    Raises:
        ValueError: every scan has one.
    """
    faults = list(faults)
    faulty = {fault.case_id for fault in faults}
    kept = [scan for scan in scans if scan.case_id not in faulty]
    if not kept:
        shown = name_some(faults, at_most=3, separator="; ")
        raise ValueError(f"none of the {len(scans)} scans can be used: {shown}")
    return kept, [scan for scan in scans if scan.case_id in faulty]
