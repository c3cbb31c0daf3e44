"""The page about a reproduced table, in Markdown: what it was made from, the table, its notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nnunetv2_strokesynth.evaluation.tables import Table, to_markdown
from nnunetv2_strokesynth.reporting.page import render_page


class ReproductionPage(NamedTuple):
    """Everything that the page says, as plain text.

    Attributes:
        title: heading.
        warnings: what forbids to take the numbers for the paper's.
        facts: what the table was made from.
        table: ours beside the paper's.
        further: further tables below it.
        notes: how to read it.
        picture: name of the image file beside the page.
    """

    title: str
    warnings: Sequence[str]
    facts: Sequence[str]
    table: Table
    further: Sequence[Table]
    notes: Sequence[str]
    picture: str


def render_reproduction(page: ReproductionPage) -> str:
    """The page as Markdown."""
    table, *further = (_markdown(table) for table in (page.table, *page.further))
    return render_page("reproduction.md.j2", page=page, table=table, further=further)


def _markdown(table: Table) -> str:
    # A star in a cell, such as that of "F_h*", would start an emphasis.
    rows = tuple(tuple(cell.replace("*", "\\*") for cell in row) for row in table.rows)
    return to_markdown(table._replace(rows=rows))
