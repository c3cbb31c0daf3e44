"""What every command says to type next: read by the real parser, with the right names in it.

``evaluate``, ``tune`` and ``postprocess`` are run elsewhere in this folder; here they are run once
more in a row, each by the line that the one before has printed.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from next_commands import check_command, next_commands

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.cli import build_parser, main
from nnunetv2_strokesynth.commands import demo, maps, synthesize
from nnunetv2_strokesynth.commands.next_step import command_line
from nnunetv2_strokesynth.commands.trained_models import (
    data_set_folder,
    device_option,
    model_of_predictions,
    newest_model,
    predict_command,
)

DATASET = "Dataset018_ISLES2018"
TRAINER = "StrokeSynthTrainer_NoDWI"
CONVERT_NEXT = ["strokesynth", "convert", "--help"]


class House:
    """A data set and a trained model that are nothing but empty files."""

    def __init__(self, root: Path):
        self.root = root
        self.raw = root / "nnUNet_raw" / DATASET
        self.model = root / "nnUNet_results" / DATASET / f"{TRAINER}__nnUNetPlans__2d"
        for folder in ("imagesTr", "labelsTr", "imagesTs"):
            (self.raw / folder).mkdir(parents=True)
        self.train("0", "1")
        names = {str(k): name for k, name in enumerate(PRESETS["wang2020"].names)}
        for folder in (self.raw, self.model):
            content = {"channel_names": names, "file_ending": ".nii.gz"}
            (folder / "dataset.json").write_text(json.dumps(content))
        (self.model / "plans.json").write_text("{}")

    def train(self, *folds: str, model: Path | None = None) -> None:
        for fold in folds:
            folder = (model or self.model) / f"fold_{fold}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "checkpoint_final.pth").touch()


@pytest.fixture
def house(tmp_path, monkeypatch) -> House:
    """nnU-Net's variables point below a path with a space in it."""
    root = tmp_path / "a b"
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(name, str(root / name))
    return House(root)


@pytest.fixture
def on_cpu(monkeypatch) -> None:
    """No graphics card is to be seen."""
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda n: None if n == "nvidia-smi" else which(n))


def _parsed(*words: object) -> argparse.Namespace:
    name, *rest = map(str, words)
    return build_parser(name).parse_args(rest)


def _checked(commands: list) -> list[list[str]]:
    """The commands as the shell would hand them over, each one valid."""
    lines = [shlex.split(command_line(words)) for words in commands]
    for words in lines:
        check_command(words)
    return lines


def _synthesize(house: House, images: str, *more: str) -> list[list[str]]:
    words = ("synthesize", "-m", house.model, "-i", house.raw / images, "-o", "pseudo", *more)
    return _checked(synthesize.next_commands(_parsed(*words, "-device", "cpu")))


def test_pseudo_dwi_of_validation_scans_goes_into_the_report(house):
    (report,) = _synthesize(house, "imagesTr", "--validation")
    expected = ["strokesynth", "report", "-m", house.model, "--raw", house.raw]
    expected += ["--pseudo-dwi", "pseudo", "-o", "report.html"]
    assert report == list(map(str, expected))


def test_pseudo_dwi_of_test_scans_without_truth_leads_to_the_validation_scans(house):
    validation, report = _synthesize(house, "imagesTs")
    assert validation[1] == "synthesize" and "--validation" in validation
    assert validation[validation.index("-i") + 1] == str(house.raw / "imagesTr")
    made = validation[validation.index("-o") + 1]
    assert made != "pseudo" and report[report.index("--pseudo-dwi") + 1] == made
    assert validation[-2:] == ["-device", "cpu"]


def test_pseudo_dwi_of_test_scans_with_truth_goes_into_their_report(house):
    (house.raw / "labelsTs").mkdir()
    predict, report = _synthesize(house, "imagesTs")
    assert predict[:7] == f"nnUNetv2_predict -d 18 -c 2d -tr {TRAINER}".split()
    assert report[report.index("--pred") + 1] == predict[predict.index("-o") + 1]
    assert report[report.index("--gt") + 1] == str(house.raw / "labelsTs")


@pytest.mark.parametrize("elsewhere", [True, False])
def test_scans_of_nowhere_and_uncertainty_lead_to_the_lesions(house, tmp_path, elsewhere):
    images = tmp_path / "scans" if elsewhere else house.raw / "imagesTs"
    if elsewhere:
        shutil.rmtree(house.raw)
    more = () if elsewhere else ("--uncertainty",)
    words = ("synthesize", "-m", house.model, "-i", images, "-o", "out", *more)
    (predict,) = _checked(synthesize.next_commands(_parsed(*words)))
    assert predict[0] == "nnUNetv2_predict" and str(images) in predict


