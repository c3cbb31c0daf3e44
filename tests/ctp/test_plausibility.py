"""What is plausible and what is not, on arrays whose numbers can be checked by hand."""

import json

import numpy as np
import pytest

from nnunetv2_strokesynth.ctp.plausibility.brain import check_brain, check_lesion, check_prediction
from nnunetv2_strokesynth.ctp.plausibility.channels import check_masked_channels
from nnunetv2_strokesynth.ctp.plausibility.densities import check_densities
from nnunetv2_strokesynth.ctp.plausibility.finding import Finding, settle, warn_only
from nnunetv2_strokesynth.ctp.plausibility.perfusion_maps import check_maps
from nnunetv2_strokesynth.ctp.plausibility.series import check_contrast, check_n_frames
from nnunetv2_strokesynth.dataset_conversion import (
    Dataset017_ISLES2017,
    Dataset018_ISLES2018,
    Dataset024_ISLES2024,
)
from nnunetv2_strokesynth.dataset_conversion.ctp_case import convert_ctp
from nnunetv2_strokesynth.dataset_conversion.job import CaseJob, convert_case
from nnunetv2_strokesynth.dataset_conversion.mri_case import convert_mri
from nnunetv2_strokesynth.dataset_conversion.settings import Settings
from nnunetv2_strokesynth.phantom.dataset import write_phantom
from nnunetv2_strokesynth.phantom.plan import PhantomSettings

BRAIN = np.ones((2, 50, 100), bool)
RAMP = np.linspace(0.01, 1, BRAIN.size).reshape(BRAIN.shape).astype(np.float32)


def the_finding(found):
    (finding,) = found
    return finding


def test_a_finding_in_words():
    doubt = Finding("Tmax (a.nii)", "median 9", "2", "look at it", refuses=False)
    assert doubt.sentence == "Tmax (a.nii): median 9, expected 2; look at it"
    wrong = Finding("CT", "median 8", "3", "replace it", refuses=True)
    assert settle([doubt]) == [doubt.sentence] and settle([]) == []
    with pytest.raises(ValueError, match="^CT: median 8, expected 3; replace it$"):
        settle([doubt, wrong])
    assert settle(warn_only([doubt, wrong])) == [doubt.sentence, wrong.sentence]
    with pytest.raises(ValueError, match="CT"):
        settle(warn_only([wrong], lambda finding: finding.image == "MTT"))


@pytest.mark.parametrize(
    ("name", "highest", "said", "refuses"),
    [
        # The median is half of the highest value.
        ("Tmax", 12, None, False),
        ("Tmax", 39, None, False),
        ("Tmax", 41, "a median of 0 to 20 s", False),
        ("Tmax", 190, "not scaled?", False),
        ("Tmax", 240, "bring it to s", True),
        ("Tmax", 12_000, "it is in ms: divide it by 1000", True),
        ("Tmax", 1e6, "bring it to s", True),
        ("Tmax", 1, "scaled to 0 to 1?", False),
        ("MTT", 1, "scaled to 0 to 1?", True),
        ("MTT", 1.9, "a median of 1 to 30 s", False),
        ("MTT", 59, None, False),
        ("TTP", 120, None, False),
        ("TTP", 60_000, "it is in ms", True),
        ("ADC", 1700, None, False),
        ("ADC", 1.7, "multiply it by 1000", False),
        ("ADC", 0.0017, "multiply it by 1e+06", False),
        ("ADC", 1.7e6, "multiply it by 0.001", False),
        # mL/100 g/min; ISLES 2018's units; shares.
        ("CBF", 120, None, False),
        ("CBF", 5000, None, False),
        ("CBF", 1, "scaled to 0 to 1", False),
        ("rCBV", 40, None, False),
        ("rCBV", 1, "scaled to 0 to 1", False),
    ],
)
def test_units_of_maps(name, highest, said, refuses):
    volume = highest * RAMP
    found = check_maps([name], [volume], BRAIN, files={name: "x.nii"})
    if said is None:
        assert found == []
        return
    finding = the_finding(found)
    assert said in finding.sentence and finding.refuses == refuses
    assert finding.image == f"{name} (x.nii)"
    assert float(finding.found.split()[1]) == pytest.approx(highest / 2, rel=0.02)
    (unsure,) = check_maps([name], [volume], BRAIN, units_known=False)
    assert not unsure.refuses


