"""Whether readers are good enough, by the scans that persons have outlined.

Agreement alone does not tell: readers that have hardly learned agree as well as good ones do (0.98
after a training of one batch). So each outlined scan is outlined by the readers that have not seen
its outline, and the scans that pass the same ``--min-agreement`` are compared with the persons'.

- Below a Dice of 0.5 nothing is written. Where an outline has the right volume, its Dice is the
  share of it that is lesion: below one half, most of what a training would take for lesion is none.
- Below 0.7 every result says so. It is what two readers must reach with one another by default;
  readers that reach it with one another and not with a person share their errors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from nnunetv2_strokesynth.outlining.outlines import Measured, mean_dice

GOOD_DICE = 0.7


class ReaderQuality(NamedTuple):
    """The readers' mean Dice on outlined scans that they have not seen.

    Attributes:
        scans: how many there are.
        dice: on all of them; NaN without any.
        agreeing: how many of them reach ``min_agreement``.
        agreeing_dice: on these; NaN without any.
        min_agreement: from which an outline is used.
    """

    scans: int
    dice: float
    agreeing: int
    agreeing_dice: float
    min_agreement: float

    @classmethod
    def of(cls, measured: Sequence[Measured], min_agreement: float) -> ReaderQuality:
        """The means over the scans that were measured."""
        return cls(*mean_dice(measured, 0.0), *mean_dice(measured, min_agreement), min_agreement)

    @property
    def decisive_dice(self) -> float:
        """That of the scans whose outlines would be used, or of all where none would be."""
        return self.agreeing_dice if self.agreeing else self.dice

    @property
    def sentence(self) -> str:
        """The two means, in words."""
        if not self.scans:
            return "no outlined scan is unseen by two readers: their Dice is unknown"
        said = f"readers on the {self.scans} outlined scans, unseen: Dice {self.dice:.3f}"
        threshold = f"an agreement of at least {self.min_agreement:g}"
        if not self.agreeing:
            return f"{said}; none has {threshold}"
        return f"{said}; on the {self.agreeing} with {threshold}: {self.agreeing_dice:.3f}"

    def check(self, min_dice: float) -> None:
        """Refuse readers that are too poor. Readers whose Dice is unknown pass.

        Raises:
            ValueError: the decisive Dice is below ``min_dice``; says what to do.
        """
        if self.decisive_dice < min_dice:
            raise ValueError(
                f"{self.sentence}, expected at least {min_dice:g}: most of what these readers "
                "outline is no lesion, even where they agree. Train them longer (-tr, with "
                "--new-readers), outline more scans by hand, or write the outlines all the same, "
                "to look at them, with --min-dice 0. Nothing was written; the readers stay"
            )

    @property
    def warnings(self) -> list[str]:
        """What every result of these readers must say."""
        if not self.scans:
            return [self.sentence]
        if self.decisive_dice < GOOD_DICE:
            return [
                f"{self.sentence}, expected at least {GOOD_DICE:g}: the readers agree with one "
                "another better than with persons, so that their outlines are doubtful"
            ]
        return []

    @property
    def record(self) -> dict[str, object]:
        """For ``dataset.json``; an unknown Dice is null."""
        values = {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in self._asdict().items()
        }
        rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in values.items()}
        return {**rounded, "warnings": self.warnings}
