"""HU and s are normalised alike in all scans; in all else the cases are nnU-Net's own."""

import json
import os
import shutil
from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk
from batchgenerators.utilities.file_and_folder_operations import load_json
from nnunetv2.training.dataloading.nnunet_dataset import (
    infer_dataset_class,
    nnUNetDatasetBlosc2,
)
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.dataloading import own_cases
from nnunetv2_strokesynth.dataloading.normalization import with_fixed_intensities
from nnunetv2_strokesynth.dataloading.own_cases import prepare_cases

NAMES = PRESETS["wang2020"].names
CASES = ("case_001", "case_002")


@pytest.fixture
def plans(pipeline):
    return load_json(str(pipeline.preprocessed / "nnUNetPlans.json"))


@pytest.fixture
def world(pipeline, plans, tmp_path):
    """Two raw cases that a test may change, and ``prepare_cases`` with all but its raw folder."""
    raw = tmp_path / "raw"
    for folder, pattern in (("imagesTr", "{}_*"), ("labelsTr", "{}.nii.gz")):
        (raw / folder).mkdir(parents=True)
        for case_id in CASES:
            for path in (pipeline.raw / folder).glob(pattern.format(case_id)):
                shutil.copy2(path, raw / folder)
    manager = PlansManager(with_fixed_intensities(plans, "2d", NAMES))
    dataset = load_json(str(pipeline.raw / "dataset.json"))
    folder = tmp_path / "preprocessed" / "nnUNetPlans_2d_physical"
    configuration = manager.get_configuration("2d")
    rest = (folder, manager, configuration, dataset)
    return raw, folder, lambda raw_folder: prepare_cases(raw_folder, *rest, workers=1)


def test_voxels_follow_from_the_raw_values(pipeline, world):
    """Oracle: nnU-Net's z-scored case; both are linear in the raw values where nothing is cut."""
    raw, folder, prepare = world
    assert prepare(raw) == 2
    z_scored = nnUNetDatasetBlosc2(str(pipeline.preprocessed / "nnUNetPlans_2d"), ["case_001"])
    ours = nnUNetDatasetBlosc2(str(folder), ["case_001"])
    before, labels, _, properties = z_scored.load_case("case_001")
    after, same_labels, _, same_properties = ours.load_case("case_001")
    np.testing.assert_array_equal(labels[:], same_labels[:])
    for key in ("shape_before_cropping", "bbox_used_for_cropping", "spacing"):
        assert properties[key] == same_properties[key]
    np.testing.assert_array_equal(before[NAMES.index("CBF")], after[NAMES.index("CBF")])

    tmax = NAMES.index("Tmax")
    manager = PlansManager(load_json(str(pipeline.preprocessed / "nnUNetPlans.json")))
    image = manager.image_reader_writer_class().read_images(
        [str(raw / "imagesTr" / f"case_001_{tmax:04d}.nii.gz")]
    )[0][0]
    (z0, z1), (y0, y1), (x0, x1) = properties["bbox_used_for_cropping"]
    lesion = manager.foreground_intensity_properties_per_channel[str(tmax)]
    clipped = np.clip(image, lesion["percentile_00_5"], lesion["percentile_99_5"])
    expected = ((clipped - lesion["mean"]) / lesion["std"])[z0:z1, y0:y1, x0:x1]
    found = after[tmax]
    assert found.mean() == pytest.approx(expected.mean(), abs=0.1)
    if found.shape == expected.shape:
        np.testing.assert_allclose(found, expected, atol=1e-4)
    else:  # resampled: the distribution stays
        levels = [5, 25, 50, 75, 95]
        np.testing.assert_allclose(
            np.percentile(found, levels), np.percentile(expected, levels), atol=0.2
        )


def test_two_scans_with_other_tmax_differ_by_seconds(world, plans):
    raw, folder, prepare = world
    tmax = NAMES.index("Tmax")
    path = raw / "imagesTr" / f"case_001_{tmax:04d}.nii.gz"
    reader = PlansManager(plans).image_reader_writer_class()
    prepare(raw)
    first = nnUNetDatasetBlosc2(str(folder), ["case_001"]).load_case("case_001")[0][tmax]

    image, _ = reader.read_images([str(path)])
    brain = image[0] != 0
    source = sitk.ReadImage(str(path))

    def prepared(seconds):
        """Tmax as prepared, of a scan in which it is late by so many seconds."""
        late = np.where(brain, np.minimum(image[0], 8) + seconds, 0).astype(np.float32)
        written = sitk.GetImageFromArray(late)
        written.CopyInformation(source)
        sitk.WriteImage(written, str(path))
        assert prepare(raw) == 1
        return nnUNetDatasetBlosc2(str(folder), ["case_001"]).load_case("case_001")[0][tmax]

    baseline, later = prepared(3), prepared(6)
    std = plans["foreground_intensity_properties_per_channel"][str(tmax)]["std"]
    shift = np.median((later - baseline)[baseline > baseline.min()])
    assert shift == pytest.approx(3 / std, rel=0.05)
    assert first.shape == later.shape