@pytest.mark.parametrize("name", ["CBF", "CBV", "MTT", "Tmax", "ADC"])
def test_values_that_no_unit_explains(name):
    cases = {
        "0 everywhere": (np.zeros_like(RAMP), True),
        "7 everywhere": (np.full_like(RAMP, 7), True),
        "7 in 99 %": (np.where(RAMP > 0.9999, 9, 7), False),
        "100% of the brain negative": (-RAMP, True),
        "29% of the brain negative": (900 * (RAMP - 0.3), False),
    }
    for said, (volume, refuses) in cases.items():
        finding = the_finding(check_maps([name], [volume], BRAIN, units_known=False))
        assert said in finding.sentence and finding.refuses == refuses, said
    grey = np.rint(255 * RAMP)
    if name != "ADC":
        finding = the_finding(check_maps([name], [grey], BRAIN))
        assert "whole numbers that end at 255" in finding.found
        assert finding.refuses == (name in ("MTT", "Tmax"))


def test_few_outliers_and_the_background_do_not_count():
    """ISLES 2024's MTT goes down to -54,112 and holds NaN; ISLES 2018's maps are whole numbers."""
    mtt = 12 * RAMP
    mtt.flat[:50], mtt.flat[50:60], mtt.flat[60:2000] = -54_112, np.nan, 0
    cbf = np.rint(900 * RAMP)
    assert check_maps(["MTT", "CBF"], [mtt, cbf], BRAIN) == []
    empty = np.zeros((2, 50, 100), bool)
    empty[0, :10] = True
    assert check_maps(["MTT"], [np.where(empty, 0, 12 * RAMP)], ~empty) == []


def _head(noise=0.0):
    """Air, a ring of skull, brain; (2, 60, 60)."""
    y, x = np.mgrid[:60, :60] - 29.5
    radius = np.hypot(y, x)
    plane = np.where(radius < 27, np.where(radius < 24, 33.0, 1100.0), -1000.0)
    noise = np.random.default_rng(0).normal(0, noise, (2, 60, 60))
    return plane + noise, np.repeat((radius < 24)[None], 2, axis=0)


@pytest.mark.parametrize(
    ("change", "said", "refuses"),
    [
        (lambda v, b: v, None, False),
        (lambda v, b: np.maximum(v, -1024), None, False),
        (lambda v, b: np.where(b, v, 0), None, False),  # skull-stripped
        (lambda v, b: np.where(b, v, -1000), None, False),
        (lambda v, b: np.where(b, v + 12, v), None, False),  # with contrast
        (lambda v, b: v + 1024, "subtract 1024", True),
        (lambda v, b: v + 1000, "subtract 1024 (or 1000", True),
        (lambda v, b: np.where(b, v + 1024, 0), "subtract 1024", True),
        (lambda v, b: np.rint(255 * np.clip(v / 80, 0, 1)), "grey values", True),
        (lambda v, b: np.rint(255 * (v - v.min()) / np.ptp(v)), "grey values", True),
        (lambda v, b: (v - v.min()) / np.ptp(v), "is it scaled", True),
        (lambda v, b: (v - v.mean()) / v.std(), "is it scaled", True),
        (lambda v, b: np.full_like(v, 40), "is it scaled, normalised or empty", True),
        (lambda v, b: np.where(b, 100, v), "10 to 70 HU", False),
        (lambda v, b: np.where(b, -1000, v), "brain mask lie on the brain?", False),
    ],
)
@pytest.mark.parametrize("noise", [0.0, 8.0])
def test_densities(change, said, refuses, noise):
    volume, brain = _head(noise)
    found = check_densities("CT", change(volume, brain), brain)
    if said is None:
        assert found == [] and check_densities("CT", change(volume, brain)) == []
        return
    finding = the_finding(found)
    assert said in finding.sentence and finding.refuses == refuses


