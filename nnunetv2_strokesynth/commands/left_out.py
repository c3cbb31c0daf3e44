"""Which cases a command that measures predictions has left out, as warnings."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnunetv2_strokesynth.evaluation.matching import Matched

logger = logging.getLogger(__name__)


def warn_of_left_out(folder: Path, matched: Matched) -> None:
    """Name the folds and cases without predictions, of a folder of predictions or a model."""
    from nnunetv2_strokesynth.io.messages import name_some

    if matched.pred.missing_folds:
        logger.warning(
            "%s: no predictions of fold %s", folder, ", ".join(matched.pred.missing_folds)
        )
    if matched.missing:
        logger.warning("%s: left out, not predicted: %s", folder, name_some(matched.missing))
