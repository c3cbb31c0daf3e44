"""nnU-Net's plans with the batch size, width and patch size that a paper needs."""

from __future__ import annotations

import copy
import math

from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_strokesynth.trainers.environment import BASE_FEATURES


def adapted_plans(
    plans: dict,
    configuration: str,
    *,
    batch_size: int | None = None,
    side_multiple: int = 1,
    base_features: int | None = None,
) -> dict:
    """The plans with a paper's settings in one configuration.

    nnU-Net stores the plans with the model, so prediction builds the same networks. The key
    ``strokesynth_base_features`` must therefore stay as it is: models on users' disks have it.

    Args:
        plans: nnU-Net's plans. They are not changed.
        configuration: e.g. ``2d``.
        batch_size: None keeps nnU-Net's.
        side_multiple: the last two sides of the patch, (y, x), are rounded up to multiples of it.
        base_features: features at full resolution, stored as ``strokesynth_base_features``; None
            stores nothing.
    """
    plans = copy.deepcopy(plans)
    *depth, rows, columns = PlansManager(plans).get_configuration(configuration).patch_size
    own = plans["configurations"][configuration]
    sides = (side_multiple * math.ceil(side / side_multiple) for side in (rows, columns))
    own["patch_size"] = [*depth, *sides]
    if batch_size is not None:
        own["batch_size"] = batch_size
    if base_features is not None:
        own[BASE_FEATURES] = base_features
    return plans
