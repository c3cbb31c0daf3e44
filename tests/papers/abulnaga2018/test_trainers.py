"""The recipe of Abulnaga & Rubin 2018: networks, augmentation, loss weight, stages, pretraining."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from batchgenerators.utilities.file_and_folder_operations import load_json
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.papers.abulnaga2018 import trainers as abulnaga2018
from nnunetv2_strokesynth.papers.abulnaga2018.augmentation import InPlaneAffine
from nnunetv2_strokesynth.papers.abulnaga2018.pretraining_record import RECORD
from nnunetv2_strokesynth.papers.abulnaga2018.pspnet import dilated_resnet50
from nnunetv2_strokesynth.papers.abulnaga2018.trainers import Abulnaga2018Trainer

CPU = torch.device("cpu")
PRETRAINED = "strokesynth_pretrained"
PARAMETERS = {
    "": 46_582_875,
    "CE": 46_582_875,
    "WCE": 46_582_875,
    "Pretrained": 46_582_875,
    "PretrainedCE": 46_582_875,
    "PretrainedWCE": 46_582_875,
    "PretrainedWCEPrinted": 46_582_875,
    "UNet2D": 31_044_162 + 9 * 64,  # 5 input channels in place of 4
    "UNet2DCE": 31_044_162 + 9 * 64,
    "UNet3D": 17_700_034,
    "UNet3DCE": 17_700_034,
    "VNet": 14_307_346,
    "VNetCE": 14_307_346,
}
COMPARATORS = [name for name in PARAMETERS if "Net" in name]


def row(name: str) -> type[Abulnaga2018Trainer]:
    return getattr(abulnaga2018, f"Abulnaga2018Trainer_{name}".rstrip("_"))


class Configuration:
    """What ``build_network_architecture`` asks of nnU-Net's configuration manager."""

    def __init__(self, n_dimensions, base_features):
        self.patch_size = (2, 64, 64)[-n_dimensions:]
        self.configuration = {"strokesynth_base_features": base_features}


def build(name, base_features=None):
    trainer = row(name)
    configuration = Configuration(trainer.n_dimensions, base_features or trainer.base_features)
    return trainer.build_network_architecture(None, configuration, 12, 2, True)


@pytest.mark.parametrize(("name", "expected"), PARAMETERS.items())
def test_parameter_counts(name, expected):
    with torch.device("meta"):
        assert sum(p.numel() for p in build(name).parameters()) == expected


@pytest.mark.parametrize("name", COMPARATORS)
def test_a_comparator_reads_the_papers_channels_and_no_others(name):
    torch.manual_seed(0)
    network = build(name, base_features=4).eval().double()
    n_channels = len(PRESETS["wang2020"].names)
    depth = (2,) if row(name).n_dimensions == 3 else ()
    image = torch.randn(1, n_channels, *depth, 16, 16, dtype=torch.float64)
    changed = image.repeat(n_channels, *(1,) * (image.ndim - 1))
    changed[range(n_channels), range(n_channels)] += 1
    with torch.no_grad():
        logits = network(image)[0]
        differs = (network(changed)[0] - logits).abs().flatten(1).amax(dim=1) > 1e-9
    names = [PRESETS["wang2020"].names[index] for index in torch.nonzero(differs)[:, 0]]
    assert names == ["CT", "CBF", "CBV", "MTT", "Tmax"]


def test_pspnet_sees_the_channels_in_the_papers_order():
    with torch.device("meta"):
        indices = build("").indices
    assert [PRESETS["wang2020"].names[k] for k in indices] == ["CT", "Tmax", "CBF", "CBV", "MTT"]


def test_every_row_has_focal_or_cross_entropy():
    assert {name: row(name).gamma for name in PARAMETERS} == {
        name: 0.0 if name.endswith("CE") and not name.endswith("WCE") else 1.0
        for name in PARAMETERS
    }


@pytest.fixture
def trainer(nnunet_folders, data_sets, monkeypatch):
    """A function that makes a trainer of a given row; a comparator is a small one."""
    monkeypatch.setenv("strokesynth_base_features", "4")
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    plans = load_json(str(nnunet_folders.preprocessed / "nnUNetPlans.json"))
    dataset = load_json(str(nnunet_folders.preprocessed / "dataset.json"))

    def make(name, configuration=None):
        torch.manual_seed(0)
        made = row(name)(
            {**plans, "continue_training": False},
            configuration or row(name).configuration,
            0,
            dataset,
            CPU,
        )
        made.disable_checkpointing = True  # of half a gigabyte each
        return made

    return make


