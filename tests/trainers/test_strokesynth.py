"""What StrokeSynthTrainer adds to nnU-Net: checks, targets, loss log, resuming."""

import csv
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from nnunetv2.run.load_pretrained_weights import load_pretrained_weights
from nnunetv2.run.run_training import get_trainer_from_args

from nnunetv2_strokesynth.evaluation.volumes import read_image
from nnunetv2_strokesynth.trainers.loss_log import TermMeans
from nnunetv2_strokesynth.trainers.strokesynth import StrokeSynthTrainer

SHORT = {
    "strokesynth_num_epochs": "2",
    "strokesynth_num_iterations_per_epoch": "1",
    "strokesynth_num_val_iterations_per_epoch": "1",
    "nnUNet_n_proc_DA": "1",
}


def _trainer(name="StrokeSynthTrainer"):
    return get_trainer_from_args("18", "2d", 0, name, device=torch.device("cpu"))


def _rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_three_dimensional_configurations_are_refused():
    configuration = SimpleNamespace(patch_size=(8, 64, 64))
    with pytest.raises(ValueError, match="configuration 2d"):
        StrokeSynthTrainer.build_network_architecture(None, configuration, 12, 2)


def test_wrong_number_of_channels_is_refused():
    configuration = SimpleNamespace(patch_size=(64, 64))
    with pytest.raises(ValueError, match="12 channels.*has 5"):
        StrokeSynthTrainer.build_network_architecture(None, configuration, 5, 2)


def test_wrong_channel_order_is_refused(nnunet_folders):
    trainer = _trainer()
    names = dict(trainer.dataset_json["channel_names"])
    names["0"], names["1"] = names["1"], names["0"]
    trainer.dataset_json["channel_names"] = names
    with pytest.raises(ValueError, match="preset wang2020"):
        trainer.initialize()


def _transform(trainer, kind):
    geometry = trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
    rotation, dummy_2d, _, mirror_axes = geometry
    patch = trainer.configuration_manager.patch_size
    found = trainer.get_training_transforms(patch, rotation, None, mirror_axes, dummy_2d)
    return next(part for part in found.transforms if isinstance(part, kind))


def test_heads_stay_upright(nnunet_folders):
    trainer = _trainer()
    assert np.abs(_transform(trainer, SpatialTransform).rotation).max() == np.deg2rad(30)
    mirror = _transform(trainer, MirrorTransform)
    assert mirror.allowed_axes == trainer.inference_allowed_mirroring_axes == (1,)
    batch = {"image": torch.arange(8.0).reshape(1, 2, 4), "segmentation": torch.zeros(1, 2, 4)}
    flipped = mirror.apply(batch, axes=mirror.allowed_axes)["image"][0]
    assert flipped[0].tolist() == [3, 2, 1, 0]  # x is turned round, y is not


def test_the_papers_trainer_keeps_nnunets_geometry(nnunet_folders):
    trainer = _trainer("StrokeSynthTrainer_Wang2020")
    assert _transform(trainer, MirrorTransform).allowed_axes == (0, 1)


def test_pretrained_weights_reach_generator_and_extractor(nnunet_folders):
    """nnU-Net's -pretrained_weights leaves out layers named seg_layers: the segmenter's last."""
    checkpoint = nnunet_folders.model / "fold_0" / "checkpoint_final.pth"
    expected = torch.load(checkpoint, weights_only=False)["network_weights"]
    trainer = _trainer("StrokeSynthTrainer_FineTune")
    trainer.initialize()
    load_pretrained_weights(trainer.network, str(checkpoint))
    found = trainer.network.state_dict()
    differing = [name for name, value in found.items() if not torch.equal(value, expected[name])]
    assert all(name.startswith("segmenter.decoder.seg_layers.") for name in differing)
    assert {name.split(".")[0] for name in found} == {"extractor", "generator", "segmenter"}


