"""What the fuzz runs, kills and full disks have found, one plain test for each bug."""

import gzip
import json
import os
import shutil
import struct
from contextlib import suppress

import pytest

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.io.atomic import (
    atomic_file,
    atomic_folder,
    holds_json,
    remove_leftovers,
    write_json,
)

DATA_SET = "Dataset018_ISLES2018"


@pytest.fixture
def scans(folders, writers):
    """Two training scans."""
    return writers.Scans(folders.src).add(1).add(2)


@pytest.fixture
def convert(folders, scans, capsys, without_bars):
    """Function: convert them; exit code and lines on stderr."""

    def run(*options):
        command = ["convert", "isles2018", str(folders.src), "--folds", "2", "--workers", "1"]
        code = main([*command, *options])
        return code, without_bars(capsys.readouterr().err)

    return run


@pytest.mark.parametrize(
    "content",
    ["[" * 100_000, '{"a":' * 100_000, '{"description": "Train_' + "9" * 5000 + '"}', "9" * 5000],
    ids=["lists", "objects", "digits in a text", "digits"],
)
def test_sidecar_beyond_python_s_limits_is_left_out(scans, convert, content):
    scans.path(1, "CT").with_suffix(".json").write_text(content)
    assert convert() == (0, [])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.csv", 'case,patient\ncase_1,"' + "x" * 200_000 + '"\n', "field larger than"),
        ("p.csv", "case,patient\ncase_1\n", "case_1 has the patient None"),
        ("p.json", "[" * 100_000, "neither a .csv file nor valid JSON"),
        ("p.json", '{"case_1": ' + "9" * 5000 + "}", "neither a .csv file nor valid JSON"),
        ("p.json", '{"case_' + "9" * 5000 + '": 1}', "expected a name like case_1"),
        ("p.json", '{"train": {"case_1": 1, "case_2": 2}, "test": [1]}', '"test" holds list'),
        ("p.json", '{"train": {"case_1": 1, "case_2": 2}, "test": 7}', '"test" holds int'),
    ],
)
def test_patients_file(convert, tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    code, lines = convert("--patients", str(tmp_path / name))
    assert code == 2 and len(lines) == 1
    assert str(tmp_path / name) in lines[0] and message in lines[0]


def test_patient_of_thousands_of_digits(convert, tmp_path):
    (tmp_path / "p.json").write_text('{"case_1": "' + "9" * 5000 + '", "case_2": 2}')
    assert convert("--patients", str(tmp_path / "p.json")) == (0, [])


def test_compressed_file_that_ends_after_the_header(scans, convert):
    """nibabel's ``ImageFileError`` is neither an ``OSError`` nor a ``ValueError``."""
    path = scans.path(2, "CBF")
    (path.parent / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()[:400])[:-8])
    path.unlink()
    code, lines = convert()
    assert code == 2 and len(lines) == 1 and "case_002" in lines[0]


@pytest.mark.parametrize("side", [3000, 30000])
def test_compressed_files_that_announce_more_than_they_can_hold(scans, convert, side):
    """100 GB and 100 TB in a few kB: refused before anything is allocated."""
    for path in list(scans.root.rglob("*.nii")):
        content = bytearray(path.read_bytes())
        content[42:48] = struct.pack("<3h", side, side, side)
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(bytes(content), 1))
        path.unlink()
    code, lines = convert()
    assert code == 2 and len(lines) == 1 and "problems in the scans" in lines[0]


@pytest.mark.parametrize("offset", [float("inf"), float("-inf"), float("nan")])
def test_offset_of_the_voxels_that_is_no_number(scans, convert, offset):
    path = scans.path(2, "CBF")
    content = bytearray(path.read_bytes())
    content[108:112] = struct.pack("<f", offset)
    path.write_bytes(bytes(content))
    code, lines = convert()
    assert code == 2 and len(lines) == 1 and str(path) in lines[0]


def test_half_written_record_is_no_case(folders, convert):
    """Left in ``conversion/`` by a kill, it was counted as a case that is not among the scans."""
    convert()
    record = folders.raw / DATA_SET / "conversion" / ".tmp-0123abcd-case_003.json"
    record.write_text("{")
    assert convert() == (0, [])
    assert not record.exists()


def test_half_written_file_beside_dataset_json_is_removed(folders, convert, leftovers):
    convert()
    (folders.raw / DATA_SET / ".tmp-0123abcd-dataset.json").write_text("{")
    assert convert() == (0, [])
    assert leftovers(folders.raw) == []


