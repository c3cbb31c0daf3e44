"""The table from made-up per-case values: hand-computed figures, banners, rows that are missing."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from reproduction_world import write_checkpoint
from scipy import stats

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.evaluation.statistics import bootstrap_interval

FCN, UNET, SLNET = (f"StrokeSynthTrainer_Seg{name}" for name in ("FCN", "UNet", "SLNet"))
# Mean 50, sd sqrt(10 * 0.1^2 / 9) = 0.1054 -> 10.54; SLNet is 0.1 better in every scan.
DICE = [0.4, 0.6] * 5
NAN = float("nan")
HAUSDORFF = [10.0, 20.0] * 4 + [NAN, float("inf")]  # mean 15, sd sqrt(8 * 25 / 7) = 5.345


@pytest.fixture
def make_table(world, monkeypatch):
    """Run ``reproduce`` where commands must not be run; returns the markdown's lines."""
    from nnunetv2_strokesynth.commands import reproduce as command

    def refuse(step, *_, **__):
        raise ValueError(f"would run {step[0]}")

    monkeypatch.setattr(command, "run_command", refuse)

    def make(table: str = "table3", *words: str, rc: int = 0) -> list[str]:
        code = main(["reproduce", table, "-o", str(world.out), "-device", "cpu", *words])
        assert code == rc
        path = world.out / f"{table}.md"
        return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []

    return make


@pytest.fixture
def two_rows(world):
    world.finish(UNET)
    world.evaluate(UNET, dice=DICE, hausdorff_mm=HAUSDORFF, assd_mm=[2.0] * 10)
    world.finish(SLNET)
    world.evaluate(SLNET, dice=[value + 0.1 for value in DICE])
    return world


def _cells(lines: list[str], label: str) -> dict[str, str]:
    """Cells of a row by heading."""
    table = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    header = table[0]
    row = next(cells for cells in table if cells[0] == label)
    return dict(zip(header, row, strict=True))


def test_our_figures_beside_the_papers(two_rows, make_table):
    unet = _cells(make_table("table3", "--rows", UNET, SLNET), "UNet")
    low, high = bootstrap_interval(np.array(DICE))
    assert unet["Trainer"] == f"`{UNET}`"
    assert unet["Dice (%), ours"] == f"50.00 ± 10.54 [{100 * low:.2f} to {100 * high:.2f}]"
    assert unet["Dice (%), paper (ISLES 2018, 23 scans)"] == "49.94 ± 19.51"
    assert unet["HD (mm), ours"].startswith("15.00 ± 5.35 (2 n.c.) [")
    assert unet["HD (mm), paper (ISLES 2018, 23 scans)"] == "21.52 ± 13.84"
    assert unet["ASSD (mm), ours"] == "2.00 ± 0.00 [2.00 to 2.00]"
    assert unet["Parameters (M), paper (ISLES 2018, 23 scans)"] == "31.04"
    # Every scan differs by exactly -10: the interval is a point; p of 10 equal signs is small.
    assert unet["Δ Dice to SLNet (%) [95 %], p"].startswith("-10.00 [-10.00 to -10.00], 0.00")


def test_rows_that_are_not_finished(two_rows, make_table):
    lines = make_table("table3", "--rows", UNET)
    fcn, slnet = _cells(lines, "FCN"), _cells(lines, "SLNet")
    assert fcn["Dice (%), ours"] == fcn["HD (mm), ours"] == "not run"
    assert fcn["Dice (%), paper (ISLES 2018, 23 scans)"] == "45.75 ± 24.59"
    assert fcn["Δ Dice to SLNet (%) [95 %], p"] == "–"
    assert slnet["Dice (%), ours"].startswith("60.00 ± 10.54")  # finished, though not in --rows
    assert slnet["Δ Dice to SLNet (%) [95 %], p"] == "–"
    assert "> - finished: 2 of 7 rows" in lines


