"""The arena: what it stores, what it compares, and that nnU-Net finds every method."""

import json
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

from benchmarks.arena import candidates, data, probabilities, run
from benchmarks.arena.candidates import recipes, segmenters, stock_with_our_parts
from benchmarks.arena.fold_run import FoldRun, training_seconds
from benchmarks.arena.methods import METHODS
from benchmarks.arena.run import settings_of
from benchmarks.arena.settings import Settings
from benchmarks.arena.table import markdown, rows
from benchmarks.arena.threshold_rules import (
    GRID,
    dice_by_threshold,
    expected_dice_threshold,
)
from nnunetv2_strokesynth.evaluation import metrics
from nnunetv2_strokesynth.nnunet_ext import strokesynth_trainers
from nnunetv2_strokesynth.phantom.dataset import changed_parameters
from nnunetv2_strokesynth.trainers.stock import StrokeSynthTrainer_Stock

CANDIDATES = [
    name
    for module in (stock_with_our_parts, recipes, segmenters)
    for name in dir(module)
    if name.startswith("ArenaTrainer_")
]


def scan(method: str, fold: int, case_id: str, dice: float, *, checkpoint: str = "final") -> dict:
    row = {"predictions": method, "fold": fold, "case_id": case_id, "dice": dice}
    return row | {"checkpoint": checkpoint, "hausdorff_mm": 10.0 * dice, "seconds": 60.0}


def both_checkpoints(*scans: dict) -> pd.DataFrame:
    return pd.DataFrame(
        [{**row, "checkpoint": name} for row in scans for name in ("final", "best")]
    )


def test_settings_are_kept_and_contradictions_refused(tmp_path):
    first = settings_of(tmp_path / "a", {"size": 96, "seed": None})
    assert first.size == 96
    assert first.seed == Settings().seed
    assert settings_of(tmp_path / "a", {"size": None}) == first
    with pytest.raises(ValueError, match="made with size = 96, asked for is 64"):
        settings_of(tmp_path / "a", {"size": 64})


def test_vendors_are_kept_and_unknown_ones_refused(tmp_path):
    wanted = {"vendors": ["B", "A"], "test_vendors": ["C"]}
    first = settings_of(tmp_path / "a", wanted)
    assert (first.vendors, first.test_vendors) == (("A", "B"), ("C",))
    assert settings_of(tmp_path / "a", {"vendors": ["A", "B"]}) == first
    assert "training scans: A, B; of the held-out scans: C." in first.scanners
    with pytest.raises(ValueError, match="made with test_vendors"):
        settings_of(tmp_path / "a", {"test_vendors": ["D"]})
    with pytest.raises(ValueError, match="--test-vendors Z: expected one or more of A, B, C, D"):
        settings_of(tmp_path / "b", {"test_vendors": ["Z"]})
    assert not (tmp_path / "b").exists()


def test_an_arena_of_one_scanner_is_no_mixed_one(tmp_path):
    """Its settings were written before there were vendors."""
    (tmp_path / "settings.json").write_text(json.dumps({"size": 96, "physics": "changed"}))
    assert settings_of(tmp_path, {}).vendors == ()
    with pytest.raises(ValueError, match="made with vendors"):
        settings_of(tmp_path, {"vendors": ["A"]})


def test_held_out_scans_are_of_the_vendor_that_no_training_scan_has(tmp_path):
    pytest.importorskip("nilearn")
    settings = Settings(cases=3, test_cases=2, size=32, vendors=("A", "B"), test_vendors=("C",))
    (tmp_path / "logs").mkdir()
    data._make_phantom(tmp_path, settings)
    assert data.held_out_vendors(tmp_path) == {"test_001": "C", "test_002": "C"}
    info = json.loads((tmp_path / "phantom" / "phantom.json").read_text())
    assert {scan["vendor"] for scan in info["cases"]["TRAINING"]} == {"A", "B"}


