"""The DWI rides along as the last image channel, cropped like the image."""

import blosc2
import numpy as np
import pytest
from acvl_utils.cropping_and_padding.bounding_boxes import crop_and_pad_nd

from nnunetv2_strokesynth.dataloading.paired_dataset import (
    ChannelStack,
    PairedDataset,
)


@pytest.fixture
def image_and_dwi():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(3, 4, 10, 12)).astype(np.float32)
    return image, rng.uniform(size=(1, 4, 10, 12)).astype(np.float32)


@pytest.mark.parametrize("box", [[[1, 2], [2, 8], [3, 9]], [[0, 1], [-3, 13], [5, 20]]])
def test_crop_equals_crop_of_the_concatenation(image_and_dwi, box):
    image, dwi = image_and_dwi
    stack = ChannelStack(blosc2.asarray(image), blosc2.asarray(dwi))
    expected = crop_and_pad_nd(np.concatenate((image, dwi)), box, 0)
    np.testing.assert_array_equal(crop_and_pad_nd(stack, box, 0), expected)


@pytest.mark.parametrize(
    "key",
    [
        (slice(None), slice(1, 3), slice(2, 7), slice(0, 12)),
        (slice(None), slice(2, 3)),
        (slice(None), slice(-2, None), slice(None, None, 2), slice(3, 40)),
        (slice(None), slice(2, 2), slice(0, 4), slice(0, 4)),
        (slice(None), 1, slice(2, 7), -1),
        slice(None),
    ],
)
@pytest.mark.parametrize("stored", [np.asarray, blosc2.asarray])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cut_equals_the_same_cut_of_the_concatenation(image_and_dwi, key, stored, dtype):
    image, dwi = image_and_dwi
    stack = ChannelStack(stored(image.astype(dtype)), stored(dwi))
    found = stack[key]
    assert found.dtype == np.float32 and isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, np.concatenate((image, dwi))[key])


def test_missing_dwi_is_nan(image_and_dwi):
    stack = ChannelStack(image_and_dwi[0], None)
    cropped = stack[:, 1:2, 2:5, 3:6]
    assert np.isnan(cropped[-1]).all()
    assert np.isfinite(cropped[:-1]).all()


class _Cases:
    identifiers = ("case_001",)

    def __init__(self, image):
        self.image = image

    def load_case(self, case_id):
        return self.image, self.image[:1], None, {"case": case_id}


def test_shape_mismatch_names_the_case(image_and_dwi, tmp_path):
    image, dwi = image_and_dwi
    blosc2.asarray(np.ascontiguousarray(dwi[:, :, :5]), urlpath=str(tmp_path / "case_001.b2nd"))
    dataset = PairedDataset(_Cases(image), tmp_path, ["case_001"])
    with pytest.raises(ValueError, match=r"case_001.*shape"):
        dataset.load_case("case_001")


def test_case_has_one_more_channel(image_and_dwi, tmp_path):
    image, dwi = image_and_dwi
    blosc2.asarray(dwi, urlpath=str(tmp_path / "case_001.b2nd"))
    stack, labels, previous, properties = PairedDataset(_Cases(image), tmp_path, ["case_001"])[
        "case_001"
    ]
    assert stack.shape == (4, 4, 10, 12)
    assert labels.shape[0] == 1 and previous is None and properties == {"case": "case_001"}
    np.testing.assert_array_equal(stack[:, :, :, :][-1], dwi[0])
