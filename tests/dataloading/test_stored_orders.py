"""Training cases that are stored in several orders of axes do not become one network."""

import nibabel
import numpy as np
import pytest
from orders import save_in_order

from nnunetv2_strokesynth.dataloading.raw_cases import raw_cases
from nnunetv2_strokesynth.dataloading.stored_orders import check_orders

LIKE_NNUNET = {"file_ending": ".nii.gz"}
IDENTITY = np.diag([-1.0, -1, 1, 1])  # as data sets of unknown orientation are written


@pytest.fixture
def data_set(tmp_path):
    """Writes cases in given orders; returns what the training finds in ``nnUNet_raw``."""

    def write(*orders):
        for number, order in enumerate(orders):
            affine = {"affine": IDENTITY} if order == "identity" else {}
            name = order if order != "identity" else "LPS"
            for folder, end in (("imagesTr", "_0000"), ("labelsTr", "")):
                path = tmp_path / folder / f"case_{number:03d}{end}.nii.gz"
                save_in_order(path, np.zeros((3, 4, 5), np.uint8), name, **affine)
        return raw_cases(tmp_path, LIKE_NNUNET)

    return write


@pytest.mark.parametrize("recorded", [None, "LPS", "unknown"])
@pytest.mark.parametrize("orders", [("LPS", "LPS"), ("identity", "identity"), ("LPS", "identity")])
def test_one_order_is_fine(data_set, recorded, orders):
    description = {} if recorded is None else {"orientation": recorded}
    assert check_orders(data_set(*orders), description) == []


@pytest.mark.parametrize("description", [{}, {"orientation": "LPS"}, {"orientation": "unknown"}])
def test_a_mixture_is_refused(data_set, description):
    raw = data_set("LPS", "LAS", "LPS", "LAS", "LAS", "LAS")
    with pytest.raises(ValueError, match=r"4 LAS \(case_001, .* and 1 more\), 2 LPS") as raised:
        check_orders(raw, description)
    assert str(raw.folder) in str(raised.value) and "--overwrite" in str(raised.value)


def test_a_case_added_by_hand_in_another_order(data_set):
    with pytest.raises(ValueError, match='1 RAS .*dataset.json says "LPS"'):
        check_orders(data_set("RAS"), {"orientation": "LPS"})


def test_the_mixture_on_request(data_set):
    (said,) = check_orders(data_set("LPS", "LAS"), {"orientation": "mixed"})
    assert "several orders" in said


def test_another_single_order_is_said(data_set):
    (said,) = check_orders(data_set("RAS", "RAS"), {})
    assert "stored in RAS order" in said and "nnUNetv2_predict" in said


def test_without_the_raw_data(data_set):
    (said,) = check_orders(None, {})
    assert "is not known" in said
    assert check_orders(None, {"orientation": "LPS"}) == []


def test_images_that_do_not_tell(data_set, tmp_path):
    raw = data_set("LAS", "LPS")
    image = nibabel.load(tmp_path / "imagesTr/case_000_0000.nii.gz")
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    nibabel.save(image, tmp_path / "imagesTr/case_000_0000.nii.gz")
    assert check_orders(raw, {}) == []