def test_a_difference_is_taken_scan_by_scan_over_shared_folds():
    scans = both_checkpoints(
        scan("stock", 0, "a", 0.4),
        scan("stock", 0, "b", 0.6),
        scan("ours", 0, "a", 0.5),
        scan("ours", 0, "b", 0.7),
        scan("ours", 1, "a", 0.9),  # stock has no fold 1: in our mean, not in the difference
        scan("ours", 1, "b", 0.9),
    )
    stock, ours = rows(scans)
    assert stock["difference to stock [95 %]"] == ""
    assert ours["folds"] == "0, 1"
    assert ours["Dice %, final"].startswith("75.0")
    assert ours["difference to stock [95 %]"] == "+10.0 [+10.0 to +10.0]"
    assert stock["HD mm"] == "5.0 (2)"


def test_ssim_is_that_of_the_last_checkpoint_of_what_synthesises():
    scans = both_checkpoints(scan("stock", 0, "a", 0.4), scan("ours", 0, "a", 0.5))
    ours = scans["predictions"] == "ours"
    scans.loc[ours & (scans["checkpoint"] == "final"), "ssim_local"] = 0.5
    scans.loc[ours & (scans["checkpoint"] == "best"), "ssim_local"] = 0.9
    assert [row["local SSIM"] for row in rows(scans)] == ["", "0.50"]
    assert "local SSIM" in markdown(rows(scans[~ours].drop(columns="ssim_local")))


def test_how_the_lesion_is_seen_is_shown_of_what_synthesises():
    scans = both_checkpoints(scan("stock", 0, "a", 0.4), scan("ours", 0, "a", 0.5))
    seen = (scans["predictions"] == "ours") & (scans["checkpoint"] == "final")
    values = {"lesion_contrast": 2.25, "dwi_lesion_contrast": 3.8, "lesion_auc": 0.9}
    for column, value in {**values, "cut_dice": 0.451}.items():
        scans.loc[seen, column] = value
    stock, ours = rows(scans)
    titles = ("contrast (DWI's own)", "AUC", "best cut, Dice %")
    assert [ours[title] for title in titles] == ["2.25 (3.80)", "0.90", "45.1"]
    assert [stock[title] for title in titles] == ["", "", ""]


def test_training_time_is_relative_to_stock():
    scans = both_checkpoints(scan("stock", 0, "a", 0.4), scan("ours", 0, "a", 0.5))
    scans.loc[scans["predictions"] == "ours", "seconds"] = 150.0
    assert [row["training time"] for row in rows(scans)] == ["1.0", "2.5"]


def test_without_stock_there_is_nothing_to_compare_with():
    (row,) = rows(both_checkpoints(scan("ours", 0, "a", 0.5)))
    assert (row["difference to stock [95 %]"], row["training time"]) == ("", "")


def test_training_time_is_that_of_the_fastest_epoch(tmp_path):
    run = FoldRun(tmp_path, Settings(), METHODS["stock"], 0, "cpu")
    run.model.mkdir(parents=True)
    for name, seconds in (("1", (30.0, 20.0)), ("2", (25.0,))):
        lines = [f"2026: Epoch time: {value} s\n" for value in seconds]
        (run.model / f"training_log_{name}.txt").write_text("".join(lines))
    assert training_seconds(run) == 60.0


def write_scan(folder: Path, labels: Path, name: str, probability: np.ndarray, lesion: np.ndarray):
    """As nnU-Net stores probabilities, and the truth."""
    folder.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    np.savez(folder / f"{name}.npz", probabilities=np.stack([1 - probability, probability]))
    image = sitk.GetImageFromArray(lesion.astype(np.uint8))
    sitk.WriteImage(image, str(labels / f"{name}.nii.gz"))


