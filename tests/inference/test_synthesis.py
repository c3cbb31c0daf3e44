"""Pseudo-DWI export: the inverse of nnU-Net's preprocessing, and its errors."""

import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from scipy.ndimage import binary_erosion
from torch import nn

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.inference.heads import SynthesisHead
from nnunetv2_strokesynth.inference.synthesis import (
    build_predictor,
    synthesize_case,
    synthesize_folder,
)
from nnunetv2_strokesynth.inference.validation_scans import synthesize_validation
from nnunetv2_strokesynth.papers.clerigues2019.trainers import Clerigues2019Trainer
from nnunetv2_strokesynth.papers.shared.network_plans import adapted_plans
from nnunetv2_strokesynth.papers.wang2020.table_trainers import StrokeSynthTrainer_SynthL1

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def predictor(pipeline):
    return build_predictor(pipeline.model, folds=("0", "1"), device=CPU, mirroring=False)


class _ReturnsItsInput(nn.Module):
    """In place of the network: the "pseudo-DWI" is one input channel, the "feature" a constant."""

    def __init__(self, channel):
        super().__init__()
        self.channel = channel

    def synthesize(self, image):
        return image[:, self.channel : self.channel + 1], torch.full_like(image[:, :1], 7.0)

    def load_state_dict(self, state_dict, *args, **kwargs):
        return None


def test_round_trip_gives_the_input_back(pipeline, predictor, monkeypatch, tmp_path):
    """A smooth CT through nnU-Net's preprocessing and its inverse here, up to interpolation."""
    for path in (pipeline.raw / "imagesTs").glob("test_001_*.nii.gz"):
        shutil.copy(path, tmp_path)
    files = sorted(str(path) for path in tmp_path.iterdir())
    reference = sitk.ReadImage(files[0])
    brain = sitk.GetArrayFromImage(reference) != 0
    intensity = predictor.plans_manager.foreground_intensity_properties_per_channel["0"]
    _, y, x = np.indices(brain.shape)
    wave = 0.8 * np.sin(x / 6.0) * np.cos(y / 7.0)  # in standard deviations of the CT's foreground
    ct = sitk.GetImageFromArray(
        ((intensity["mean"] + intensity["std"] * wave) * brain).astype(np.float32)
    )
    ct.CopyInformation(reference)
    sitk.WriteImage(ct, files[0])

    monkeypatch.setattr(predictor, "network", SynthesisHead(_ReturnsItsInput(0)))
    returned, constant = synthesize_case(predictor, files)
    assert returned.shape == brain.shape
    inside = binary_erosion(brain, np.ones((1, 7, 7)))  # away from the edge, which is not smooth
    assert inside.sum() > 0.3 * brain.sum()
    np.testing.assert_allclose(returned[inside], wave[inside], atol=0.08)
    assert (constant[brain] > 6.9).mean() > 0.99
    assert not returned[constant == 0].any(), "outside nnU-Net's crop is 0"
    assert (constant == 0).any()


def test_ensemble_is_the_mean_of_the_folds(pipeline, predictor):
    files = sorted(str(path) for path in (pipeline.raw / "imagesTs").glob("test_001_*.nii.gz"))
    both = synthesize_case(predictor, files)
    single = []
    for fold in ("0", "1"):
        one = build_predictor(pipeline.model, folds=(fold,), device=CPU, mirroring=False)
        single.append(synthesize_case(one, files))
    assert not np.allclose(single[0], single[1], atol=1e-3)
    # nnU-Net adds logits up in half precision, whose steps are 2^-10 of a number.
    np.testing.assert_allclose(both, np.mean(single, axis=0), atol=2e-3, rtol=2**-10)


def test_output_has_the_geometry_of_the_input_and_is_not_made_twice(pipeline, predictor, tmp_path):
    images = pipeline.raw / "imagesTs"
    written = synthesize_folder(predictor, images, tmp_path, with_feature=True)
    assert [path.name for path in written] == ["test_001.nii.gz", "test_002.nii.gz"]
    for path in (written[0], tmp_path / "feature" / "test_001.nii.gz"):
        image = sitk.ReadImage(str(path))
        reference = sitk.ReadImage(str(images / "test_001_0000.nii.gz"))
        assert image.GetSize() == reference.GetSize()
        assert image.GetSpacing() == reference.GetSpacing()
        assert image.GetDirection() == reference.GetDirection()
    before = written[0].stat().st_mtime_ns
    synthesize_folder(predictor, images, tmp_path, with_feature=True)
    assert written[0].stat().st_mtime_ns == before


