"""Plans whose intensity normalisation differs from nnU-Net's.

nnU-Net z-scores every channel that is not named ``CT``, scan by scan and channel by channel.

- A Tmax of 6 s and one of 12 s then look alike if the rest of the scan differs: with **fixed
  intensities**, HU and seconds are clipped and scaled alike in all scans, as nnU-Net does it with a
  CT.
- Each CTP frame loses its level against the others: brain means of 31 to 40 HU become zeros, and
  the bolus is gone. As **one volume**, all frames of a scan and their MIP share one affine map.

Both are written into the trainer's own plans with nnU-Net's own schemes, so that
``nnUNetv2_predict`` needs nothing of ours. ``own_cases.py`` makes the cases.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence

from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_strokesynth.channels import has_fixed_unit, is_of_series, names_of
from nnunetv2_strokesynth.dataloading.preprocessed_folders import (
    FRAMES_SUFFIX,
    PHYSICAL_SUFFIX,
    without_own_suffix,
)

# In the configurations of trained models, so it must stay as it is.
FRAMES = "strokesynth_frames"
ONE_VOLUME = "one volume"
STATISTICS = "foreground_intensity_properties_per_channel"


def with_fixed_intensities(plans: dict, configuration: str, names: Sequence[str]) -> dict:
    """The plans with one configuration in which HU and seconds are normalised as nnU-Net's CT.

    nnU-Net clips a CT to the 0.5th and 99.5th percentile of all lesion voxels of the data set,
    subtracts their mean and divides by their standard deviation. The CTP frames and their MIP are
    one volume, see ``with_frames_as_one_volume``. Channels without a physical unit are z-scored as
    before.

    Args:
        plans: nnU-Net's plans. They are not changed.
        configuration: e.g. ``2d``.
        names: the channels. If the plans have another number of them, the data set does not fit the
            trainer, and the plans are returned as they are.
    """
    return _normalised_as_ct(plans, configuration, names, has_fixed_unit, suffix=PHYSICAL_SUFFIX)


def with_frames_as_one_volume(plans: dict, configuration: str, names: Sequence[str]) -> dict:
    """The plans with one configuration in which a scan's CTP frames and MIPs are one volume.

    These channels are normalised as nnU-Net's CT, all with the same numbers: the pooled mean and
    standard deviation of their lesion voxels, and the widest of their clipping limits. All other
    channels stay as they were planned.

    Args:
        plans, configuration, names: see ``with_fixed_intensities``. Plans without such channels are
            returned as they are.
    """
    return _normalised_as_ct(plans, configuration, names, is_of_series, suffix=FRAMES_SUFFIX)


def _normalised_as_ct(
    plans: dict,
    configuration: str,
    names: Sequence[str],
    is_chosen: Callable[[str], bool],
    *,
    suffix: str,
) -> dict:
    planned = PlansManager(plans).get_configuration(configuration)
    names = names_of(tuple(names), len(planned.normalization_schemes))
    chosen = [is_chosen(name) for name in names]
    if len(planned.normalization_schemes) != len(names) or not any(chosen):
        return plans
    plans = copy.deepcopy(plans)
    own = plans["configurations"][configuration]
    own["data_identifier"] = without_own_suffix(planned.data_identifier) + suffix
    own["normalization_schemes"] = [
        "CTNormalization" if as_ct else scheme
        for as_ct, scheme in zip(chosen, planned.normalization_schemes, strict=True)
    ]
    own["use_mask_for_norm"] = [
        masked and not as_ct
        for as_ct, masked in zip(chosen, planned.use_mask_for_norm, strict=True)
    ]
    series = [str(index) for index, name in enumerate(names) if is_of_series(name)]
    if series:
        own[FRAMES] = ONE_VOLUME
        statistics = plans[STATISTICS]
        pooled = pooled_statistics([statistics[channel] for channel in series])
        plans[STATISTICS] = {**statistics, **{channel: dict(pooled) for channel in series}}
    return plans


def pooled_statistics(channels: Sequence[dict[str, float]]) -> dict[str, float]:
    """nnU-Net's statistics of several channels that count as one.

    Args:
        channels: of each: ``mean``, ``std``, ``median``, ``min``, ``max``, ``percentile_00_5`` and
            ``percentile_99_5``, each over as many voxels as the others.

    Returns:
        The same keys. Mean, standard deviation, minimum and maximum are those of all voxels; the
        percentiles are the widest of the channels', and the median is the mean of the medians.
    """
    first, *others = channels
    if all(other == first for other in others):
        return dict(first)
    values = {key: [channel[key] for channel in channels] for key in first}
    means = {key: math.fsum(found) / len(found) for key, found in values.items()}
    within = math.fsum(std**2 for std in values["std"]) / len(channels)
    between = math.fsum((mean - means["mean"]) ** 2 for mean in values["mean"]) / len(channels)
    return {
        **means,
        "std": math.sqrt(within + between),
        "min": min(values["min"]),
        "max": max(values["max"]),
        "percentile_00_5": min(values["percentile_00_5"]),
        "percentile_99_5": max(values["percentile_99_5"]),
    }
