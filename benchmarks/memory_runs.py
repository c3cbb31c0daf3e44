"""The commands whose memory is measured, and the scans they are given.

ISLES 2018: 256 x 256 pixels and up to 8 slices (phantoms of 64 x 64, each voxel repeated: what a
command takes hardly depends on what is in the image). ISLES 2024: two patients of 512 x 512 x 80
voxels and 50 frames (``benchmarks.full_size``), converted with ``--downsample 2``.
"""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np

from benchmarks import full_size

SIZES = ("2018", "2024")
TRAINER = "StrokeSynthTrainer"
SMALL, REPEATS = "--cases 4 --test-cases 1 --size 64 --max-slices 8 --workers 1", 4


class Run(NamedTuple):
    """One command.

    Attributes:
        name: in the table.
        line: what is run; words with ``*`` become the first such path.
        needs: a file without which it must not be run; None: it is run anyway.
        codes: exit codes of a success.
        anew: a file that is removed first, because the command would find it up to date.
    """

    name: str
    line: str
    needs: Path | None = None
    codes: tuple[int, ...] = (0,)
    anew: Path | None = None

    @property
    def words(self) -> list[str]:
        """Program and arguments."""
        return [min(glob.glob(word), default=word) for word in self.line.split()]


def _nnunet_runs(root: Path, number: int, part: str) -> list[Run]:
    """From the converted data set to a model.

    Without the statistics that ``convert`` writes, nnU-Net's planning would take 23 GB.
    """
    name = f"Dataset{number:03d}_X"
    statistics = root / f"nnUNet_preprocessed/{name}/dataset_fingerprint.json"
    return [
        Run("fingerprint", f"strokesynth fingerprint -d {number}", anew=statistics),
        Run("nnUNetv2_plan_and_preprocess -np 2",
            f"nnUNetv2_plan_and_preprocess -d {number} -c 2d -np 2", needs=statistics),
        Run("nnUNetv2_train", f"nnUNetv2_train {number} 2d 0 -tr {TRAINER} --npz -device cpu"),
        Run("nnUNetv2_predict", f"nnUNetv2_predict -d {number} -c 2d -tr {TRAINER} -f 0 "
            f"-device cpu -i {root}/nnUNet_raw/{name}/{part} -o {root}/predicted"),
    ]  # fmt: skip


def _model_runs(root: Path, model: Path, raw: Path, images: str) -> list[Run]:
    """What is done with a model that has trained and validated fold 0."""
    lesions, one_fold = raw / "labelsTr", "-f 0 --allow-missing"
    return [
        Run("synthesize", f"strokesynth synthesize -m {model} -device cpu -i {raw}/{images} "
            f"-o {root}/dwi"),
        Run("calibrate", f"strokesynth calibrate -m {model} --gt {lesions} {one_fold} "
            "--coverage 0.3 --overwrite"),
        Run("evaluate", f"strokesynth evaluate --gt {lesions} --pred {model} {one_fold} "
            f"--workers 1 -o {root}/evaluation --overwrite"),
        Run("tune", f"strokesynth tune -m {model} --gt {lesions} {one_fold} --workers 1 "
            f"-o {root}/postprocessing.json --overwrite"),
        Run("postprocess", f"strokesynth postprocess -i {model} -f 0 --workers 1 "
            f"-p {root}/postprocessing.json -o {root}/postprocessed --overwrite"),
        Run("report", f"strokesynth report -m {model} --raw {raw} --workers 1 "
            f"-o {root}/report.html --overwrite"),
    ]  # fmt: skip


