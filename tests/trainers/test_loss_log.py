"""The means of the loss's terms over an epoch."""

import csv

import numpy as np
import torch
from nnunetv2.training.logging.nnunet_logger import MetaLogger

from nnunetv2_strokesynth.trainers.loss_log import (
    CSV_NAME,
    ONLINE_DICE,
    TermMeans,
    history_of_terms,
    log_terms,
    write_csv,
)


def test_terms_are_means_over_the_epoch():
    means = TermMeans()
    means.add({"a": torch.tensor(1.0), "b": torch.tensor(0.0)})
    means.add({"a": torch.tensor(4.0), "b": torch.tensor(1.0)})
    assert means.pop() == {"a": 2.5, "b": 0.5}
    assert means.pop() == {}


def test_batches_without_a_dwi_do_not_count():
    means = TermMeans()
    for value in (2.0, float("nan"), 4.0):
        means.add({"synthesis_pixel": torch.tensor(value)})
    assert means.pop() == {"synthesis_pixel": 3.0}
    means.add({"synthesis_pixel": torch.tensor(float("nan"))})
    assert np.isnan(means.pop()["synthesis_pixel"])


def test_every_term_has_a_value_in_every_epoch_whenever_it_came_and_went(tmp_path):
    """A training of an earlier version had ``old``, which is no more; ``new`` came later."""
    logger = MetaLogger(str(tmp_path), False)
    names = (("kept", "old"), ("kept", "old"), ("kept",), ("kept", "new"), ("new", "old"))
    for epoch, found in enumerate(names):
        for phase in ("train", "val"):
            log_terms(logger, phase, {name: 10.0 + epoch for name in found}, epoch)
        logger.local_logger.my_fantastic_logging["mean_fg_dice"].append(0.5)
    history = history_of_terms(logger)
    assert set(history) == {*(f"{phase}/{name}" for phase in ("train", "val")
                              for name in ("kept", "old", "new")), ONLINE_DICE}  # fmt: skip
    write_csv(tmp_path, history)
    with (tmp_path / CSV_NAME).open(newline="") as file:
        rows = list(csv.DictReader(file))
    for epoch, found in enumerate(names):
        for name in ("kept", "old", "new"):
            value = float(rows[epoch][f"val/{name}"])
            assert value == 10 + epoch if name in found else np.isnan(value)
