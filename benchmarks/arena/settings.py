"""What an arena is made of: its phantom, its length, its methods."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

STOCK_PLANS = "nnUNetPlans"
RESENC_PLANS = "nnUNetResEncUNetMPlans"
OURS = "StrokeSynthTrainer"


class Settings(NamedTuple):
    """Of one arena; stored in its folder, so that every later run into it agrees.

    Attributes:
        cases: training scans of the phantom; nnU-Net's folds train on four fifths of them.
        test_cases: held-out scans, of other patients.
        size: pixels along x and y.
        seed: of the phantom.
        physics: key of ``data.PHYSICS``.
        features: factor on the features of every planned stage.
        batch_size: slices, in all plans alike.
        epochs: of each training.
        iterations: per epoch.
    """

    cases: int = 94
    test_cases: int = 62
    size: int = 64
    seed: int = 81
    physics: str = "default"
    features: float = 0.5
    batch_size: int = 14
    epochs: int = 10
    iterations: int = 100


class Method(NamedTuple):
    """One competitor.

    Attributes:
        name: of its folder and row.
        trainer: for ``-tr``.
        plans: for ``-p``.
        length: factor on the epochs; the learning rate's schedule is stretched along.
        what: in a few words, for ``--help``.
        synthesises: a DWI, which is then compared with the true one.
    """

    name: str
    trainer: str
    plans: str = STOCK_PLANS
    length: float = 1.0
    what: str = ""
    synthesises: bool = False


def method_folder(root: Path, method: Method) -> Path:
    """Everything about one method that is not nnU-Net's."""
    return root / "methods" / method.name
