"""The files of an evaluation: the per-case table and what is drawn together from it.

Figures are drawn by ``reporting``, which lies above this folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from nnunetv2_strokesynth.evaluation.matching import Matched
from nnunetv2_strokesynth.evaluation.tables import (
    RULES,
    Table,
    compare,
    comparison_table,
    prediction_sets,
    summarise,
    summary_tables,
    to_markdown,
    volume_agreements,
    volume_table,
)
from nnunetv2_strokesynth.io.atomic import (
    atomic_file,
    write_json,
    write_text,
)
from nnunetv2_strokesynth.io.output_folder import strict_json

PICTURES = ("volume_scatter.png", "bland_altman.png", "size_groups.png")
OUTPUTS = ("cases.csv", "summary.md", "summary.json", *PICTURES)
# An earlier version wrote it; --overwrite may replace it.
EARLIER_OUTPUTS = ("summary.tex",)


def is_output(name: str) -> bool:
    """Whether an evaluation writes a file of this name, or once did."""
    return name in OUTPUTS or name in EARLIER_OUTPUTS


def describe_set(folder: Path, matched: Matched, *, caution: str = "") -> dict[str, Any]:
    """What ``summary.json`` says about one set of predictions beside its numbers.

    Args:
        folder: of the predictions.
        matched: the cases.
        caution: a sentence about a pseudo-DWI that is none, see ``PseudoDwiRecord``.
    """
    about = {"pseudo_dwi_caution": caution} if caution else {}
    return about | {
        "folder": folder,
        "n_cases": len(matched.case_ids),
        "missing_cases": matched.missing,
        "folds": sorted(set(matched.pred.folds.values())),
        "missing_folds": matched.pred.missing_folds,
    }


def write_tables(
    folder: Path, cases: pd.DataFrame, sets: dict[str, dict[str, Any]], *, seed: int
) -> None:
    """Write ``cases.csv``, ``summary.md`` and ``summary.json``.

    Args:
        folder: where they go.
        cases: result of ``measure_cases``; two sets of predictions below each other are compared.
        sets: ``describe_set`` of each set of predictions, by name.
        seed: of the bootstrap.
    """
    names = prediction_sets(cases)
    comparison = compare(cases, seed=seed) if len(names) == 2 else {}
    tables = [*summary_tables(cases), volume_table(cases)]
    tables += [comparison_table(comparison, names)] if comparison else []
    with atomic_file(folder / "cases.csv") as temporary:
        cases.to_csv(temporary, index=False)
    write_text(folder / "summary.md", _markdown(tables, sets, cases))
    summary, agreements = summarise(cases), volume_agreements(cases)
    content = {
        "rules": RULES,
        "predictions": {
            name: sets[name] | {"groups": summary[name], "volume": agreements[name]}
            for name in names
        },
        "comparison": {"difference": " - ".join(names), "seed": seed, "metrics": comparison}
        if comparison
        else None,
    }
    write_json(folder / "summary.json", strict_json(content))


def _about_threshold(own: pd.DataFrame) -> list[str]:
    """What the one threshold on the pseudo-DWI is; nothing without pseudo-DWIs."""
    found = own["cut_threshold"].dropna() if "cut_threshold" in own else own.iloc[:0, 0]
    if found.empty:
        return []
    return [
        f"  - pseudo-DWI: the best single threshold for all scans is {found.iloc[0]:.2f} of its "
        f"scale, chosen in hindsight for the highest mean Dice on these {len(found)} scans"
    ]


def _markdown(tables: list[Table], sets: dict[str, dict[str, Any]], cases: pd.DataFrame) -> str:
    lines = ["# Evaluation", ""]
    for name, about in sets.items():
        line = f"- {name}: {about['n_cases']} cases, `{about['folder']}`"
        if about["missing_cases"]:
            line += f"; not predicted and left out: {', '.join(about['missing_cases'])}"
        if about["missing_folds"]:
            line += f"; folds without predictions: {', '.join(about['missing_folds'])}"
        lines.append(line)
        caution = about.get("pseudo_dwi_caution")
        lines += [f"  - what was given as pseudo-DWI is none: {caution}"] if caution else []
        lines += _about_threshold(cases[cases["predictions"] == name])
    lines += ["", RULES, "", *map(to_markdown, tables)]
    lines += [f"![{name.removesuffix('.png').replace('_', ' ')}]({name})\n" for name in PICTURES]
    return "\n".join(lines)
