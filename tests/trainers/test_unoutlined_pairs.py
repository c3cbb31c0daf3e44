"""Scans with a DWI and no outline: through nnU-Net's loader to the losses, and to no one else."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from trainer_world import initialised, make_trainer, quiet

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.dataloading.pseudo_dwi_record import NOTHING, PLANS_KEY, REAL_DWI
from nnunetv2_strokesynth.dataloading.unoutlined_pairs import PAIRS_KEY, pairs_of_fold
from nnunetv2_strokesynth.losses.joint import known_dwi
from nnunetv2_strokesynth.trainers.strokesynth import StrokeSynthTrainer, StrokeSynthTrainer_NoDWI

SHAPE = (3, 20, 18)
OUTLINED = ("case_0", "case_1", "case_2")
TWIN, SECOND, OTHER_FOLD = "case_7", "case_8", "case_9"  # the first shows what case_1 shows
PAIRS = {TWIN: [0, 1], SECOND: [0], OTHER_FOLD: [1]}


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.0, 1.0, 5.0))
    sitk.WriteImage(image, str(path))


def write_scan(raw, case_id, *, seed, side):
    rng = np.random.default_rng(seed)
    brain = np.zeros(SHAPE, dtype=np.float32)
    brain[:, 3:16, 2:15] = 1
    for channel in range(len(PRESETS["wang2020"].names)):
        image = brain * rng.normal(30, 5, SHAPE).astype(np.float32)
        write(raw / f"images{side}" / f"{case_id}_{channel:04d}.nii.gz", image)
    write(raw / f"targets{side}" / f"{case_id}.nii.gz", brain * rng.uniform(50, 90, SHAPE))


@pytest.fixture
def raw(tmp_path, monkeypatch):
    """Three outlined scans and three pairs; nnU-Net's folders are the test's own."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    monkeypatch.setenv("nnUNet_def_n_proc", "1")
    trainer = make_trainer(nnUNetTrainer)
    raw = tmp_path / "nnUNet_raw" / trainer.plans_manager.dataset_name
    lesion = np.zeros(SHAPE, dtype=np.uint8)
    lesion[1, 8:11, 8:11] = 1
    for number, case_id in enumerate(OUTLINED):
        write_scan(raw, case_id, seed=number, side="Tr")
        write(raw / "labelsTr" / f"{case_id}.nii.gz", lesion)
    for case_id, seed in ((TWIN, 1), (SECOND, 8), (OTHER_FOLD, 9)):
        write_scan(raw, case_id, seed=seed, side="Un")
    (raw / "dataset.json").write_text(json.dumps(trainer.dataset_json | {PAIRS_KEY: PAIRS}))
    return raw


def trainer_of(cls, fold=0, pairs=PAIRS):
    trainer = make_trainer(cls)
    trainer.dataset_json[PAIRS_KEY] = pairs
    trainer.fold = fold
    return initialised(trainer)


def batches(trainer, n=6):
    with quiet():
        loader, _ = trainer.get_dataloaders()
        return [next(loader) for _ in range(n)]


def test_pairs_teach_the_synthesis_and_have_no_part_in_l_s(raw):
    trainer = trainer_of(StrokeSynthTrainer)
    drawn = batches(trainer)
    keys = [key for batch in drawn for key in batch["keys"]]
    assert set(keys) == {"case_1", "case_2", TWIN, SECOND}
    assert np.isin(keys, [TWIN, SECOND]).mean() < 0.55  # a third, by chance more
    batch = next(one for one in drawn if 2 < np.isin(one["keys"], [TWIN, SECOND]).sum() < 10)
    is_pair = torch.from_numpy(np.isin(batch["keys"], [TWIN, SECOND]))
    labels, dwi, weight = batch["target"]
    assert known_dwi(dwi)[1].all()  # every sample has its DWI
    assert not (labels[is_pair] > 0).any() and (labels[~is_pair] > 0).any()
    trainer.device = torch.device("cpu")
    loss = trainer.segmentation_loss
    logits = torch.randn(len(labels), 2, *labels.shape[2:], requires_grad=True)
    loss.scan_weights = trainer._weights_of(batch["keys"])
    found = loss(logits, [labels, dwi, weight])
    (gradient,) = torch.autograd.grad(found, logits)
    assert not gradient[is_pair].any() and gradient[~is_pair].any()
    loss.scan_weights = None
    rest = [volume[~is_pair] for volume in (labels, dwi, weight)]
    torch.testing.assert_close(found, loss(logits[~is_pair], rest))


def test_a_batch_of_pairs_alone_has_no_l_s(raw):
    trainer = trainer_of(StrokeSynthTrainer)
    batches(trainer, n=1)
    trainer.device = torch.device("cpu")
    loss = trainer.segmentation_loss
    loss.scan_weights = trainer._weights_of([TWIN, SECOND])
    logits = torch.randn(2, 2, 8, 8, requires_grad=True)
    labels, weight = torch.zeros(2, 1, 8, 8), torch.ones(2, 1, 8, 8)
    found = loss(logits, [labels, weight])
    (gradient,) = torch.autograd.grad(found, logits)
    assert found == 0 and not gradient.any() and loss.terms["L_s"].isnan()


