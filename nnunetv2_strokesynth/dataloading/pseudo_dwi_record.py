"""What a model's pseudo-DWI is: kept in the model's plans, and beside the images made with it.

A module without nnU-Net and PyTorch, since evaluation and report read it, too.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import NamedTuple

from nnunetv2_strokesynth.dataloading.dwi_scaling import PAPER, SCALE_VERSION, SCALES, WINDOW_TOP
from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.io.text_files import read_json

# In the configurations of trained models, so it must stay as it is.
PLANS_KEY = "strokesynth_pseudo_dwi"
FILE = "pseudo_dwi.json"
# What a generator learned from.
REAL_DWI, BLURRED_LESION, NOTHING = "DWI", "blurred lesion", "nothing"
_LEARNED = (REAL_DWI, BLURRED_LESION, NOTHING)


class PseudoDwiRecord(NamedTuple):
    """What a pseudo-DWI is. The defaults are those of models older than the record.

    Attributes:
        scale: of the target, one of ``dwi_scaling.SCALES``.
        scale_version: version of that scale; 0 clipped the target to [0, 1].
        learned: what the generator learned from: a DWI, a blurred lesion, or nothing of the kind.
    """

    scale: str = PAPER
    scale_version: int = 0
    learned: str = REAL_DWI

    @property
    def window(self) -> tuple[float, float]:
        """Grey window of the pseudo-DWI on its scale."""
        return 0.0, WINDOW_TOP[self.scale]

    @property
    def caution(self) -> str:
        """One sentence about a pseudo-DWI that is none; empty for one that is."""
        if self.learned == NOTHING:
            return (
                "this model learned from no DWI: what its generator makes is an intermediate image "
                "of the segmentation and no pseudo-DWI"
            )
        if self.learned == BLURRED_LESION:
            return (
                "this model's generator learned a blurred lesion: what it makes is a map of the "
                "lesion and no pseudo-DWI"
            )
        return ""

    @classmethod
    def now(cls, scale: str, learned: str) -> PseudoDwiRecord:
        """That of a training with this version of the code."""
        return cls(scale, SCALE_VERSION, learned)

    @classmethod
    def parse(cls, content: object, source: object) -> PseudoDwiRecord:
        """The record as JSON holds it; None is a model older than the record.

        Raises:
            ValueError: it cannot be read. The message names the source.
        """
        if content is None:
            return cls()
        try:
            found = cls(**content)
        except TypeError as error:
            raise ValueError(f"{source}: what the pseudo-DWI is cannot be read: {error}") from error
        if found.scale not in SCALES or found.learned not in _LEARNED:
            raise ValueError(
                f"{source}: found the scale '{found.scale}' and learned '{found.learned}', "
                f"expected one of {', '.join(SCALES)} and one of {', '.join(_LEARNED)}"
            )
        return found


def with_record(plans: dict, configuration: str, record: PseudoDwiRecord) -> dict:
    """The plans with the record in one configuration; the plans given are not changed."""
    plans = copy.deepcopy(plans)
    plans["configurations"][configuration][PLANS_KEY] = record._asdict()
    return plans


def write_record(folder: Path, record: PseudoDwiRecord) -> None:
    """Writes ``pseudo_dwi.json`` beside the images."""
    write_json(folder / FILE, record._asdict())


def read_record(folder: Path) -> PseudoDwiRecord:
    """What the images of a folder are; the defaults for a folder of an older version.

    Raises:
        ValueError: the file cannot be read. The message names it.
    """
    path = folder / FILE
    if not path.is_file():
        return PseudoDwiRecord()
    return PseudoDwiRecord.parse(read_json(path, way_out="synthesise again"), path)
