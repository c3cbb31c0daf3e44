"""Files and folders are complete or absent."""

import errno
import json
import os

import pytest

from nnunetv2_strokesynth.io.atomic import (
    atomic_file,
    atomic_folder,
    write_json,
)


def test_failure_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), atomic_file(tmp_path / "a.nii.gz") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_failure_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"


def test_temporary_keeps_the_suffixes(tmp_path):
    with atomic_file(tmp_path / "sub" / "a.nii.gz") as temporary:
        assert temporary.name.endswith(".nii.gz") and temporary.name != "a.nii.gz"
        temporary.write_text("whole")
    assert (tmp_path / "sub" / "a.nii.gz").read_text() == "whole"


def test_folder_is_renamed_or_removed(tmp_path):
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "case") as temporary:
        (temporary / "one").write_text("1")
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with atomic_folder(tmp_path / "case") as temporary:
        (temporary / "one").write_text("1")
    assert [path.name for path in tmp_path.iterdir()] == ["case"]


def test_json_round_trip(tmp_path):
    write_json(tmp_path / "x.json", {"µ": [1, None]})
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == {"µ": [1, None]}


def test_the_disk_has_the_content_before_the_name(tmp_path, monkeypatch):
    """A power cut leaves the old file or the new one, never a name with nothing behind it."""
    calls = []
    monkeypatch.setattr(os, "fsync", lambda _: calls.append("flush"))
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("rename"), replace(a, b)))
    with atomic_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
    assert calls == ["flush", "rename"]
    calls.clear()
    with atomic_folder(tmp_path / "case") as temporary:
        for name in ("one", "two"):
            (temporary / name).write_text(name)
    assert calls == ["flush", "flush", "rename"]


def test_a_disk_that_fails_at_last_leaves_nothing(tmp_path, monkeypatch):
    def fails(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with (
        pytest.raises(OSError, match=r"Input/output error.*a\.txt"),
        atomic_file(tmp_path / "a.txt") as temporary,
    ):
        temporary.write_text("whole")
    assert not list(tmp_path.iterdir())


def test_the_old_folder_comes_back_where_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    """It was deleted, and nothing was left."""
    path, replace = tmp_path / "results", os.replace
    path.mkdir()
    (path / "old").write_text("old")

    def fails_at_last(source, target):
        if target == path and not (source / "old").exists():
            raise OSError(errno.EACCES, "Permission denied", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", fails_at_last)
    with pytest.raises(OSError, match="Permission denied"), atomic_folder(path) as temporary:
        (temporary / "new").write_text("new")
    assert [file.name for file in path.iterdir()] == ["old"]
    assert [one.name for one in tmp_path.iterdir()] == ["results"]