def test_model_is_predicted_with_the_normalisation_it_learned_from(nnunet_folders):
    """nnUNetv2_predict goes by the plans in the model's folder."""
    for model, scheme, folder in (
        (nnunet_folders.model, "CTNormalization", "nnUNetPlans_2d_physical"),
        (nnunet_folders.preprocessed / "nnUNetPlans.json", "ZScoreNormalization", "nnUNetPlans_2d"),
    ):
        file = model / "plans.json" if model.is_dir() else model
        planned = json.loads(file.read_text())["configurations"]["2d"]
        assert planned["normalization_schemes"][4] == scheme  # Tmax
        assert planned["normalization_schemes"][1] == "ZScoreNormalization"  # CBF
        assert planned["data_identifier"] == folder


def test_other_systems_keep_nnunets_normalisation(nnunet_folders):
    trainer = _trainer("StrokeSynthTrainer_Wang2020")
    assert trainer.preprocessed_dataset_folder.endswith("nnUNetPlans_2d")
    assert "CTNormalization" not in trainer.configuration_manager.normalization_schemes[1:]


def test_without_a_dwi_there_is_one_network(nnunet_folders):
    trainer = _trainer("StrokeSynthTrainer_NoDWI")
    trainer.initialize()
    assert {name.split(".")[0] for name in trainer.network.state_dict()} == {"segmenter"}


@pytest.fixture
def raw_copy(nnunet_folders, tmp_path, monkeypatch):
    """The raw data set's targets in a folder that a test may change; preprocessed data too."""
    raw = tmp_path / "raw" / nnunet_folders.raw.name
    raw.mkdir(parents=True)
    for name in ("imagesTr", "labelsTr"):
        (raw / name).symlink_to(nnunet_folders.raw / name)
    shutil.copytree(nnunet_folders.raw / "targetsTr", raw / "targetsTr")
    preprocessed = tmp_path / "preprocessed"
    shutil.copytree(
        nnunet_folders.preprocessed,
        preprocessed / nnunet_folders.preprocessed.name,
        ignore=shutil.ignore_patterns("*_targets"),
    )
    monkeypatch.setenv("nnUNet_raw", str(raw.parent))
    monkeypatch.setenv("nnUNet_preprocessed", str(preprocessed))
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    return raw


def test_without_any_dwi_it_stops_and_names_the_other_trainer(raw_copy):
    shutil.rmtree(raw_copy / "targetsTr")
    trainer = _trainer()
    with pytest.raises(ValueError, match=r"targetsTr.*StrokeSynthTrainer_NoDWI"):
        trainer.get_tr_and_val_datasets()


def test_cases_without_a_dwi_are_nan_and_the_loss_stays_finite(raw_copy):
    trainer = _trainer()
    train_ids, _ = trainer.do_split()
    for case_id in train_ids[1:]:
        (raw_copy / "targetsTr" / f"{case_id}.nii.gz").unlink()
    trainer.initialize()
    trainer.on_train_start()
    # One in 64 batches of two holds nothing but the one case that has a DWI.
    batches = (next(trainer.dataloader_train) for _ in range(8))
    batch = next(batch for batch in batches if torch.isnan(batch["target"][1]).any())
    trainer.network.train()
    assert np.isfinite(trainer.train_step(batch)["loss"])
    for parameter in trainer.network.parameters():
        assert torch.isfinite(parameter).all()


def test_environment_must_hold_whole_numbers(nnunet_folders, monkeypatch):
    monkeypatch.setenv("strokesynth_num_epochs", "many")
    with pytest.raises(ValueError, match="strokesynth_num_epochs is 'many'"):
        _trainer()


def test_terms_are_means_over_the_epoch():
    means = TermMeans()
    means.add({"a": torch.tensor(1.0), "b": torch.tensor(0.0)})
    means.add({"a": torch.tensor(4.0), "b": torch.tensor(1.0)})
    assert means.pop() == {"a": 2.5, "b": 0.5}
    assert means.pop() == {}


