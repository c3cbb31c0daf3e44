"""The arena: what it stores, what it compares, and that every method can be found by nnU-Net."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

FOLDER = Path(__file__).parents[2] / "benchmarks" / "arena"
MODULES = ("arena", "contest", "data", "decisions", "methods", "probabilities", "settings", "table")


@pytest.fixture
def arena(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import arena

    yield arena
    for name in MODULES:
        sys.modules.pop(name, None)


def scan(method: str, fold: int, case_id: str, dice: float, *, checkpoint: str = "final") -> dict:
    row = {"predictions": method, "fold": fold, "case_id": case_id, "dice": dice}
    return row | {"checkpoint": checkpoint, "hausdorff_mm": 10.0 * dice, "seconds": 60.0}


def both_checkpoints(*scans: dict) -> pd.DataFrame:
    return pd.DataFrame(
        [{**row, "checkpoint": name} for row in scans for name in ("final", "best")]
    )


def test_settings_are_kept_and_contradictions_refused(arena, tmp_path):
    first = arena.settings_of(tmp_path / "a", {"size": 96, "seed": None})
    assert first.size == 96
    assert first.seed == arena.Settings().seed
    assert arena.settings_of(tmp_path / "a", {"size": None}) == first
    with pytest.raises(ValueError, match="made with size = 96, asked for is 64"):
        arena.settings_of(tmp_path / "a", {"size": 64})


def test_a_difference_is_taken_scan_by_scan_over_shared_folds(arena):
    bouts = both_checkpoints(
        scan("stock", 0, "a", 0.4),
        scan("stock", 0, "b", 0.6),
        scan("ours", 0, "a", 0.5),
        scan("ours", 0, "b", 0.7),
        scan("ours", 1, "a", 0.9),  # stock has no fold 1: in our mean, not in the difference
        scan("ours", 1, "b", 0.9),
    )
    stock, ours = arena.rows(bouts)
    assert stock["difference to stock [95 %]"] == ""
    assert ours["folds"] == "0, 1"
    assert ours["Dice %, final"].startswith("75.0")
    assert ours["difference to stock [95 %]"] == "+10.0 [+10.0 to +10.0]"
    assert stock["HD mm"] == "5.0 (2)"


def test_ssim_is_that_of_the_last_checkpoint_of_what_synthesises(arena):
    bouts = both_checkpoints(scan("stock", 0, "a", 0.4), scan("ours", 0, "a", 0.5))
    ours = bouts["predictions"] == "ours"
    bouts.loc[ours & (bouts["checkpoint"] == "final"), "ssim_local"] = 0.5
    bouts.loc[ours & (bouts["checkpoint"] == "best"), "ssim_local"] = 0.9
    assert [row["local SSIM"] for row in arena.rows(bouts)] == ["", "0.50"]
    assert "local SSIM" in arena.markdown(arena.rows(bouts[~ours].drop(columns="ssim_local")))


def test_training_time_is_relative_to_stock(arena):
    bouts = both_checkpoints(scan("stock", 0, "a", 0.4), scan("ours", 0, "a", 0.5))
    bouts.loc[bouts["predictions"] == "ours", "seconds"] = 150.0
    assert [row["training time"] for row in arena.rows(bouts)] == ["1.0", "2.5"]


def test_without_stock_there_is_nothing_to_compare_with(arena):
    (row,) = arena.rows(both_checkpoints(scan("ours", 0, "a", 0.5)))
    assert (row["difference to stock [95 %]"], row["training time"]) == ("", "")


def test_training_time_is_that_of_the_fastest_epoch(arena, tmp_path):
    from contest import Bout, training_seconds

    bout = Bout(tmp_path, arena.Settings(), arena.METHODS["stock"], 0, "cpu")
    bout.model.mkdir(parents=True)
    for name, seconds in (("1", (30.0, 20.0)), ("2", (25.0,))):
        lines = [f"2026: Epoch time: {value} s\n" for value in seconds]
        (bout.model / f"training_log_{name}.txt").write_text("".join(lines))
    assert training_seconds(bout) == 60.0


def write_scan(folder: Path, labels: Path, name: str, probability: np.ndarray, lesion: np.ndarray):
    """As nnU-Net stores probabilities, and the truth."""
    folder.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    np.savez(folder / f"{name}.npz", probabilities=np.stack([1 - probability, probability]))
    image = sitk.GetImageFromArray(lesion.astype(np.uint8))
    sitk.WriteImage(image, str(labels / f"{name}.nii.gz"))


def test_dice_by_cut_and_of_the_ensemble(arena, tmp_path):
    import probabilities

    lesion = np.zeros((2, 4, 4), bool)
    lesion[0, :2] = True
    truth = tmp_path / "phantom" / "TESTING_truth" / "labels"
    for fold, inside in ((0, 0.25), (1, 0.85)):  # 0.55 on the average
        folder = tmp_path / "methods" / "stock" / f"fold_{fold}" / "final"
        write_scan(folder, truth, "a", np.where(lesion, inside, 0.05), lesion)
    found = probabilities.measured(tmp_path, "stock").set_index(["of", "cut"])["dice"]
    assert found["fold_0", 0.2] == found["fold_1", 0.7] == found["ensemble", 0.5] == 100
    assert found["fold_0", 0.3] == found["ensemble", 0.6] == 0
    page = [*probabilities.table(probabilities.measured(tmp_path, "stock"), "stock")]
    assert [row[1] for row in page[::2]] == ["fold_0", "fold_1", "mean", "ensemble"]
    assert page[4][3:6] == ["100.0", "100.0", "50.0"]


def test_a_decision_made_again_is_the_trainers(arena, tmp_path):
    """A network that gives lesions 0.2 was moved by 1.5; what is stored has moved already."""
    import decisions

    line = "lesion from a probability of 0.18 on (Dice of 19 scans 0.1 -> 0.9)"
    assert decisions.moved_by(f"threshold calibration: {line}") == 1.5
    assert decisions.moved_by(f"decision: {line}") == 1.5
    assert decisions.moved_by("no such line") == 0.0
    lesion = np.zeros((2, 4, 4), bool)
    lesion[0, :2] = True
    moved = np.where(lesion, -1.386 + 1.5, -4.0 + 1.5)
    write_scan(tmp_path / "p", tmp_path / "l", "a", 1 / (1 + np.exp(-moved)), lesion)
    (scan,) = decisions.read_scans(tmp_path / "p", tmp_path / "l", 1.5)
    np.testing.assert_allclose(scan.margin[lesion], -1.386, atol=1e-6)
    found = decisions.outcomes([scan], [scan])
    assert found[0] == (100.0, 0.0)
    assert found[-1][0] == 0.0 and np.isnan(found[-1][1])  # tolerance 1: at one half


def test_markdown_has_a_line_per_method(arena):
    page = arena.markdown(arena.rows(both_checkpoints(scan("stock", 0, "a", 0.4))))
    assert [line.split(" | ")[0] for line in page.splitlines()] == ["| method", "| ---", "| stock"]


def test_narrow_plans_change_width_and_batch_only(arena, tmp_path):
    import data

    folder = tmp_path / "nnUNet_preprocessed" / data.NAME
    folder.mkdir(parents=True)
    kwargs = {"features_per_stage": [32, 64], "strides": [[1, 1], [2, 2]]}
    planned = {"batch_size": 9, "data_identifier": "x", "architecture": {"arch_kwargs": kwargs}}
    plans = {"plans_name": "P", "configurations": {"2d": planned}}
    (folder / "P.json").write_text(json.dumps(plans))
    data.narrow_plans(tmp_path, "P", arena.Settings(features=0.5, batch_size=14))
    narrow = json.loads((folder / "PArena.json").read_text())
    kwargs["features_per_stage"] = [16, 32]
    planned["batch_size"] = 14
    assert narrow == plans | {"plans_name": "PArena"}


def test_every_constant_of_a_changed_phantom_is_changed(arena):
    import data

    from nnunetv2_strokesynth.phantom.dataset import changed_parameters

    assert changed_parameters(data.PHYSICS["default"]) == {}
    assert changed_parameters(data.PHYSICS["changed"]) == {
        "ct.ctp_noise_hu_mm": 14.0,
        "ct.ncct_noise_hu_mm": 10.0,
        "ct.kernel_sigma_mm": 1.1,
        "bolus.dispersion_per_delay": 0.35,
        "bolus.no_precontrast_probability": 0.15,
    }


def test_nnunet_finds_the_candidates(arena):
    candidates = str(FOLDER / "candidates")
    found = recursive_find_python_class(candidates, "ArenaTrainer_Chain", None, candidates)
    assert found.__name__ == "ArenaTrainer_Chain"


def test_every_method_has_a_trainer(arena, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER / "candidates"))
    import arena_trainers

    from nnunetv2_strokesynth.nnunet_ext import strokesynth_trainers

    for method in arena.METHODS.values():
        modules = (strokesynth_trainers, arena_trainers)
        assert any(hasattr(module, method.trainer) for module in modules), method.name
