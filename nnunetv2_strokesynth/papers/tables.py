"""All tables that ``strokesynth reproduce`` can run, by the name on its command line."""

from __future__ import annotations

from dataclasses import replace

from nnunetv2_strokesynth.papers.abulnaga2018 import tables as abulnaga2018
from nnunetv2_strokesynth.papers.clerigues2019 import tables as clerigues2019
from nnunetv2_strokesynth.papers.gomez2023 import tables as gomez2023
from nnunetv2_strokesynth.papers.isles2024 import tables as isles2024
from nnunetv2_strokesynth.papers.shared.paper_table import PaperTable, TableRow
from nnunetv2_strokesynth.papers.song2018 import tables as song2018
from nnunetv2_strokesynth.papers.wang2020 import tables as wang2020

TABLES: dict[str, PaperTable] = {
    table.name: table
    for table in (
        *wang2020.TABLES,
        *song2018.TABLES,
        *clerigues2019.TABLES,
        *gomez2023.TABLES,
        *abulnaga2018.TABLES,
        *isles2024.TABLES,
    )
}

REAL_DWI_TRAINERS = frozenset(
    row.trainer for table in TABLES.values() for row in table.rows if row.real_dwi
)


def _configuration_of(trainer: str) -> str:
    """That of the rows which this trainer has in the tables; nnU-Net's ``2d`` for any other."""
    rows = (row for table in TABLES.values() for row in table.rows)
    found = {row.configuration for row in rows if trainer in (row.trainer, *row.members)}
    return found.pop() if len(found) == 1 else "2d"


def with_further_rows(table: PaperTable, trainers: list[str]) -> PaperTable:
    """The table with rows that the paper does not have at its end, one per trainer.

    Their pseudo-DWI is not measured: not every trainer has one.

    Raises:
        ValueError: a trainer is a row already.
    """
    for trainer in trainers:
        if trainer in table.names:
            raise ValueError(f"--also {trainer}: it is a row of {table.name} already")
    further = (
        TableRow(
            trainer,
            trainer,
            further=True,
            real_dwi=trainer in REAL_DWI_TRAINERS,
            configuration=_configuration_of(trainer),
        )
        for trainer in dict.fromkeys(trainers)
    )
    return replace(table, rows=(*table.rows, *further))