def runs_2018(root: Path) -> list[Run]:
    """From phantoms to a page, in the order in which they need each other."""
    scans, raw = root / "scans", root / "nnUNet_raw/Dataset018_X"
    model = root / f"nnUNet_results/{raw.name}/{TRAINER}__nnUNetPlans__2d"
    case, truth = scans / "TESTING/case_1", root / "phantom/perfusion_truth"
    return [
        Run("info", "strokesynth info"),
        Run("phantom", f"strokesynth phantom {root}/phantom --cases 1 --max-slices 8 --truth "
            "--workers 1 --overwrite"),
        Run("score-maps", f"strokesynth score-maps {truth}/* {truth}/*"),
        Run("doctor", f"strokesynth doctor {scans} --workers 1", codes=(0, 1)),
        Run("maps", f"strokesynth maps {case}/*4DPWI*/*.nii -o {root}/maps --overwrite"),
        Run("convert", f"strokesynth convert isles2018 {scans} -d 18 --name X --folds 2 "
            "--workers 1 --overwrite"),
        *_nnunet_runs(root, 18, "imagesTs"),
        Run("predict", f"strokesynth predict {case} -m {model} -f 0 -device cpu -o {root}/lesion "
            "--overwrite"),
        *_model_runs(root, model, raw, "imagesTs"),
        Run("demo", f"strokesynth demo {root}/demo"),
    ]  # fmt: skip


def runs_2024(root: Path) -> list[Run]:
    """Two patients at the release's own size; ``predict`` has the model of the smaller scans."""
    scans, raw = root / "patients", root / "nnUNet_raw/Dataset024_X"
    model = root / f"nnUNet_results/{raw.name}/{TRAINER}__nnUNetPlans__2d"
    smaller = root.parent / f"2018/nnUNet_results/Dataset018_X/{TRAINER}__nnUNetPlans__2d"
    series = f"{scans}/derivatives/*1/ses-01/*_ctp.nii.gz"
    return [
        Run("maps", f"strokesynth maps {series} -o {root}/maps --overwrite"),
        Run("convert", f"strokesynth convert isles2024 {scans} -d 24 --name X --folds 2 "
            "--workers 1 --downsample 2 --overwrite"),
        Run("predict", f"strokesynth predict {series} -m {smaller} -f 0 -device cpu "
            f"-o {root}/lesion --overwrite"),
        Run("doctor", f"strokesynth doctor {scans} --workers 1 --convert --downsample 2",
            codes=(0, 1)),
        *_nnunet_runs(root, 24, "imagesTr"),
        *_model_runs(root, model, raw, "imagesTr"),
    ]  # fmt: skip


def enlarge(source: Path, target: Path, repeats: int) -> None:
    """Copy a phantom with each voxel repeated along x and y; ``target`` comes last.

    Args:
        source: folder with NIfTI files; what else is in it is copied as it is.
        target: where it goes.
        repeats: how often along each axis.
    """
    parts = target.with_name(f"{target.name}_parts")
    shutil.copytree(source, parts)
    for path in parts.rglob("*.nii"):
        image = nibabel.load(path)
        array = np.asarray(image.dataobj).repeat(repeats, axis=0).repeat(repeats, axis=1)
        affine = image.affine @ np.diag([1 / repeats, 1 / repeats, 1, 1])
        large = nibabel.Nifti1Image(array, affine, image.header)
        large.header.set_zooms([zoom / repeats if k < 2 else zoom
                                for k, zoom in enumerate(image.header.get_zooms())])  # fmt: skip
        del image  # it may lie in the file that is replaced
        nibabel.save(large, path)
    parts.rename(target)


def second_patient(scans: Path) -> None:
    """The first patient's files once more, as links, under another name."""
    first, second = "sub-stroke0001", "sub-stroke0002"
    for path in sorted(scans.rglob(f"*{first}*.nii.gz")):
        other = Path(str(path).replace(first, second))
        other.parent.mkdir(parents=True, exist_ok=True)
        if not other.exists():
            os.link(path, other)


def prepared(root: Path, size: str, run: Callable[[list[str], Path], object]) -> list[Run]:
    """Make the scans, if they are missing.

    Args:
        root: folder for everything.
        size: one of ``SIZES``.
        run: runs a command (words, file for its output).

    Returns:
        What is run on them.
    """
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (root / name).mkdir(parents=True, exist_ok=True)
    if size == "2024":
        if not (root / "patients" / "raw_data").is_dir():
            full_size.write_patient(root / "patients", full_size.FULL)
        second_patient(root / "patients")
        return runs_2024(root)
    if not (root / "scans").is_dir():
        words = ["strokesynth", "phantom", str(root / "small"), *SMALL.split()]
        run(words, root / "logs" / "small_phantom.txt")
        enlarge(root / "small", root / "scans", REPEATS)
    return runs_2018(root)
