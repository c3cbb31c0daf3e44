"""An arena with few outlines: who keeps an outline, what each arm learns from, what is compared."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.arena import agreement, few_outlines, few_readers
from benchmarks.arena.data import NAME
from benchmarks.arena.few_data import (
    choose,
    few_of,
    make_all_outlined,
    make_outlines_only,
    make_source,
)
from benchmarks.arena.few_table import outlines_page, results_page
from benchmarks.arena.settings import Settings
from nnunetv2_strokesynth.outlining.reader_data import scans_of
from nnunetv2_strokesynth.reproduction.data_set import Roots, find_data_set

PLANS = {
    "plans_name": "nnUNetPlans",
    "configurations": {
        "2d": {"batch_size": 99, "architecture": {"arch_kwargs": {"features_per_stage": [32, 64]}}}
    },
}
PATIENTS = {f"case_{n:03d}": f"train_{n // 2:02d}" for n in range(1, 31)}


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from([*PATIENTS]), st.integers(0, 9), min_size=4), st.data())
def test_patients_are_taken_whole(drawn, data):
    patients = {case_id: str(patient) for case_id, patient in drawn.items()}
    n_outlined = data.draw(st.integers(1, len(patients) - 1))
    try:
        chosen = choose(patients, n_outlined, None)
    except ValueError as error:
        assert "whole patients make" in str(error)
        return
    assert len(chosen.outlined) == n_outlined
    assert sorted([*chosen.outlined, *chosen.pairs]) == sorted(patients)
    both = {patients[c] for c in chosen.outlined} & {patients[c] for c in chosen.pairs}
    assert not both


def test_a_smaller_number_is_part_of_a_larger_one():
    small, large = choose(PATIENTS, 10, 6), choose(PATIENTS, 20, 8)
    assert len({*small.outlined} - {*large.outlined}) <= 1
    assert len(small.pairs) == 6 and len(choose(PATIENTS, 10, None).pairs) == 20
    with pytest.raises(ValueError, match="whole patients make 20 scans, wanted are 21"):
        choose(PATIENTS, 10, 21)


@pytest.fixture
def arena(tmp_path):
    """An arena's folder as ``make_data`` leaves it, with one channel and images of one voxel."""
    raw, prepared = (tmp_path / f"nnUNet_{kind}" / NAME for kind in ("raw", "preprocessed"))
    voxel = sitk.GetImageFromArray(np.ones((1, 1, 1), np.uint8))
    for case_id in (*PATIENTS, "test_001"):
        side = "Ts" if case_id == "test_001" else "Tr"
        for path in (
            f"images{side}/{case_id}_0000",
            f"labels{side}/{case_id}",
            f"targets{side}/{case_id}",
        ):
            (raw / path).parent.mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(voxel, str(raw / f"{path}.nii.gz"))
    content = {"channel_names": {"0": "CT"}, "file_ending": ".nii.gz", "numTraining": 30}
    content["labels"] = {"background": 0, "lesion": 1}
    (raw / "dataset.json").write_text(json.dumps(content))
    with (raw / "conversion_report.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["case_id", "patient", "split", "lesion_volume_ml"])
        rows.writerows([c, p, "train", f"{n}"] for n, (c, p) in enumerate(PATIENTS.items()))
        rows.writerow(["test_001", "", "test", ""])
    for inner in ("nnUNetPlans_2d", "gt_segmentations"):
        (prepared / inner).mkdir(parents=True)
    for name in ("dataset", "nnUNetPlansArena", "splits_final"):
        (prepared / f"{name}.json").write_text("{}")
    (tmp_path / "phantom").mkdir()
    return tmp_path


def splits_in(root):
    return json.loads((root / "nnUNet_preprocessed" / NAME / "splits_final.json").read_text())


def test_arms_differ_in_what_trains_and_in_nothing_else(arena):
    few = few_of(arena, 10, 12)
    make_outlines_only(few)
    make_all_outlined(few)
    alone, every = splits_in(few.outlines_only), splits_in(few.all_outlined)
    assert {c for one in alone for c in one["val"]} == {*few.chosen.outlined}
    for one, other in zip(alone, every, strict=True):
        assert one["val"] == other["val"] and len(one["train"]) + len(one["val"]) == 10
        assert {*other["train"]} - {*one["train"]} == {*few.chosen.pairs}
        trained = {PATIENTS[c] for c in other["train"]}
        assert trained.isdisjoint(PATIENTS[c] for c in one["val"])
    for root in (few.outlines_only, few.all_outlined):
        assert (root / "nnUNet_preprocessed" / NAME / "nnUNetPlans_2d").resolve().is_dir()
        assert (root / "phantom").resolve() == arena / "phantom"


def test_the_source_hides_the_outlines_of_the_pairs(arena):
    few = few_of(arena, 10, 12)
    make_source(few)
    make_source(few_of(arena, 10, 6))  # a smaller number takes nothing away
    roots = Roots(*(few.readers / f"nnUNet_{kind}" for kind in ("raw", "preprocessed", "results")))
    data = find_data_set(17, roots)
    scans = scans_of(data)
    assert (scans.outlined, scans.unoutlined) == (few.chosen.outlined, few.chosen.pairs)
    assert data.case_ids("labelsTr") == few.chosen.outlined == data.case_ids("imagesTr")
    assert data.splits == few.splits and data.content["unoutlined"] == few.chosen.pairs
    assert data.patients == {c: PATIENTS[c] for c in (*scans.outlined, *scans.unoutlined)}
    with (data.raw / "conversion_report.csv").open(newline="") as file:
        volumes = {row["case_id"]: row["lesion_volume_ml"] for row in csv.DictReader(file)}
    assert not any(volumes[c] for c in scans.unoutlined) and all(volumes[c] for c in scans.outlined)


class StandIn:
    """nnU-Net's commands as far as the readers' arena looks at what they write."""

    def __init__(self):
        self.commands = []

    def __call__(self, command, variables, *, log_file, shown):
        words = command[2:] if command[0] == "python" else command
        self.commands.append(words[0])
        roots = {
            kind: Path(variables[f"nnUNet_{kind}"]) for kind in ("raw", "preprocessed", "results")
        }
        number = words[words.index("-d") + 1] if "-d" in words else words[1]
        (name,) = (path.name for path in roots["raw"].glob(f"Dataset0{number}_*"))
        if words[0] == "nnUNetv2_plan_and_preprocess":
            folder = roots["preprocessed"] / name / "nnUNetPlans_2d"
            folder.mkdir(parents=True)
            for path in (roots["raw"] / name / "labelsTr").iterdir():
                (folder / path.name.replace(".nii.gz", ".pkl")).touch()
            (folder.parent / "nnUNetPlans.json").write_text(json.dumps(PLANS))
        elif words[0] == "nnUNetv2_train":
            plans = json.loads((roots["preprocessed"] / name / "nnUNetPlans.json").read_text())
            assert plans["configurations"]["2d"]["batch_size"] == Settings().batch_size
            model = f"{words[words.index('-tr') + 1]}__nnUNetPlans__2d"
            folder = roots["results"] / name / model / f"fold_{words[3]}" / "validation"
            folder.mkdir(parents=True)
            (folder / "summary.json").touch()
        elif words[0] == "nnUNetv2_predict":
            folder = Path(words[words.index("-o") + 1])
            folder.mkdir(parents=True)
            for path in Path(words[words.index("-i") + 1]).iterdir():
                case_id = path.name[: -len("_0000.nii.gz")]
                lesion = np.full((1, 1, 1), 0.9, np.float32)
                np.savez(folder / f"{case_id}.npz", probabilities=np.stack([1 - lesion, lesion]))
                shutil.copy(path, folder / f"{case_id}.nii.gz")


def test_the_pairs_of_a_fold_are_outlined_once(arena, monkeypatch):
    stand_in = StandIn()
    monkeypatch.setattr(few_readers, "run_command", stand_in)
    scans = [{"case": f"case_{n}", "vendor": "AB"[n % 2]} for n in range(1, 31)]
    (arena / "phantom" / "phantom.json").write_text(json.dumps({"cases": {"TRAINING": scans}}))
    few = few_of(arena, 10, 12)
    make_source(few)
    wanted = few_readers.ReaderSettings(2, 0.7, 1, "cpu")
    for _ in range(2):
        few_readers.make_machine(few, 3, Settings(), wanted)
    assert stand_in.commands == [
        "nnUNetv2_plan_and_preprocess",
        *["nnUNetv2_train", "nnUNetv2_predict"] * 2,
        "nnUNetv2_preprocess",
    ]
    root = few.machine(3, 0.7)
    made = {f"{case_id}_f3" for case_id in few.chosen.pairs}
    splits = splits_in(root)
    assert [{*one["train"]} & made for one in splits] == [set()] * 3 + [made] + [set()]
    assert [one["val"] for one in splits] == [one["val"] for one in few.splits]
    labels = {path.name[:-7] for path in (root / "nnUNet_raw" / NAME / "labelsTr").iterdir()}
    assert labels == made | {*few.chosen.outlined}
    rows = pd.read_csv(root / "readers.csv")
    assert rows["scan"].tolist() == few.chosen.pairs and (rows["dice"] == 1).all()
    assert rows["brier"].to_numpy() == pytest.approx(0.01) and {*rows["vendor"]} == {"A", "B"}
    few_readers.make_machine(few, 3, Settings(), wanted._replace(min_agreement=0.0))
    assert stand_in.commands.count("nnUNetv2_train") == 2  # another arm, the same readers
    assert few_readers.trained_readers(few, 3, "cpu").readers.all[1].number == 1


def run_rows(arm, method, dice, *, fold=0, pairs=12):
    rows = [
        {"outlined": 10, "pairs": 0 if arm == "outlines_only" else pairs, "learned_from": arm,
         "predictions": method, "fold": fold, "case_id": case_id, "dice": value, "seconds": 60.0,
         "hausdorff_mm": 5.0, "checkpoint": "final"}
        for case_id, value in zip("ab", dice, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_two_comparisons_with_stock():
    scans = pd.concat(
        [
            run_rows("outlines_only", "stock", (0.3, 0.5)),
            run_rows("machine_0.7", "stock", (0.4, 0.6)),
            run_rows("machine_0.7", "no_dwi", (0.45, 0.65)),
            run_rows("machine_0.7", "no_dwi", (0.9, 0.9), fold=1),  # stock has no such fold
        ],
        ignore_index=True,
    )
    rows = [line.split(" | ")[3:8] for line in results_page(scans).splitlines()[2:]]
    assert rows == [
        ["stock", "0", "40.0 ± 14.1", "", ""],
        ["stock", "0", "50.0 ± 14.1", "+10.0 [+10.0 to +10.0]", ""],
        ["no_dwi", "0, 1", "72.5 ± 7.1", "+15.0 [+15.0 to +15.0]", "+5.0 [+5.0 to +5.0]"],
    ]


def test_machine_outlines_that_are_used_stand_apart():
    frame = pd.DataFrame(
        {"outlined": 10, "pairs": 2, "learned_from": "machine_0.7", "fold": 0,
         "agreement": [0.9, 0.5], "dice": [0.8, 0.4], "verdict": ["used", "left out"]}
    )  # fmt: skip
    (row,) = outlines_page(frame).splitlines()[2:]
    assert row.strip("| ").split(" | ")[4:] == ["2", "0.70", "60.0", "1", "80.0", "80.0"]


def test_a_higher_threshold_uses_fewer_and_better_outlines():
    frame = pd.DataFrame(
        {"agreement": [0.9, 0.62, 1.0], "dice": [0.8, 0.4, 0.0], "found": [True, True, False],
         "voxels": [30, 10, 60]}
    )  # fmt: skip
    cells = [line.strip("| ").split(" | ") for line in agreement.table(frame).splitlines()[2:]]
    found = {own[0]: own[1:] for own in cells}
    assert found["0.6"] == ["67", "60.0", "50 %", "0.0", "40"]
    assert found["0.65"] == ["33", "80.0", "0 %", "20.0", "30"]


def test_readers_are_asked_about_dwis_as_the_converter_writes_them(tmp_path):
    """Without the mask, the noise around the head changes what nnU-Net normalises by."""
    dwi, one_map, found = (tmp_path / f"{name}.nii.gz" for name in ("dwi", "map", "found"))
    rng = np.random.default_rng(0)
    values = rng.uniform(1, 2, (2, 4, 4)).astype(np.float32)
    brain = np.zeros((2, 4, 4), np.float32)
    brain[:, 1:3, 1:3] = 7
    for path, array in ((dwi, values), (one_map, brain)):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((2.0, 2.0, 5.0))
        sitk.WriteImage(image, str(path))
    agreement.write_as_converted(dwi, [one_map], found)
    image = sitk.ReadImage(str(found))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), values * (brain > 0))
    assert image.GetSpacing() == (2.0, 2.0, 5.0)


def test_arms_are_read_from_their_folders(arena):
    folder = arena / "few" / "outlined_010" / "pairs_012" / "machine_0.7_fold_0"
    folder.mkdir(parents=True)
    pd.DataFrame({"scan": ["case_001"], "dice": [0.5]}).to_csv(folder / "readers.csv", index=False)
    (row,) = few_outlines.all_outlines(arena).to_dict("records")
    assert (row["outlined"], row["pairs"], row["learned_from"]) == (10, 12, "machine_0.7")
