"""Our quick way to load a model and to predict is nnU-Net's: the same numbers, in one pass."""

import inspect
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

from benchmarks.fuzz.small_model import NAMES, write_model
from nnunetv2_strokesynth.dataloading.dwi_scaling import BRAIN, PAPER
from nnunetv2_strokesynth.dataloading.pseudo_dwi_record import (
    REAL_DWI,
    PseudoDwiRecord,
    read_record,
    write_record,
)
from nnunetv2_strokesynth.inference import predictor as loading
from nnunetv2_strokesynth.inference.heads import attach_head
from nnunetv2_strokesynth.inference.lesion import predict_lesion
from nnunetv2_strokesynth.inference.predictor import load_predictor, own_trainer
from nnunetv2_strokesynth.inference.synthesis import synthesize_channels, synthesize_folder
from nnunetv2_strokesynth.nnunet_commands import trainers_folder
from nnunetv2_strokesynth.nnunet_ext import strokesynth_trainers
from nnunetv2_strokesynth.papers.gomez2023.mri_subsets import SUBSET_TRAINERS

CPU, SPACING = torch.device("cpu"), (8.0, 6.0, 6.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Two folds of a tiny network with different weights."""
    folder = tmp_path_factory.mktemp("model")
    write_model(folder / "m")
    first, second = folder / "m" / "fold_0", folder / "m" / "fold_1"
    second.mkdir()
    checkpoint = torch.load(first / "checkpoint_final.pth", weights_only=False)
    weights = checkpoint["network_weights"]
    checkpoint["network_weights"] = {
        key: value * 1.5 if value.is_floating_point() else value for key, value in weights.items()
    }
    torch.save(checkpoint, second / "checkpoint_final.pth")
    return folder / "m"


@pytest.fixture(scope="module")
def image():
    image = np.random.default_rng(0).normal(size=(len(NAMES), 3, 40, 36)).astype(np.float32)
    image[:, :, :3] = 0
    return image


@pytest.mark.parametrize("folds", [("0",), ("0", "1")])
def test_the_same_lesion_as_nnunets_own_predictor(model, image, folds):
    nnunets = nnUNetPredictor(device=CPU, allow_tqdm=False)
    nnunets.initialize_from_trained_model_folder(str(model), folds, "checkpoint_final.pth")
    labels, probabilities = nnunets.predict_single_npy_array(
        image, {"spacing": list(SPACING)}, None, None, True
    )
    ours = load_predictor(model, folds=folds, device=CPU)
    assert ours.allowed_mirroring_axes == nnunets.allowed_mirroring_axes == (0, 1)
    found = predict_lesion(ours, image, SPACING, folds=folds, with_pseudo_dwi=True)
    assert np.array_equal(found.lesion, labels == 1) and 0 < found.lesion.mean() < 1
    assert np.array_equal(found.probability, probabilities[1].astype(np.float32))
    assert set(found.fold_voxels) == (set(folds) if len(folds) > 1 else set())


def test_one_pass_gives_the_pseudo_dwi_of_two(model, image, monkeypatch):
    predictor = load_predictor(model, device=CPU)
    network, passes = predictor.network, []
    monkeypatch.setattr(network.generator, "forward", _counted(network.generator, passes))
    found = predict_lesion(predictor, image, SPACING, folds=("0", "1"), with_pseudo_dwi=True)
    together = len(passes)
    assert predictor.network is network and not network.return_heads
    assert predictor.label_manager.num_segmentation_heads == 2
    alone = predict_lesion(predictor, image, SPACING)
    assert len(passes) == 2 * together and alone.pseudo_dwi is None
    assert np.array_equal(alone.lesion, found.lesion)
    attach_head(predictor)
    expected = synthesize_channels(predictor, image, {"spacing": list(SPACING)})[0]
    assert np.array_equal(found.pseudo_dwi, expected) and expected.std() > 0


def _counted(module, passes):
    original = module.forward

    def forward(x):
        passes.append(1)
        return original(x)

    return forward


def test_our_trainers_are_found_without_the_others(monkeypatch):
    monkeypatch.setenv("nnUNet_extTrainer", str(trainers_folder()))
    for name, trainer in vars(strokesynth_trainers).items():
        if inspect.isclass(trainer) and name not in SUBSET_TRAINERS:
            assert own_trainer(name) is trainer
    assert own_trainer("nnUNetTrainer") is None
    monkeypatch.setenv("nnUNet_extTrainer", f"/mine:{trainers_folder()}")
    assert own_trainer("StrokeSynthTrainer") is None


class _RunsCode:
    def __reduce__(self):
        return (print, ("this must never be called",))


# What is wrong with a whole archive -> what the error says of it.
CONTENTS = {
    "an object that runs code": (lambda content: {**content, "extra": _RunsCode()}, "run code"),
    "no trainer": (
        lambda content: {key: content[key] for key in content if key != "trainer_name"},
        "lacks trainer_name",
    ),
    "a list": (lambda content: [content], "lacks network_weights"),
    "other weights": (
        lambda content: {**content, "network_weights": {"a": torch.zeros(1)}},
        "cannot be loaded",
    ),
}


@pytest.mark.parametrize("content", CONTENTS)
def test_a_checkpoint_that_cannot_be_used_is_named(content, model, tmp_path, capsys):
    change, said = CONTENTS[content]
    shutil.copytree(model, tmp_path / "m")
    path = tmp_path / "m" / "fold_0" / "checkpoint_final.pth"
    torch.save(change(torch.load(path, weights_only=False)), path)
    with pytest.raises(ValueError, match=said) as error:
        load_predictor(tmp_path / "m", folds=("0",), device=CPU)
    assert str(tmp_path / "m") in str(error.value) and "never" not in capsys.readouterr().out


def test_other_trainers_are_left_to_nnunet(model, monkeypatch):
    monkeypatch.setattr(loading, "own_trainer", lambda name: None)
    assert load_predictor(model, device=CPU).trainer_name == "StrokeSynthTrainer"


def test_images_of_another_scale_are_not_kept_under_one_record(model, tmp_path):
    """The folder has one record, which said the last model's scale of all images."""
    predictor = load_predictor(model, folds=("0",), device=CPU)
    attach_head(predictor)
    out = tmp_path / "out"
    out.mkdir()
    (out / "case_1.nii.gz").touch()
    write_record(out, PseudoDwiRecord.now(PAPER, REAL_DWI))
    with pytest.raises(FileExistsError, match=r"another model .*'paper'.* now 'brain'.*overwrite"):
        synthesize_folder(predictor, _scan(tmp_path), out)
    assert read_record(out).scale == PAPER
    synthesize_folder(predictor, tmp_path / "images", out, overwrite=True)
    assert read_record(out).scale == BRAIN


def _scan(folder):
    """``images`` with the channels of one small scan."""
    noise = np.random.default_rng(1).normal(30, 10, (len(NAMES), 2, 34, 34)).astype(np.float32)
    (folder / "images").mkdir()
    for k, channel in enumerate(noise):
        image = sitk.GetImageFromArray(channel)
        image.SetSpacing(SPACING[::-1])
        sitk.WriteImage(image, str(folder / "images" / f"case_1_{k:04d}.nii.gz"))
    return folder / "images"