def test_header_says_what_was_run(two_rows, make_table):
    lines = make_table("table3", "--rows", UNET)
    assert lines[0] == "# Wang et al. 2020, Table 3: segmentation networks (F_o, CE)"
    assert lines[2] == ("> **DIGITAL PHANTOM, not ISLES 2018: figures say nothing about patients**")
    header = "\n".join(line for line in lines if line.startswith(">"))
    for text in (
        "Dataset018_Ünit, origin: digital phantom; 10 training scans of 10 patients",
        "5-fold cross-validation, 10 scans measured, at patient level",
        "epochs: 300 (paper: 300",
        "base features: 64 (paper: 64)",
        "iterations per epoch: one pass over the training slices (paper",
        "device: cpu",
    ):
        assert text in header
    assert "NOT the paper's recipe" not in header
    assert any("checkpoint that was best" in line for line in lines)


def test_short_training_and_other_origins_are_named(two_rows, make_table):
    path = two_rows.raw / "Dataset018_Ünit" / "dataset.json"
    content = json.loads(path.read_text()) | {"origin": "ISLES 2018"}
    path.write_text(json.dumps(content))
    lines = make_table("table3", "--rows", UNET, "--epochs", "3", "--base-features", "8")
    assert not any("PHANTOM" in line for line in lines)
    assert lines[2] == "> **NOT the paper's recipe: epochs, iterations or base features differ**"
    assert any("epochs: 3 (paper: 300" in line for line in lines)
    assert any("base features: 8 (paper: 64)" in line for line in lines)
    del content["origin"]
    path.write_text(json.dumps(content))
    short = ("--rows", UNET, "--epochs", "3", "--base-features", "8")
    assert any("origin: not stated" in line for line in make_table("table3", *short))


def test_patients_in_training_and_among_the_measured_are_named(two_rows, make_table):
    path = two_rows.raw / "Dataset018_Ünit" / "conversion_report.csv"
    frame = pd.read_csv(path)
    frame.loc[frame["case_id"].isin(["case_000", "case_001"]), "patient"] = "same"
    frame.to_csv(path, index=False)
    assert any("NOT at patient level" in line for line in make_table("table3", "--rows", UNET))
    path.unlink()
    assert any("patients unknown" in line for line in make_table("table3", "--rows", UNET))


def test_csv_has_the_numbers_in_the_tables_units(two_rows, make_table):
    make_table("table3", "--rows", UNET)
    frame = pd.read_csv(two_rows.out / "table3.csv").set_index("method")
    unet = frame.loc["UNet"]
    assert unet["dice_mean"] == pytest.approx(50) and unet["dice_sd"] == pytest.approx(10.540926)
    assert unet["dice_published_mean"] == 49.94 and unet["scans"] == 10
    assert unet["hausdorff_mm_not_countable"] == 2
    assert unet["dice_difference_mean"] == pytest.approx(-10) and unet["dice_difference_n"] == 10
    assert (frame["data"] == "DIGITAL PHANTOM, not ISLES 2018").all()
    assert frame.loc["FCN", "status"] == "not run" and np.isnan(frame.loc["FCN", "dice_mean"])
    assert (two_rows.out / "table3.png").stat().st_size > 10_000


def test_further_rows_stay(two_rows, make_table):
    two_rows.finish("nnUNetTrainer")
    two_rows.evaluate("nnUNetTrainer", dice=[0.2] * 10)
    for words in (["--also", "nnUNetTrainer"], []):
        lines = make_table("table3", "--rows", UNET, *words)
        row = _cells(lines, "nnUNetTrainer")
        assert row["Dice (%), ours"] == "20.00 ± 0.00 [20.00 to 20.00]"
        assert row["Dice (%), paper (ISLES 2018, 23 scans)"] == "–"
        assert any(line.startswith("- Not in the paper: nnUNetTrainer") for line in lines)


def test_the_real_dwi_has_no_ssim_and_the_star_survives_markdown(world, make_table):
    world.add_data_set("Dataset019_Ünit_DWI")
    trainer = "StrokeSynthTrainer_RealDWIUNet"
    world.finish(trainer, name="Dataset019_Ünit_DWI")
    world.evaluate(trainer, dice=DICE)
    lines = make_table("table2", "--rows", trainer)
    row = _cells(lines, "Real DWI")
    assert row["Dice (%), ours"].startswith("50.00") and row["SSIM global, ours"] == "–"
    assert _cells(lines, "F_o, F_l, F_h\\*")["SSIM global, ours"] == "not run"


