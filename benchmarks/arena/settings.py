"""Settings of an arena, and what describes a method."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from nnunetv2_strokesynth.phantom.vendors import VENDOR_NAMES, check_vendors

STOCK_PLANS = "nnUNetPlans"
RESENC_PLANS = "nnUNetResEncUNetMPlans"
OURS = "StrokeSynthTrainer"


class Settings(NamedTuple):
    """Settings of one arena; they are stored in its folder, so that every later run agrees.

    Attributes:
        cases: training scans of the phantom; nnU-Net's folds train on four fifths of them.
        test_cases: held-out scans, of other patients.
        size: pixels along x and y.
        seed: the phantom's.
        physics: key of ``data.PHYSICS``.
        vendors: of the training scans; all of them are mixed by default.
        test_vendors: of the held-out scans; empty for the same.
        features: factor on the features of every planned stage.
        batch_size: slices in a batch, the same in all plans.
        epochs: of a training.
        iterations: batches in an epoch.
        pretrained_in: another arena, whose models the methods that name a first training start
            from, fold by fold.
    """

    cases: int = 94
    test_cases: int = 62
    size: int = 64
    seed: int = 81
    physics: str = "default"
    vendors: tuple[str, ...] = VENDOR_NAMES
    test_vendors: tuple[str, ...] = ()
    features: float = 0.5
    batch_size: int = 14
    epochs: int = 10
    iterations: int = 100
    pretrained_in: str = ""

    @property
    def scanners(self) -> str:
        """A sentence on the vendors, for the page of results."""
        test = self.test_vendors or self.vendors
        train, held_out = (", ".join(names) or "reference" for names in (self.vendors, test))
        return f"Vendors of the training scans: {train}; of the held-out scans: {held_out}."

    def check(self) -> None:
        """Refuse vendors that there are not, with ``ValueError``."""
        check_vendors("--vendors", self.vendors)
        if self.test_vendors:
            check_vendors("--test-vendors", self.test_vendors)


def stored_settings(content: dict) -> Settings:
    """Settings from JSON, where tuples are lists; earlier arenas had one scanner for all."""
    content = {"vendors": [], **content}
    vendors = {name: tuple(content.get(name, ())) for name in ("vendors", "test_vendors")}
    return Settings(**{**content, **vendors})


class Method(NamedTuple):
    """One competitor.

    Attributes:
        name: of its folder and its row.
        trainer: for nnU-Net's option ``-tr``.
        plans: for nnU-Net's option ``-p``.
        length: factor on the epochs and on the learning rate's schedule.
        what: a few words for ``--help``.
        synthesises: whether it makes a pseudo-DWI, which is then compared with the DWI.
        pretrained: the method of the other arena whose weights it starts from.
    """

    name: str
    trainer: str
    plans: str = STOCK_PLANS
    length: float = 1.0
    what: str = ""
    synthesises: bool = False
    pretrained: str = ""


def method_folder(root: Path, method: Method) -> Path:
    """The folder of one method: models, predictions, measurements."""
    return root / "methods" / method.name
