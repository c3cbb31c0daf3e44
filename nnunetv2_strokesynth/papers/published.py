"""What all papers printed of whole systems: a report shows it beside its own results."""

from __future__ import annotations

from nnunetv2_strokesynth.papers.abulnaga2018 import published as abulnaga2018
from nnunetv2_strokesynth.papers.clerigues2019 import published as clerigues2019
from nnunetv2_strokesynth.papers.gomez2023 import published as gomez2023
from nnunetv2_strokesynth.papers.isles2024 import published as isles2024
from nnunetv2_strokesynth.papers.shared.published import Published, in_system_columns
from nnunetv2_strokesynth.papers.song2018 import published as song2018
from nnunetv2_strokesynth.papers.wang2020 import published as wang2020

PUBLISHED: tuple[Published, ...] = (
    *wang2020.WHOLE_SYSTEMS,
    *song2018.WHOLE_SYSTEMS,
    *clerigues2019.WHOLE_SYSTEMS,
    *gomez2023.WHOLE_SYSTEMS,
    *abulnaga2018.WHOLE_SYSTEMS,
    *in_system_columns(isles2024.TEST_SET),
)


def by_source(results: tuple[Published, ...] = PUBLISHED) -> list[tuple[Published, ...]]:
    """The rows of one paper, table and data set together, in order of appearance."""
    groups: dict[tuple[str, ...], list[Published]] = {}
    for result in results:
        key = (result.paper, result.where, result.data, result.note)
        groups.setdefault(key, []).append(result)
    return [tuple(group) for group in groups.values()]
