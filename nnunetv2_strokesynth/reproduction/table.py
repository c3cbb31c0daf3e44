"""A paper's table as data: its rows, which trainer each one is, and the paper's recipe."""

from __future__ import annotations

from typing import NamedTuple

from nnunetv2_strokesynth.reporting.published import (
    PUBLISHED,
    Published,
)
from nnunetv2_strokesynth.reporting.published_ablations import ABLATIONS

PREFIXES = (  # of our trainers
    "StrokeSynthTrainer",
    "Song2018Trainer",
    "Clerigues2019Trainer",
    "Gomez2023Trainer",
    "Abulnaga2018Trainer",
)
WANG = "Wang et al. 2020"


class TableRow(NamedTuple):
    """One row.

    Attributes:
        label: as the paper calls it.
        trainer: what ``nnUNetv2_train -tr`` is given; empty for a method that is not ours.
        published: what the paper printed; None for a row that the paper does not have.
        real_dwi: reads the data set whose image is the measured DWI.
        synthesis: SSIM and PSNR of its pseudo-DWI are columns of the table.
        configuration: of the plans.
        base_features: width of its networks in the paper; None where it cannot be changed.
    """

    label: str
    trainer: str
    published: Published | None = None
    real_dwi: bool = False
    synthesis: bool = False
    configuration: str = "2d"
    base_features: int | None = 64

    @property
    def planned(self) -> str:
        """The configuration of nnU-Net's own whose preprocessed data it reads."""
        return "2d" if self.configuration.startswith("2d") else self.configuration


class PaperTable(NamedTuple):
    """One table of a paper.

    Attributes:
        number: in the paper.
        title: what its rows compare.
        keys: columns, keys of ``evaluation.columns``.
        rows: in the paper's order.
        proposed: trainer of the row that the others are compared with.
        published_on: heading of the published columns, with their data.
        paper: authors and year.
        epochs: of our reading of the paper's recipe.
        epochs_stated: whether the paper gives them.
        name: on the command line; empty: ``table`` and the number.
        epoch: how long one is in the recipe.
        keeps_best: whether the best epoch on the validation scans is what is measured.
        figure: where the paper shows it as a figure.
    """

    number: int
    title: str
    keys: tuple[str, ...]
    rows: tuple[TableRow, ...]
    proposed: str
    published_on: str = "paper (ISLES 2018, 23 scans)"
    paper: str = WANG
    epochs: int = 300
    epochs_stated: bool = True
    name: str = ""
    epoch: str = "one pass over the training slices"
    keeps_best: bool = True
    figure: str = ""

    @property
    def file_name(self) -> str:
        """Of the results, without ending: the table's name on the command line."""
        return self.name or f"table{self.number}"

    @property
    def source(self) -> str:
        """Paper and table, for titles."""
        return f"{self.paper}, {self.figure or f'Table {self.number}'}"

    @property
    def is_on_test_set(self) -> bool:
        """Whether an ensemble predicts the challenge's test scans."""
        return self.file_name == "table6"

    @property
    def trainers(self) -> tuple[str, ...]:
        """The trainers of our rows, in order."""
        return tuple(row.trainer for row in self.rows if row.trainer)


def printed_rows(paper: str, where: str) -> tuple[Published, ...]:
    """What a paper printed in one table or figure, in its order."""
    return tuple(
        row for row in (*ABLATIONS, *PUBLISHED) if (row.paper, row.where) == (paper, where)
    )
