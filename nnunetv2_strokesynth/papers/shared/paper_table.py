"""A paper's table as data: its rows, the trainer of each one, and the paper's recipe."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nnunetv2_strokesynth.papers.shared.published import Published


@dataclass(frozen=True)
class TableRow:
    """One row.

    Attributes:
        label: as the paper calls it.
        trainer: argument of ``nnUNetv2_train -tr``; empty for a method that we did not implement.
        published: what the paper printed; None for a row that the paper does not have.
        real_dwi: whether it reads the data set whose image is the measured DWI.
        synthesis: whether SSIM and PSNR of its pseudo-DWI are columns of the table.
        configuration: name in nnU-Net's plans.
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


@dataclass(frozen=True, kw_only=True)
class PaperTable:
    """One table of a paper.

    Attributes:
        name: on the command line and of the files with its results.
        paper: authors and year.
        where: ``Table 3``, or the figure that shows it.
        title: what its rows compare.
        keys: columns, keys of ``evaluation.columns``.
        rows: in the paper's order.
        proposed: trainer of the row that the others are compared with.
        published_on: heading of the published columns, with the data they were measured on.
        epochs: of the paper's recipe; where the paper is silent, our choice.
        epochs_stated: whether the paper gives them.
        epoch_length: of one epoch of the recipe, in words.
        keeps_best: whether the epoch that is best on the validation scans is measured.
        on_test_set: whether an ensemble predicts the challenge's test scans.
    """

    name: str
    paper: str
    where: str
    title: str
    keys: tuple[str, ...]
    rows: tuple[TableRow, ...]
    proposed: str
    published_on: str
    epochs: int
    epochs_stated: bool = True
    epoch_length: str = "one pass over the training slices"
    keeps_best: bool = True
    on_test_set: bool = False

    @property
    def source(self) -> str:
        """Paper and table, for titles."""
        return f"{self.paper}, {self.where}"

    @property
    def trainers(self) -> tuple[str, ...]:
        """The trainers of our rows, in order."""
        return tuple(row.trainer for row in self.rows if row.trainer)


def with_published(
    published: tuple[Published, ...], rows: tuple[TableRow, ...]
) -> tuple[TableRow, ...]:
    """The rows, each with what the paper printed; both are in the paper's order."""
    return tuple(replace(row, published=entry) for row, entry in zip(rows, published, strict=True))


def shown_as_bars(
    rows: tuple[TableRow, ...], *, paper: str, where: str, data: str
) -> tuple[TableRow, ...]:
    """Rows that the paper shows as bars, without a number."""
    return tuple(
        replace(
            row,
            published=Published(
                paper=paper, where=where, method=row.label, data=data, digits=0, values={}
            ),
        )
        for row in rows
    )
