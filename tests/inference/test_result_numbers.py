"""Answers side by side, the interval and what changes, on masks that one can count."""

from types import SimpleNamespace

import numpy as np
import pytest

from nnunetv2_strokesynth.ctp.compute_maps import SecondArtery
from nnunetv2_strokesynth.ctp.deconvolution import PerfusionMaps
from nnunetv2_strokesynth.ctp.perfusion_volumes import perfusion_volumes
from nnunetv2_strokesynth.ctp.scan_numbers import ScanNumbers
from nnunetv2_strokesynth.evaluation.volume_interval import VolumeInterval
from nnunetv2_strokesynth.inference.calibration import (
    CALIBRATION_FILE,
    Calibration,
    PseudoDwiCut,
    read_calibration,
    write_calibration,
)
from nnunetv2_strokesynth.inference.patient import Prediction
from nnunetv2_strokesynth.inference.result_numbers import (
    answer_masks,
    describe_answers,
    describe_sensitivity,
    interval_of,
)

BRAIN = np.ones((1, 1, 20), bool)
LEFT = np.broadcast_to(np.arange(20) >= 10, BRAIN.shape)
CALIBRATION = Calibration(VolumeInterval(-0.5, 0.5, 0.9, 40), PseudoDwiCut(0.9, 0.4, 40))


def numbers(core=slice(10, 14)):
    maps = PerfusionMaps(*(np.full(BRAIN.shape, v, np.float32) for v in (50, 4, 5, 1)))
    maps.cbf[0, 0, core], maps.tmax[0, 0, core] = 5.0, 8.0
    volumes = perfusion_volumes(maps, BRAIN, LEFT, 0.5)
    return ScanNumbers(BRAIN, 0.5, LEFT, True, volumes)


def prediction(**changes):
    probability = np.zeros(BRAIN.shape, np.float32)
    probability[0, 0, 12:18] = (0.4, 0.6, 0.6, 0.8, 0.8, 0.35)
    found = Prediction(probability > 0.5, probability, np.zeros(BRAIN.shape, np.float32))
    found.pseudo_dwi[0, 0, 14:20] = 1.2
    return found._replace(**changes)


def test_three_answers_and_where_they_disagree():
    masks = answer_masks(numbers(), prediction(), CALIBRATION)
    record = describe_answers(numbers(), masks, CALIBRATION)
    volumes = {name: answer["ml"] for name, answer in record["answers"].items()}
    assert volumes == {"threshold_core": 2.0, "segmenter": 2.0, "pseudo_dwi_cut": 3.0}
    assert {answer["side"] for answer in record["answers"].values()} == {"left"}
    first = record["disagreements"][0]
    assert (first["first"], first["second"]) == ("threshold_core", "segmenter")
    # 10-13 and 13-16: one voxel in common.
    assert first["dice"] == 0.25 and first["only_first_ml"] == first["only_second_ml"] == 1.5
    assert len(record["disagreements"]) == 3


def test_no_threshold_on_the_pseudo_dwi_without_calibration():
    for calibration in (None, CALIBRATION._replace(cut=None)):
        masks = answer_masks(numbers(), prediction(), calibration)
        assert list(describe_answers(numbers(), masks, calibration)["answers"]) == [
            "threshold_core",
            "segmenter",
        ]
    assert "pseudo_dwi_cut" not in answer_masks(numbers(), prediction(pseudo_dwi=None), CALIBRATION)


def test_interval_only_of_a_calibrated_checkpoint():
    found = interval_of(9.0, CALIBRATION, "checkpoint_final.pth")
    assert found == {
        "low_ml": pytest.approx(10 * np.exp(-0.5) - 1, abs=0.05),
        "high_ml": pytest.approx(10 * np.exp(0.5) - 1, abs=0.05),
        "coverage": 0.9,
        "n_cases": 40,
    }
    assert interval_of(9.0, None, "checkpoint_final.pth") is None
    assert interval_of(9.0, CALIBRATION, "checkpoint_best.pth") is None


def test_what_changes_by_threshold_fold_and_artery():
    maps = PerfusionMaps(*(np.full(BRAIN.shape, v, np.float32) for v in (50, 4, 5, 1)))
    maps.tmax[0, 0, 10:17] = 7.0
    second = SecondArtery("3 4 0", 120.0, maps)
    computed = SimpleNamespace(second=second)
    images = SimpleNamespace(files={})
    prepared = SimpleNamespace(computed=computed, images=images)
    found = describe_sensitivity(numbers(), prepared, prediction(fold_voxels={"0": 4, "3": 6}))
    by_threshold = {row["probability_above"]: row["lesion_ml"] for row in found["thresholds"]}
    assert by_threshold == {0.3: 3.0, 0.5: 2.0, 0.7: 1.0}
    assert found["folds"] == [{"fold": "0", "lesion_ml": 2.0}, {"fold": "3", "lesion_ml": 3.0}]
    other = found["other_artery"]
    assert other["tmax_above_6s_ml"] == 3.5 and other["aif_voxel_xyz"] == "3 4 0"
    given = SimpleNamespace(
        computed=computed,
        images=SimpleNamespace(files=dict.fromkeys(("CBF", "CBV", "MTT", "Tmax"))),
    )
    assert describe_sensitivity(numbers(), given, prediction())["other_artery"] is None


def test_calibration_round_trip_and_damage(tmp_path):
    assert read_calibration(tmp_path) is None
    path = write_calibration(tmp_path, CALIBRATION, cases=["a"], folds=["0"])
    assert path.name == CALIBRATION_FILE and read_calibration(tmp_path) == CALIBRATION
    write_calibration(tmp_path, CALIBRATION._replace(cut=None), cases=["a"], folds=["0"])
    assert read_calibration(tmp_path).cut is None
    for text in ("", "[]", "{}", '{"strokesynth_calibration": 2}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=f"{CALIBRATION_FILE} cannot be read"):
            read_calibration(tmp_path)
