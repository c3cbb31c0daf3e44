"""Channel presets against the channel lists of the papers."""

from pathlib import Path

import pytest
from nnunetv2.preprocessing.normalization.default_normalization_schemes import ZScoreNormalization
from nnunetv2.preprocessing.normalization.map_channel_name_to_normalization import (
    get_normalization_scheme,
)

from nnunetv2_strokesynth.channels import (
    PRESETS,
    check_channels,
    check_subset,
    names_in_order,
    numbered,
)
from nnunetv2_strokesynth.inference.patient import model_preset


def test_presets_have_the_published_channels():
    assert PRESETS["wang2020"].names == tuple(
        "CT CBF CBV MTT Tmax MIP CTA_0 CTA_1 CTA_2 CTA_3 CTA_4 CTA_5".split()
    )
    assert len(PRESETS["song2018"].names) == 18 and PRESETS["song2018"].names[6] == "MIP_P"
    assert PRESETS["clerigues2019"].names[:5] == ("CT_Z", "CBF", "CBV", "MTT", "Tmax")
    assert PRESETS["clerigues2019"].names[5:] == ("CT_M", "CBF_M", "CBV_M", "MTT_M", "Tmax_M")
    assert PRESETS["real_dwi"].names == ("DWI",)
    assert PRESETS["isles2017"].names == ("ADC", "rCBF", "rCBV", "MTT", "TTP", "Tmax")


def test_nnunet_normalises_a_channel_and_its_mirror_alike():
    names = PRESETS["clerigues2019"].names
    schemes = [get_normalization_scheme(name) for name in names]
    assert schemes == [ZScoreNormalization] * 10


def test_images_that_a_preset_shows():
    assert PRESETS["clerigues2019"].images == {"CT", "CBF", "CBV", "MTT", "Tmax"}
    assert PRESETS["isles2024"].images == {"CBF", "CBV", "MTT", "Tmax", "CTA"}
    assert {"CT", "MIP", "CTA_5"} <= PRESETS["wang2020"].images


@pytest.mark.parametrize("preset", PRESETS.values())
def test_frames_are_the_last_channels_in_time_order(preset):
    expected = list(range(len(preset.names) - preset.n_frames, len(preset.names)))
    assert preset.frame_indices == expected


def test_order_beyond_ten_channels_is_numeric():
    check_channels(PRESETS["wang2020"].channel_names, "wang2020", "T")


def test_a_cta_may_follow_the_preset_s_channels():
    with_cta = PRESETS["wang2020"].with_cta()
    check_channels(with_cta.channel_names, "wang2020", "T")
    first = numbered(("CTA", *PRESETS["wang2020"].names))
    with pytest.raises(ValueError, match="T reads the channels CT, CBF"):
        check_channels(first, "wang2020", "T")


def test_a_difference_is_named():
    names = PRESETS["wang2020"].channel_names | {"0": "NCCT"}
    with pytest.raises(ValueError, match=r"T reads the channels CT, .* lists NCCT, .*--preset"):
        check_channels(names, "wang2020", "T")


@pytest.mark.parametrize("names", ["ADC rCBF rCBV MTT TTP Tmax", "ADC TTP Tmax", "Tmax"])
def test_subsets_in_the_preset_s_order(names):
    check_subset(numbered(tuple(names.split())), "isles2017", "T")


@pytest.mark.parametrize("names", ["", "TTP ADC", "ADC ADC", "ADC CBF", "CT"])
def test_no_subset(names):
    found = tuple(names.split())
    message = rf"T reads any of .*ADC, rCBF, .* lists {', '.join(found) or 'none'}\. .*--channels"
    with pytest.raises(ValueError, match=message):
        check_subset(numbered(found), "isles2017", "T")


def test_a_subset_is_read_in_the_order_of_its_numbers():
    with pytest.raises(ValueError, match="lists Tmax, ADC"):
        check_subset({"1": "ADC", "0": "Tmax"}, "isles2017", "T")
    check_subset({"1": "Tmax", "0": "ADC"}, "isles2017", "T")


def test_channels_keep_their_numbers_where_a_file_sorts_them_as_text():
    preset = PRESETS["wang2020"]
    as_text = dict(sorted(preset.channel_names.items()))
    assert list(as_text)[:3] == ["0", "1", "10"]
    assert names_in_order(as_text) == preset.names
    assert model_preset({"channel_names": as_text}, Path("model")) == preset
