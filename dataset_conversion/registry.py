"""All kinds of data set, by the name that is typed after ``strokesynth convert``.

The list is plain text: the help must not wait for the libraries that read images. A kind's module
is imported when the kind is chosen.
"""

from __future__ import annotations

import pkgutil
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from nnunetv2_strokesynth.dataset_conversion.kind import DatasetKind


class Entry(NamedTuple):
    """A kind that is not imported yet.

    Attributes:
        place: module in this folder and the name of its ``DatasetKind``.
        summary: one line for the help.
    """

    place: str
    summary: str


KINDS: dict[str, Entry] = {
    "isles2018": Entry(
        "Dataset018_ISLES2018:ISLES2018",
        "ISLES 2018: CT perfusion, 94 training scans of 63 patients and 62 testing scans of 40",
    ),
    "isles2017": Entry(
        "Dataset017_ISLES2017:ISLES2017",
        "ISLES 2017: MRI, 43 training and 32 testing patients with one scan each",
    ),
    "isles2024": Entry(
        "Dataset024_ISLES2024:ISLES2024",
        "ISLES 2024: CT perfusion on admission, DWI at follow-up, 149 training patients; BIDS",
    ),
}


def load_kind(name: str) -> DatasetKind:
    """Import a kind, a key of ``KINDS``."""
    found = pkgutil.resolve_name(f"{__package__}.{KINDS[name].place}")
    return cast("DatasetKind", found)