def test_demo_made_the_same_pseudo_dwi_as_the_model(pipeline, tmp_path):
    with_mirroring = build_predictor(pipeline.model, folds=("0", "1"), device=CPU)
    synthesize_folder(with_mirroring, pipeline.raw / "imagesTs", tmp_path)
    for path in tmp_path.glob("*.nii.gz"):
        demo = sitk.GetArrayFromImage(sitk.ReadImage(str(pipeline.out / "pseudo_dwi" / path.name)))
        ours = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        np.testing.assert_allclose(ours, demo, atol=2e-3)


def test_missing_channel_is_named(pipeline, predictor, tmp_path):
    for path in list((pipeline.raw / "imagesTs").glob("test_001_*.nii.gz"))[:11]:
        shutil.copy(path, tmp_path)
    with pytest.raises(ValueError, match=r"test_001.*11 channels.*12: CT, CBF"):
        synthesize_folder(predictor, tmp_path, tmp_path / "out")


def test_folder_without_a_model(tmp_path):
    with pytest.raises(FileNotFoundError, match="plans.json"):
        build_predictor(tmp_path, device=CPU)


def test_missing_checkpoint_and_fold_are_named(pipeline):
    with pytest.raises(FileNotFoundError, match=r"no fold in .* has nothing\.pth"):
        build_predictor(pipeline.model, checkpoint="nothing.pth", device=CPU)
    with pytest.raises(FileNotFoundError, match="fold_4 is missing; -f names one of 0, 1"):
        build_predictor(pipeline.model, folds=("4",), device=CPU)


def _untrained_model(folder, tmp_path, trainer_class, plans, configuration="2d"):
    """A model folder with a fresh network of the trainer's, built from the plans.

    ``folder`` has the ``dataset.json``.
    """
    name = trainer_class.__name__
    model = tmp_path / f"{name}__nnUNetPlans__{configuration}"
    (model / "fold_0").mkdir(parents=True)
    shutil.copy(folder / "dataset.json", model)
    (model / "plans.json").write_text(json.dumps(plans))
    manager = PlansManager(plans)
    n_channels = len(json.loads((folder / "dataset.json").read_text())["channel_names"])
    network = trainer_class.build_network_architecture(
        manager, manager.get_configuration(configuration), n_channels, 2, False
    )
    checkpoint = {
        "trainer_name": name,
        "init_args": {"configuration": configuration},
        "network_weights": network.state_dict(),
    }
    torch.save(checkpoint, model / "fold_0" / "checkpoint_final.pth")
    return model


def test_stock_model_has_no_generator(pipeline, tmp_path):
    plans = json.loads((pipeline.model / "plans.json").read_text())
    model = _untrained_model(pipeline.model, tmp_path, nnUNetTrainer, plans)
    with pytest.raises(ValueError, match="nnUNetTrainer has no generator"):
        build_predictor(model, device=CPU)


def test_without_an_extractor_there_is_a_pseudo_dwi_and_no_feature(pipeline, tmp_path):
    plans = json.loads((pipeline.model / "plans.json").read_text())
    plans = adapted_plans(plans, "2d", side_multiple=32, base_features=4)
    model = _untrained_model(pipeline.model, tmp_path, StrokeSynthTrainer_SynthL1, plans)
    predictor = build_predictor(model, device=CPU, mirroring=False)
    images = pipeline.raw / "imagesTs"
    with pytest.raises(ValueError, match="SynthL1 has no extractor.*--feature"):
        synthesize_folder(predictor, images, tmp_path / "out", with_feature=True)
    written = synthesize_folder(predictor, images, tmp_path / "out")
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(written[0]))).any()


