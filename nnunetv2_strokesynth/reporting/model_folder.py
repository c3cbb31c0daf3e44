"""Read what a trained model's folder says about itself, from JSON, CSV and file dates only.

Checkpoints are never opened: they are pickles, and a report should be safe to make of any model.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from nnunetv2_strokesynth.channels import names_in_order
from nnunetv2_strokesynth.dataloading.machine_outlines import outline_warnings
from nnunetv2_strokesynth.io.text_files import read_csv_rows, read_json_object

# As ``trainers.loss_log`` writes it; that module imports nnU-Net, which a report does not need.
LOSS_CSV = "loss_terms.csv"
PHASES = ("train", "val")


class Fold(NamedTuple):
    """One ``fold_*`` folder.

    Attributes:
        name: ``"0"`` to ``"4"``, or ``"all"``.
        terms: value per epoch of every column of ``loss_terms.csv`` (``"train/L_s"``); empty
            without the file.
    """

    name: str
    terms: dict[str, list[float]]

    @property
    def n_epochs(self) -> int | None:
        """Epochs in ``loss_terms.csv``; None without the file."""
        return len(next(iter(self.terms.values()))) if self.terms else None


class Model(NamedTuple):
    """A trained model.

    Attributes:
        folder: as the user gave it.
        trainer, plans, configuration: the three parts of the folder's name.
        dataset: folder of the data set and its name in ``dataset.json``.
        channels: names in the order of the files ``_0000``, ``_0001``, ...
        file_ending: of the images.
        folds: folders found, by name.
        doubts: warnings about the outlines that it learned from.
        newest_checkpoint: ``"2026-11-21 18:08 UTC (fold_1/checkpoint_final.pth)"`` or ``""``.
    """

    folder: Path
    trainer: str
    plans: str
    configuration: str
    dataset: str
    channels: tuple[str, ...]
    file_ending: str
    folds: tuple[Fold, ...]
    newest_checkpoint: str
    doubts: tuple[str, ...] = ()


def read_loss_terms(path: Path) -> dict[str, list[float]]:
    """``{"train/L_s": [one value per epoch], ...}``; empty if there is no such file.

    Raises:
        ValueError: not a table of numbers with a column ``epoch``; names file and line.
    """
    if not path.is_file():
        return {}
    rows = read_csv_rows(path, way_out="delete it, or copy it again from where it was written")
    if not rows or rows[0][:1] != ["epoch"]:
        raise ValueError(f"{path} does not begin with the column 'epoch'; expected a loss log")
    header, values = rows[0], rows[1:]
    for number, row in enumerate(values, start=2):
        if len(row) != len(header):
            raise ValueError(
                f"{path}, line {number}: {len(row)} cells, expected {len(header)} as in line 1"
            )
    try:
        columns = [[float(row[index]) for row in values] for index in range(len(header))]
    except ValueError as error:
        raise ValueError(f"{path}: {error}; expected numbers below the headings") from error
    return dict(zip(header[1:], columns[1:], strict=True))


def _json(path: Path) -> dict:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path.parent} is no trained nnU-Net model: it has no {path.name}. Expected a folder "
            "like nnUNet_results/Dataset018_ISLES2018/StrokeSynthTrainer__nnUNetPlans__2d"
        )
    return read_json_object(path, way_out="copy the model again from where it was trained")


def _newest_checkpoint(folder: Path) -> str:
    dated = [(path.stat().st_mtime, str(path)) for path in folder.glob("fold_*/checkpoint_*.pth")]
    if not dated:
        return ""
    seconds, name = max(dated)
    date = datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return f"{date} ({Path(name).relative_to(folder).as_posix()})"


def _fold_order(name: str) -> tuple[bool, int, str]:
    return (not name.isdigit(), int(name) if name.isdigit() else 0, name)


def read_model(folder: Path) -> Model:
    """Collect the facts.

    Raises:
        FileNotFoundError: no model folder.
        ValueError: a file that cannot be read.
    """
    folder = Path(folder)
    _json(folder / "plans.json")
    dataset = _json(folder / "dataset.json")
    try:
        channels = tuple(map(str, names_in_order(dataset["channel_names"])))
        ending = str(dataset["file_ending"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{folder / 'dataset.json'} lacks usable channel_names or file_ending: {error!r}"
        ) from error
    resolved = folder.resolve()
    parts = re.split("__", resolved.name)
    trainer, plans, configuration = parts if len(parts) == 3 else (resolved.name, "", "")
    names = sorted((p.name[5:] for p in folder.glob("fold_*") if p.is_dir()), key=_fold_order)
    folds = tuple(Fold(n, read_loss_terms(folder / f"fold_{n}" / LOSS_CSV)) for n in names)
    about = " – ".join(dict.fromkeys([resolved.parent.name, str(dataset.get("name", ""))]))
    return Model(
        folder=folder,
        trainer=trainer,
        plans=plans,
        configuration=configuration,
        dataset=about.removesuffix(" – "),
        channels=channels,
        file_ending=ending,
        folds=folds,
        newest_checkpoint=_newest_checkpoint(folder),
        doubts=tuple(outline_warnings(dataset)),
    )
