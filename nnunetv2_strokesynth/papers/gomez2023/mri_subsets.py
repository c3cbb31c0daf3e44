"""Fig. 8 and 9 and Table 1 of Gomez 2023: a trainer for each subset of the MRI maps.

They read a data set with all six maps, so that the rows of a table are compared on the same cases
and with the same mask.
"""

from __future__ import annotations

from nnunetv2_strokesynth.papers.gomez2023.subset_names import (
    COMBINATIONS,
    COMPONENTS,
    SINGLE_MAPS,
    subset_name,
)
from nnunetv2_strokesynth.papers.gomez2023.trainers import (
    Gomez2023Trainer_MRI,
    Gomez2023Trainer_MRICW,
    Gomez2023Trainer_MRICWDS,
    Gomez2023Trainer_MRIUNet,
)

_BASES: dict[str, type[Gomez2023Trainer_MRI]] = {
    base.__name__: base
    for base in (
        Gomez2023Trainer_MRI,
        Gomez2023Trainer_MRICW,
        Gomez2023Trainer_MRICWDS,
        Gomez2023Trainer_MRIUNet,
    )
}


def _reading(component: str, maps: tuple[str, ...]) -> type[Gomez2023Trainer_MRI]:
    """The trainer of a component with ``inputs`` set to some maps."""
    base = _BASES[COMPONENTS[component]]
    attributes = {
        "__module__": __name__,
        "__doc__": f"Gomez 2023, {component} on {' + '.join(maps)}.",
        "inputs": maps,
    }
    return type(subset_name(base.__name__, maps), (base,), attributes)


SUBSET_TRAINERS: dict[str, type[Gomez2023Trainer_MRI]] = {
    trainer.__name__: trainer
    for maps in (*SINGLE_MAPS, *COMBINATIONS)
    for trainer in (_reading(component, maps) for component in COMPONENTS)
}
