"""Every number of a result file reaches the page's table, with its unit."""

from nnunetv2_strokesynth.reporting.result_table import result_rows


def test_units_come_from_the_last_word_of_a_key():
    rows = dict(
        result_rows(
            {
                "lesion_ml": 12.345678,
                "aif_area_hu_s": 210.0,
                "spacing_zyx_mm": [5.0, 0.8],
                "mismatch_ratio": 1.7,
                "method": "svd",
                "absent": None,
                "is_phantom": True,
            }
        )
    )
    assert rows == {
        "Predicted lesion": "12.35 mL",
        "Artery, area of the curve": "210 HU s",
        "Voxel size (z, y, x)": "5, 0.8 mm",
        "Mismatch ratio": "1.7",
        "Deconvolution": "svd",
        "Is phantom": "yes",
    }


def test_numbers_that_this_version_does_not_know_are_shown_too():
    content = {
        "tmax_above": {"4_s_ml": 30.0, "6_s_ml": 12.0},
        "runs": [{"fold": 0, "lesion_ml": 3}],
    }
    assert result_rows(content) == [
        ("Tmax above: 4 s", "30 mL"),
        ("Tmax above: 6 s", "12 mL"),
        ("Runs", "Fold 0 Predicted lesion 3 mL"),
    ]


def test_what_the_page_shows_elsewhere_is_left_out():
    assert result_rows({"warnings": ["a"], "notes": ["b"], "disclaimer": "c"}) == []


def test_a_long_list_is_cut_off():
    ((_, text),) = result_rows({"values": list(range(30))})
    assert text.endswith("11 and 18 more")