def test_lesions_are_predicted_by_the_folds_that_are_trained(house, on_cpu):
    def words(**more) -> list[str]:
        return [str(w) for w in predict_command(house.model, Path("i"), Path("o"), **more)]

    expected = f"nnUNetv2_predict -d 18 -c 2d -tr {TRAINER} -i i -o o -f 0 1"
    assert words() == [*expected.split(), "-device", "cpu"]
    assert words(device="cuda") == expected.split()
    house.train("5")  # the paper's split, on the same scans
    assert words(device="cuda", probabilities=True) == [*expected.split(), "--save_probabilities"]
    assert words(device="cuda", folds=["5"])[-1] == "5"


def test_model_elsewhere_is_named_by_its_folder(house, monkeypatch, tmp_path):
    monkeypatch.setenv("nnUNet_results", str(tmp_path / "other"))
    words = [*predict_command(house.model, Path("i"), Path("o"), device="cuda")]
    assert words[:3] == ["nnUNetv2_predict_from_modelfolder", "-m", house.model]
    monkeypatch.delenv("nnUNet_results")
    assert predict_command(house.model, Path("i"), Path("o"))[0] == words[0]


def test_further_plans_are_named(house):
    model = house.model.with_name(f"{TRAINER}__nnUNetPlans_18__2d")
    house.train("all", model=model)
    words = [*predict_command(model, Path("i"), Path("o"), device="cuda")]
    assert words[words.index("-p") + 1] == "nnUNetPlans_18" and words[-1] == "all"


def test_card_is_used_where_there_is_one(on_cpu, monkeypatch):
    assert device_option("cuda") == [] and device_option("mps") == ["-device", "mps"]
    assert device_option(None) == ([] if Path("/dev/kfd").exists() else ["-device", "cpu"])
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert device_option(None) == []


def test_data_set_is_found_beside_the_images_or_by_the_model(house, tmp_path):
    assert data_set_folder(house.model, house.raw / "imagesTs") == house.raw
    assert data_set_folder(house.model, tmp_path / "scans") == house.raw
    assert data_set_folder(tmp_path / "Dataset099_X" / "model") is None


def test_predictions_belong_to_a_model_only_if_it_is_the_only_one(house, tmp_path):
    assert model_of_predictions(tmp_path) is None
    (tmp_path / "plans.json").write_text(json.dumps({"dataset_name": DATASET}))
    assert model_of_predictions(tmp_path) == house.model
    house.train("0", model=house.model.with_name("nnUNetTrainer__nnUNetPlans__2d"))
    assert model_of_predictions(tmp_path) is None


def test_newest_model_reads_the_channels(house):
    wang = PRESETS["wang2020"].names
    later = house.model.with_name("Later__nnUNetPlans__2d")
    house.train("0", model=later)
    shutil.copy(house.model / "dataset.json", later)
    os.utime(later / "fold_0" / "checkpoint_final.pth", (4e9, 4e9))
    assert newest_model([wang]) == later and newest_model([wang[::-1]]) is None
    (later / "dataset.json").write_text("broken")
    assert newest_model([wang]) == house.model


def test_maps_lead_to_the_lesion_by_the_newest_model(house):
    words = "maps ctp.nii.gz -o out/maps --frame-s 1.5 --aif 1 2 3".split()
    (predict,) = _checked([maps.next_command(_parsed(*words))])
    assert predict[:5] == ["strokesynth", "predict", "ctp.nii.gz", "-m", str(house.model)]
    assert predict[predict.index("--aif") + 1 :][:3] == ["1", "2", "3"]
    assert predict[predict.index("--frame-s") + 1] == "1.5"
    assert predict[predict.index("-o") + 1] == "out/maps_lesion"


def test_maps_without_a_model_lead_to_the_converter(house):
    shutil.rmtree(house.model)
    assert maps.next_command(_parsed("maps", "c.nii", "-o", "maps")) == CONVERT_NEXT
    check_command(list(CONVERT_NEXT))


def test_demo_leads_to_its_page_a_patient_and_the_evaluation(tmp_path):
    folders = demo.Folders(tmp_path)
    for case in ("case_2", "case_1"):
        (folders.phantom / "TESTING" / case).mkdir(parents=True)
    commands = demo.next_commands(_parsed("demo", tmp_path, "--folds", "3"), folders)
    page, predict, evaluate = _checked(commands)
    assert page[-1] == (tmp_path / "report.html").as_uri()
    assert predict[2] == str(folders.phantom / "TESTING" / "case_1")
    assert predict[-2:] == ["-device", "cpu"]
    assert evaluate[evaluate.index("-f") + 1 :][:3] == ["0", "1", "2"]


