"""Small valid inputs of each command, made once; a trial spoils a copy of them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk

from benchmarks.fuzz import further, readers
from benchmarks.fuzz.enhanced import write_enhanced
from benchmarks.fuzz.targets import RAW, TARGETS
from nnunetv2_strokesynth import cli
from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.commands import outline
from nnunetv2_strokesynth.nnunet_commands import FOLDER_VARIABLES

SHAPE, SPACING_XYZ = (2, 24, 24), (4.0, 4.0, 8.0)
CASES = ("case_001", "case_002", "case_003")


def write_image(array: np.ndarray, path: Path) -> None:
    """A volume (Z, Y, X) as NIfTI."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING_XYZ)
    sitk.WriteImage(image, str(path))


def _lesion(number: int) -> np.ndarray:
    lesion = np.zeros(SHAPE, np.uint8)
    lesion[0, 6 : 9 + number, 8:14] = 1
    return lesion


def build(base: Path, names: Sequence[str] = tuple(TARGETS)) -> None:
    """Write the inputs of some targets: ``base/TARGET/...``."""
    release = base / "release"
    for number in (1, 2):
        _isles2018_scan(release / "TRAINING" / f"case_{number}", number)
    scan = release / "TRAINING" / "case_1"
    makers: dict[str, Callable[[Path], None]] = {
        "maps": lambda folder: _maps(folder, scan),
        "enhanced": lambda folder: _enhanced(folder, scan, legacy=False),
        "legacy": lambda folder: _enhanced(folder, scan, legacy=True),
        "predict": lambda folder: _scan_and_model(folder, scan),
        "outline": _readers,
        "evaluate": _predictions,
        "tune": _predictions,
        "postprocess": _predictions,
        "report": _model_and_raw,
        "doctor": lambda folder: shutil.copytree(release, folder / "scans"),
        "synthesize": lambda folder: _scans_and_model(folder, scan),
        "calibrate": _model_and_raw,
        "fingerprint": lambda folder: _raw(folder / "nnUNet_raw" / RAW),
        "score-maps": lambda folder: further.truth(folder, scan),
        "reproduce": _reproduced,
        "patients": lambda folder: _patients(folder, release / "TRAINING"),
        "phantom": lambda folder: _ready(folder, "phantom"),
        "convert": lambda folder: _converted(folder, release),
    }
    for name in names:
        (base / name).mkdir()
        makers[name](base / name)
    shutil.rmtree(release)


def _head(number: int) -> dict[str, np.ndarray]:
    """A head whose artery, vein and tissue pass a bolus; arrays (X, Y, Z) and (X, Y, Z, T)."""
    random = np.random.default_rng(number)
    x, y, _ = np.meshgrid(*(np.linspace(-1, 1, n) for n in (32, 32)), range(2), indexing="ij")
    radius = np.hypot(x / 0.85, y / 0.95)
    brain, skull = radius < 0.85, (radius >= 0.85) & (radius < 1)
    time_s = np.arange(24) * 1.5

    def bolus(start_s: float, width_s: float) -> np.ndarray:
        passed = np.clip(time_s - start_s, 0, None) / width_s
        return passed**2 * np.exp(2 * (1 - passed))

    ct = np.where(brain, 35.0, np.where(skull, 900.0, -1000.0)) + random.normal(0, 2, x.shape)
    series = ct[..., None] + brain[..., None] * 6 * bolus(7, 6)
    series[14:16, 20:22] = 40 + 300 * bolus(5, 4)
    series[15:17, 5:7] = 40 + 350 * bolus(9, 5)
    maps = {"CBF": 50.0, "CBV": 4.0, "MTT": 5.0, "Tmax": 2.0}
    arrays = {name: (brain * random.uniform(0.7, 1.3, x.shape) * mean).astype(np.float32)
              for name, mean in maps.items()}  # fmt: skip
    lesion = np.zeros(x.shape, np.uint8)
    lesion[8 : 12 + number, 10:16, 0] = 1
    arrays["Tmax"] += 6 * lesion
    return {"CT": np.rint(ct).astype(np.int16), "CT_4DPWI": np.rint(series).astype(np.int16),
            "OT": lesion, **{f"CT_{name}": array for name, array in arrays.items()}}  # fmt: skip