def test_series():
    assert check_n_frames("4DPWI", 10) == []
    finding = the_finding(check_n_frames("4DPWI", 2))
    assert finding.refuses and "2 frames, expected at least 10" in finding.sentence
    time = np.arange(50)
    bolus = np.exp(-(((time - 20) / 6.0) ** 2))
    noise = np.random.default_rng(0).normal(0, 0.05, 50)
    assert check_contrast("4DPWI", 33 + 5 * bolus + noise) == []
    assert not the_finding(check_contrast("4DPWI", 33 + 0.6 * bolus + noise)).refuses
    assert the_finding(check_contrast("4DPWI", 33 + noise)).refuses


@pytest.mark.parametrize(
    ("shape", "spacing", "said"),
    [
        ((2, 130, 100), (5, 1, 1), None),  # a slab of ISLES 2018, 130 mL
        ((150, 120, 100), (1, 1, 1), None),  # 1.8 L
        ((150, 130, 140), (1, 1, 1), "2730 mL"),
        ((16, 512, 512), (5, 0.45, 0.45), "531 cm2"),
        ((40, 100, 100), (10, 1, 1), "400 mm"),
        ((22, 10, 10), (10, 1, 1), "22 mL"),
        ((2, 60, 60), (5, 1, 1), "is most of the brain missing?"),
    ],
)
def test_size_of_the_brain(shape, spacing, said):
    found = check_brain(np.ones(shape, bool), spacing)
    if said is None:
        assert found == []
    else:
        finding = the_finding(found)
        assert said in finding.sentence and not finding.refuses


def test_a_brain_that_is_whole_in_one_slice_only():
    brain = np.zeros((20, 100, 100), bool)
    brain[:, 0, 0] = brain[9] = True
    assert "5 on average" in the_finding(check_brain(brain, (5, 1, 1))).found


def test_share_of_the_lesion():
    lesion = np.zeros_like(BRAIN)
    probability = np.full(BRAIN.shape, 0.12, np.float32)
    assert check_lesion("lesion", lesion, BRAIN) == []
    assert (
        "highest probability of 0.12"
        in the_finding(check_prediction(lesion, probability, BRAIN)).found
    )
    lesion[0] = True
    assert check_prediction(lesion, probability, BRAIN) == []
    assert check_lesion("lesion", lesion, BRAIN) == []
    lesion[1, :5] = True
    assert "55% of the brain" in the_finding(check_lesion("lesion", lesion, BRAIN)).found
    half = BRAIN & (np.arange(100) < 50)
    found = check_prediction(lesion, probability, half)
    assert [finding.found for finding in found] == [
        "55% of the brain",
        "50% outside the brain mask",
    ]
    assert check_prediction(BRAIN & False, probability, BRAIN & False)


def test_channels_of_a_converted_scan():
    volume, brain = _head()
    channels = np.stack([volume, 8 * RAMP[:, :1, :1] + np.zeros_like(volume), volume])
    channels[1] = np.where(brain, np.linspace(1, 9, 60), 0)
    channels = np.where(brain, channels, 0)
    names = ["CT", "MTT", "CTA_0"]
    spacing = (5, 3, 3)
    assert check_masked_channels(names, channels, spacing) == []
    channels[1] *= 1000
    channels[2] = np.where(brain, channels[2] + 1024, 0)
    found = check_masked_channels(names, channels, spacing)
    assert [finding.image for finding in found] == ["CTA_0", "MTT"]
    assert check_masked_channels(names, 0 * channels, spacing) == []


LAYOUTS = {
    "isles2018": (Dataset018_ISLES2018, "wang2020", convert_ctp),
    "isles2017": (Dataset017_ISLES2017, "isles2017", convert_mri),
    "isles2024": (Dataset024_ISLES2024, "wang2020", convert_ctp),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_finding_in_a_clean_phantom(tmp_path, layout):
    module, preset, convert = LAYOUTS[layout]
    settings = PhantomSettings(48, 5, True, 3, layout, "mixed")
    write_phantom(tmp_path / "phantom", 2, 0, settings)
    scans = module.find_scans(tmp_path / "phantom")[0]
    assert len(scans) == 2
    for scan in scans:
        record = convert_case(CaseJob(scan, tmp_path, Settings(preset, True, 5, 0), convert))
        said = json.dumps(record["warnings"])
        assert "expected" not in said, said
