"""Every term of the joint loss per epoch: console, nnU-Net's log file, a CSV and a picture."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import torch
from nnunetv2.training.logging.nnunet_logger import MetaLogger

from nnunetv2_strokesynth.io.atomic import write_text
from nnunetv2_strokesynth.io.figure_file import save_png
from nnunetv2_strokesynth.trainers.loss_figure import loss_figure

CSV_NAME = "loss_terms.csv"
PNG_NAME = "loss_terms.png"
PREFIX = "terms"
ONLINE_DICE = "val/online_dice"  # nnU-Net's pseudo Dice on validation patches


class TermMeans:
    """Means of named scalars over an epoch, kept on the device until they are read.

    NaN, from a batch without information about a term, does not count. A term without any value is
    NaN.
    """

    def __init__(self) -> None:
        self._sums: dict[str, torch.Tensor] = {}

    def add(self, terms: dict[str, torch.Tensor]) -> None:
        """Adds one iteration's detached scalars."""
        for name, value in terms.items():
            pair = torch.stack((torch.nan_to_num(value.float()), (~value.isnan()).float()))
            self._sums[name] = self._sums[name] + pair if name in self._sums else pair

    def pop(self) -> dict[str, float]:
        """The means since the last call, over all DDP ranks. Then starts again."""
        if not self._sums:
            return {}
        names = list(self._sums)
        sums_and_counts = torch.stack([self._sums[name] for name in names])
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(sums_and_counts)
        self._sums = {}
        means = sums_and_counts[:, 0] / sums_and_counts[:, 1]
        return dict(zip(names, means.tolist(), strict=True))


def log_terms(logger: MetaLogger, phase: str, terms: dict[str, float], epoch: int) -> None:
    """Puts the terms of one phase ("train" or "val") into nnU-Net's logger.

    The logger's lists are stored in every checkpoint, so a resumed training keeps its history. Each
    list has one entry per epoch, as nnU-Net's picture and our CSV demand: NaN where a term did not
    exist yet, as in a checkpoint of an earlier version, or does not any more.
    """
    history = logger.local_logger.my_fantastic_logging
    prefix = f"{PREFIX}/{phase}/"
    earlier = [key.removeprefix(prefix) for key in history if key.startswith(prefix)]
    for name in dict.fromkeys((*earlier, *terms)):
        values = history.setdefault(prefix + name, [])
        values += [float("nan")] * (epoch - len(values))
        logger.log(prefix + name, terms.get(name, float("nan")), epoch)


def history_of_terms(logger: MetaLogger) -> dict[str, list[float]]:
    """``{"train/L_s": [one value per epoch], ..., "val/online_dice": [...]}``."""
    history = logger.local_logger.my_fantastic_logging
    terms = {
        key.removeprefix(f"{PREFIX}/"): list(values)
        for key, values in history.items()
        if key.startswith(f"{PREFIX}/")
    }
    return {**terms, ONLINE_DICE: list(history["mean_fg_dice"])}


def write_csv(folder: Path, history: dict[str, list[float]]) -> None:
    """``loss_terms.csv``: one row per epoch, one column per phase and term."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["epoch", *history])
    for epoch, row in enumerate(zip(*history.values(), strict=False)):
        writer.writerow([epoch, *(f"{value:.6g}" for value in row)])
    write_text(folder / CSV_NAME, buffer.getvalue())


def plot_terms(folder: Path, history: dict[str, list[float]]) -> None:
    """``loss_terms.png``: one panel per term, training solid, validation dashed."""
    figure = loss_figure({"": history}, n_columns=3, panel_inches=(4.0, 2.6))
    if figure is not None:
        save_png(figure, folder / PNG_NAME, dpi=100)
