"""A paper's table as data: its rows, the trainer of each one, and the paper's recipe."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nnunetv2_strokesynth.papers.shared.published import Published

PLANS = "nnUNetPlans"
ALL = "all"  # nnU-Net's fold that trains on all scans


@dataclass(frozen=True)
class TableRow:
    """One row.

    Attributes:
        label: as the paper calls it.
        trainer: argument of ``nnUNetv2_train -tr``; empty for a method that we did not implement.
        published: what the paper printed; None for a row that the paper does not have.
        further: whether the user has added it, with ``--also``.
        real_dwi: whether it reads the data set whose image is the measured DWI.
        windowed: whether it reads the data set of preset ``isles2024``.
        synthesis: whether SSIM and PSNR of its pseudo-DWI are columns of the table.
        configuration: name in nnU-Net's plans.
        base_features: width of its networks in the paper; None where it cannot be changed.
        plans: name of nnU-Net's plans.
        pretrained: whether its training starts from weights that the user has to provide.
        alias: the row's own name, where two rows have the same trainer or a row has several.
        members: trainers of an ensemble, in place of ``trainer``.
    """

    label: str
    trainer: str
    published: Published | None = None
    further: bool = False
    real_dwi: bool = False
    windowed: bool = False
    synthesis: bool = False
    configuration: str = "2d"
    base_features: int | None = 64
    plans: str = PLANS
    pretrained: bool = False
    alias: str = ""
    members: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of the row on the command line and of its folder; empty if it is not ours."""
        return self.alias or self.trainer

    @property
    def member_rows(self) -> tuple[TableRow, ...]:
        """The trainings that it consists of: itself, or those of an ensemble."""
        if not self.members:
            return (self,)
        return tuple(replace(self, trainer=m, alias="", members=()) for m in self.members)

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
        row_keys: columns of a row as a whole, keys of ``ROW_COLUMNS``.
        t_test: whether a paired t-test to the proposed row is shown.
        rows: in the paper's order.
        proposed: name of the row that the others are compared with.
        published_on: heading of the published columns, with the data they were measured on.
        epochs: of the paper's recipe; where the paper is silent, our choice.
        epochs_stated: whether the paper gives them.
        epoch_length: of one epoch of the recipe, in words.
        default_folds: words for ``--folds``.
        keeps_best: whether the epoch that is best on the validation scans is measured.
        tuned: whether threshold and smallest lesion of each row are chosen on the validation scans.
        averages_probabilities: whether several networks predict together by their mean probability;
            otherwise by their mean logits, as nnU-Net does.
        per_fold: whether the page has a second table, of the Dice of each fold.
        on_test_set: whether the challenge's test scans are predicted, by one training on all scans
            or an ensemble of folds.
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
    default_folds: tuple[str, ...] = ("0", "1", "2", "3", "4")
    keeps_best: bool = True
    row_keys: tuple[str, ...] = ()
    t_test: bool = False
    tuned: bool = False
    averages_probabilities: bool = False
    per_fold: bool = False
    on_test_set: bool = False

    @property
    def source(self) -> str:
        """Paper and table, for titles."""
        return f"{self.paper}, {self.where}"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of our rows, in order."""
        return tuple(row.name for row in self.rows if row.name)

    @property
    def trainers(self) -> tuple[str, ...]:
        """The trainers of our rows, in order, each once."""
        found = (m.trainer for row in self.rows if row.name for m in row.member_rows)
        return tuple(dict.fromkeys(found))


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
