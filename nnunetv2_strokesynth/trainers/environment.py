"""Environment variables that shorten a training, for a demo or a check.

Their values are written into the training log, and the width also into the model's ``plans.json``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # commands that need only the names do not import nnU-Net
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

EPOCHS = "strokesynth_num_epochs"
ITERATIONS = "strokesynth_num_iterations_per_epoch"
VAL_ITERATIONS = "strokesynth_num_val_iterations_per_epoch"
BASE_FEATURES = "strokesynth_base_features"
PRETRAINED = "strokesynth_pretrained"  # the weights that a network starts from
# Variable -> attribute of the trainer.
OVERRIDES = {
    EPOCHS: "num_epochs",
    ITERATIONS: "num_iterations_per_epoch",
    VAL_ITERATIONS: "num_val_iterations_per_epoch",
}


def check_overrides() -> None:
    """Raises ``ValueError`` if a variable that is set is not a whole number of at least 1."""
    for variable in (*OVERRIDES, BASE_FEATURES):
        if variable in os.environ:
            positive_integer(variable)


def apply_overrides(trainer: nnUNetTrainer) -> None:
    """Sets the attributes whose variable is set.

    Raises:
        ValueError: a variable is not a whole number of at least 1.
    """
    for variable, attribute in OVERRIDES.items():
        if variable in os.environ:
            setattr(trainer, attribute, positive_integer(variable))
            trainer.print_to_log_file(f"{attribute} = {os.environ[variable]} from {variable}")


def is_overridden(attribute: str) -> bool:
    """Whether the environment sets this attribute of a trainer."""
    return any(name == attribute and key in os.environ for key, name in OVERRIDES.items())


def positive_integer(variable: str) -> int:
    """The value of an environment variable that is set.

    Raises:
        ValueError: it is not a whole number of at least 1.
    """
    text = os.environ[variable]
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"{variable} is '{text}', expected a whole number of at least 1")
    return int(text)
