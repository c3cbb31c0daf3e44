"""Odd paths from end to end, and places where nothing can be written."""

import os
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.evaluation.volumes import read_image

ODD = "Müller & Söhne (ß) 脳 #1 'x' %s {0}"
NAMES = [
    unicodedata.normalize("NFC", ODD),
    unicodedata.normalize("NFD", ODD),
    "new\nline",
    "-d",
    " ",
    "~",
    "*?[a]",
]
NO_UTF8 = "\udcff"


@pytest.fixture
def convert(writers, monkeypatch, capsys, without_bars):
    """Function: convert two scans below a folder into nnUNet_raw; exit code and line of error."""

    def run(src: Path, raw: Path, *options: str):
        if not src.exists():
            writers.Scans(src).add(1, sidecar="Train_01_A").add(2, dwi=True, sidecar="Train_02_A")
        monkeypatch.setenv("nnUNet_raw", str(raw))
        command = ["convert", "isles2018", *options, "--folds", "2", "--workers", "1", "--"]
        code = main([*command, str(src)])
        return code, without_bars(capsys.readouterr().err)

    return run


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_odd_folders(tmp_path, convert, digests, name):
    plain, odd = tmp_path / "plain", tmp_path / name / "more"
    assert convert(plain / "scans", plain / "nnUNet_raw")[0] == 0
    shutil.copytree(plain / "scans", odd / "scans")  # the same times: they are in the records
    assert convert(odd / "scans", odd / "nnUNet_raw", "--plots")[0] == 0
    shutil.rmtree(odd / "nnUNet_raw" / "Dataset018_ISLES2018" / "curves")
    assert digests(odd / "nnUNet_raw") == digests(plain / "nnUNet_raw")


def test_scans_in_a_folder_that_is_no_utf8(tmp_path, convert, digests):
    convert(tmp_path / "scans", tmp_path / "plain")
    shutil.copytree(tmp_path / "scans", tmp_path / NO_UTF8)
    assert convert(tmp_path / NO_UTF8, tmp_path / "odd")[0] == 0
    assert digests(tmp_path / "odd") == digests(tmp_path / "plain")


def test_output_in_a_folder_that_is_no_utf8(tmp_path, convert, leftovers):
    """SimpleITK would end the process."""
    code, lines = convert(tmp_path / "scans", tmp_path / NO_UTF8)
    assert code == 2 and len(lines) == 1 and "this name is not UTF-8" in lines[0]
    assert leftovers(tmp_path) == []


def test_label_that_is_no_utf8(tmp_path):
    (tmp_path / f"{NO_UTF8}.nii.gz").write_bytes(b"x")
    with pytest.raises(OSError, match="this name is not UTF-8"):
        read_image(tmp_path / f"{NO_UTF8}.nii.gz")


def test_relative_folders(tmp_path, convert, monkeypatch, digests):
    convert(tmp_path / "scans", tmp_path / "absolute")
    monkeypatch.chdir(tmp_path)
    assert convert(Path("scans"), Path("relative"))[0] == 0
    assert digests(tmp_path / "relative") == digests(tmp_path / "absolute")


@pytest.mark.parametrize("name", ["file/nnUNet_raw", "file", "loop", "dangling/deep"])
def test_output_that_is_no_folder(tmp_path, convert, name):
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere/at/all")
    code, lines = convert(tmp_path / "scans", tmp_path / name)
    assert code == 2
    assert len(lines) == 1 and lines[0].startswith("strokesynth convert: ")
    assert str(tmp_path / name.split("/")[0]) in lines[0]
    assert (tmp_path / "file").read_text() == "x"


def test_data_set_that_is_a_file(tmp_path, convert):
    taken = tmp_path / "nnUNet_raw" / "Dataset018_ISLES2018"
    taken.parent.mkdir()
    taken.write_text("precious")
    for options in ([], ["--overwrite"]):
        code, lines = convert(tmp_path / "scans", taken.parent, *options)
        assert code == 2 and str(taken) in lines[0]
    assert taken.read_text() == "precious"


@pytest.fixture
def read_only(tmp_path):
    """A folder that not even root can write to: a file system that is mounted read-only."""
    folder = tmp_path / "read_only"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_read_only_disk(tmp_path, convert, read_only):
    code, lines = convert(tmp_path / "scans", read_only / "nnUNet_raw")
    assert code == 2
    assert len(lines) == 1 and "Read-only file system" in lines[0] and str(read_only) in lines[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(tmp_path, convert):
    raw = tmp_path / "nnUNet_raw"
    raw.mkdir(mode=0o500)
    code, lines = convert(tmp_path / "scans", raw)
    assert code == 2 and "Permission denied" in lines[0] and str(raw) in lines[0]