def test_paper_split(world, make_table):
    trainer = "StrokeSynthTrainer_LossGD"
    world.fold(trainer, 5, "checkpoint_final.pth", "validation/summary.json")
    predictions = world.out / trainer / "predictions"
    predictions.mkdir(parents=True)
    cases = ["case_007", "case_008", "case_009"]
    for case_id in cases:
        (predictions / f"{case_id}.nii.gz").touch()
    world.evaluate(trainer, case_id=cases, dice=[0.2, 0.3, 0.4])
    lines = make_table("table4", "--folds", "paper", "--rows", trainer)
    assert any(
        "a split of the paper's size, 3 test scans (paper: 23), at patient" in line
        for line in lines
    )
    assert _cells(lines, "L_GD")["Dice (%), ours"].startswith("30.00 ± 10.00 [")
    assert not any("checkpoint that was best" in line for line in lines)


def test_hidden_truth_of_table_6(world, make_table):
    trainer = "StrokeSynthTrainer_Wang2020"
    world.finish(trainer, folds=["all"])
    predictions = world.out / trainer / "predictions"
    predictions.mkdir(parents=True)
    (predictions / "test_001.nii.gz").touch()
    lines = make_table("table6")
    ours = _cells(lines, "Wang et al. (in the paper: Ours)")
    assert ours["Dice (%), ours"] == "truth hidden"
    assert ours["Dice (%), paper (ISLES 2018 test set, 62 scans)"] == "51 ± 31"
    assert _cells(lines, "Liu (2018)")["Dice (%), ours"] == "–"
    assert not any("Δ Dice" in line for line in lines)
    assert any("Predictions to submit" in line and str(predictions) in line for line in lines)


def test_scans_of_other_splits_are_refused(two_rows, make_table, capsys):
    path = two_rows.out / UNET / "evaluation" / "cases.csv"
    pd.read_csv(path).iloc[1:].to_csv(path, index=False)
    make_table("table3", "--rows", UNET, rc=2)
    assert "has 9 scans, the splits have 10 (see case_000)" in capsys.readouterr().err


def test_settings_of_the_folder_are_kept(two_rows, make_table, capsys):
    make_table("table3", "--rows", UNET)
    stored = json.loads((two_rows.out / "reproduce.json").read_text())
    assert stored["epochs"] == "300" and stored["iterations"] is None
    assert stored["folds"] == [0, 1, 2, 3, 4]
    assert stored["devices"] == ["cpu"]
    make_table("table3", "--rows", UNET, "--epochs", "300", "--base-features", "64")  # the same
    for words, message in (
        (("table3", "--epochs", "2"), "made with epochs 300, now it is 2"),
        (("table3", "--folds", "0"), "made with folds [0, 1, 2, 3, 4], now it is [0]"),
        (("table4",), "made with table table3, now it is table4"),
    ):
        make_table(*words, rc=2)
        assert message in capsys.readouterr().err
    splits = json.loads((two_rows.raw / "Dataset018_Ünit" / "splits_final.json").read_text())
    splits[0], splits[1] = splits[1], splits[0]
    two_rows.write_splits("Dataset018_Ünit", splits)
    make_table("table3", "--rows", UNET, rc=2)
    assert "splits of Dataset018_Ünit have changed" in capsys.readouterr().err


def test_unfinished_rows_are_run_one_by_one(two_rows, make_table, capsys):
    lines = make_table("table3", "--rows", UNET, FCN, rc=2)
    assert "would run nnUNetv2_train" in capsys.readouterr().err
    assert "> - finished: 2 of 7 rows" in lines  # written before the first command


def test_data_have_to_be_preprocessed(world, make_table, capsys):
    (world.preprocessed / "Dataset018_Ünit" / "nnUNetPlans_2d" / "case_000.pkl").unlink()
    make_table("table3", "--rows", UNET, rc=2)
    assert "nnUNetv2_plan_and_preprocess -d 18 -c 2d" in capsys.readouterr().err
    assert not world.out.exists()


