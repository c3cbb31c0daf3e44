"""``strokesynth outline`` from pairs to a data set; nnU-Net's commands are replaced by a stand-in.

The stand-in's reader finds the bright block of the DWI and, beside it, one voxel for each scan that
it has learned from. So what an outline knows can be read off it.
"""

import csv
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.commands import outline
from nnunetv2_strokesynth.nnunet_commands import FOLDER_VARIABLES
from nnunetv2_strokesynth.reproduction import job_run, submission

SHAPE = (2, 24, 24)
SOURCE, NEW, READERS = (
    "Dataset018_Pairs",
    "Dataset118_Pairs_outlined",
    "Dataset119_Pairs_outlined_readers",
)
OUTLINED = [f"case_{number:03d}" for number in range(1, 7)]
UNOUTLINED = ["case_007", "case_008", "case_009", "case_010"]
UNSURE, NO_LESION, SAME_PATIENT = "case_008", "case_009", "case_010"  # the last: of case_001
PATIENTS = {case_id: case_id for case_id in OUTLINED + UNOUTLINED} | {SAME_PATIENT: "case_001"}


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.9, 0.8, 5.0))
    sitk.WriteImage(image, str(path))


def read(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def scan_of(case_id):
    """DWI and lesion; the lesion of ``NO_LESION`` is empty."""
    rng = np.random.default_rng(int(case_id[-3:]))
    lesion = np.zeros(SHAPE, dtype=np.uint8)
    if case_id != NO_LESION:
        lesion[0, 10:18, 10:18] = 1
    return (rng.uniform(50, 60, SHAPE) + 80 * lesion).astype(np.float32), lesion


@pytest.fixture
def world(tmp_path, monkeypatch):
    """nnU-Net's folders with six outlined scans of three folds and four that have no outline."""
    for name in FOLDER_VARIABLES:
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    raw = tmp_path / "nnUNet_raw" / SOURCE
    for case_id in OUTLINED + UNOUTLINED:
        dwi, lesion = scan_of(case_id)
        side = "Tr" if case_id in OUTLINED else "Un"
        write(raw / f"images{side}" / f"{case_id}_0000.nii.gz", dwi + 1)
        write(raw / f"targets{side}" / f"{case_id}.nii.gz", dwi)
        if case_id in OUTLINED:
            write(raw / "labelsTr" / f"{case_id}.nii.gz", lesion)
    splits = [
        {"train": [c for c in OUTLINED if c not in own], "val": own}
        for own in (OUTLINED[:2], OUTLINED[2:4], OUTLINED[4:])
    ]
    (raw / "splits_final.json").write_text(json.dumps(splits))
    content = {"name": "Pairs", "channel_names": {"0": "CT"}, "file_ending": ".nii.gz",
               "labels": {"background": 0, "lesion": 1}, "numTraining": 6,
               "unoutlined": UNOUTLINED, "orientation": "LPS"}  # fmt: skip
    (raw / "dataset.json").write_text(json.dumps(content))
    with (raw / "conversion_report.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["case_id", "patient", "split", "lesion_volume_ml"])
        for case_id, patient in PATIENTS.items():
            rows.writerow([case_id, patient, "train" if case_id in OUTLINED else "unoutlined", ""])
    stand_in = StandIn(tmp_path)
    monkeypatch.setattr(outline, "run_command", stand_in)
    return stand_in


class StandIn:
    """nnU-Net's commands as far as the command looks at what they write."""

    def __init__(self, root):
        self.root = root
        self.raw = root / "nnUNet_raw"
        self.commands = []
        self.fails_at = None
        self.untrained = False

    @property
    def new(self):
        return self.raw / NEW

    def __call__(self, command, variables, *, log_file, shown):
        self.commands.append(command[0])
        if len(self.commands) == self.fails_at:
            raise ValueError(f"{command[0]} failed")
        readers = self.raw / READERS
        prepared = self.root / "nnUNet_preprocessed" / READERS
        if command[0] == "nnUNetv2_plan_and_preprocess":
            (prepared / "nnUNetPlans_2d").mkdir(parents=True)
            shutil.copy(readers / "splits_final.json", prepared)
            for path in (readers / "labelsTr").iterdir():
                (prepared / "nnUNetPlans_2d" / path.name.replace(".nii.gz", ".pkl")).touch()
            return
        splits = json.loads((prepared / "splits_final.json").read_text())
        if command[0] == "nnUNetv2_train":
            number = int(command[3])
            name = f"{command[command.index('-tr') + 1]}__nnUNetPlans__2d"
            folder = self.root / "nnUNet_results" / READERS / name / f"fold_{number}" / "validation"
            for case_id in splits[number]["val"]:
                self.predict(readers / f"imagesTr/{case_id}_0000.nii.gz", folder, splits, number)
            (folder / "summary.json").touch()
            return
        assert command[0] == "nnUNetv2_predict"
        number, folder = int(command[command.index("-f") + 1]), command[command.index("-o") + 1]
        for image in (readers / "imagesTs").iterdir():
            self.predict(image, Path(folder), splits, number)

    def predict(self, image, folder, splits, number):
        """Probability 0.9 in the bright block, and 0.8 in the voxel of each scan learned.

        A reader that has hardly learned takes the dark for lesion, as any other such reader does.
        """
        case_id = image.name[: -len("_0000.nii.gz")]
        lesion = np.where((read(image) > 100) != self.untrained, 0.9, 0.0).astype(np.float32)
        if case_id == UNSURE and number:
            lesion = np.roll(lesion, 4 * number, axis=1)
        if lesion.any():
            for learned in splits[number]["train"]:
                lesion[1, 0, int(learned[-3:])] = 0.8
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / f"{case_id}.npz", probabilities=np.stack([1 - lesion, lesion]))
        write(folder / f"{case_id}.nii.gz", (lesion > 0.5).astype(np.uint8))


def run(*options):
    return main(["outline", "-d", "18", "-o", "118", "-device", "cpu", *options])


def splits_of(world):
    return json.loads((world.new / "splits_final.json").read_text())


def test_no_fold_learns_from_an_outline_that_knows_its_validation(world):
    assert run() == 0
    source = json.loads((world.raw / SOURCE / "splits_final.json").read_text())
    seen = set()
    for fold, split in enumerate(splits_of(world)):
        assert split["val"] == source[fold]["val"]  # no machine's outline validates
        machine = set(split["train"]) - set(OUTLINED)
        assert machine and all(case_id.endswith(f"_f{fold}") for case_id in machine)
        for case_id in machine:
            probability = read(world.new / "probabilitiesTr" / f"{case_id}.nii.gz")
            knows = {c for c in OUTLINED if probability[1, 0, int(c[-3:])] > 0}
            assert knows and knows.isdisjoint(source[fold]["val"])
            assert {PATIENTS[c[:8]] for c in machine}.isdisjoint(source[fold]["val"])
            seen |= knows
    assert seen == set(OUTLINED)  # else the assertion above could not fail


def test_what_nnunet_reads_is_complete(world):
    """Each case of the folds has images, label, DWI; each label belongs to a case; and no more."""
    assert run() == 0
    used = {c for split in splits_of(world) for c in (*split["train"], *split["val"])}
    for inner, ending in (("imagesTr", "_0000"), ("labelsTr", ""), ("targetsTr", "")):
        names = {path.name for path in (world.new / inner).iterdir()}
        assert names == {f"{case_id}{ending}.nii.gz" for case_id in used}
    content = json.loads((world.new / "dataset.json").read_text())
    assert content["numTraining"] == len(used) and "unoutlined" not in content
    machine = used - set(OUTLINED)
    assert set(content["machine_outlines"]) == set(content["scan_weights"]) == machine
    assert all(0.7 <= weight <= 1 for weight in content["scan_weights"].values())
    readers = content["outline_readers"]
    assert readers["warnings"] == [] and readers["scans"] == 6 and readers["dice"] > 0.9
    with (world.new / "conversion_report.csv").open(newline="") as file:
        patients = {row["case_id"]: row["patient"] for row in csv.DictReader(file)}
    assert patients == {c: PATIENTS[c[:8]] for c in (*used, UNSURE, NO_LESION)}
    label = read(world.new / "labelsTr" / "case_007_f0.nii.gz")
    probability = read(world.new / "probabilitiesTr" / "case_007_f0.nii.gz")
    assert np.array_equal(label, probability > 0.5) and label[0, 10:18, 10:18].all()
    assert np.array_equal(
        read(world.new / "imagesTr" / "case_007_f0_0000.nii.gz"), scan_of("case_007")[0] + 1
    )
    assert (world.new / "outlines_01.png").is_file()


def test_what_is_left_out_and_why(world, caplog):
    with caplog.at_level("INFO"):
        assert run() == 0
    with (world.new / "outlines.csv").open(newline="") as file:
        rows = {(row["scan"], int(row["fold"])): row["verdict"] for row in csv.DictReader(file)}
    assert {rows[UNSURE, fold] for fold in range(3)} == {"left out: the readers disagree"}
    assert {rows[NO_LESION, fold] for fold in range(3)} == {"left out: no lesion found"}
    assert rows[SAME_PATIENT, 0] == "left out: the fold validates on this patient"
    assert rows[SAME_PATIENT, 1] == rows[SAME_PATIENT, 2] == rows["case_007", 0] == "used"
    assert len(list((world.new / "outlines").iterdir())) == 4
    content = json.loads((world.new / "dataset.json").read_text())
    # What is left out still teaches the synthesis; but a validated patient's DWI teaches nothing.
    assert content["unoutlined_pairs"] == {UNSURE: [0, 1, 2], NO_LESION: [0, 1, 2]}
    for inner, ending in (("imagesUn", "_0000"), ("targetsUn", "")):
        names = {path.name for path in (world.new / inner).iterdir()}
        assert names == {f"{scan}{ending}.nii.gz" for scan in (UNSURE, NO_LESION)}
    assert "Dice" in caplog.text and "5 outlines used" in caplog.text


def test_an_agreement_of_zero_takes_what_the_readers_disagree_on(world):
    assert run("--min-agreement", "0") == 0
    assert (world.new / "labelsTr" / f"{UNSURE}_f0.nii.gz").is_file()
    assert not list((world.new / "labelsTr").glob(f"{NO_LESION}*"))


def test_readers_that_agree_and_are_wrong_are_refused(world, capsys):
    world.untrained = True
    assert run() == 2
    said = capsys.readouterr().err
    assert "on the 6 with an agreement of at least 0.7: 0.0" in said
    assert "expected at least 0.5" in said and "--min-dice 0" in said
    assert not world.new.exists()


def test_doubtful_outlines_say_so_wherever_they_are_named(world, caplog):
    world.untrained = True
    assert run("--min-dice", "0") == 0
    content = json.loads((world.new / "dataset.json").read_text())
    (warning,) = content["outline_readers"]["warnings"]
    assert content["outline_readers"]["agreeing_dice"] < 0.2
    assert "expected at least 0.7" in warning and f"warning: {warning}" in caplog.text
    with (world.new / "outlines.csv").open(newline="") as file:
        assert {row["warnings"] for row in csv.DictReader(file)} == {warning}
    with (world.new / "conversion_report.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["outline"] == "machine"]
    assert rows and {row["warnings"] for row in rows} == {warning}


def test_it_goes_on_where_it_was_cut_off(world):
    world.fails_at = 4  # plan, train 0, predict 0, train 1
    assert run() == 2
    assert not world.new.exists()
    world.fails_at, world.commands = None, []
    assert run() == 0
    assert world.commands == ["nnUNetv2_train", "nnUNetv2_predict"] * 2
    world.commands = []
    assert run() == 2 and not world.commands  # nothing is overwritten
    assert run("--overwrite") == 0 and not world.commands


def test_a_new_pair_is_outlined_by_the_readers_that_are_there(world):
    assert run() == 0
    world.commands = []
    raw = world.raw / SOURCE
    for kind, ending in (("images", "_0000"), ("targets", "")):
        folder = raw / f"{kind}Un"
        shutil.copy(folder / f"case_007{ending}.nii.gz", folder / f"case_011{ending}.nii.gz")
    assert run("--overwrite") == 0
    assert world.commands == ["nnUNetv2_predict"] * 3
    assert (world.new / "labelsTr" / "case_011_f0.nii.gz").is_file()


def test_other_outlines_need_other_readers(world, capsys):
    assert run() == 0
    dwi, lesion = scan_of("case_001")
    write(world.raw / SOURCE / "labelsTr" / "case_001.nii.gz", lesion[:, ::-1].copy())
    world.commands = []
    assert run("--overwrite") == 2
    assert "readers that were made otherwise (other files)" in capsys.readouterr().err
    assert run("--overwrite", "--new-readers") == 0
    assert world.commands[0] == "nnUNetv2_plan_and_preprocess"
    assert world.commands.count("nnUNetv2_train") == 3


def test_a_person_corrects_outlines(world, tmp_path):
    """His mask trains every fold, but for that of the same patient; the machine's is gone."""
    drawn = np.zeros(SHAPE, dtype=np.uint8)
    drawn[1, 3:7, 3:7] = 1
    write(tmp_path / "mine" / "case_007.nii.gz", drawn)
    write(tmp_path / "mine" / f"{NO_LESION}.nii.gz", np.zeros(SHAPE, dtype=np.uint8))
    write(tmp_path / "mine" / f"{SAME_PATIENT}.nii.gz", drawn)
    assert run("--corrections", str(tmp_path / "mine")) == 0
    assert np.array_equal(read(world.new / "labelsTr" / "case_007.nii.gz"), drawn)
    assert not list((world.new / "labelsTr").glob("case_007_f*"))
    train = [split["train"] for split in splits_of(world)]
    assert [SAME_PATIENT in own for own in train] == [False, True, True]
    assert all("case_007" in own and NO_LESION in own for own in train)
    content = json.loads((world.new / "dataset.json").read_text())
    assert content["corrected_outlines"] == ["case_007", NO_LESION, SAME_PATIENT]
    assert "case_007" not in content["scan_weights"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-tr", "StrokeSynthTrainer_RealDWI"], "nnU-Net's own trainers"),
        (["--min-agreement", "70"], "expected a number from 0 to 1"),
        (["--min-dice", "50"], "--min-dice 50.0: expected a number from 0 to 1"),
        (["--reader-id", "118"], "must differ"),
        (["--folds", "5"], "the data set has the folds 0 to 2"),
        (["--readers", "1"], "--readers 1: expected at least 2 for each fold"),
        (["--corrections", "nowhere"], "no NIfTI file in it"),
    ],
)
def test_options_that_cannot_be_used(world, options, said, capsys):
    assert run(*options) == 2
    assert said in capsys.readouterr().err
    assert not world.commands and not (world.raw / READERS).exists()


def test_a_correction_that_is_no_scan_or_fits_no_scan(world, tmp_path, capsys):
    write(tmp_path / "mine" / "case_001.nii.gz", np.zeros(SHAPE, dtype=np.uint8))
    assert run("--corrections", str(tmp_path / "mine")) == 2
    assert "case_001 is none of the scans without an outline" in capsys.readouterr().err
    (tmp_path / "mine" / "case_001.nii.gz").unlink()
    write(tmp_path / "mine" / "case_007.nii.gz", np.zeros((2, 24, 23), dtype=np.uint8))
    assert run("--corrections", str(tmp_path / "mine")) == 2
    assert "case_007" in capsys.readouterr().err and not world.new.exists()


def test_a_scan_that_is_outlined_and_unoutlined(world, capsys):
    raw = world.raw / SOURCE
    shutil.copy(raw / "targetsUn/case_007.nii.gz", raw / "labelsTr/case_007.nii.gz")
    assert run() == 2
    assert "among the training or test scans" in capsys.readouterr().err


def test_no_scan_without_an_outline(world, capsys):
    shutil.rmtree(world.raw / SOURCE / "targetsUn")
    assert run() == 2
    assert "convert the data set with --unoutlined" in capsys.readouterr().err


def test_only_some_folds(world):
    assert run("--folds", "1") == 0
    assert world.commands.count("nnUNetv2_train") == 2
    machine = [set(split["train"]) - set(OUTLINED) for split in splits_of(world)]
    assert not machine[0] and machine[1] and not machine[2]


@pytest.mark.parametrize("root", ["nnUNet_preprocessed", "nnUNet_results"])
def test_models_of_unknown_training_are_not_used(world, root, capsys):
    """Their folder in nnUNet_raw was deleted: they may have seen any outline."""
    assert run() == 0
    shutil.rmtree(world.raw / READERS)
    other = {"nnUNet_preprocessed", "nnUNet_results"} - {root}
    shutil.rmtree(world.root / other.pop() / READERS)
    world.commands = []
    assert run("--overwrite") == 2
    assert "nobody knows which outlines they have seen" in capsys.readouterr().err
    assert not world.commands and not (world.raw / READERS).exists()
    assert run("--overwrite", "--new-readers") == 0
    assert world.commands.count("nnUNetv2_train") == 3


class Inline:
    """submitit's executor, without processes."""

    def submit(self, function):
        function()
        return SimpleNamespace(job_id="1", result=lambda: None)


def test_jobs_for_a_cluster_write_the_same_data_set(world, monkeypatch, tmp_path):
    """Planning, each reader, the data set; the last job is the command itself."""
    pytest.importorskip("submitit")
    names = []

    def step(command, variables, *, log_file, shown):
        names.append(log_file.stem)
        if command[0] == "strokesynth":
            assert main(command[1:]) == 0
        else:
            world(command, variables, log_file=log_file, shown=shown)

    monkeypatch.setattr(job_run, "run_command", step)
    monkeypatch.setattr(submission, "_executor", lambda *_: Inline())
    world.fails_at = 4  # plan, train 0, predict 0, train 1
    assert run("--submit", "local", "--new-readers") == 2
    assert names[:3] == ["fingerprint", "plan", "train_reader_00"]
    assert not world.new.exists()
    world.fails_at, names[:] = None, []
    assert run("--submit", "local") == 0
    assert names[0] == "train_reader_01" and names[-1] == "write_data_set"
    assert not [name for name in names if name.endswith("_00") or name == "plan"]
    assert {path.name for path in (world.new / "labelsTr").iterdir()} >= {"case_007_f0.nii.gz"}


def test_readers_wait_for_planning_and_the_data_set_for_the_readers(world, slurm):
    pytest.importorskip("submitit")
    assert run("--submit", "slurm", "--slurm", "time=60") == 0
    found = slurm.batches()
    readers = [f"reader_{number:02d}" for number in range(3)]
    assert list(found) == ["plan", *readers, "write_data_set"]
    assert {found[name]["dependency"] for name in readers} == {"afterok:1"}
    assert found["write_data_set"]["dependency"] == "afterok:1:2:3:4"
    assert not world.commands
