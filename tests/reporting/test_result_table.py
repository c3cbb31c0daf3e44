"""Every number of a result file reaches the page's tables, with its unit."""

import numpy as np

from nnunetv2_strokesynth.reporting.near_miss import NearMiss
from nnunetv2_strokesynth.reporting.result_table import lesion_volume, result_rows


def test_units_come_from_the_last_word_of_a_key():
    main, others = result_rows(
        {
            "aif_area_hu_s": 210.0,
            "lesion_ml": 12.345678,
            "spacing_zyx_mm": [5.0, 0.8],
            "method": "svd",
            "absent": None,
            "is_phantom": True,
        }
    )
    assert main == [("Predicted lesion", "12.35 mL")]
    assert dict(others) == {
        "Artery, area of the curve": "210 HU s",
        "Voxel size (z, y, x)": "5, 0.8 mm",
        "Deconvolution": "svd",
        "Is phantom": "yes",
    }


def test_volumes_of_the_maps_and_of_other_answers():
    main, others = result_rows(
        {
            "lesion_interval": {"low_ml": 8.0, "high_ml": 20.1, "coverage": 0.9, "n_cases": 40},
            "perfusion": {"tmax_above_6s_ml": 30.0, "rcbf_below_30pct_ml": 12.0},
            "answers": {"segmenter": {"meaning": "the lesion", "ml": 3.0, "side": "left"}},
            "disagreements": [{"first": "a", "second": "b", "only_first_ml": 1.5}],
            "sensitivity": {"folds": [{"fold": "0", "lesion_ml": 3}], "other_artery": None},
        }
    )
    assert others == []
    assert main == [
        ("Interval of its volume", "8 to 20.1 mL; coverage 0.9; number of cases 40"),
        ("Perfusion: Tmax above 6 s", "30 mL"),
        ("Perfusion: rCBF below 30 %", "12 mL"),
        ("Lesion by: the model", "3 mL; side left; the lesion"),
        ("Where two of them differ", "first a; second b; only first 1.5 mL"),
        ("Sensitivity: Folds", "fold 0; predicted lesion 3 mL"),
    ]


def test_volumes_by_another_artery_stand_beside_the_first():
    volumes = {"tmax_above_6s_ml": 30.0, "reference_cbf": 41.0}
    other = {"aif_voxel_xyz": "3 4 0", "tmax_above_6s_ml": 33.0, "reference_cbf": 40.0}
    expected = [
        ("Perfusion: Tmax above 6 s", "30 mL (33 mL by another artery)"),
        ("Perfusion: CBF of the other side, in the map's unit", "41 (40 by another artery)"),
    ]
    voxel = "By another artery: AIF voxel xyz"
    main, _ = result_rows({"perfusion": volumes, "other_artery": other})
    assert main == [*expected, (voxel, "3 4 0")]
    main, _ = result_rows({"perfusion": volumes, "sensitivity": {"other_artery": other}})
    assert main == [*expected, (f"Sensitivity: {voxel}", "3 4 0")]


def test_answers_that_are_compared_have_their_names():
    pair = {"first": "threshold_core", "second": "segmenter", "dice": 0.27, "only_first_ml": 1.5}
    ((_, text),) = result_rows({"disagreements": [pair]})[0]
    assert text == "first threshold core; second the model; dice 0.27; only first 1.5 mL"


def test_numbers_that_this_version_does_not_know_are_shown_too():
    assert result_rows({"new": {"core_ml": 4.0}})[1] == [("New: Core", "4 mL")]


def test_what_the_page_shows_elsewhere_is_left_out():
    assert result_rows({"warnings": ["a"], "notes": ["b"], "disclaimer": "c"}) == ([], [])


def test_a_long_list_is_cut_off():
    ((_, text),) = result_rows({"values": list(range(30))})[1]
    assert text.endswith("11 and 18 more")


def test_the_volume_has_its_interval_where_there_is_one():
    assert lesion_volume({"lesion_ml": 12.34}) == "12.3 mL"
    interval = {"low_ml": 8.0, "high_ml": 20.12, "coverage": 0.9, "n_cases": 40}
    result = {"lesion_ml": 12.34, "lesion_interval": interval}
    assert lesion_volume(result) == "12.3 mL (90 % interval 8.0 to 20.1 mL)"
    assert lesion_volume({"lesion_ml": 0.0, "lesion_interval": None}) == "0.0 mL"
    assert lesion_volume({"lesion_ml": 0.006}) == "0.006 mL"
    few = {"lesion_ml": 0.006, "lesion_interval": {**interval, "low_ml": 0.0, "high_ml": 0.03}}
    assert lesion_volume(few) == "0.006 mL (90 % interval 0.0 to 0.03 mL)"
    assert NearMiss(0.4, 0.2, 0.006, 3, np.zeros(1, bool)).sentence.endswith("lie 0.006 mL")