@pytest.fixture
def two_tuned_rows(world):
    """Two rows of Clèrigues' Table 1, each with its own T and S_min; empty files elsewhere."""
    for k, trainer in enumerate(("Clerigues2019Trainer_RT", "Clerigues2019Trainer")):
        model = world.model(trainer, configuration="2d_patch64")
        for fold in range(5):
            validation = model / f"fold_{fold}" / "validation"
            validation.mkdir(parents=True)
            write_checkpoint(model / f"fold_{fold}" / "checkpoint_final.pth")
            (validation / "summary.json").touch()
            for case_id in (f"case_{fold:03d}", f"case_{fold + 5:03d}"):
                (validation / f"{case_id}.npz").touch()
        postprocessed = world.out / trainer / "postprocessed"
        postprocessed.mkdir(parents=True)
        rule = {"strokesynth_postprocessing": 1, "threshold": 0.1 * (k + 2), "min_size": 100 * k}
        path = postprocessed.parent / "postprocessing.json"
        path.write_text(json.dumps({**rule, "unit": "voxels"}))
        for case in range(10):
            (postprocessed / f"case_{case:03d}.nii.gz").touch()
        true = np.arange(10.0)
        dice = np.array(DICE) + k * np.linspace(0.05, 0.15, 10)
        world.evaluate(trainer, dice=dice, volume_gt_ml=true, volume_pred_ml=true + 1 - k)
    return world


def test_threshold_smallest_lesion_r2_and_t_test(two_tuned_rows, make_table):
    rows = ("--rows", "Clerigues2019Trainer_RT", "Clerigues2019Trainer")
    lines = make_table("clerigues2019", *rows)
    rt, proposed = _cells(lines, "Single + RT"), _cells(lines, "Single + RT + SM + UF")
    on = "paper (ISLES 2018, 5-fold cross-validation, post-processed)"
    assert (rt["T, ours"], rt[f"T, {on}"]) == ("0.2", "0.1")
    assert (proposed["S_min (voxels), ours"], proposed[f"S_min (voxels), {on}"]) == ("100", "200")
    # sum of squares of 1 over 10 scans against that of 0..9 around its mean, 82.5.
    assert rt["R², ours"] == f"{1 - 10 / 82.5:.2f}" and proposed["R², ours"] == "1.00"
    assert rt[f"R², {on}"] == "0.74"
    difference = np.linspace(0.05, 0.15, 10)
    p = stats.ttest_1samp(-difference, 0).pvalue
    cell = next(text for heading, text in rt.items() if heading.startswith("p of the t-test"))
    assert p < 0.001 and cell.startswith("< 0.001, ") and proposed["Trainer"] not in cell
    frame = pd.read_csv(two_tuned_rows.out / "clerigues2019.csv").set_index("method")
    assert frame.loc["Single + RT", "dice_t_test_p"] == pytest.approx(p)
    assert frame.loc["Single + RT", "threshold"] == pytest.approx(0.2)
    assert frame.loc["Baseline", "threshold_published"] == pytest.approx(0.4)
    assert any("T and S_min were chosen for each row" in line for line in lines)


def test_dice_of_each_fold_beside_the_papers(world, make_table):
    trainer = "Abulnaga2018Trainer_Pretrained"
    world.finish(trainer)
    for fold in range(5):
        record = world.model(trainer) / f"fold_{fold}" / "pretrained.json"
        record.write_text(json.dumps({"strokesynth_pretrained": "/weights/fcn.pth"}))
    folds = [str(k % 5) for k in range(10)]
    world.evaluate(trainer, dice=[0.1 * (k % 5) for k in range(10)], fold=folds)
    text = "\n".join(make_table("abulnaga2018_folds"))
    label = "| PSPNet, pre-trained, focal loss |"
    sd = np.std([0, 10, 20, 30, 40], ddof=1)
    ours = f"{label} ours | 0.00 | 10.00 | 20.00 | 30.00 | 40.00 | 20.00 ± {sd:.2f} |"
    assert ours in text
    assert f"{label} paper | 64 | 42 | 48 | 55 | 58 | 54 ± 9 |" in text
    assert "PSPNet, pre-trained, focal loss started from `/weights/fcn.pth`." in text
