"""Which networks read the DWI, from which outlines each learns, and for which folds it may outline.

A label that trains fold k must not know the outlines that fold k validates on. With one network per
fold, a single one could outline for a fold, and there would be no agreement to look at. So a reader
leaves out two folds: that of folds j and k learns from the scans that train both, and outlines for
both. With F folds there are F (F - 1) / 2 readers, and F - 1 of them outline for each fold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nnunetv2_strokesynth.io.messages import name_some

MIN_READERS = 2


class Reader(NamedTuple):
    """One network that reads the DWI.

    Attributes:
        number: its fold in the readers' own data set.
        learns_from: case ids of the outlined scans that train it.
    """

    number: int
    learns_from: frozenset[str]


class Readers(NamedTuple):
    """All readers of a data set.

    Attributes:
        all: the readers, in the order of their numbers.
        of_fold: fold of the data set -> the readers that may outline for it.
    """

    all: list[Reader]
    of_fold: dict[int, list[Reader]]


def plan_readers(
    splits: Sequence[Mapping[str, Sequence[str]]],
    outlined: Sequence[str],
    patients: Mapping[str, str],
    *,
    folds: Sequence[int] | None = None,
    per_fold: int | None = None,
) -> Readers:
    """The readers that the folds of a data set need.

    Args:
        splits: ``splits_final.json``. An entry with a key ``test`` is the paper's split; it is no
            fold of the cross-validation.
        outlined: the scans that have an outline and a DWI.
        patients: case id -> patient; a case that is not in it is a patient of its own.
        folds: for which folds outlines are wanted; None for the cross-validation's.
        per_fold: how many readers a fold gets, at least 2: those that it shares with its
            neighbours, so that two for each of F folds are F readers in all. None for those of all
            pairs of folds.

    Raises:
        ValueError: there is no such fold, or fewer than two readers may outline for one.
    """
    if per_fold is not None and per_fold < MIN_READERS:
        raise ValueError(f"--readers {per_fold}: expected at least {MIN_READERS} for each fold")
    plain = [fold for fold, split in enumerate(splits) if not split.get("test")]
    wanted = plain if folds is None else list(dict.fromkeys(folds))
    unknown = [fold for fold in wanted if not 0 <= fold < len(splits)]
    if unknown:
        raise ValueError(f"--folds {unknown[0]}: the data set has the folds 0 to {len(splits) - 1}")
    sets: dict[frozenset[str], None] = {}
    for fold in wanted:
        for other in sorted(_partners(fold, plain)[:per_fold]):
            both = {*splits[fold]["train"]} & {*splits[other]["train"]} & {*outlined}
            if both:
                sets[frozenset(both)] = None
    readers = [Reader(number, learns_from) for number, learns_from in enumerate(sets)]
    of_fold = {}
    for fold in wanted:
        held_out = held_out_scans(splits[fold], outlined)
        of_fold[fold] = [r for r in readers if has_not_seen(r, held_out, patients)]
        _check_number(fold, of_fold[fold], n_folds=len(plain))
    return Readers(readers, of_fold)


def _partners(fold: int, plain: Sequence[int]) -> list[int]:
    """The other folds, neighbours first: the next, the one before, the next but one and so on."""
    if fold not in plain:
        return [*plain]
    place, n = plain.index(fold), len(plain)
    steps = (step for distance in range(1, n) for step in (distance, -distance))
    return list(dict.fromkeys(plain[(place + step) % n] for step in steps))[: n - 1]


def held_out_scans(split: Mapping[str, Sequence[str]], outlined: Sequence[str]) -> list[str]:
    """The outlined scans that a fold does not train on: of its validation and test."""
    return sorted({*outlined, *split["val"], *split.get("test", ())} - {*split["train"]})


def has_not_seen(reader: Reader, scans: Sequence[str], patients: Mapping[str, str]) -> bool:
    """Whether a reader has learned from no outline of any patient of these scans."""
    known = {patients.get(case_id, case_id) for case_id in reader.learns_from}
    return known.isdisjoint(patients.get(case_id, case_id) for case_id in scans)


def _check_number(fold: int, readers: Sequence[Reader], *, n_folds: int) -> None:
    if len(readers) >= MIN_READERS:
        return
    why = (
        f"the data set has {n_folds} folds; convert it with --folds 3 or more"
        if n_folds <= MIN_READERS
        else "scans of one patient are on both sides of its folds, or too few scans have an "
        "outline and a DWI; convert the data set again"
    )
    raise ValueError(
        f"fold {fold}: {len(readers)} readers ({name_some(str(r.number) for r in readers)}) have "
        f"not seen the outlines that it validates on, expected at least {MIN_READERS}: {why}"
    )