@pytest.fixture
def monte_carlo_model(pipeline, data_sets, tmp_path):
    """An untrained Clerigues2019Trainer, and the test scans that it reads."""
    name = "Dataset021_ISLES2018_CLERIGUES"
    raw = pipeline.out / "nnUNet_raw" / name
    plans_file = pipeline.out / "nnUNet_preprocessed" / name / "nnUNetPlans.json"
    plans = json.loads(plans_file.read_text())
    plans = Clerigues2019Trainer._own_plans(plans, "2d_patch64")
    torch.manual_seed(0)
    model = _untrained_model(raw, tmp_path, Clerigues2019Trainer, plans, "2d_patch64")
    return model, raw / "imagesTs"


def test_uncertainty_is_the_spread_of_the_passes(monte_carlo_model, tmp_path):
    model, images = monte_carlo_model
    predictor = build_predictor(model, device=CPU, mirroring=False, uncertainty=True)
    image = torch.randn(10, 1, 64, 64)
    (found,) = predictor.predict_logits_from_preprocessed_data(image)
    network = predictor.network.network
    with torch.no_grad():
        lesion = network.sample_probabilities(image[:, 0][None])[:, 0, 1].numpy()
    np.testing.assert_allclose(found[0].numpy(), lesion.std(axis=0), atol=1e-5, rtol=2e-3)
    assert 0 < found.max() <= 0.5


def test_uncertainty_command(monte_carlo_model, tmp_path):
    model, images = monte_carlo_model
    words = f"synthesize -m {model} -i {images} -o {tmp_path / 'out'} -device cpu --uncertainty"
    assert main(words.split()) == 0
    written = sorted(path.name for path in (tmp_path / "out").rglob("*.nii.gz"))
    assert written == ["test_001.nii.gz", "test_002.nii.gz"]
    volume = sitk.ReadImage(str(tmp_path / "out" / "uncertainty" / "test_001.nii.gz"))
    reference = sitk.ReadImage(str(images / "test_001_0000.nii.gz"))
    assert volume.GetSize() == reference.GetSize()
    values = sitk.GetArrayFromImage(volume)
    assert values.min() >= 0 and 0 < values.max() <= 0.5


def test_no_uncertainty_without_dropout_and_no_pseudo_dwi_without_a_generator(
    pipeline, monte_carlo_model
):
    with pytest.raises(ValueError, match="StrokeSynthTrainer does not predict with dropout"):
        build_predictor(pipeline.model, device=CPU, uncertainty=True)
    with pytest.raises(ValueError, match="Clerigues2019Trainer has no generator"):
        build_predictor(monte_carlo_model[0], device=CPU)


def test_validation_scans_come_from_the_fold_that_has_not_seen_them(pipeline, tmp_path):
    images, plain = pipeline.raw / "imagesTr", {"device": CPU, "mirroring": False}
    written = synthesize_validation(pipeline.model, images, tmp_path, **plain)
    splits = json.loads((pipeline.raw / "splits_final.json").read_text())
    by_fold = {fold: splits[int(fold)]["val"] for fold in ("0", "1")}
    assert sorted(path.name for path in written) == sorted(
        f"{case_id}.nii.gz" for case_ids in by_fold.values() for case_id in case_ids
    )
    folds = {fold: build_predictor(pipeline.model, folds=(fold,), **plain) for fold in by_fold}
    for fold, other in (("0", "1"), ("1", "0")):
        case_id = by_fold[fold][0]
        files = sorted(str(path) for path in images.glob(f"{case_id}_*.nii.gz"))
        found = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / f"{case_id}.nii.gz")))
        np.testing.assert_allclose(found, synthesize_case(folds[fold], files)[0], atol=2e-3)
        assert not np.allclose(found, synthesize_case(folds[other], files)[0], atol=1e-3)


@pytest.mark.parametrize(
    ("folds", "message"),
    [(["0", "4"], "no validation scans of fold 4"), (["all"], "no validation scans of its own")],
)
def test_fold_without_validation_scans_is_named(pipeline, tmp_path, folds, message):
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        synthesize_validation(pipeline.model, pipeline.raw / "imagesTr", tmp_path, folds=folds)
    assert not list(tmp_path.iterdir())


def test_validation_scan_without_images_is_named(pipeline, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no scan of case_\d+.* named like"):
        synthesize_validation(
            pipeline.model, pipeline.raw / "imagesTs", tmp_path, folds=["0"], device=CPU
        )
