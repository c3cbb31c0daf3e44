"""HU and s are normalised alike in all scans, and the frames of a scan as one volume."""

import copy
import math

import numpy as np
import pytest
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from trainer_world import plans_and_dataset

from nnunetv2_strokesynth.channels import PRESETS, is_of_series
from nnunetv2_strokesynth.dataloading.normalization import (
    STATISTICS,
    pooled_statistics,
    with_fixed_intensities,
    with_frames_as_one_volume,
)

NAMES = PRESETS["wang2020"].names
WITH_FRAMES = ("wang2020", "song2018")
WAYS = {"fixed": with_fixed_intensities, "frames": with_frames_as_one_volume}


def lesion_statistics(names, seed=0):
    """Statistics of made-up lesion voxels of each channel, and the voxels."""
    rng = np.random.default_rng(seed)
    voxels = {str(k): rng.normal(30 + 3 * k, 4 + k, 4000) for k, _ in enumerate(names)}
    return {
        key: {
            "mean": float(values.mean()),
            "std": float(values.std()),
            "median": float(np.median(values)),
            "min": float(values.min()),
            "max": float(values.max()),
            "percentile_00_5": float(np.percentile(values, 0.5)),
            "percentile_99_5": float(np.percentile(values, 99.5)),
        }
        for key, values in voxels.items()
    }, voxels


@pytest.fixture(params=WITH_FRAMES)
def made_up(request):
    """Plans with statistics that differ between channels, ``dataset.json`` and channel names."""
    plans, dataset = plans_and_dataset(request.param)
    names = PRESETS[request.param].names
    plans[STATISTICS], _ = lesion_statistics(names)
    return plans, dataset, names


@pytest.fixture
def plans():
    made = plans_and_dataset("wang2020")[0]
    made[STATISTICS], _ = lesion_statistics(NAMES)
    return made


def test_hu_and_seconds_are_normalised_like_ct_and_map_units_like_before(plans):
    before = PlansManager(plans).get_configuration("2d")
    changed = with_fixed_intensities(plans, "2d", NAMES)
    after = PlansManager(changed).get_configuration("2d")
    for name, scheme, masked, was_masked in zip(
        NAMES,
        after.normalization_schemes,
        after.use_mask_for_norm,
        before.use_mask_for_norm,
        strict=True,
    ):
        if name in ("CBF", "CBV"):
            assert (scheme, masked) == ("ZScoreNormalization", was_masked)
        else:
            assert (scheme, masked) == ("CTNormalization", False)
    assert after.data_identifier == "nnUNetPlans_2d_physical"
    assert with_fixed_intensities(changed, "2d", NAMES) == changed
    assert PlansManager(plans).get_configuration("2d").data_identifier == "nnUNetPlans_2d"


def test_a_configuration_that_inherits_is_changed_alone(plans):
    plans["configurations"]["2d_small"] = {"inherits_from": "2d", "batch_size": 2}
    changed = PlansManager(with_fixed_intensities(plans, "2d_small", NAMES))
    assert changed.get_configuration("2d_small").normalization_schemes[4] == "CTNormalization"
    assert changed.get_configuration("2d").normalization_schemes[4] == "ZScoreNormalization"


@pytest.mark.parametrize("way", WAYS)
def test_a_cta_changes_nothing_of_the_preset_s_channels(plans, way):
    """It follows them, and is in HU itself."""
    alone = WAYS[way](plans, "2d", NAMES)["configurations"]["2d"]
    plans[STATISTICS]["12"] = dict(plans[STATISTICS]["0"])
    own = plans["configurations"]["2d"]
    own["normalization_schemes"] = [*own["normalization_schemes"], "ZScoreNormalization"]
    own["use_mask_for_norm"] = [*own["use_mask_for_norm"], True]
    found = WAYS[way](plans, "2d", NAMES)
    last = {"fixed": "CTNormalization", "frames": "ZScoreNormalization"}[way]
    schemes = found["configurations"]["2d"]["normalization_schemes"]
    assert schemes == [*alone["normalization_schemes"], last]
    assert found[STATISTICS]["12"] == plans[STATISTICS]["12"]


def test_plans_of_other_channels_come_back_unchanged(plans):
    assert with_fixed_intensities(plans, "2d", ("DWI",)) == plans


def test_pooled_statistics_are_those_of_all_voxels_together():
    statistics, voxels = lesion_statistics(NAMES)
    together = np.concatenate([*voxels.values()])
    pooled = pooled_statistics([*statistics.values()])
    assert pooled["mean"] == pytest.approx(together.mean())
    assert pooled["std"] == pytest.approx(together.std())
    assert (pooled["min"], pooled["max"]) == (together.min(), together.max())
    for key, widest in (("percentile_00_5", min), ("percentile_99_5", max)):
        assert pooled[key] == widest(channel[key] for channel in statistics.values())


