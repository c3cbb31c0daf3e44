"""Checkpoints of earlier versions: they predict, but a training cannot go on from them.

A model predicts with the plans in its folder. A training goes by the plans of now, whose cases may
be normalised otherwise: the weights would see images unlike those that they learned from. Or its
networks have layers of another kind.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_strokesynth.dataloading.normalization import FRAMES
from nnunetv2_strokesynth.dataloading.pseudo_dwi_record import PLANS_KEY
from nnunetv2_strokesynth.trainers.checkpoint_file import read_checkpoint

# In the configurations of trained models, so it must stay as it is: what extractor and generator
# are made of. Models from before this could differ lack it, as do those without a generator.
SYNTHESIS_KEY = "strokesynth_synthesis"


def preparation(plans: dict, configuration: str) -> dict[str, Any]:
    """What the plans say of the cases' normalisation, the target's scale, and the networks."""
    own = PlansManager(plans).get_configuration(configuration).configuration
    target = own.get(PLANS_KEY) or {}
    return {
        "folder of the cases": own["data_identifier"],
        "normalisation": list(own["normalization_schemes"]),
        "CTP frames": own.get(FRAMES),
        "scale of the DWI": target.get("scale"),
        "version of that scale": target.get("scale_version"),
        "extractor and generator": own.get(SYNTHESIS_KEY),
    }


def check_same_preparation(checkpoint: Path | dict, plans: dict, configuration: str) -> None:
    """Checks that a checkpoint has learned from cases as the plans of now prepare them.

    Args:
        checkpoint: nnU-Net's file, or its content, which nnU-Net's signature allows, too.
        plans: of the trainer, with its own changes.
        configuration: e.g. ``2d``.

    Raises:
        ValueError: it has not. The message says in what they differ and what to do.
    """
    content = checkpoint if isinstance(checkpoint, dict) else read_checkpoint(checkpoint)
    file = "the checkpoint" if isinstance(checkpoint, dict) else checkpoint
    before = preparation(content["init_args"]["plans"], configuration)
    now = preparation(plans, configuration)
    differing = [name for name, value in now.items() if before[name] != value]
    if differing:
        said = "; ".join(f"{name}: {before[name]}, now {now[name]}" for name in differing)
        raise ValueError(
            f"{file} was trained by an earlier version, which prepared cases or networks "
            f"otherwise ({said}). It still predicts (nnUNetv2_predict); to train or to validate "
            "with this version, start anew, without --c or --val"
        )
