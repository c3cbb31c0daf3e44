"""From the state on disk to commands: fresh, interrupted, finished; folds and the paper's split."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest
from reproduction_world import write_checkpoint

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.nnunet_commands import trainers_folder
from nnunetv2_strokesynth.papers.tables import TABLES, with_further_rows

UNET = "StrokeSynthTrainer_SegUNet"
SYNTH = "StrokeSynthTrainer_SynthL1"


@pytest.fixture
def dry_run(world, capsys, caplog):
    """The printed lines, of ``dry_run("table3", "--rows", UNET)``; of the error if rc is 2."""
    caplog.set_level("INFO", logger="nnunetv2_strokesynth.commands.reproduce")

    def run(*words: str, rc: int = 0) -> list[str]:
        caplog.clear()
        code = main(["reproduce", *words, "--dry-run", "-o", str(world.out), "-device", "cpu"])
        error = capsys.readouterr().err
        assert code == rc, error
        return error.splitlines() if rc else caplog.messages[:]

    return run


def _commands(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.startswith(("export ", "#"))]


def _files(folder: Path) -> dict[str, float]:
    return {str(path): path.stat().st_mtime for path in folder.rglob("*")}


def test_fresh_row(world, dry_run):
    lines = dry_run("table3", "--rows", UNET, "--folds", "0", "1")
    model = world.model(UNET)
    assert _commands(lines) == [
        f"nnUNetv2_train 18 2d 0 -tr {UNET} -device cpu",
        f"nnUNetv2_train 18 2d 1 -tr {UNET} -device cpu",
        f"strokesynth evaluate --gt '{world.raw}/Dataset018_Ünit/labelsTr' --pred '{model}' "
        f"-f 0 1 --allow-missing -o '{world.out / UNET / 'evaluation'}'",
    ]


def test_recipe_is_in_front_of_the_training_only(dry_run):
    short = ("--epochs", "2", "--iterations", "11", "--base-features", "8")
    train, evaluate = _commands(dry_run("table3", "--rows", UNET, "--folds", "0", *short))
    assert train.startswith(
        "strokesynth_num_epochs=2 strokesynth_num_iterations_per_epoch=11 "
        "strokesynth_num_val_iterations_per_epoch=2 strokesynth_base_features=8 nnUNetv2_train "
    )
    assert evaluate.startswith("strokesynth evaluate ")


def test_exported_recipe_is_shown_and_options_win(dry_run, monkeypatch):
    monkeypatch.setenv("strokesynth_num_epochs", "7")
    monkeypatch.setenv("strokesynth_base_features", "16")
    train = _commands(dry_run("table3", "--rows", UNET, "--folds", "0", "--epochs", "9"))[0]
    assert train.startswith("strokesynth_num_epochs=9 strokesynth_base_features=16 nnUNetv2_train")


def test_interrupted_folds_go_on(world, dry_run):
    world.fold(UNET, 0, "checkpoint_best.pth")
    world.fold(UNET, 1, "checkpoint_latest.pth", "checkpoint_best.pth")
    world.fold(UNET, 2, "checkpoint_final.pth")
    world.finish(UNET, [3])
    commands = _commands(dry_run("table3", "--rows", UNET, "--folds", "0", "1", "2", "3"))
    assert [command.split(f"{UNET} ")[1] for command in commands[:3]] == [
        "-device cpu",
        "--c -device cpu",
        "--val -device cpu",
    ]
    assert [shlex.split(command)[3] for command in commands[:3]] == ["0", "1", "2"]
    assert len(commands) == 4 and commands[3].startswith("strokesynth evaluate")


def test_finished_row_costs_nothing_until_something_is_newer(world, dry_run):
    world.finish(UNET)
    (evaluate,) = _commands(dry_run("table3", "--rows", UNET))
    assert "--allow-missing" not in evaluate and "--overwrite" not in evaluate
    world.evaluate(UNET, dice=[0.5] * 10)
    lines = dry_run("table3", "--rows", UNET)
    assert _commands(lines) == [] and lines[-1].endswith(f"{UNET} (finished)")
    later = (world.out / UNET / "evaluation" / "cases.csv").stat().st_mtime + 10
    os.utime(world.model(UNET) / "fold_3" / "validation" / "summary.json", (later, later))
    (evaluate,) = _commands(dry_run("table3", "--rows", UNET))
    assert evaluate.endswith("--overwrite")


def test_a_new_training_replaces_what_was_made_of_the_old_one(world, dry_run):
    world.finish(UNET, [0, 1, 2, 3])
    world.evaluate(UNET, dice=[0.5] * 10)
    train, evaluate = _commands(dry_run("table3", "--rows", UNET))
    assert "2d 4" in train and evaluate.endswith("--overwrite")


def test_pseudo_dwi_of_each_fold(world, dry_run):
    world.finish(SYNTH)
    commands = _commands(dry_run("table1", "--rows", SYNTH, "--folds", "0", "3"))
    kinds = [" ".join(command.split()[:2]) for command in commands]
    assert kinds == ["mkdir -p", "strokesynth synthesize"] * 2 + ["strokesynth evaluate"]
    assert "for case in case_003 case_008; do" in commands[2]
    synthesize = shlex.split(commands[3])
    assert synthesize[synthesize.index("-f") + 1] == "3"
    assert Path(synthesize[synthesize.index("-i") + 1]).name == "Dataset018_Ünit_fold_3"
    evaluate = shlex.split(commands[4])
    assert evaluate[evaluate.index("--dwi") + 1].endswith("targetsTr")
    assert evaluate[evaluate.index("--pseudo-dwi") + 1] == str(world.out / SYNTH / "pseudo_dwi")


def test_finished_pseudo_dwi_is_kept_and_an_older_one_replaced(world, dry_run):
    world.finish(SYNTH)
    folder = world.out / SYNTH / "pseudo_dwi"
    folder.mkdir(parents=True)
    for case_id in ("case_000", "case_005"):
        (folder / f"{case_id}.nii.gz").touch()
    commands = _commands(dry_run("table1", "--rows", SYNTH, "--folds", "0"))
    assert [command.split()[1] for command in commands] == ["evaluate"]
    os.utime(folder / "case_005.nii.gz", (1, 1))
    commands = _commands(dry_run("table1", "--rows", SYNTH, "--folds", "0"))
    assert commands[1].endswith("-device cpu --overwrite")


def test_rows_share_their_links(dry_run):
    commands = _commands(dry_run("table2", "--folds", "paper"))
    assert sum(command.startswith("mkdir") for command in commands) == 1


def test_paper_split(world, dry_run):
    commands = _commands(dry_run("table1", "--rows", SYNTH, "--folds", "paper"))
    assert [" ".join(shlex.split(command)[:2]) for command in commands] == [
        "nnUNetv2_train 18",
        "mkdir -p",
        "nnUNetv2_predict -d",
        "strokesynth synthesize",
        "strokesynth evaluate",
    ]
    train, links, predict, synthesize, evaluate = commands
    assert train == f"nnUNetv2_train 18 2d 5 -tr {SYNTH} -device cpu"
    assert "for case in case_007 case_008 case_009; do" in links
    predictions = world.out / SYNTH / "predictions"
    assert "-f 5" in predict and f"-o '{predictions}'" in predict and "-f 5" in synthesize
    assert f"--pred '{predictions}'" in evaluate and "--allow-missing" in evaluate


def test_the_printed_line_links_the_images(world, dry_run):
    links = next(line for line in dry_run("table2", "--folds", "paper") if "mkdir" in line)
    subprocess.run(["bash", "-c", links], check=True)
    (folder,) = (world.out / "images").iterdir()
    names = [f"case_{k:03d}_{channel:04d}.nii.gz" for k in (7, 8, 9) for channel in (0, 1)]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert all(path.is_symlink() and path.exists() for path in folder.iterdir())
    assert not any("mkdir" in line for line in dry_run("table2", "--folds", "paper"))


def test_splits_are_nnunets_copy(world, dry_run):
    copy = world.preprocessed / "Dataset018_Ünit" / "splits_final.json"
    splits = [{"train": ["case_000"], "val": ["case_001"]}]
    copy.write_text(json.dumps(splits))
    (error,) = dry_run("table3", "--folds", "paper", rc=2)
    assert "no split of Dataset018_Ünit has test scans" in error and "--overwrite" in error
    splits.append({"train": ["case_000"], "val": ["case_001"], "test": ["case_002"]})
    copy.write_text(json.dumps(splits))
    train, links = _commands(dry_run("table3", "--folds", "paper"))[:2]
    assert "2d 1 " in train and "for case in case_002; do" in links


def test_real_dwi_row(world, dry_run):
    row = "StrokeSynthTrainer_RealDWIUNet"
    lines = dry_run("table2", "--folds", "0")
    assert row not in "\n".join(_commands(lines)) and "no data set 19" in lines[0]
    (error,) = dry_run("table2", "--rows", row, rc=2)
    assert "no data set 19" in error
    world.add_data_set("Dataset019_Ünit_DWI")
    train, evaluate = _commands(dry_run("table2", "--rows", row, "--folds", "0"))
    assert train.startswith("nnUNetv2_train 19 2d 0") and "--dwi" not in evaluate
    assert "Dataset019_Ünit_DWI/labelsTr" in evaluate


def test_table_6_predicts_the_test_scans_and_measures_them_if_it_can(world, dry_run):
    folds = ("--folds", "0", "1", "2", "3", "4")
    commands = _commands(dry_run("table6", *folds))
    assert [command.split()[0] for command in commands] == ["nnUNetv2_train"] * 5 + [
        "nnUNetv2_predict"
    ]
    assert "-f 0 1 2 3 4 -i" in commands[-1] and "imagesTs" in commands[-1]
    train, predict = _commands(dry_run("table6"))  # one training on all scans, as in the paper
    assert train == "nnUNetv2_train 18 2d all -tr StrokeSynthTrainer_Wang2020 -device cpu"
    assert " -f all -i " in predict and "imagesTs" in predict
    labels = world.raw / "Dataset018_Ünit" / "labelsTs"
    labels.mkdir()
    (labels / "test_001.nii.gz").touch()
    assert f"--gt '{labels}'" in _commands(dry_run("table6"))[-1]
    (error,) = dry_run("table6", "--folds", "paper", rc=2)
    assert "test set" in error
    (error,) = dry_run("table3", "--folds", "all", rc=2)
    assert "leaves none for table3 to measure" in error


def test_dry_run_writes_nothing_and_prints_bash(world, dry_run):
    world.fold(UNET, 1, "checkpoint_latest.pth")
    before = _files(world.root)
    lines = dry_run("table1", "--folds", "paper", "--epochs", "1", "--also", "nnUNetTrainer")
    assert _files(world.root) == before and not world.out.exists()
    assert subprocess.run(["bash", "-n", "-c", "\n".join(lines)], check=False).returncode == 0
    exports = [shlex.split(line)[1] for line in lines if line.startswith("export ")]
    assert exports[:3] == [
        f"nnUNet_raw={world.raw}",
        f"nnUNet_preprocessed={world.preprocessed}",
        f"nnUNet_results={world.results}",
    ]
    assert exports[3].startswith("nnUNet_extTrainer=") and str(trainers_folder()) in exports[3]
    known = ("nnUNetv2_train", "nnUNetv2_predict", "strokesynth", "mkdir", "strokesynth_num_epochs")
    assert all(line.startswith(known) for line in _commands(lines))
    assert "# Wang et al. 2020, Table 1, nnUNetTrainer: nnUNetTrainer" in lines


def test_input_that_cannot_be_used(world, dry_run, monkeypatch):
    for words, message in (
        (["--folds", "7"], "has 6 splits"),
        (["--folds", "5"], "--folds paper"),
        (["--folds", "paper", "0"], "or `paper` or `all` alone"),
        (["--rows", SYNTH], "no row of table3; its rows are StrokeSynthTrainer_SegFCN"),
        (["--dataset", "77"], "no data set 77"),
    ):
        (error,) = dry_run("table3", *words, rc=2)
        assert message in error
    monkeypatch.delenv("nnUNet_results")
    (error,) = dry_run("table3", rc=2)
    assert "nnUNet_results are not set" in error or "nnUNet_results" in error


def test_model_of_another_recipe_is_refused(world, dry_run):
    folder = world.fold(UNET, 0, "checkpoint_latest.pth")
    log = folder / "training_log_2026_1_1_00_00_00.txt"
    log.write_text("cite\n2026: num_epochs = 1 from strokesynth_num_epochs \n")
    (error,) = dry_run("table3", "--rows", UNET, rc=2)
    assert "trained with --epochs 1, now it is 300" in error
    assert "nnUNet_results" in error
    assert dry_run("table3", "--rows", UNET, "--epochs", "1")
    (world.fold(UNET, 1, "checkpoint_final.pth") / "training_log_2026.txt").write_text("cite\n")
    (error,) = dry_run("table3", "--epochs", "1", "--folds", "1", rc=2)
    assert "trained with --epochs 300, now it is 1" in error
    assert dry_run("table3", "--epochs", "300", "--folds", "1")
    (error,) = dry_run("table3", "--epochs", "1", "--iterations", "2", "--folds", "0", rc=2)
    assert "--iterations those of its recipe, now it is 2" in error
    plans = {"configurations": {"2d": {"strokesynth_base_features": 4}}}
    (world.model(UNET) / "plans.json").write_text(json.dumps(plans))
    (error,) = dry_run("table3", "--epochs", "1", "--folds", "0", rc=2)
    assert "--base-features 4, now it is 64" in error
    assert dry_run("table3", "--epochs", "1", "--folds", "0", "--base-features", "4")
    assert dry_run("table4", "--rows", "StrokeSynthTrainer_LossGD")  # the row is not in this table


def test_a_row_is_trained_predicted_and_measured_in_its_own_configuration(world, dry_run):
    trainer = "Clerigues2019Trainer_Baseline"
    train, tune, _, predict, postprocess, evaluate = _commands(
        dry_run("clerigues2019", "--rows", trainer, "--folds", "paper")
    )
    assert train.startswith(f"nnUNetv2_train 18 2d_patch48 5 -tr {trainer} ")
    assert predict.startswith(f"nnUNetv2_predict -d 18 -c 2d_patch48 -tr {trainer} -f 5 ")
    assert train.endswith("--npz -device cpu") and "--save_probabilities" in predict
    assert "strokesynth tune" in tune and " -f 5 " in tune and "labelsTr" in tune
    assert "strokesynth postprocess" in postprocess and "predictions'" in postprocess
    assert "strokesynth evaluate" in evaluate and "postprocessed'" in evaluate
    folds = _commands(dry_run("clerigues2019", "--rows", trainer, "--folds", "0"))
    assert f"{trainer}__nnUNetPlans__2d_patch48'" in folds[-2]


def test_threshold_and_smallest_lesion_are_chosen_for_every_row(world, dry_run):
    trainers = ["Clerigues2019Trainer_RT", "Clerigues2019Trainer"]
    lines = _commands(dry_run("clerigues2019", "--rows", *trainers))
    kinds = [shlex.split(line)[0:2] for line in lines]
    row = [["nnUNetv2_train", "18"]] * 5
    row += [["strokesynth", verb] for verb in ("tune", "postprocess", "evaluate")]
    assert kinds == row * 2
    assert all("--npz" in line for line in lines if line.startswith("nnUNetv2_train"))
    for trainer, tune, postprocess, evaluate in zip(
        trainers, lines[5::8], lines[6::8], lines[7::8], strict=True
    ):
        rule = f"'{world.out / trainer / 'postprocessing.json'}'"
        model = f"{trainer}__nnUNetPlans__2d_patch64' -f 0 1 2 3 4"
        assert f"-o {rule}" in tune and f"-p {rule}" in postprocess
        assert model in tune and model in postprocess
        assert f"--pred '{world.out / trainer / 'postprocessed'}'" in evaluate
        assert "--allow-missing" not in tune + evaluate


def test_a_training_without_probabilities_is_validated_again(world, dry_run):
    trainer = "Clerigues2019Trainer_RT"
    folder = world.results / "Dataset018_Ünit" / f"{trainer}__nnUNetPlans__2d_patch64" / "fold_0"
    (folder / "validation").mkdir(parents=True)
    write_checkpoint(folder / "checkpoint_final.pth")
    (folder / "validation" / "summary.json").touch()
    train = _commands(dry_run("clerigues2019", "--rows", trainer, "--folds", "0"))[0]
    assert train.endswith(f"-tr {trainer} --val --npz -device cpu")
    for case_id in ("case_000", "case_005"):
        (folder / "validation" / f"{case_id}.npz").touch()
    lines = _commands(dry_run("clerigues2019", "--rows", trainer, "--folds", "0"))
    assert lines[0].startswith("strokesynth tune")


def test_several_networks_predict_by_their_mean_probability(world, dry_run):
    lines = _commands(dry_run("clerigues2019_test"))
    predict = [line for line in lines if line.startswith("nnUNetv2_predict")]
    ensemble = next(line for line in lines if line.startswith("nnUNetv2_ensemble"))
    assert len(predict) == 5 and all(line.count("--save_probabilities") == 1 for line in predict)
    for fold, line in enumerate(predict):
        folder = shlex.split(line)[shlex.split(line).index("-o") + 1]
        assert f" -f {fold} -i " in line and folder in shlex.split(ensemble)
    assert ensemble.endswith("predictions' --save_npz")
    assert "strokesynth postprocess" in lines[-1]  # and nothing to measure: the truth is hidden
    (error,) = dry_run("clerigues2019_test", "--folds", "all", rc=2)
    assert "chooses a threshold" in error
    one = _commands(dry_run("clerigues2019_test", "--folds", "2"))
    assert not any(line.startswith("nnUNetv2_ensemble") for line in one)


def test_volumes_must_be_preprocessed_for_a_3d_row(world, capsys):
    words = ["reproduce", "abulnaga2018", "--rows", "Abulnaga2018Trainer_VNet", "--folds", "0"]
    assert main([*words, "-o", str(world.out), "-device", "cpu"]) == 2
    assert "nnUNetv2_plan_and_preprocess -d 18 -c 3d_fullres" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("trainer", "configuration"),
    [("Abulnaga2018Trainer_VNet", "3d_fullres"), ("Song2018Trainer", "2d"), ("Unknown", "2d")],
)
def test_a_further_row_has_the_configuration_of_its_trainer(trainer, configuration):
    (row,) = (r for r in with_further_rows(TABLES["table3"], [trainer]).rows if r.further)
    assert row.trainer == trainer and row.configuration == configuration


def test_width_of_each_table(dry_run, world):
    plans = {"configurations": {"2d": {"strokesynth_base_features": 64}}}
    trainer = "Gomez2023Trainer"
    world.model(trainer).mkdir(parents=True)
    (world.model(trainer) / "plans.json").write_text(json.dumps(plans))
    (error,) = dry_run("gomez2023", "--rows", trainer, "--folds", "0", rc=2)
    assert "trained with --base-features 64, now it is 32" in error
