"""Trained models and their data sets, for the commands that come next.

Only file names and JSON are read: a checkpoint is a pickle and is never opened here.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from nnunetv2_strokesynth.channels import names_in_order
from nnunetv2_strokesynth.commands.next_step import Words
from nnunetv2_strokesynth.io.text_files import read_json_object
from nnunetv2_strokesynth.trainers.checkpoint_damage import FINAL


def data_set_folder(model: Path, images: Path | None = None) -> Path | None:
    """The data set in ``nnUNet_raw`` that a model was trained on; None if it cannot be found.

    Args:
        model: ``.../Dataset018_ISLES2018/TRAINER__PLANS__CONFIGURATION``.
        images: a folder that may lie in it, such as ``imagesTs`` or ``labelsTr``.
    """
    if images is not None and (images.parent / "dataset.json").is_file():
        return images.parent
    raw = os.environ.get("nnUNet_raw")
    found = Path(raw) / model.resolve().parent.name if raw else None
    return found if found is not None and found.is_dir() else None


def newest_model(channels: Collection[tuple[str, ...]]) -> Path | None:
    """The model in ``nnUNet_results`` that was trained last and reads given channels, if any.

    Args:
        channels: names in order; the model reads any of these.
    """
    results = os.environ.get("nnUNet_results")
    checkpoints = Path(results).glob(f"*/*/fold_*/{FINAL}") if results else ()
    newest_first = sorted(checkpoints, key=lambda path: path.stat().st_mtime, reverse=True)
    models = (path.parents[1] for path in newest_first)
    return next((model for model in models if _channels_of(model) in channels), None)


def _channels_of(model: Path) -> tuple[str, ...] | None:
    try:
        content = read_json_object(model / "dataset.json", way_out="copy it again")
        return names_in_order(content["channel_names"])
    except (OSError, ValueError, KeyError, AttributeError):
        return None


def model_of_predictions(predictions: Path) -> Path | None:
    """The model that ``nnUNetv2_predict`` may have used for a folder; None if several could be it.

    nnU-Net writes the data set's name, but not the model's, beside its predictions.
    """
    plans, results = predictions / "plans.json", os.environ.get("nnUNet_results")
    if not (plans.is_file() and results):
        return None
    try:
        dataset = str(read_json_object(plans, way_out="predict again").get("dataset_name", ""))
    except (OSError, ValueError):  # only a hint depends on it
        return None
    trained = Path(results, dataset).glob(f"*/fold_*/{FINAL}") if dataset else ()
    models = {path.parents[1] for path in trained}
    return models.pop() if len(models) == 1 else None


def predict_command(
    model: Path,
    images: Path,
    output: Path,
    *,
    folds: Sequence[str] | None = None,
    device: str | None = None,
    probabilities: bool = False,
) -> Words:
    """nnU-Net's own command for the lesions of a folder of scans.

    Args:
        model: the trained model's folder.
        images: scans in nnU-Net format.
        output: folder for the lesions.
        folds: None: those that are trained, without a sixth one of another split.
        device: None: CUDA where there is an NVIDIA or AMD card, else the CPU.
        probabilities: whether the probabilities are written, too.
    """
    trained = sorted(path.parent.name[5:] for path in model.glob(f"fold_*/{FINAL}"))
    first_five = [fold for fold in trained if fold in ("0", "1", "2", "3", "4")]
    words = [*_names_of(model), "-i", images, "-o", output]
    words += ["-f", *(folds or first_five or trained or ["0"])]
    words += ["--save_probabilities"] if probabilities else []
    return [*words, *device_option(device)]


def validation_command(model: Path, raw: Path, output: Path, *, device: str | None = None) -> Words:
    """The command that writes the pseudo-DWI of a model's validation scans.

    Args:
        model: the trained model's folder.
        raw: the data set's folder in ``nnUNet_raw``.
        output: folder for the pseudo-DWI.
        device: see ``predict_command``.
    """
    words = ["strokesynth", "synthesize", "-m", model, "-i", raw / "imagesTr", "-o", output]
    return [*words, "--validation", *device_option(device)]


def device_option(device: str | None) -> list[str]:
    """``-device`` for a command whose default is CUDA; empty where that is right."""
    if device is None:
        has_card = shutil.which("nvidia-smi") or Path("/dev/kfd").exists()
        device = "cuda" if has_card else "cpu"
    return [] if device == "cuda" else ["-device", device]


def _names_of(model: Path) -> Words:
    """The command that finds a model by its names, or by its folder if it lies elsewhere."""
    folder, results = model.resolve(), os.environ.get("nnUNet_results")
    dataset = re.fullmatch(r"Dataset(\d{3})_.+", folder.parent.name)
    names = folder.name.split("__")
    is_there = bool(results) and folder.parents[1] == Path(results).resolve()
    if not (is_there and dataset and len(names) == 3):
        return ["nnUNetv2_predict_from_modelfolder", "-m", model]
    trainer, plans, configuration = names
    words = ["nnUNetv2_predict", "-d", int(dataset[1]), "-c", configuration, "-tr", trainer]
    return words if plans == "nnUNetPlans" else [*words, "-p", plans]
