"""A full disk: one line says what and where, nothing is left half written, a second run repairs it.

SimpleITK writes to a full disk without an error, so these tests fail with bare ``sitk.WriteImage``.
"""

import errno
import os
import pathlib
import shutil
import subprocess

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.dataloading import beside_cases
from nnunetv2_strokesynth.io.image_file import write_image

NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class FillingDisk:
    """Replaces the calls by which a conversion writes, and fails after a number of writes.

    A text is then left half written with an error that does not name the file, as by ``write``. An
    image is left half written without any error, as by SimpleITK. Renames are refused.
    """

    def __init__(self, monkeypatch, n_writes):
        self.left = n_writes
        self._replace, self._write_text = os.replace, pathlib.Path.write_text
        self._write_image = sitk.WriteImage
        monkeypatch.setattr(os, "replace", self.replace)
        monkeypatch.setattr(pathlib.Path, "write_text", self._text_writer())
        monkeypatch.setattr(sitk, "WriteImage", self.write_image)

    def _is_full(self):
        self.left -= 1
        return self.left < 0

    def replace(self, source, target):
        if self._is_full():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), source, None, target)
        self._replace(source, target)

    def _text_writer(self):
        def write_text(path, text, **options):
            if self._is_full():
                self._write_text(path, text[: len(text) // 2], **options)
                raise NO_SPACE
            return self._write_text(path, text, **options)

        return write_text

    def write_image(self, image, path, **options):
        self._write_image(image, path, **options)
        if self._is_full():
            os.truncate(path, os.path.getsize(path) // 2)


@pytest.fixture
def convert(folders, writers, monkeypatch, capsys, without_bars):
    """Function: convert two scans into a folder; the exit code and the line of error."""
    writers.Scans(folders.src).add(1, dwi=True).add(2)

    def run(raw):
        monkeypatch.setenv("nnUNet_raw", str(raw))
        monkeypatch.delenv(
            "nnUNet_preprocessed", False
        )  # where the fingerprint goes; see the test below
        options = "--folds 2 --workers 1".split()
        code = main(["convert", "isles2018", str(folders.src), *options])
        return code, without_bars(capsys.readouterr().err)

    return run


def check_refused(code, lines, raw, leftovers):
    """One line that names the place and the reason; nothing half written."""
    assert code == 2
    (line,) = lines
    assert "No space left on device" in line or "is the disk full?" in line
    assert str(raw) in line and ".tmp-" not in line
    assert leftovers(raw) == []
    assert not list(raw.rglob("dataset.json"))


def test_disk_that_is_full_after_any_number_of_writes(
    folders, convert, digests, leftovers, monkeypatch
):
    undisturbed = folders.base / "undisturbed"
    with monkeypatch.context() as patch:
        disk = FillingDisk(patch, 10**6)
        assert convert(undisturbed) == (0, [])
        n_writes = 10**6 - disk.left
    assert n_writes == 2 * (2 * 13 + 1 + 2 + 4)  # images, labels, a DWI, records, four files
    expected = digests(undisturbed)
    for n in range(n_writes):
        raw = folders.base / f"full_after_{n}"
        with monkeypatch.context() as patch:
            FillingDisk(patch, n)
            check_refused(*convert(raw), raw, leftovers)
        if n % 4 == 0:
            assert convert(raw) == (0, [])
            assert digests(raw) == expected


def test_disk_that_is_full_at_the_fingerprint(
    folders, convert, leftovers, monkeypatch, capsys, without_bars
):
    """The data set is whole by then; the same command goes on with the fingerprint alone."""
    raw, preprocessed = folders.base / "raw", folders.base / "preprocessed"
    assert convert(raw) == (0, [])
    monkeypatch.setenv("nnUNet_preprocessed", str(preprocessed))
    command = ["convert", "isles2018", str(folders.src), "--folds", "2", "--workers", "1"]
    with monkeypatch.context() as patch:
        FillingDisk(patch, 8)  # the four files of the data set are written anew: text and rename
        assert main(command) == 2
    (line,) = without_bars(capsys.readouterr().err)
    assert str(preprocessed) in line and ".tmp-" not in line
    assert not list(preprocessed.rglob("dataset_fingerprint.json"))
    assert leftovers(preprocessed) == []
    assert main(command) == 0
    assert len(list(preprocessed.rglob("dataset_fingerprint.json"))) == 1


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 kB; skipped where tests may not mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_small_disk(folders, convert, small_disk, digests, leftovers):
    raw = small_disk / "nnUNet_raw"
    check_refused(*convert(raw), raw, leftovers)
    assert (raw / "Dataset018_ISLES2018" / "imagesTr").is_dir()  # it had begun
    larger = ["mount", "-o", "remount,size=8m", str(small_disk)]
    subprocess.run(larger, check=True)
    assert convert(raw) == (0, [])
    convert(folders.base / "undisturbed")
    assert digests(raw) == digests(folders.base / "undisturbed")


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.mha", "a.nrrd"])
def test_image_on_a_full_disk(small_disk, name):
    image = sitk.GetImageFromArray(np.random.default_rng(0).normal(size=(4, 64, 64)))
    with pytest.raises(OSError, match=name):
        write_image(small_disk / name, image)
    assert list(small_disk.iterdir()) == []


def test_target_on_a_full_disk(small_disk):
    """blosc2 raises a ``RuntimeError`` that names neither the file nor the reason."""
    volume = np.random.default_rng(0).random((1, 16, 64, 64), dtype=np.float32)
    with pytest.raises(OSError, match=r"is the disk full.*case_001\.b2nd"):
        beside_cases.store_volume(volume, small_disk / "case_001.b2nd", (64, 64))
    assert list(small_disk.iterdir()) == []


def test_target_that_ends_early(tmp_path, monkeypatch):
    volume = np.random.default_rng(0).random((1, 4, 64, 64), dtype=np.float32)

    def open_other(path, mode):
        return volume + 1

    monkeypatch.setattr(beside_cases.blosc2, "open", open_other)
    with pytest.raises(OSError, match="is not what was written"):
        beside_cases.store_volume(volume, tmp_path / "case_001.b2nd", (64, 64))
    assert list(tmp_path.iterdir()) == []


def test_image_that_cannot_be_written_says_why(tmp_path):
    with pytest.raises(OSError, match=r"a\.unknown"):
        write_image(tmp_path / "a.unknown", sitk.Image(2, 2, 2, sitk.sitkFloat32))
    assert list(tmp_path.iterdir()) == []


def test_image_with_nan_is_written(tmp_path):
    """SimpleITK reads NaN as 0, which is not a sign of a full disk."""
    array = np.array([[[np.nan, np.inf, 1.0]]], dtype=np.float32)
    write_image(tmp_path / "a.nii.gz", sitk.GetImageFromArray(array))
    stored = nibabel.load(tmp_path / "a.nii.gz").get_fdata().ravel()
    np.testing.assert_array_equal(stored, array.ravel())


def test_image_with_other_voxels_is_refused(tmp_path, monkeypatch):
    """One voxel of another value, at the end."""
    image = sitk.GetImageFromArray(np.ones((2, 3, 4), np.float32))
    write = sitk.WriteImage

    def write_other(image, path, **options):
        other = sitk.Image(image)
        other[3, 2, 1] = 0
        write(other, path, **options)

    monkeypatch.setattr(sitk, "WriteImage", write_other)
    with pytest.raises(OSError, match="not what was written"):
        write_image(tmp_path / "a.nii.gz", image)
