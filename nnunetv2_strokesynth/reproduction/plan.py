"""What the user asked for (table, data, folds, recipe), and which scans are measured."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from nnunetv2_strokesynth.papers.shared.paper_table import ALL, PaperTable, TableRow
from nnunetv2_strokesynth.reproduction.data_set import (
    DataSet,
    paper_fold,
)
from nnunetv2_strokesynth.trainers.environment import (
    BASE_FEATURES,
    EPOCHS,
    ITERATIONS,
    VAL_ITERATIONS,
)

PAPER = "paper"
# Option of our command -> variable that our trainers read.
RECIPE_OPTIONS = {
    "epochs": EPOCHS,
    "iterations": ITERATIONS,
    "base_features": BASE_FEATURES,
}


class Plan(NamedTuple):
    """One reproduction.

    Attributes:
        table: with further rows, if asked for.
        data: the data set of the perfusion scans.
        real_dwi: the data set whose image is the DWI; None if there is none.
        windowed: the data set of preset ``isles2024``; None if there is none.
        folds: ``"paper"``, ``"all"`` (one training on all scans), or numbers of folds.
        recipe: variables for our trainers; empty for the paper's recipe.
        device: for nnU-Net's commands.
        out: folder for everything that is not nnU-Net's.
    """

    table: PaperTable
    data: DataSet
    real_dwi: DataSet | None
    windowed: DataSet | None
    folds: str | tuple[int, ...]
    recipe: dict[str, str]
    device: str
    out: Path

    @property
    def on_test_set(self) -> bool:
        """Whether the challenge's test scans are predicted."""
        return self.table.on_test_set

    @property
    def papers_recipe(self) -> dict[str, str]:
        """The settings if the user sets none; the iterations follow from the data.

        The width is left out where the rows differ in it.
        """
        widths = {row.base_features for row in self.table.rows if row.name and not row.further}
        recipe = {EPOCHS: str(self.table.epochs)}
        return recipe | (
            {BASE_FEATURES: str(*widths)} if len(widths - {None}) == 1 == len(widths) else {}
        )

    @property
    def is_papers_recipe(self) -> bool:
        """Whether every setting has the paper's value."""
        return all(self.papers_recipe.get(name) == value for name, value in self.recipe.items())

    def data_of(self, row: TableRow) -> DataSet | None:
        """The data set that a row is trained on."""
        if row.windowed:
            return self.windowed
        return self.real_dwi if row.real_dwi else self.data

    @property
    def data_sets(self) -> list[DataSet]:
        """All data sets that are there."""
        found = (self.data, self.real_dwi, self.windowed)
        return [data for data in found if data is not None]

    def model(self, row: TableRow) -> Path:
        """The folder of a row's trained model; of an ensemble's member, for its ``member_rows``."""
        return self.data_of(row).model(row.trainer, row.plans, row.configuration)

    def folder(self, row: TableRow) -> Path:
        """Where a row's predictions, pseudo-DWI and evaluation go."""
        return self.out / row.name


def measured_cases(data: DataSet, folds: str | tuple[int, ...]) -> dict[int | str, list[str]]:
    """The scans that each fold is measured on, by fold; none for a training on all scans.

    Raises:
        ValueError: a fold that ``splits_final.json`` does not have, or that is the paper's split.
    """
    if folds == ALL:
        return {ALL: []}
    if folds == PAPER:
        fold = paper_fold(data)
        return {fold: sorted(data.splits[fold]["test"])}
    for fold in folds:
        if not 0 <= fold < len(data.splits):
            raise ValueError(
                f"--folds {fold}: {data.name} has {len(data.splits)} splits, 0 to "
                f"{len(data.splits) - 1}"
            )
        if data.splits[fold].get("test"):
            raise ValueError(f"--folds {fold} is the paper's split; ask for it by --folds paper")
    return {fold: sorted(data.splits[fold]["val"]) for fold in folds}


def recipe_of(options: dict[str, int | None], environment: dict[str, str]) -> dict[str, str]:
    """The variables for our trainers: from the options, else as the user has exported them.

    Args:
        options: value or None by key of ``RECIPE_OPTIONS``.
        environment: of this process.
    """
    names = (EPOCHS, ITERATIONS, VAL_ITERATIONS, BASE_FEATURES)
    recipe = {name: environment[name] for name in names if name in environment}
    for option, value in options.items():
        if value is not None:
            recipe[RECIPE_OPTIONS[option]] = str(value)
    if options["iterations"] is not None:
        recipe[VAL_ITERATIONS] = str(max(1, options["iterations"] // 5))
    return {name: recipe[name] for name in names if name in recipe}
