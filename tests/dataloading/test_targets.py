"""The DWI target lands on the voxels of its preprocessed case."""

import json

import blosc2
import numpy as np
import pytest
import SimpleITK as sitk
from batchgenerators.utilities.file_and_folder_operations import load_json, load_pickle
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_strokesynth.dataloading.targets import (
    prepare_targets,
    preprocess_target,
    scale_dwi,
    targets_folder,
)


def test_scale_uses_minimum_and_99th_percentile():
    dwi = np.arange(101, dtype=np.float32).reshape(1, 1, 101) + 7
    scaled = scale_dwi(dwi)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled[0, 0, :4], [0, 1 / 99, 2 / 99, 3 / 99], rtol=1e-6)
    np.testing.assert_allclose(scaled[0, 0, 98:], [98 / 99, 1, 1], rtol=1e-6)


def test_constant_volume_becomes_zero():
    assert not scale_dwi(np.full((2, 3, 3), 5.0)).any()


def test_few_bright_voxels_are_not_lost():
    dwi = np.zeros((1, 40, 40), dtype=np.float32)
    dwi[0, 0, 0] = 10.0  # fewer than 1 %: the percentile equals the minimum
    assert scale_dwi(dwi).max() == 1.0


@pytest.fixture
def plans(pipeline):
    manager = PlansManager(load_json(str(pipeline.preprocessed / "nnUNetPlans.json")))
    return manager, manager.get_configuration("2d")


def _case(pipeline, case_id="case_001"):
    folder = pipeline.preprocessed / "nnUNetPlans_2d"
    return folder, load_pickle(str(folder / f"{case_id}.pkl"))


def test_same_voxels_as_nnunets_own_preprocessing(pipeline, plans):
    """Oracle: nnU-Net preprocesses the DWI as if it were one more image channel."""
    manager, configuration = plans
    _, properties = _case(pipeline)
    files = sorted((pipeline.raw / "imagesTr").glob("case_001_*.nii.gz"))
    dwi_file = pipeline.raw / "targetsTr" / "case_001.nii.gz"
    reader = manager.image_reader_writer_class()
    images, fresh = reader.read_images([str(path) for path in files])
    dwi = reader.read_images([str(dwi_file)])[0]

    class Unnormalised(configuration.preprocessor_class):
        def _normalize(self, data, seg, configuration_manager, properties_per_channel):
            return data

    stacked = np.concatenate((images, scale_dwi(dwi[0])[None]))
    oracle, _, _ = Unnormalised(verbose=False).run_case_npy(
        stacked, None, fresh, manager, configuration, load_json(str(pipeline.raw / "dataset.json"))
    )
    ours = preprocess_target(dwi[0], properties, manager, configuration)
    np.testing.assert_allclose(ours[0], np.clip(oracle[-1], 0, 1), atol=1e-5)
    assert ours.std() > 0.05


def test_wrong_shape_is_refused(pipeline, plans):
    _, properties = _case(pipeline)
    with pytest.raises(ValueError, match="registered to the CT"):
        preprocess_target(np.zeros((1, 5, 5)), properties, *plans)


@pytest.fixture
def copied_case(pipeline, tmp_path):
    """A preprocessed folder and a raw target folder that a test may change."""
    folder, _ = _case(pipeline)
    preprocessed, raw = tmp_path / "nnUNetPlans_2d", tmp_path / "targetsTr"
    preprocessed.mkdir()
    raw.mkdir()
    for suffix in (".pkl", ".b2nd"):
        (preprocessed / f"case_001{suffix}").write_bytes(
            (folder / f"case_001{suffix}").read_bytes()
        )
    source = pipeline.raw / "targetsTr" / "case_001.nii.gz"
    (raw / source.name).write_bytes(source.read_bytes())
    return raw, preprocessed


def test_target_is_stored_once_and_made_again_when_its_source_changes(copied_case, plans):
    raw, preprocessed = copied_case
    arguments = (raw, preprocessed, ["case_001", "case_002"], *plans, ".nii.gz")
    assert prepare_targets(*arguments) == ["case_001"]
    stored = targets_folder(preprocessed) / "case_001.b2nd"
    first = stored.stat().st_mtime_ns
    prepare_targets(*arguments)
    assert stored.stat().st_mtime_ns == first
    before = blosc2.open(str(stored))[:]

    image = sitk.ReadImage(str(raw / "case_001.nii.gz"))
    flipped = sitk.GetImageFromArray(sitk.GetArrayFromImage(image)[:, ::-1].copy())
    flipped.CopyInformation(image)
    sitk.WriteImage(flipped, str(raw / "case_001.nii.gz"))
    prepare_targets(*arguments)
    assert not np.array_equal(blosc2.open(str(stored))[:], before)
    record = json.loads((targets_folder(preprocessed) / "case_001.json").read_text())
    assert record["source_bytes"] == (raw / "case_001.nii.gz").stat().st_size


def test_without_the_raw_folder_existing_targets_serve(copied_case, plans):
    raw, preprocessed = copied_case
    prepare_targets(raw, preprocessed, ["case_001"], *plans, ".nii.gz")
    found = prepare_targets(None, preprocessed, ["case_001", "case_002"], *plans, ".nii.gz")
    assert found == ["case_001"]


def test_nan_in_a_dwi_names_case_and_file(copied_case, plans):
    """In a format whose reader keeps NaN (the NIfTI reader turns it into 0)."""
    raw, preprocessed = copied_case
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(raw / "case_001.nii.gz"))).astype(np.float32)
    array[0, 0, 0] = np.nan
    sitk.WriteImage(sitk.GetImageFromArray(array), str(raw / "case_001.mha"))
    with pytest.raises(ValueError, match=r"case_001.*NaN"):
        prepare_targets(raw, preprocessed, ["case_001"], *plans, ".mha")
