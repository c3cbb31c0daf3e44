"""The DWI target lands on the voxels of its preprocessed case."""

import json

import blosc2
import numpy as np
import pytest
import SimpleITK as sitk
from batchgenerators.utilities.file_and_folder_operations import load_json, load_pickle
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_strokesynth.dataloading.dwi_scaling import BRAIN, PAPER, SCALE_VERSION, scale_dwi
from nnunetv2_strokesynth.dataloading.targets import (
    prepare_targets,
    preprocess_target,
    targets_folder,
)


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
    low, high = stacked[-1].min(), stacked[-1].max()
    assert high > 1.05  # the target is not clipped at the 99th percentile
    np.testing.assert_allclose(ours[0], np.clip(oracle[-1], low, high), atol=1e-5)
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


def _stored(preprocessed, scale):
    return blosc2.open(str(targets_folder(preprocessed, scale) / "case_001.b2nd"))[:]


def test_each_scale_has_a_folder_of_its_own(copied_case, plans, pipeline):
    raw, preprocessed = copied_case
    arguments = (raw, preprocessed, ["case_001"], *plans, ".nii.gz")
    maps = sorted((pipeline.raw / "imagesTr").glob("case_001_000[1-4].nii.gz"))
    prepare_targets(*arguments)
    prepare_targets(*arguments, scale=BRAIN, maps={"case_001": [str(path) for path in maps]})
    with_brain = _stored(preprocessed, BRAIN)
    assert _stored(preprocessed, PAPER).max() > 1.05
    # Both are affine in the raw values, so they are affine in each other but for resampling's edge.
    paper = _stored(preprocessed, PAPER)
    assert np.corrcoef(paper.ravel(), with_brain.ravel())[0, 1] > 0.9999
    brain = np.any([sitk.GetArrayFromImage(sitk.ReadImage(path)) != 0 for path in maps], axis=0)
    dwi = sitk.GetArrayFromImage(sitk.ReadImage(str(raw / "case_001.nii.gz")))
    assert np.median(scale_dwi(dwi, BRAIN, brain)[brain]) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("scale", [PAPER, BRAIN])
def test_targets_of_an_older_version_are_made_again(copied_case, plans, scale):
    raw, preprocessed = copied_case
    arguments = (raw, preprocessed, ["case_001"], *plans, ".nii.gz")
    prepare_targets(*arguments, scale=scale)
    folder = targets_folder(preprocessed, scale)
    expected = _stored(preprocessed, scale)
    record = json.loads((folder / "case_001.json").read_text())
    assert (record["scale"], record["scale_version"]) == (scale, SCALE_VERSION)
    for key in ("scale", "scale_version", "maps"):  # as versions before the scales wrote it
        del record[key]
    (folder / "case_001.json").write_text(json.dumps(record))
    (folder / "case_001.b2nd").unlink()
    blosc2.asarray(np.clip(expected, 0, 1), urlpath=str(folder / "case_001.b2nd"))
    with pytest.raises(ValueError, match=r"case_001.*another version.*nnUNet_raw"):
        prepare_targets(None, *arguments[1:], scale=scale)
    prepare_targets(*arguments, scale=scale)
    np.testing.assert_array_equal(_stored(preprocessed, scale), expected)


def test_a_target_is_made_again_when_the_map_that_shows_the_brain_changes(copied_case, plans):
    raw, preprocessed = copied_case
    source = sitk.ReadImage(str(raw / "case_001.nii.gz"))
    path = raw.parent / "cbf.nii.gz"
    arguments = (raw, preprocessed, ["case_001"], *plans, ".nii.gz")
    dwi = sitk.GetArrayFromImage(source)
    found = []
    for brain in (dwi > np.percentile(dwi, 60), dwi > np.percentile(dwi, 95)):
        image = sitk.GetImageFromArray(brain.astype(np.float32))
        image.CopyInformation(source)
        sitk.WriteImage(image, str(path))
        prepare_targets(*arguments, scale=BRAIN, maps={"case_001": [str(path)]})
        found.append(_stored(preprocessed, BRAIN))
    assert found[0].mean() > found[1].mean() + 0.02


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
