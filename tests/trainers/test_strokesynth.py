"""What StrokeSynthTrainer adds to nnU-Net: checks, targets, loss log, resuming."""

import csv
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from nnunetv2.run.load_pretrained_weights import load_pretrained_weights
from nnunetv2.run.run_training import get_trainer_from_args

from nnunetv2_strokesynth.evaluation.volumes import read_image
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


def test_without_a_dwi_there_is_one_network(nnunet_folders):
    trainer = _trainer("StrokeSynthTrainer_NoDWI")
    trainer.initialize()
    assert {name.split(".")[0] for name in trainer.network.state_dict()} == {"segmenter"}


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
        of_validation = {"contrast", "dwi_contrast"} & set(term)
        assert len(of_validation) == (2 if phase == "val" else 0)
        for name in of_validation:  # a validation batch may hold no lesion
            del term[name]
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