def test_made_once_and_again_when_a_file_or_the_plans_change(pipeline, world, plans):
    raw, folder, prepare = world
    dataset = load_json(str(pipeline.raw / "dataset.json"))
    assert (prepare(raw), prepare(raw)) == (2, 0)
    image = raw / "imagesTr" / "case_002_0003.nii.gz"
    os.utime(image, ns=(0, 0))
    assert (prepare(raw), prepare(raw)) == (1, 0)
    (folder / "case_001.b2nd").unlink()
    assert (prepare(raw), prepare(raw)) == (1, 0)
    (folder / "made_from" / "case_001.json").write_bytes(b"torn")
    assert (prepare(raw), prepare(raw)) == (1, 0)

    changed = with_fixed_intensities(plans, "2d", NAMES)
    changed["foreground_intensity_properties_per_channel"]["0"]["mean"] += 1.0
    manager = PlansManager(changed)
    rest = (folder, manager, manager.get_configuration("2d"), dataset)
    again = partial(prepare_cases, raw, *rest, workers=1)
    assert (again(), again()) == (2, 0)


def test_a_case_replaced_under_its_name_is_made_again(pipeline, world):
    """By older files, as when a backup is put back: not the time alone decides."""
    raw, folder, prepare = world
    prepare(raw)
    before = nnUNetDatasetBlosc2(str(folder), ["case_001"]).load_case("case_001")[0][:]
    for path in (pipeline.raw / "imagesTr").glob("case_003_*"):
        shutil.copy2(path, raw / "imagesTr" / path.name.replace("case_003", "case_001"))
    label = raw / "labelsTr" / "case_001.nii.gz"
    shutil.copy2(pipeline.raw / "labelsTr" / "case_003.nii.gz", label)
    assert prepare(raw) == 1
    after = nnUNetDatasetBlosc2(str(folder), ["case_001"]).load_case("case_001")[0][:]
    assert before.shape != after.shape or not np.array_equal(before, after)


@pytest.mark.parametrize("name", ["labelsTr/case_002.nii.gz", "imagesTr/case_002_0003.nii.gz"])
def test_no_case_is_made_without_its_label_or_an_image(world, name):
    raw, folder, prepare = world
    (raw / name).unlink()
    assert prepare(raw) == 1
    assert [path.stem for path in folder.glob("*.pkl")] == ["case_001"]


def test_on_another_machine_a_withdrawn_case_is_not_missed(world):
    """Planning again removes it from nnU-Net's folder, but leaves its label."""
    raw, folder, prepare = world
    shutil.copytree(raw / "labelsTr", folder.parent / "gt_segmentations")
    (folder.parent / "nnUNetPlans_2d").mkdir()
    (folder.parent / "nnUNetPlans_2d" / "case_001.pkl").touch()
    (raw / "labelsTr" / "case_002.nii.gz").unlink()
    prepare(raw)
    assert prepare(None) == 0
    (folder.parent / "nnUNetPlans_2d" / "case_002.pkl").touch()
    with pytest.raises(FileNotFoundError, match=r"1 of 2 cases \(case_002\)"):
        prepare(None)


def test_an_interruption_leaves_no_case_that_counts(world, monkeypatch):
    raw, folder, prepare = world

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(own_cases.os, "replace", interrupted)
        prepare(raw)
    assert not [path for path in folder.rglob("*") if path.is_file()]
    assert prepare(raw) == 2


def test_what_a_killed_training_left_is_removed_after_an_hour(world):
    raw, folder, prepare = world
    old, young = folder / ".tmp-case_001-a", folder / ".tmp-case_001-b"
    for path in (old, young):
        path.mkdir(parents=True)
        (path / "case_001.b2nd").write_bytes(b"half")
    os.utime(old, (0, 0))
    prepare(raw)
    assert not old.exists() and young.exists()
    assert sorted(nnUNetDatasetBlosc2.get_identifiers(str(folder))) == list(CASES)


def test_a_damaged_image_is_named(world):
    raw, folder, prepare = world
    (raw / "imagesTr" / "case_002_0001.nii.gz").write_bytes(b"no image")
    with pytest.raises(ValueError, match="case_002: cannot be preprocessed"):
        prepare(raw)
    assert [path.stem for path in folder.glob("*.pkl")] == ["case_001"]
    assert [path.stem for path in (folder / "made_from").iterdir()] == ["case_001"]


def test_without_the_raw_images_what_was_made_serves_or_is_missed(world):
    raw, folder, prepare = world
    prepare(raw)
    labels = folder.parent / "gt_segmentations"
    shutil.copytree(raw / "labelsTr", labels)
    assert prepare(None) == 0
    shutil.rmtree(raw / "imagesTr")
    assert prepare(raw) == 0
    (folder / "made_from" / "case_002.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 2 cases \(case_002\).*Set nnUNet_raw"):
        prepare(None)
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError, match="2 of 2 cases"):
        prepare(None)


def test_record_names_sources_and_nnunet_passes_over_it(world):
    raw, folder, prepare = world
    prepare(raw)
    record = json.loads((folder / "made_from" / "case_001.json").read_text())
    images = sorted((raw / "imagesTr").glob("case_001_*"))
    sizes = [path.stat().st_size for path in (*images, raw / "labelsTr" / "case_001.nii.gz")]
    assert [size for size, _ in record["sources"]] == sizes
    assert infer_dataset_class(str(folder)) is nnUNetDatasetBlosc2
    assert sorted(nnUNetDatasetBlosc2.get_identifiers(str(folder))) == list(CASES)