def write_arena(root: Path, method: str, inside: dict[int, float]) -> np.ndarray:
    """An arena with one held-out and one validation scan, whose lesion has a given probability."""
    lesion = np.zeros((2, 4, 4), bool)
    lesion[0, :2] = True
    for fold, value in inside.items():
        run = FoldRun(root, Settings(), METHODS[method], fold, "cpu")
        probability = np.where(lesion, value, 0.05)
        write_scan(
            run.folder / "final", data.truth_folder(root) / "labels", "a", probability, lesion
        )
        labels = root / "nnUNet_raw" / data.NAME / "labelsTr"
        write_scan(run.model / "validation", labels, f"v{fold}", probability, lesion)
    return lesion


def test_the_same_threshold_rules_for_single_trainings_and_the_ensemble(tmp_path):
    write_arena(tmp_path, "stock", {0: 0.25, 1: 0.85})  # 0.55 on the average
    found = probabilities.measured(tmp_path, "stock").set_index(["of", "rule"])
    dice = found["dice"]
    assert dice["fold_0", "half"] == 0
    assert dice["fold_1", "half"] == dice["ensemble", "half"] == 100
    assert dice["fold_0", "calibrated"] == dice["fold_0", "expected"] == 100
    assert 0.05 <= found["threshold"]["fold_0", "calibrated"] < 0.25
    page = [*probabilities.table({"stock": probabilities.measured(tmp_path, "stock")})]
    assert [row[1:3] for row in page[:2]] == [["single", "half"], ["single", "calibrated"]]
    assert [row[4] for row in page] == ["50.0", "100.0", "100.0", "100.0", "100.0", "100.0"]


def test_a_method_is_compared_with_stock_under_the_same_rule(tmp_path):
    write_arena(tmp_path, "stock", {0: 0.25})
    write_arena(tmp_path, "no_dwi", {0: 0.85})
    found = {name: probabilities.measured(tmp_path, name) for name in ("stock", "no_dwi")}
    rows_of = [row for row in probabilities.table(found) if row[:2] == ["no_dwi", "single"]]
    assert [row[5] for row in rows_of] == [
        "+100.0 [+100.0 to +100.0]",
        "+0.0 [+0.0 to +0.0]",
        "+0.0 [+0.0 to +0.0]",
    ]


def test_folds_that_only_one_of_two_has_are_not_compared(tmp_path):
    """Stock's bad fold 1 must not count against it where the method has none."""
    write_arena(tmp_path, "stock", {0: 0.85, 1: 0.25})
    write_arena(tmp_path, "no_dwi", {0: 0.85})
    found = {name: probabilities.measured(tmp_path, name) for name in ("stock", "no_dwi")}
    half = {row[1]: row[5] for row in probabilities.table(found) if row[0] == "no_dwi"
            and row[2] == "half"}  # fmt: skip
    assert half == {"single": "+0.0 [+0.0 to +0.0]", "ensemble": ""}


def test_dice_at_every_threshold_is_that_of_the_mask():
    rng = np.random.default_rng(0)
    lesion, probability = rng.random((2, 8, 8)) < 0.3, rng.random((2, 8, 8))
    expected = [metrics.dice(lesion, probability > threshold) for threshold in GRID]
    np.testing.assert_allclose(dice_by_threshold(probability, lesion), expected)


def test_the_expected_dice_is_maximal_at_its_threshold():
    """Against the mean Dice of lesions drawn from the probabilities."""
    rng = np.random.default_rng(1)
    probability = rng.beta(0.3, 1.0, size=400)
    drawn = rng.random((400, 400)) < probability
    mean = np.mean([dice_by_threshold(probability, lesion) for lesion in drawn], axis=0)
    chosen = expected_dice_threshold(probability)
    at_chosen = mean[np.abs(GRID - chosen).argmin()]
    assert at_chosen > mean.max() - 0.01
    assert at_chosen > mean[np.abs(GRID - 0.5).argmin()] + 0.01


def test_without_any_probability_there_is_no_lesion():
    assert not (np.zeros(5) > expected_dice_threshold(np.zeros(5))).any()


def test_one_checkpoint_may_be_measured_alone():
    frame = pd.DataFrame([scan("stock", 0, "a", 0.4), scan("ours", 0, "a", 0.5)])
    assert [row["best checkpoint"] for row in rows(frame)] == ["", ""]