def test_a_pair_is_prepared_as_an_outlined_scan_is(raw):
    """The images and the DWI of two scans with the same voxels, one of which has an outline."""
    train, _ = trainer_of(StrokeSynthTrainer).get_tr_and_val_datasets()
    outlined, labels, _, _ = train.load_case("case_1")
    pair, no_labels, _, properties = train.load_case(TWIN)
    everything = (slice(None),) * 4
    np.testing.assert_array_equal(outlined[everything], pair[everything])
    assert np.isfinite(pair[everything]).all()
    np.testing.assert_array_equal(labels[:] < 0, no_labels[:] < 0)
    assert not properties["class_locations"]["any"]


def test_many_pairs_leave_two_thirds_to_the_outlined(raw):
    pairs = {TWIN: [0], SECOND: [0], OTHER_FOLD: [0]}
    train, _ = trainer_of(StrokeSynthTrainer, pairs=pairs).get_tr_and_val_datasets()
    assert sorted(set(train.identifiers)) == ["case_1", "case_2", *pairs]
    assert 0.25 < train.share <= 1 / 3


@pytest.mark.parametrize("has_pairs", [True, False])
def test_pairs_teach_the_synthesis_where_no_outlined_scan_has_a_dwi(raw, has_pairs):
    for case_id in OUTLINED:
        (raw / "targetsTr" / f"{case_id}.nii.gz").unlink()
    trainer = trainer_of(StrokeSynthTrainer, pairs=PAIRS if has_pairs else {})
    with quiet():
        trainer.get_tr_and_val_datasets()
    own = trainer.plans_manager.plans["configurations"]["2d"]
    assert own[PLANS_KEY]["learned"] == (REAL_DWI if has_pairs else NOTHING)
    assert trainer._rate("generator") == (StrokeSynthTrainer.synthesis_rate if has_pairs else 1)


@pytest.mark.parametrize("fold", [0, "all"])
@pytest.mark.parametrize("cls", [nnUNetTrainer, StrokeSynthTrainer_NoDWI])
def test_whoever_learns_no_dwi_never_sees_them(raw, cls, fold):
    """nnU-Net's own trainer would take a missing outline for background."""
    trainer = trainer_of(cls, fold)
    trainer.dataset_class = None
    with quiet():
        train, val = trainer.get_tr_and_val_datasets()
    assert set(train.identifiers) | set(val.identifiers) == set(OUTLINED)
    assert not list(Path(trainer.preprocessed_dataset_folder_base).glob("*unoutlined*"))


def test_a_pair_that_is_withdrawn_is_forgotten(raw):
    trainer = trainer_of(StrokeSynthTrainer)
    trainer.get_tr_and_val_datasets()
    folder = Path(trainer.preprocessed_dataset_folder_base)
    assert len(list(folder.rglob(f"{SECOND}*"))) == 6  # a case, its target and their two records
    record = json.loads((Path(trainer.output_folder) / "trained_cases.json").read_text())
    assert record["train"] == ["case_1", "case_2", TWIN, SECOND]
    with quiet():
        trainer.do_split()  # as nnU-Net does before it validates
    assert len(list(folder.rglob(f"{SECOND}*"))) == 6
    (raw / "targetsUn" / f"{SECOND}.nii.gz").unlink()  # without its DWI it teaches nothing
    train, _ = trainer_of(StrokeSynthTrainer).get_tr_and_val_datasets()
    assert set(train.identifiers) == {"case_1", "case_2", TWIN}
    record = json.loads((Path(trainer.output_folder) / "trained_cases.json").read_text())
    assert record["train"] == ["case_1", "case_2", TWIN]
    assert not list(folder.rglob(f"{SECOND}*"))
    assert len(list(folder.rglob(f"{TWIN}*"))) == 6


def test_without_the_raw_data_what_was_made_serves(raw, tmp_path, monkeypatch):
    trainer_of(StrokeSynthTrainer).get_tr_and_val_datasets()
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "elsewhere"))
    train, _ = trainer_of(StrokeSynthTrainer).get_tr_and_val_datasets()
    assert {TWIN, SECOND} <= set(train.identifiers)


def test_which_fold_learns_from_which():
    found = {fold: pairs_of_fold({PAIRS_KEY: PAIRS}, fold) for fold in (0, 1, 2, "all")}
    assert found == {0: [TWIN, SECOND], 1: [TWIN, OTHER_FOLD], 2: [], "all": [*PAIRS]}
    assert pairs_of_fold({}, 0) == []
    for damaged in ([TWIN], {TWIN: 0}, None):
        with pytest.raises(ValueError, match=r"unoutlined_pairs is .*, expected case: \[fold"):
            pairs_of_fold({PAIRS_KEY: damaged}, 0)
