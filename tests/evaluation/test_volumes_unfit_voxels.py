"""Voxels that are no numbers, or that are missing, are refused wherever the evaluation reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.evaluation.cases import IMAGE_ENDINGS
from nnunetv2_strokesynth.evaluation.matching import CasePair
from nnunetv2_strokesynth.evaluation.measure import measure_case
from nnunetv2_strokesynth.evaluation.volumes import read_lesion_probability, read_mask

SHAPE = (3, 9, 10)
FOLDERS = ("gt", "pred", "dwi", "pseudo_dwi")
ROLES = (*FOLDERS, "maps")  # all that `evaluate` reads, by the field of CasePair
BAD_VALUES = (np.nan, np.inf, -np.inf)
ANY_MASK = np.random.default_rng(0).random(SHAPE) < 0.3


def _content(role: str) -> np.ndarray:
    if role in ("gt", "pred"):
        return ANY_MASK.astype(np.float32)
    return np.random.default_rng(1).random(SHAPE).astype(np.float32)


@pytest.fixture
def case(tmp_path, write_volume):
    """A case that can be measured, as a function of what one role's file holds and is called."""

    def make(role: str = "", array: np.ndarray | None = None, ending: str = ".nii.gz") -> CasePair:
        paths = {}
        for each in ROLES:
            own = each == role
            path = tmp_path / each / f"case_1{ending if own else '.nii.gz'}"
            paths[each] = write_volume(array if own else _content(each), path)
        paths["maps"] = (paths["maps"],)
        return CasePair("case_1", **paths)

    return make


def test_every_role_is_tried():
    assert set(ROLES) == set(CasePair._fields) - {"case_id", "fold", "scale"}


def _file(found: CasePair, role: str) -> Path:
    return found.maps[0] if role == "maps" else getattr(found, role)


@pytest.mark.parametrize("bad", BAD_VALUES)
@pytest.mark.parametrize("ending", IMAGE_ENDINGS)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_voxels_that_are_no_numbers_are_refused_and_counted(case, role, ending, bad, dtype):
    array = _content(role).astype(dtype)
    array[0, 0, :4] = bad
    found = case(role, array, ending)
    with pytest.raises(ValueError, match="case case_1: .*holds 4 voxels that are NaN or inf") as e:
        measure_case(found)
    assert str(_file(found, role)) in str(e.value)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.9])
@pytest.mark.parametrize("ending", IMAGE_ENDINGS)
@pytest.mark.parametrize("role", ROLES)
def test_files_that_end_early_are_refused(case, role, ending, share):
    found = case(role, _content(role), ending)
    path = _file(found, role)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match="case case_1: ") as e:
        measure_case(found)
    assert str(path) in str(e.value)


@pytest.mark.parametrize("role", FOLDERS)
def test_the_command_says_so_in_one_line_and_writes_nothing(case, tmp_path, capsys, role):
    array = _content(role)
    array[1, 2, 3] = np.nan
    case(role, array)
    folders = ("--gt", "--pred", "--dwi", "--pseudo-dwi")
    named = [word for pair in zip(folders, FOLDERS, strict=True) for word in pair]
    named = [str(tmp_path / word) if word in ROLES else word for word in named]
    assert main(["evaluate", *named, "-o", str(tmp_path / "out"), "--workers", "1"]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "case_1" in last and f"{role}/case_1.nii.gz holds 1 voxels" in last
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("bad", BAD_VALUES)
@pytest.mark.parametrize("channel", [0, 1])
def test_probabilities_that_are_no_numbers_are_refused_and_counted(tmp_path, channel, bad):
    probs = np.full((2, *SHAPE), 0.5, np.float32)
    probs[channel, 0, 0, :2] = bad
    np.savez_compressed(tmp_path / "a.npz", probabilities=probs)
    with pytest.raises(ValueError, match=r"a\.npz holds 2 voxels that are NaN or infinite"):
        read_lesion_probability(tmp_path / "a.npz")


@pytest.mark.parametrize("one", [1, 0.9999999997, 1 + 1e-7, 255 * np.float32(1 / 255)])
@pytest.mark.parametrize("zero", [0, -0.0, 1e-12])
@pytest.mark.parametrize("role", ["gt", "pred"])
def test_masks_that_miss_0_and_1_by_rounding_are_masks(case, role, zero, one):
    array = np.where(ANY_MASK, np.float64(one), np.float64(zero))
    assert measure_case(case(role, array)) == measure_case(case())


@pytest.mark.parametrize(
    ("values", "shown"),
    [((0, 0.9), "0, 0.9"), ((0, 0.5), "0, 0.5"), ((0, 255), "0, 255"), ((-1, 1), "-1, 1"),
     ((0, 0.999), "0, 0.999"), ((1e-3, 1), "0.001, 1"), ((0, 2), "0, 2"),
     ((0, 1e30), "0, 1e\\+30")],
)  # fmt: skip
@pytest.mark.parametrize("role", ["gt", "pred"])
def test_other_values_are_refused_and_named(case, role, values, shown):
    with pytest.raises(ValueError, match=f"case case_1: .*holds the values {shown}, expected"):
        measure_case(case(role, np.where(ANY_MASK, *values[::-1]).astype(np.float64)))


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", ">u2", "<i4", ">i4", "<f4", ">f8"])
def test_masks_of_any_type_and_byte_order(tmp_path, dtype):
    import nibabel

    mask = ANY_MASK.astype(dtype)
    header = nibabel.Nifti1Header(endianness="big" if dtype[0] == ">" else "little")
    header.set_data_dtype(np.dtype(dtype))
    nibabel.save(nibabel.Nifti1Image(mask.T, np.eye(4), header), tmp_path / "a.nii.gz")
    found = read_mask(tmp_path / "a.nii.gz").array
    assert found.dtype == bool and (found == ANY_MASK).all()
