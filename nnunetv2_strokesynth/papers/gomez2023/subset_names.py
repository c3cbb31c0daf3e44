"""The subsets of the MRI maps in Gomez 2023, and what their trainers are called.

A module without PyTorch, since the tables use it, too.
"""

from __future__ import annotations

from nnunetv2_strokesynth.channels import MRI_MAPS

# The components of Fig. 8 and 9, in their order, and the trainer that reads all channels.
COMPONENTS = {
    "U-Net": "Gomez2023Trainer_MRIUNet",
    "U-Net + CW": "Gomez2023Trainer_MRICW",
    "U-Net + CW + DS": "Gomez2023Trainer_MRICWDS",
    "U-Net + CW + DS + Att": "Gomez2023Trainer_MRI",
}
SINGLE_MAPS = tuple((name,) for name in MRI_MAPS)  # Fig. 8
# Fig. 9: the three best maps, in the preset's order; all six are the trainers without a subset.
COMBINATIONS = (("ADC", "TTP"), ("ADC", "Tmax"), ("TTP", "Tmax"), ("ADC", "TTP", "Tmax"))


def subset_name(trainer: str, maps: tuple[str, ...]) -> str:
    """The name of the trainer that reads some maps: ``Gomez2023Trainer_MRICW_ADC_TTP``."""
    return "_".join((trainer, *maps))
