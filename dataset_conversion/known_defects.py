"""What is known to be odd or wrong in the public releases, and what the converter does about it.

Source: the releases' own pages and the notes of groups that audited them, see
``docs/how-to/data.md``. The files themselves were not seen here: a defect is named where a scan
shows it, never because of a scan's number alone.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from nnunetv2_strokesynth.dataset_conversion.findings import CaseFinding, Level


class KnownDefect(NamedTuple):
    """A defect of a release.

    Attributes:
        kind: a key of ``KINDS``; empty for any.
        pattern: of the sentence that names it, with the modality before it; letter case counts.
        known: what is known.
        sources: last part of the folders of the scans that have it; empty for any scan.
        is_settled: whether the converter deals with it, so that nothing has to be decided where it
            does not refuse the scan.
    """

    kind: str
    pattern: str
    known: str
    sources: tuple[str, ...] = ()
    is_settled: bool = True


KNOWN_DEFECTS = (
    KnownDefect(
        "isles2024",
        r"lesion-msk\S* is read as OT, and \S* is not",
        "the release holds a second lesion mask of this patient, which is not in the CT's space",
        ("sub-stroke0142",),
    ),
    KnownDefect(
        "isles2024",
        r"^CBF: .*(truncated|damaged)",
        "this file is truncated in the release's own archive, so copying it again may not help: "
        "leave the patient out, or delete the file and add --compute-maps",
        ("sub-stroke0043",),
        is_settled=False,
    ),
    KnownDefect(
        "isles2024",
        r"MTT: .*hold no measurement",
        "MTTs of this release hold NaN, infinite and impossible values; above a tenth of the brain "
        "the scan is refused",
    ),
    KnownDefect(
        "isles2024",
        r"not masked to the brain",
        "the maps of this release are not masked to the brain",
    ),
    KnownDefect(
        "isles2024",
        r"the lesion is empty",
        "three patients of the release have no lesion",
    ),
    KnownDefect(
        "isles2024",
        r"no lesion-msk and become test scans",
        "three patients of the release are said to have no lesion; where the mask's file is absent "
        "the scan cannot train",
    ),
    KnownDefect(
        "isles2018",
        r"does not say how the head lies",
        "the headers of this release hold an identity matrix; their voxel sizes are right",
    ),
    KnownDefect(
        "isles2018",
        r"training scans have no DWI",
        "today's download (July 2018) has none; the first release had it as MR_DWI",
    ),
    KnownDefect("isles2018", r"scans of \d+ patients", "many patients have two slabs, two scans"),
    KnownDefect(
        "",
        r"hold no measurement .* and became background",
        "perfusion software leaves such voxels; above a tenth of the brain the scan is refused",
    ),
    KnownDefect(
        "",
        r"was resampled: (?!.*the rest is empty)",
        "files are joined by position",
    ),
    KnownDefect(
        "",
        r"mL of lesion lie outside the brain mask",
        "a lesion that was drawn on another image crosses the brain's edge by a little; above a "
        "tenth it is doubtful",
    ),
    KnownDefect("", r"scans have no DWI and are left out", "this preset reads the DWI"),
    KnownDefect("", r"lack a file and are left out", "as --skip-incomplete says"),
)


def name_known(kind: str, findings: list[CaseFinding], source: str = "") -> list[CaseFinding]:
    """Findings, the worst first, with what is known about them; what is settled becomes a note.

    Args:
        kind: a key of ``KINDS``.
        findings: of one scan, or of the data set as a whole.
        source: the scan's folder.
    """
    own = [defect for defect in KNOWN_DEFECTS if defect.kind in (kind, "")]
    folder = source.rpartition("/")[2]
    named = [_named(own, folder, finding) for finding in findings]
    return sorted(named, key=lambda finding: finding.level)


def _named(defects: list[KnownDefect], folder: str, finding: CaseFinding) -> CaseFinding:
    text = f"{finding.modality}: {finding.text}" if finding.modality else finding.text
    for defect in defects:
        if re.search(defect.pattern, text) and (not defect.sources or folder in defect.sources):
            settled = defect.is_settled and finding.level == Level.DOUBTFUL
            level = Level.NOTE if settled else finding.level
            return finding._replace(level=level, known=defect.known)
    return finding