@pytest.mark.parametrize("way", WAYS)
def test_the_series_has_one_statistic_and_all_else_its_own(made_up, way):
    before, _, names = made_up
    untouched = copy.deepcopy(before)
    after = WAYS[way](before, "2d", names)
    assert before == untouched
    found = [after[STATISTICS][str(k)] for k, name in enumerate(names) if is_of_series(name)]
    assert len(found) >= 7 and all(one == found[0] for one in found)
    configuration = PlansManager(after).get_configuration("2d")
    for k, name in enumerate(names):
        if is_of_series(name):
            assert configuration.normalization_schemes[k] == "CTNormalization"
            assert not configuration.use_mask_for_norm[k]
        else:
            assert after[STATISTICS][str(k)] == before[STATISTICS][str(k)]
    assert WAYS[way](after, "2d", names) == after


def test_frames_as_one_volume_leave_the_maps_z_scored(plans):
    after = PlansManager(with_frames_as_one_volume(plans, "2d", NAMES)).get_configuration("2d")
    before = PlansManager(plans).get_configuration("2d")
    for k in range(5):
        assert after.normalization_schemes[k] == before.normalization_schemes[k]
        assert after.use_mask_for_norm[k] == before.use_mask_for_norm[k]
    assert after.data_identifier == "nnUNetPlans_2d_frames"
    both = with_fixed_intensities(with_frames_as_one_volume(plans, "2d", NAMES), "2d", NAMES)
    assert PlansManager(both).get_configuration("2d").data_identifier == "nnUNetPlans_2d_physical"


@pytest.mark.parametrize("preset", ["clerigues2019", "real_dwi", "isles2017"])
def test_presets_without_a_series_change_nothing(preset):
    plans, _ = plans_and_dataset(preset)
    assert with_frames_as_one_volume(plans, "2d", PRESETS[preset].names) is plans


def scan(names):
    """A scan with a bolus, on the plans' voxels, and its properties."""
    rng = np.random.default_rng(1)
    shape = (3, 24, 20)
    tissue = rng.normal(32, 3, shape)
    vessels = rng.random(shape) < 0.02
    images = []
    for k, name in enumerate(names):
        bolus = 8 * math.exp(-(((k - len(names) + 4) / 2) ** 2)) if is_of_series(name) else 0
        images.append(tissue + bolus * (1 + 20 * vessels) + rng.normal(0, 1, shape))
    properties = {"spacing": [5.0, 1.0, 1.0]}
    return np.array(images, dtype=np.float32), properties


def preprocessed(plans, dataset, images, properties):
    """The scan as nnU-Net preprocesses it."""
    manager = PlansManager(plans)
    configuration = manager.get_configuration("2d")
    data, _, _ = DefaultPreprocessor(verbose=False).run_case_npy(
        images.copy(), None, dict(properties), manager, configuration, dataset
    )
    return data


@pytest.mark.parametrize("way", WAYS)
def test_differences_between_frames_keep_their_proportions(made_up, way):
    """After the real preprocessing, one affine map belongs to all frames of a scan."""
    plans, dataset, names = made_up
    images, properties = scan(names)
    changed = WAYS[way](plans, "2d", names)
    series = [k for k, name in enumerate(names) if is_of_series(name)]
    statistics = changed[STATISTICS][str(series[0])]
    low, high = statistics["percentile_00_5"], statistics["percentile_99_5"]
    assert low < images[series].min(axis=(1, 2, 3)).mean() and high > 60
    raw = np.clip(images[series], low, high)
    found = preprocessed(changed, dataset, images, properties)[series]
    assert found.shape == raw.shape
    slope, offset = np.polyfit(raw.ravel(), found.ravel(), 1)
    np.testing.assert_allclose(found, slope * raw + offset, atol=1e-3)
    assert slope == pytest.approx(1 / statistics["std"], rel=1e-4)
    curve, expected = (volumes.mean(axis=(1, 2, 3)) for volumes in (found, raw))
    assert np.ptp(curve) > 0.3  # the bolus is there
    np.testing.assert_allclose(np.diff(curve), slope * np.diff(expected), atol=1e-4)


def test_nnunets_own_normalisation_loses_the_bolus(made_up):
    """What the mixins are for: the test above can fail."""
    plans, dataset, names = made_up
    images, properties = scan(names)
    series = [k for k, name in enumerate(names) if is_of_series(name)]
    found = preprocessed(plans, dataset, images, properties)[series]
    assert np.ptp(found.mean(axis=(1, 2, 3))) < 1e-3
