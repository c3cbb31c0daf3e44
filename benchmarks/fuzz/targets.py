"""The commands that are fuzzed: their words, further options, and what they have to leave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.fuzz import readers
from nnunetv2_strokesynth.nnunet_commands import FOLDER_VARIABLES

RAW = "Dataset018_X"
"""Of a data set in nnU-Net's folders."""


class Target(NamedTuple):
    """One command and its inputs.

    Attributes:
        command: of ``strokesynth``.
        words: its options; ``{}`` stands for the folder with the inputs.
        further: options that a trial may add, each a text of one or several words.
        expected: files below the output after success.
        out: the output, below the folder with the inputs.
        own: beginnings of further paths there that the command may write.
        codes: exit codes of a success.
        spoiled: pattern of the files that are damaged; empty: all, images for training seldom.
        resumes: whether finished files may stay where a later one cannot be made.
    """

    command: str
    words: str
    further: Sequence[str]
    expected: Sequence[str]
    out: str = "out"
    own: tuple[str, ...] = ()
    codes: tuple[int, ...] = (0,)
    spoiled: str = ""
    resumes: bool = False


MAPS = ("cbf.nii.gz", "cbv.nii.gz", "mtt.nii.gz", "tmax.nii.gz", "maps.json")
_OF_DICOM = ("--frame-s 1", "--brain-mask {}/brain.nii.gz", "--aif 12 12 1", "--series 1.2.3",
             "--no-motion-correction", "--dicom")  # fmt: skip
_OF_MODEL = ("-f 0", "-f 3", "-chk checkpoint_best.pth", "--frame-s nan", "--aif 99 0 0", "--pdf",
             "--brain-mask {}/scan/nothing.nii", "--disable_tta", "--dicom")  # fmt: skip