def _isles2018_scan(case: Path, number: int) -> None:
    """One scan in the layout of the release."""
    for index, (name, array) in enumerate(_head(number).items()):
        stem = f"SMIR.Brain.XX.O.{name}.{345 + 10 * number + index}"
        (case / stem).mkdir(parents=True)
        image = nibabel.Nifti1Image(array, np.diag([6.0, 6.0, 8.0, 1.0]))
        image.header.set_xyzt_units("mm", "sec")
        if array.ndim == 4:
            image.header.set_zooms((6.0, 6.0, 8.0, 1.5))
        nibabel.save(image, case / stem / f"{stem}.nii")


def _series_of(scan: Path) -> Path:
    return next(scan.glob("*4DPWI*/*.nii"))


def _maps(folder: Path, scan: Path) -> None:
    image = nibabel.load(_series_of(scan))
    nibabel.save(image, folder / "ctp.nii.gz")
    mask = np.asarray(image.dataobj[..., 0]) > 0
    nibabel.save(nibabel.Nifti1Image(mask.astype(np.uint8), image.affine, image.header),
                 folder / "brain.nii.gz")  # fmt: skip
    (folder / "ctp.json").write_text(json.dumps({"RepetitionTime": 1.5}))


def _enhanced(folder: Path, scan: Path, *, legacy: bool) -> None:
    _maps(folder, scan)
    series = np.moveaxis(np.asarray(nibabel.load(folder / "ctp.nii.gz").dataobj), (3, 2), (0, 1))
    write_enhanced(folder / "study" / "ct.dcm", series.swapaxes(2, 3), 1.5, legacy=legacy)
    (folder / "ctp.nii.gz").unlink()
    (folder / "ctp.json").unlink()


def _scan_and_model(folder: Path, scan: Path) -> None:
    from benchmarks.fuzz.small_model import write_model  # imports PyTorch

    shutil.copytree(scan, folder / "scan")
    for path in (folder / "scan").glob("*.OT.*"):
        shutil.rmtree(path)
    write_model(folder / "model")


def _scans_and_model(folder: Path, scan: Path) -> None:
    """Two scans in nnU-Net's format for the model, which has validated one of them."""
    _scan_and_model(folder, scan)
    shutil.rmtree(folder / "scan")
    _raw(folder / "raw")
    (folder / "raw" / "imagesTr").rename(folder / "images")
    for path in folder.glob("images/case_003_*"):
        path.unlink()
    shutil.rmtree(folder / "raw")
    _write_prediction(folder / "model" / "fold_0" / "validation", 0, probabilities=False)


def _ready(folder: Path, name: str) -> None:
    """Run a target's command, so that a trial begins with its results."""
    words = [word.replace("{}", str(folder)) for word in TARGETS[name].words.split()]
    with as_stand_in(folder):
        if cli.main(words):
            raise RuntimeError(f"strokesynth {' '.join(words)} fails with whole inputs")


def _reproduced(folder: Path) -> None:
    """Two finished rows, and the settings of the run that has finished them."""
    further.reproduction(folder)
    _ready(folder, "reproduce")
    for path in (folder / "table").glob("table3.*"):
        path.unlink()


def _patients(folder: Path, scans: Path) -> None:
    """Two patients' series; the maps of one were made earlier."""
    for path in sorted(scans.iterdir()):
        (folder / "patients" / path.name).mkdir(parents=True)
        shutil.copy(_series_of(path), folder / "patients" / path.name / "ctp.nii")
    _ready(folder, "patients")
    shutil.rmtree(folder / "out" / "case_2")


def _converted(folder: Path, release: Path) -> None:
    """A release with its patients, and an earlier conversion of it."""
    shutil.copytree(release, folder / "scans")
    (folder / "patients.csv").write_text("case,patient\ncase_1,a\ncase_2,b\n")
    _ready(folder, "convert")