def test_kill_before_the_first_file(folders, convert):
    """The folder was taken for somebody else's."""
    records = folders.raw / DATA_SET / "conversion"
    records.mkdir(parents=True)
    (records / ".tmp-0123abcd-settings.json").write_text('{"pre')
    assert convert() == (0, [])


def test_kill_while_overwriting(folders, convert, monkeypatch):
    """The settings, by which we know our own folder, are what is removed last."""
    convert()
    remove, removed = shutil.rmtree, []

    def killed_later(path, **options):
        if len(removed) == 2:
            raise KeyboardInterrupt
        removed.append(path)
        remove(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed_later)
        assert convert("--overwrite")[0] == 130
    assert not (folders.raw / DATA_SET / "dataset.json").exists()
    assert convert("--overwrite") == (0, [])


def test_a_scan_that_was_spoilt_later_leaves_no_finished_data_set(scans, folders, convert):
    """The old ``dataset.json`` stayed, beside images without that case."""
    assert convert()[0] == 0
    array = scans.arrays(2)["MTT"]
    array[:] = float("nan")  # a few such voxels would become background
    scans.replace(2, "MTT", array)
    assert convert()[0] == 2
    assert not (folders.raw / DATA_SET / "dataset.json").exists()
    scans.replace(2, "MTT", scans.arrays(2)["MTT"])
    assert convert()[0] == 0
    assert (folders.raw / DATA_SET / "dataset.json").exists()


@pytest.mark.parametrize("content", ["[]", '"text"', "7", "{", "[" * 100_000])
def test_damaged_settings(folders, convert, content):
    convert()
    (folders.raw / DATA_SET / "conversion" / "settings.json").write_text(content)
    code, lines = convert()
    assert code == 2 and "was converted with other settings" in lines[0]
    assert convert("--overwrite") == (0, [])


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "\0", '{"bytes": 1}'])
def test_a_damaged_record_holds_nothing(tmp_path, content):
    record = tmp_path / "case_001.json"
    assert not holds_json(record, {"bytes": 1})
    record.write_text(content)
    assert not holds_json(record, {"bytes": 1})
    write_json(record, {"bytes": 1})
    assert holds_json(record, {"bytes": 1})


def test_names_that_are_no_utf8_come_back_from_json(tmp_path):
    write_json(tmp_path / "a.json", {"name": "\udcff", "other": "ü"})
    content = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert content == {"name": "\udcff", "other": "ü"}


@pytest.mark.parametrize("named", [True, False], ids=["named", "nameless"])
def test_errors_name_the_file_and_not_the_temporary_one(tmp_path, named):
    with pytest.raises(OSError) as failed, atomic_file(tmp_path / "a.txt") as temporary:
        raise OSError(28, "No space left on device", *([str(temporary)] if named else []))
    assert str(failed.value) == f"[Errno 28] No space left on device: '{tmp_path / 'a.txt'}'"


def test_errors_about_other_files_stay_as_they_are(tmp_path):
    with pytest.raises(FileNotFoundError, match="source"), atomic_file(tmp_path / "a.txt"):
        (tmp_path / "source").read_bytes()


def test_folder_is_replaced_whole(tmp_path, monkeypatch):
    """A kill while the old folder was deleted left half of it."""
    with atomic_folder(tmp_path / "a") as temporary:
        (temporary / "old").touch()
    seen = []

    def look(path, **options):
        seen.append(sorted(p.name for p in (tmp_path / "a").iterdir()))

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", look)
        with atomic_folder(tmp_path / "a") as temporary:
            (temporary / "new").touch()
    assert seen and all(names == ["new"] for names in seen)


def test_leftovers_that_are_young_stay(tmp_path):
    young, old = tmp_path / ".tmp-1-a", tmp_path / ".tmp-2-a"
    for path in (young, old, tmp_path / "a"):
        path.touch()
    os.utime(old, (0, 0))
    remove_leftovers(tmp_path, 3600)
    assert young.exists() and not old.exists()
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    with suppress(FileNotFoundError):
        remove_leftovers(tmp_path / "absent")


def test_leftover_folders_go_on_request(tmp_path):
    folder = tmp_path / ".tmp-1-a"
    (folder / "inner").mkdir(parents=True)
    remove_leftovers(tmp_path)
    assert folder.exists()
    remove_leftovers(tmp_path, 3600, and_folders=True)
    assert folder.exists()
    remove_leftovers(tmp_path, and_folders=True)
    assert not folder.exists()


def test_a_record_holds_what_was_written_and_nothing_else(tmp_path):
    path, content = tmp_path / "a.json", {"sizes": [1, 2], "mean": float("nan"), "name": "ä"}
    write_json(path, content)
    assert holds_json(path, content)
    assert not holds_json(path, content | {"sizes": [1, 3]})