def test_jobs_run_side_by_side_and_an_error_is_told(monkeypatch):
    meeting = threading.Barrier(2, timeout=30)  # broken unless two are in it at once
    monkeypatch.setattr(run, "finish", lambda *_: meeting.wait())
    run.finish_all([None, None], ("final",), jobs=2)
    monkeypatch.setattr(run, "finish", lambda *_: int("x"))
    with pytest.raises(ValueError, match="invalid literal"):
        run.finish_all([None], ("final",), jobs=1)


def test_scans_of_vendors_left_out_are_a_group_of_their_own(monkeypatch, tmp_path):
    vendors = {"test_001": "A", "test_002": "C", "test_003": "B"}
    monkeypatch.setattr(data, "held_out_vendors", lambda _: vendors)
    groups = data.held_out_groups(vendors, tmp_path, Settings(vendors=("A", "B")))
    assert [*groups.values()] == [{"test_001", "test_003"}, {"test_002"}]
    (everything,) = data.held_out_groups(vendors, tmp_path, Settings()).values()
    assert everything == {*vendors}


def test_markdown_has_a_line_per_method():
    page = markdown(rows(both_checkpoints(scan("stock", 0, "a", 0.4))))
    assert [line.split(" | ")[0] for line in page.splitlines()] == ["| method", "| ---", "| stock"]


def test_narrow_plans_change_width_and_batch_only(tmp_path):
    folder = tmp_path / "nnUNet_preprocessed" / data.NAME
    folder.mkdir(parents=True)
    kwargs = {"features_per_stage": [32, 64], "strides": [[1, 1], [2, 2]]}
    planned = {"batch_size": 9, "data_identifier": "x", "architecture": {"arch_kwargs": kwargs}}
    plans = {"plans_name": "P", "configurations": {"2d": planned}}
    (folder / "P.json").write_text(json.dumps(plans))
    data.narrow_plans(tmp_path, "P", Settings(features=0.5, batch_size=14))
    narrow = json.loads((folder / "PArena.json").read_text())
    kwargs["features_per_stage"] = [16, 32]
    planned["batch_size"] = 14
    assert narrow == plans | {"plans_name": "PArena"}


def test_every_constant_of_a_changed_phantom_is_changed():
    assert changed_parameters(data.PHYSICS["default"]) == {}
    assert changed_parameters(data.PHYSICS["changed"]) == {
        "ct.ctp_noise_hu_mm": 14.0,
        "ct.ncct_noise_hu_mm": 10.0,
        "ct.kernel_sigma_mm": 1.1,
        "bolus.dispersion_per_delay": 0.35,
        "bolus.no_precontrast_probability": 0.15,
    }


@pytest.mark.parametrize("name", CANDIDATES)
def test_nnunet_finds_the_candidates(name):
    folder = str(Path(candidates.__file__).parent)
    assert recursive_find_python_class(folder, name, None, folder).__name__ == name


def test_every_method_has_a_trainer():
    for method in METHODS.values():
        assert hasattr(strokesynth_trainers, method.trainer) or method.trainer in CANDIDATES


@pytest.mark.parametrize("name", [name for name in CANDIDATES if "Stock" in name])
def test_each_of_our_parts_is_added_alone_or_with_the_others(name):
    """Stock nnU-Net's trainer and the part that the name says, or all three."""
    cls = getattr(stock_with_our_parts, name)
    parts = {"LimitedRotation", "ThresholdCalibration", "FixedIntensities"}
    found = {base.__name__ for base in cls.__mro__} & (parts | {"FramesAsOneVolume"})
    word = name.removeprefix("ArenaTrainer_Stock")
    word = "FramesAsOneVolume" if word == "FramesAsOne" else word
    assert found == (parts if word == "AllParts" else {word})
    assert issubclass(cls, StrokeSynthTrainer_Stock)