def _readers(folder: Path) -> None:
    """Where all readers have predicted, and one person has corrected an outline."""
    shutil.rmtree(folder)
    readers.write_pairs(folder)
    with as_stand_in(folder):
        if cli.main(TARGETS["outline"].words.split()):
            raise RuntimeError("strokesynth outline fails with whole inputs")
    new = folder / TARGETS["outline"].out
    shutil.copytree(new / "outlines", folder / "drawn")
    shutil.rmtree(new)


@contextlib.contextmanager
def as_stand_in(root: Path) -> Iterator[None]:
    """Within the context, ``root`` holds nnU-Net's folders, and its commands are not run."""
    run_command, variables = outline.run_command, dict(os.environ)
    outline.run_command = readers.Readers(root)
    for name in FOLDER_VARIABLES:
        (root / name).mkdir(exist_ok=True)
        os.environ[name] = str(root / name)
    try:
        yield
    finally:
        outline.run_command = run_command
        os.environ.clear()
        os.environ.update(variables)


def _raw(folder: Path) -> None:
    names = PRESETS["wang2020"].names
    random = np.random.default_rng(0)
    for number, case_id in enumerate(CASES):
        lesion = _lesion(number)
        write_image(lesion, folder / "labelsTr" / f"{case_id}.nii.gz")
        dwi = random.uniform(50, 60, SHAPE) + 80 * lesion
        write_image(dwi.astype(np.float32), folder / "targetsTr" / f"{case_id}.nii.gz")
        for channel in range(len(names)):
            image = random.uniform(1, 50, SHAPE).astype(np.float32)
            write_image(image, folder / "imagesTr" / f"{case_id}_{channel:04d}.nii.gz")
    content = {
        "channel_names": {str(index): name for index, name in enumerate(names)},
        "labels": {"background": 0, "lesion": 1},
        "numTraining": len(CASES),
        "file_ending": ".nii.gz",
        "orientation": "LPS",
    }
    (folder / "dataset.json").write_text(json.dumps(content))
    splits = [{"train": [c for c in CASES if c != own], "val": [own]} for own in CASES]
    (folder / "splits_final.json").write_text(json.dumps(splits))


def _probability(number: int) -> np.ndarray:
    random = np.random.default_rng(number)
    return np.where(_lesion(number) > 0, 0.8, 0.1).astype(np.float32) + random.uniform(
        -0.1, 0.1, SHAPE
    ).astype(np.float32)


def _write_prediction(folder: Path, number: int, *, probabilities: bool) -> None:
    probability = _probability(number)
    write_image((probability > 0.5).astype(np.uint8), folder / f"{CASES[number]}.nii.gz")
    if probabilities:
        both = np.stack([1 - probability, probability])
        np.savez_compressed(folder / f"{CASES[number]}.npz", probabilities=both)


def _predictions(folder: Path) -> None:
    _raw(folder / "raw")
    for number, case_id in enumerate(CASES):
        _write_prediction(folder / "pred", number, probabilities=False)
        _write_prediction(folder / "prob", number, probabilities=True)
        write_image(_probability(number), folder / "pseudo" / f"{case_id}.nii.gz")
    record = {"scale": "brain", "scale_version": 1, "learned": "DWI"}
    (folder / "pseudo" / "pseudo_dwi.json").write_text(json.dumps(record))
    rule = {"strokesynth_postprocessing": 1, "threshold": 0.4, "min_size": 5, "unit": "voxels",
            "tuned_on": {"gt": str(folder / "raw" / "labelsTr")}}  # fmt: skip
    (folder / "rule.json").write_text(json.dumps(rule))


def _model_and_raw(folder: Path) -> None:
    _predictions(folder)
    (folder / "model").mkdir()
    shutil.copy(folder / "raw" / "dataset.json", folder / "model")
    plans = {"dataset_name": "Dataset018_ISLES2018", "plans_name": "nnUNetPlans",
             "configurations": {"2d": {"patch_size": [32, 32]}}}  # fmt: skip
    (folder / "model" / "plans.json").write_text(json.dumps(plans))
    terms = "epoch,train/L_s,val/L_s\n0,3,4\n1,2,nan\n"
    for number in range(len(CASES)):
        fold = folder / "model" / f"fold_{number}"
        _write_prediction(fold / "validation", number, probabilities=False)
        (fold / "loss_terms.csv").write_text(terms)