def test_recipe(trainer):
    made = trainer("UNet2D")
    made.initialize()
    assert isinstance(made.optimizer, torch.optim.RMSprop)
    assert (made.num_epochs, made.patience, made.batch_size) == (200, 50, 8)
    train, val = made.get_tr_and_val_datasets()
    n_slices = sum(train.load_case(case_id)[0].shape[1] for case_id in set(train.identifiers))
    assert len(train.identifiers) == n_slices
    assert made.num_iterations_per_epoch == -(-n_slices // 8)
    assert made.num_val_iterations_per_epoch == -(-len(val.identifiers) // 8)
    pspnet = trainer("")
    assert (pspnet.initial_lr, pspnet.num_epochs) == (1e-4, 200)
    assert pspnet.configuration_manager.batch_size == 8
    assert "strokesynth_base_features" not in pspnet.configuration_manager.configuration


def test_learning_rate_follows_the_online_dice(trainer):
    made = trainer("UNet2D")
    made.initialize()
    log = made.logger.local_logger.my_fantastic_logging
    log["mean_fg_dice"] = [0.3, 0.4, *[0.35] * 19]
    found = []
    for epoch in (21, 22):
        made.lr_scheduler.step(epoch)
        found.append(made.optimizer.param_groups[0]["lr"])
        log["mean_fg_dice"].append(0.35)
    assert found == pytest.approx([1e-4, 1e-5])


def test_augmentation_is_the_papers_and_in_the_plane(trainer):
    for name, axes in (("UNet2D", (0, 1)), ("UNet3D", (1, 2))):
        made = trainer(name)
        patch = list(made.configuration_manager.patch_size)
        initial, mirrored = made.configure_rotation_dummyDA_mirroring_and_inital_patch_size()[2:]
        assert mirrored == axes == made.inference_allowed_mirroring_axes
        assert all(large > side for large, side in zip(initial[-2:], patch[-2:], strict=True))
        assert initial[:-2] == patch[:-2]
        mask = [False, *[True] * 11]
        transforms = made.get_training_transforms(
            patch, None, None, mirrored, False, use_mask_for_norm=mask
        ).transforms
        assert [type(t).__name__ for t in transforms] == [
            "InPlaneAffine", "MirrorTransform", "MaskImageTransform", "RemoveLabelTransform",
            "PackTargets",
        ]  # fmt: skip
        affine, mirror, masking, *_ = transforms
        assert isinstance(affine, InPlaneAffine) and affine.sides == tuple(patch[-2:])
        assert isinstance(mirror, MirrorTransform) and mirror.allowed_axes == axes
        assert masking.apply_to_channels == list(range(1, 12))


@pytest.mark.parametrize(("name", "batch_size"), [("UNet2D", 8), ("UNet3D", 1), ("VNetCE", 1)])
def test_batches_and_a_step(trainer, name, batch_size):
    made = trainer(name)
    made.on_train_start()
    if made.n_dimensions == 3:
        train_ids, val_ids = made.do_split()
        assert made.num_iterations_per_epoch == len(train_ids)
        assert made.num_val_iterations_per_epoch == len(val_ids)
    made.on_train_epoch_start()
    batch = next(made.dataloader_train)
    patch = made.configuration_manager.patch_size
    assert batch["data"].shape == (batch_size, 12, *patch)
    assert [target.shape for target in batch["target"]] == [(batch_size, 1, *patch)] * 2
    assert set(batch["target"][0].unique().tolist()) <= {0, 1}
    before = [p.clone() for p in made.network.parameters()]
    assert np.isfinite(made.train_step(batch)["loss"])
    assert set(made.loss.terms) == {"L_s"}
    assert all((p != q).any() for p, q in zip(made.network.parameters(), before, strict=True))


def test_dimensions_must_fit(trainer):
    with pytest.raises(ValueError, match="UNet3D works on volumes: use 3d_fullres"):
        trainer("UNet3D", "2d").initialize()
    with pytest.raises(ValueError, match="UNet2D works on slices: use the configuration 2d"):
        trainer("UNet2D", "3d_fullres").initialize()


def test_weight_is_one_minus_the_lesions_share_in_the_training_scans(trainer):
    made = trainer("WCE")
    loss = made._build_loss()
    n_lesion, n_voxels = 0, 0
    for case_id in made.do_split()[0]:
        dataset = made.dataset_class(made.preprocessed_dataset_folder, [case_id])
        values, counts = np.unique(dataset.load_case(case_id)[1][:], return_counts=True)
        count = dict(zip(values.tolist(), counts.tolist(), strict=True))
        n_lesion += count.get(1, 0)
        n_voxels += count.get(0, 0) + count.get(1, 0)
    assert 0 < n_lesion < n_voxels
    assert loss.lesion_weight == pytest.approx(1 - n_lesion / n_voxels)
    printed = trainer("PretrainedWCEPrinted")._build_loss()
    assert printed.lesion_weight == pytest.approx(n_lesion / n_voxels)


def test_no_lesion_in_any_training_scan_is_refused(trainer, monkeypatch):
    monkeypatch.setattr(abulnaga2018, "lesion_fraction", lambda label_maps: 0.0)
    with pytest.raises(ValueError, match="0% of the voxels in the .* training scans of fold 0"):
        trainer("WCE")._build_loss()


@pytest.fixture
def short(monkeypatch):
    for name in ("iterations_per_epoch", "val_iterations_per_epoch", "epochs"):
        monkeypatch.setenv(f"strokesynth_num_{name}", "1")
    monkeypatch.setattr(
        "nnunetv2_strokesynth.trainers.stroke_trainer.plot_terms", lambda folder, history: None
    )
    monkeypatch.setattr(
        "nnunetv2.training.logging.nnunet_logger.LocalLogger.plot_progress_png",
        lambda self, folder: None,
    )


def test_pretrained_new_layers_first_then_all(trainer, short, tmp_path, monkeypatch):
    torch.manual_seed(1)
    weights = dilated_resnet50().state_dict()
    path = tmp_path / "fcn.pth"
    torch.save({f"backbone.{name}": value for name, value in weights.items()}, path)
    monkeypatch.setenv(PRETRAINED, str(path))
    made = trainer("Pretrained")
    assert [stage.name for stage in made.stages] == ["new_layers", "all_layers"]
    made.on_train_start()
    assert json.loads((Path(made.output_folder) / RECORD).read_text()) == {PRETRAINED: str(path)}
    made.dataloader_train, made.dataloader_val = (
        iter([next(loader)] * 3) for loader in (made.dataloader_train, made.dataloader_val)
    )

    def changed(before):
        now = made.network.state_dict()
        return {key.split(".")[0] for key in before if not torch.equal(before[key], now[key])}

    for key, value in made.network.backbone.state_dict().items():
        assert torch.equal(value, weights[key])
    for epoch, rate, parts in (
        (0, 1e-2, {"initialiser", "pyramid", "head"}),
        (1, 1e-4, {"initialiser", "pyramid", "head", "backbone"}),
    ):
        made.current_epoch = epoch
        before = {key: value.clone() for key, value in made.network.state_dict().items()}
        made.on_train_epoch_start()
        assert made.optimizer.param_groups[0]["lr"] == pytest.approx(rate)
        assert np.isfinite(made.train_step(next(made.dataloader_train))["loss"])
        assert changed(before) == parts
        made.logger.log("mean_fg_dice", 0.1, epoch)


def test_a_missing_file_stops_before_anything_else(trainer, tmp_path, monkeypatch):
    monkeypatch.setenv(PRETRAINED, str(tmp_path / "absent.pth"))
    made = trainer("PretrainedCE")
    made.was_initialized, made.network = True, torch.nn.Identity()
    with pytest.raises(FileNotFoundError, match="absent.pth.*or train Abulnaga2018Trainer_CE, "):
        made.on_train_start()
    assert not (Path(made.output_folder) / RECORD).exists()


@pytest.mark.parametrize(
    ("name", "at_first", "later", "advice"),
    [
        ("Pretrained", None, "/weights.pth", "Start it anew"),
        ("", "torchvision", "", "Start it anew"),
        ("Pretrained", "torchvision", "/w.pth", f"Run `export {PRETRAINED}=torchvision` first"),
    ],
)
def test_going_on_from_other_weights_is_refused(
    trainer, monkeypatch, name, at_first, later, advice
):
    monkeypatch.setenv(PRETRAINED, later)
    made = trainer(name)
    made.was_initialized, made.current_epoch = True, 1
    record = Path(made.output_folder) / RECORD
    record.write_text(json.dumps({PRETRAINED: at_first}))
    with pytest.raises(ValueError, match=f"This training started from .*{advice}"):
        made.on_train_start()
    record.unlink()
    with pytest.raises(FileNotFoundError, match=f"{RECORD} is missing"):
        made.on_train_start()


@pytest.mark.parametrize(("name", "source"), [("", None), ("Pretrained", "torchvision")])
def test_going_on_under_the_same_setting_needs_no_file(trainer, monkeypatch, name, source):
    monkeypatch.setenv(PRETRAINED, source or "")
    made = trainer(name)
    made.current_epoch = 1
    (Path(made.output_folder) / RECORD).write_text(json.dumps({PRETRAINED: source}))
    made._start_from_pretrained()


def test_scratch_and_pretrained_are_two_models(trainer, monkeypatch, tmp_path):
    monkeypatch.setenv(PRETRAINED, str(tmp_path / "absent.pth"))
    scratch, pretrained = trainer(""), trainer("Pretrained")
    assert scratch.output_folder != pretrained.output_folder
    assert scratch.pretrained is None and len(scratch.stages) == 1
    assert pretrained.pretrained == str(tmp_path / "absent.pth") and len(pretrained.stages) == 2
    monkeypatch.delenv(PRETRAINED)
    assert trainer("Pretrained").pretrained == "torchvision"


def test_comparators_and_prediction_ignore_the_setting(trainer, monkeypatch, tmp_path):
    monkeypatch.setenv(PRETRAINED, str(tmp_path / "absent.pth"))
    made = trainer("UNet2D")
    made.on_train_start()
    assert len(made.stages) == 1
    assert not (Path(made.output_folder) / RECORD).exists()
    with torch.device("meta"):
        assert build("").return_heads is True