def test_missing_rows_of_a_table_are_run_next(world, capsys, caplog):
    """Nothing is left to be run of the named row, and the six others are missing."""
    caplog.set_level("INFO")
    done = "StrokeSynthTrainer_SegUNet"
    world.finish(done)
    world.evaluate(done, dice=[0.5] * 10)
    words = ["reproduce", "table3", "--rows", done, "--epochs", "2", "-device", "cpu"]
    assert main([*words, "-o", str(world.out), "--folds", "0", "1", "2", "3", "4"]) == 0
    again, picture = next_commands("\n".join(caplog.messages))
    args = _parsed(*again[1:])
    assert len(args.rows) == 6 and done not in args.rows
    assert (args.epochs, args.device, args.output) == (2, "cpu", world.out)
    assert picture[-1].endswith("table3.png")


def test_report_says_how_to_show_the_pseudo_dwi(tiny, caplog):
    """``synthesize -i imagesTs`` and then ``report`` of the cross-validation."""
    caplog.set_level("INFO")
    case = next((tiny.raw / "labelsTr").iterdir())
    for path in (tiny.raw / "imagesTs" / "test_001_0000.nii.gz", tiny.root / "pseudo/test_001.nii"):
        path.parent.mkdir()
        shutil.copy(case, path)
    output = tiny.root / "report.html"
    assert main(tiny.options("--pseudo-dwi", tiny.root / "pseudo")) == 0
    assert "holds the pseudo-DWI of test scans" in caplog.text
    page, validation, report = next_commands("\n".join(caplog.messages))
    assert page[-1] == output.as_uri()
    made = _parsed(*validation[1:])
    assert made.validation and made.images == tiny.raw / "imagesTr" and made.model == tiny.model
    shown = _parsed(*report[1:])
    assert shown.pseudo_dwi == made.output != tiny.root / "pseudo"
    assert (shown.output, shown.overwrite) == (output, True)


@pytest.fixture
def measured(house, write_volume, blobs) -> House:
    """Two trained folds with three validation scans each, and their probabilities."""
    for k in range(6):
        gt, name = blobs(k) > 0.5, f"case_{k:03d}"
        write_volume(gt.astype(np.uint8), house.raw / "labelsTr" / f"{name}.nii.gz")
        probs = np.clip(blobs(k) + 0.1 * (blobs(k + 20) - 0.3), 0, 1).astype(np.float32)
        folder = house.model / f"fold_{k % 2}" / "validation"
        write_volume((probs > 0.5).astype(np.uint8), folder / f"{name}.nii.gz")
        np.savez_compressed(folder / f"{name}.npz", probabilities=np.stack([1 - probs, probs]))
    return house


def test_from_the_evaluation_to_the_final_lesions_by_the_printed_lines(
    measured, caplog, monkeypatch, tmp_path, quick_figures
):
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO")

    def run(*words: object) -> list[list[str]]:
        caplog.clear()
        assert main(list(map(str, words))) == 0
        return next_commands("\n".join(caplog.messages))

    gt, model = measured.raw / "labelsTr", measured.model
    folds = ("-f", 0, 1)
    report, tune = run("evaluate", "--gt", gt, "--pred", model, *folds, "-o", "evaluation")
    assert _parsed(*report[1:]).models == [model] and tune[tune.index("-f") + 1 :][:2] == ["0", "1"]
    predict, postprocess = run(*tune[1:], "--workers", "1")
    assert predict[:7] == f"nnUNetv2_predict -d 18 -c 2d -tr {TRAINER}".split()
    assert "--save_probabilities" in predict
    # There are no test scans to predict here: the validation's probabilities stand in for them.
    postprocess[postprocess.index("-i") + 1] = str(model)
    (evaluate,) = run(*postprocess[1:], "--workers", "1")
    (picture,) = run(*evaluate[1:], "--workers", "1")
    assert picture[-1] == (tmp_path / "evaluation_postprocessed" / "summary.md").as_uri()


def test_tuning_without_test_scans_is_applied_to_what_it_was_tuned_on(
    measured, caplog, monkeypatch, tmp_path, quick_figures
):
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO")
    shutil.rmtree(measured.raw / "imagesTs")
    words = ["tune", "-m", measured.model, "--gt", measured.raw / "labelsTr", "-o", "p.json"]
    assert main([*map(str, words), "-f", "0", "1", "--workers", "1"]) == 0
    (postprocess,) = next_commands("\n".join(caplog.messages))
    assert _parsed(*postprocess[1:]).input == measured.model


def test_final_lesions_without_known_truth_end_the_way(measured, caplog, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO")
    rule = {"strokesynth_postprocessing": 1, "threshold": 0.5, "min_size": 0, "unit": "mL"}
    for about in ({}, {"tuned_on": {"gt": str(tmp_path / "nowhere")}}):
        Path("rule.json").write_text(json.dumps(rule | about))
        words = ["postprocess", "-i", str(measured.model), "-p", "rule.json", "-o", "out"]
        assert main([*words, "--workers", "1", "--overwrite"]) == 0
    assert caplog.text.count("no true lesions of these cases are known") == 2