def test_batches_without_a_dwi_do_not_count():
    means = TermMeans()
    for value in (2.0, float("nan"), 4.0):
        means.add({"synthesis_pixel": torch.tensor(value)})
    assert means.pop() == {"synthesis_pixel": 3.0}
    means.add({"synthesis_pixel": torch.tensor(float("nan"))})
    assert np.isnan(means.pop()["synthesis_pixel"])


def test_loss_terms_are_logged(pipeline):
    fold = pipeline.model / "fold_0"
    (row,) = _rows(fold / "loss_terms.csv")
    for phase in ("train", "val"):
        term = {
            name.split("/")[1]: float(value)
            for name, value in row.items()
            if name.startswith(phase)
        }
        online_dice = term.pop("online_dice", None)
        assert (online_dice is None) == (phase == "train")
        assert set(term) == {
            "L_s",
            "L_wce",
            "L_hgd",
            "synthesis_pixel",
            "synthesis_context",
            "feature_pixel",
            "feature_context",
            "context_spread",
        }
        assert all(np.isfinite(value) for value in term.values())
        assert term["L_s"] == pytest.approx(term["L_wce"] + term["L_hgd"], rel=1e-4)
    assert (fold / "loss_terms.png").stat().st_size > 10_000
    assert "train terms: L_s" in next(fold.glob("training_log_*.txt")).read_text()


def test_resume_goes_on_where_it_stopped(pipeline, tmp_path):
    """`--c` on a copy: epoch 0 stays as it was, epoch 1 is added; then `--val --npz` works."""
    results = tmp_path / "nnUNet_results"
    shutil.copytree(pipeline.out / "nnUNet_results", results)
    model = results / pipeline.raw.name / pipeline.model.name
    before = _rows(model / "fold_0" / "loss_terms.csv")
    variables = {**SHORT, "nnUNet_results": str(results)}
    train = "nnUNetv2_train 18 2d 0 -tr StrokeSynthTrainer -device cpu".split()
    pipeline.run(*train, "--c", "--npz", **variables)
    after = _rows(model / "fold_0" / "loss_terms.csv")
    assert len(before) == 1 and len(after) == 2 and after[0] == before[0]
    assert list((model / "fold_0" / "validation").glob("*.npz"))


def test_model_zip_installs_and_predicts_elsewhere(pipeline, tmp_path):
    """nnU-Net's export and import; prediction with no training data at hand."""
    archive, elsewhere = tmp_path / "model.zip", tmp_path / "elsewhere"
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (elsewhere / name).mkdir(parents=True)
    pipeline.run(
        "nnUNetv2_export_model_to_zip",
        *f"-d 18 -c 2d -f 0 1 -tr StrokeSynthTrainer -o {archive}".split(),
    )
    folders = {
        name: str(elsewhere / name)
        for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
    }
    pipeline.run("nnUNetv2_install_pretrained_model_from_zip", str(archive), **folders)
    pipeline.run(
        "nnUNetv2_predict",
        *"-d 18 -c 2d -tr StrokeSynthTrainer -f 0 1 -device cpu -npp 1 -nps 1".split(),
        *f"-i {pipeline.raw / 'imagesTs'} -o {tmp_path / 'out'}".split(),
        **folders,
    )
    exported = elsewhere / "nnUNet_results" / pipeline.raw.name / pipeline.model.name
    for name in ("plans.json", "fold_0/checkpoint_final.pth", "fold_1/checkpoint_final.pth"):
        assert (exported / name).read_bytes() == (pipeline.model / name).read_bytes()
    predictions = sorted((pipeline.out / "predictions").glob("*.nii.gz"))
    assert predictions
    for path in predictions:
        # Not bit by bit: which CPU kernels run may differ between two processes, and a voxel of a
        # network this untrained can lie on the border between the classes.
        agree = read_image(path).array == read_image(tmp_path / "out" / path.name).array
        assert agree.mean() > 0.98