TARGETS: dict[str, Target] = {
    "maps": Target(
        "maps",
        "maps {}/ctp.nii.gz -o {}/out",
        (
            "--frame-s 1", "--frame-s 0", "--frame-s -1", "--frame-s nan", "--frame-s 1e9",
            "--brain-mask {}/brain.nii.gz", "--aif 12 12 1", "--aif 99 0 0", "--vof -1 2 0",
            "--method tikhonov", "--no-aif-scaling",
        ),
        MAPS,
    ),
    "enhanced": Target("maps", "maps {}/study -o {}/out", _OF_DICOM, MAPS),
    "legacy": Target("maps", "maps {}/study -o {}/out", _OF_DICOM, MAPS),
    "predict": Target(
        "predict",
        "predict {}/scan -m {}/model -o {}/out -device cpu",
        _OF_MODEL,
        ("lesion.nii.gz", "probability.nii.gz", "result.json", "report.html"),
    ),
    "outline": Target(
        "outline",
        "outline -d 18 -o 118 -device cpu",
        (
            "--folds 0", "--folds 7", "--readers 1", "--min-agreement nan", "--min-agreement 0",
            "--corrections {}/drawn", "--new-readers", "-tr StrokeSynthTrainer", "--reader-id 118",
        ),
        ("dataset.json", "splits_final.json", "outlines.csv", "outlines_01.png"),
        out=f"nnUNet_raw/{readers.NEW}",
        own=(
            f"nnUNet_preprocessed/{readers.NEW}",  # statistics for nnU-Net's planning
            *(f"{root}/{readers.READERS}" for root in FOLDER_VARIABLES),
        ),
    ),
    "evaluate": Target(
        "evaluate",
        "evaluate --gt {}/raw/labelsTr --pred {}/pred -o {}/out --workers 1",
        (
            "--allow-missing", "--compare {}/prob", "--names A", "--names A B", "-f 0",
            "--dwi {}/raw/targetsTr --pseudo-dwi {}/pseudo", "--images {}/raw/imagesTr",
            "--dwi {}/raw/targetsTr --pseudo-dwi {}/pseudo --images {}/raw/imagesTr", "--seed -1",
        ),
        ("cases.csv", "summary.md", "summary.json"),
    ),
    "tune": Target(
        "tune",
        "tune --gt {}/raw/labelsTr --prob {}/prob -o {}/out/tuned.json --workers 1",
        (
            "--thresholds 0.3 0.5", "--thresholds 0", "--thresholds nan", "--thresholds 0.5 0.5",
            "--sizes-ml 0 0.5", "--sizes-voxels -1", "--sizes-voxels nan", "--sizes-ml inf",
            "--allow-missing", "-f 0",
        ),
        ("tuned.json", "tuned.png"),
    ),
    "postprocess": Target(
        "postprocess",
        "postprocess -i {}/prob -p {}/rule.json -o {}/out --workers 1",
        ("-f 0",),
        ("postprocessing_strokesynth.json",),
    ),
    "report": Target(
        "report",
        "report -m {}/model --raw {}/raw -o {}/out/report.html --workers 1",
        (
            "--pseudo-dwi {}/pseudo", "--dwi {}/raw/targetsTr", "--names A",
            "--pred {}/pred --gt {}/raw/labelsTr", "--images {}/raw/imagesTr",
        ),
        ("report.html",),
    ),
    "doctor": Target(
        "doctor",
        "doctor {}/scans --json {}/out.json --workers 1",
        ("--quick", "--kind isles2018", "--kind isles2024", "--convert --compute-maps",
         "--convert --skip-incomplete"),
        (),
        codes=(0, 1),
    ),
    "synthesize": Target(
        "synthesize",
        "synthesize -m {}/model -i {}/images -o {}/out -device cpu",
        ("-f 0", "-f 3", "-chk checkpoint_best.pth", "--feature", "--uncertainty", "--validation",
         "--disable_tta"),
        ("pseudo_dwi.json",),
        resumes=True,
    ),
    "calibrate": Target(
        "calibrate",
        "calibrate -m {}/model --gt {}/raw/labelsTr --coverage 0.5",
        ("-f 0", "-f 9", "--coverage nan", "--coverage 0", "--coverage 1", "--allow-missing",
         "--pseudo-dwi {}/pseudo", "--overwrite"),
        ("",),
        out="model/strokesynth_calibration.json",
        own=("model/strokesynth_calibration.json",),
    ),
    "fingerprint": Target(
        "fingerprint",
        "fingerprint -d 18",
        ("-d 18 18", "-d 19", "-d 0", "-d -1"),
        ("dataset_fingerprint.json",),
        out=f"nnUNet_preprocessed/{RAW}",
        spoiled=".",
    ),
    "score-maps": Target(
        "score-maps",
        "score-maps {}/maps {}/truth -o {}/out/scores.csv",
        ("-o {}/truth/case_1/truth.json", "--overwrite"),
        ("scores.csv",),
    ),
    "reproduce": Target(
        "reproduce",
        "reproduce table3 --only-table --folds 0 1 2 -device cpu -o {}/table",
        ("--folds paper", "--folds 7", "--folds all", "--folds x", "--epochs 3", "--dataset 19",
         "--also nnUNetTrainer", "--also nothing", "--dry-run"),
        ("table3.md", "table3.csv", "table3.png"),
        out="table",
        own=("table/table3", "table/reproduce.json"),
        spoiled=r"\.(csv|json|txt)$",
    ),
    "patients": Target(
        "maps",
        "maps {}/patients -o {}/out --no-motion-correction --method svd",
        ("--frame-s 1", "--frame-s nan", "--aif 12 12 1", "--overwrite"),
        ("patients.csv",),
        own=("out",),
        codes=(0, 1),
        spoiled=r"^patients|\.(csv|json)$",
        resumes=True,
    ),
    "phantom": Target(
        "phantom",
        "phantom {}/out --cases 1 --size 32 --max-slices 2 --workers 1",
        ("--overwrite", "--truth", "--no-dwi", "--layout isles2017", "--size 8", "--cases 0"),
        ("phantom.json",),
        own=("out",),
        spoiled=r"out/phantom\.json$",
        resumes=True,
    ),
    "convert": Target(
        "convert",
        "convert isles2018 {}/scans -d 18 --name X --folds 2 --workers 1",
        ("--overwrite", "--folds 3", "--folds 0", "--plots", "--patients {}/patients.csv",
         "--preset clerigues2019", "--no-brain-mask", "--skip-broken"),
        ("dataset.json", "splits_final.json", "conversion_report.csv"),
        out=f"nnUNet_raw/{RAW}",
        own=(f"nnUNet_raw/{RAW}", f"nnUNet_preprocessed/{RAW}"),
        spoiled=r"\.(csv|json)$",  # of an earlier conversion, and the patients
        resumes=True,
    ),
}  # fmt: skip
