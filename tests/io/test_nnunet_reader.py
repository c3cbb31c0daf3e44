"""nnU-Net's readers fail in many ways; here it is always one error that names the file."""

import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

from nnunetv2_strokesynth.io.nnunet_reader import find_reader, read_channels

DESCRIPTION = {"channel_names": {"0": "CT"}, "file_ending": ".nii.gz"}


@pytest.fixture
def write(tmp_path):
    def one(name, shape=(2, 3, 4)):
        path = tmp_path / f"{name}.nii.gz"
        sitk.WriteImage(sitk.GetImageFromArray(np.ones(shape, np.float32)), str(path))
        return path

    return one


def test_a_file_that_can_be_read(write):
    reader = find_reader(DESCRIPTION, write("a"))
    assert isinstance(reader, SimpleITKIO)
    voxels, properties = read_channels(reader, [write("a"), write("b")])
    assert voxels.shape == (2, 2, 3, 4) and list(properties["spacing"]) == [1, 1, 1]


def test_a_damaged_file_is_named_without_a_traceback(write, capsys):
    path = write("a")
    path.write_bytes(b"no image")
    with pytest.raises(ValueError, match=f"{path} cannot be read by nnU-Net"):
        find_reader(DESCRIPTION, path)
    with pytest.raises(ValueError, match=rf"{path} cannot be read as one scan: \w+") as told:
        read_channels(SimpleITKIO(), [path])
    assert "sitk" not in str(told.value) and "\n" not in str(told.value)
    assert capsys.readouterr().err == ""


def test_channels_on_other_voxels_are_named(write):
    files = [write("a"), write("b", (2, 3, 5))]
    with pytest.raises(ValueError, match=r"a.nii.gz to b.nii.gz cannot be read as one scan: \w+"):
        read_channels(SimpleITKIO(), files)
