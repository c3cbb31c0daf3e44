"""A folder is recognised by its layout, and a wrong kind on the command line is told."""

from itertools import permutations

import pytest

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.dataset_conversion.recognise import kinds_of
from nnunetv2_strokesynth.dataset_conversion.registry import KINDS, load_kind


@pytest.fixture
def trees(scans, mri_scans, bids_scans, tmp_path):
    """Kind -> folder of two scans in its layout, each in a folder of its own."""
    writers = {"isles2018": scans, "isles2017": mri_scans, "isles2024": bids_scans}
    assert writers.keys() == KINDS.keys()
    for name, writer in writers.items():
        writer.root = tmp_path / name
        writer.add(1).add(2)
    return {name: writer.root for name, writer in writers.items()}


def test_every_kind_is_recognised_and_no_other(trees, tmp_path):
    for name, folder in trees.items():
        assert kinds_of(folder) == [name]
    (tmp_path / "empty").mkdir()
    assert kinds_of(tmp_path / "empty") == kinds_of(tmp_path / "nothing") == []


@pytest.mark.parametrize(("named", "real"), permutations(KINDS, 2))
def test_a_wrong_kind_is_told(trees, named, real, nnunet_raw, capsys):
    assert main(["convert", named, str(trees[real])]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    number = load_kind(real).dataset_id
    assert f"It looks like {real}: type" in error
    assert f"`strokesynth convert {real} {trees[real]} -d {number}`" in error
    assert list(nnunet_raw.iterdir()) == []


def test_empty_folders_of_the_named_kind_do_not_hide_the_real_one(trees, capsys, nnunet_raw):
    (trees["isles2024"] / "TRAINING" / "case_1").mkdir(parents=True)
    assert main(["convert", "isles2018", str(trees["isles2024"])]) == 2
    assert "hold no file. It looks like isles2024" in capsys.readouterr().err


def test_a_folder_like_no_kind_is_not_called_one(tmp_path, capsys, nnunet_raw):
    (tmp_path / "photos").mkdir()
    assert main(["convert", "isles2018", str(tmp_path / "photos")]) == 2
    assert "looks like" not in capsys.readouterr().err


@pytest.mark.parametrize("name", KINDS)
def test_a_missing_map_names_the_options_that_help(trees, name, nnunet_raw, capsys):
    for path in trees[name].rglob("*"):
        if path.is_file() and "tmax" in path.name.lower():
            path.unlink()
            break
    assert main(["convert", name, str(trees[name])]) == 2
    error = capsys.readouterr().err
    assert "no file for Tmax" in error
    assert ("--compute-maps computes" in error) == (name != "isles2017")
    assert "--skip-incomplete leaves out" in error


def test_options_are_not_advised_where_they_do_not_help(trees, nnunet_raw, capsys):
    next(trees["isles2018"].rglob("*CT_4DPWI*.nii")).unlink()
    main(["convert", "isles2018", str(trees["isles2018"])])
    error = capsys.readouterr().err
    assert "no file for 4DPWI" in error and "--skip-incomplete" in error
    assert "--compute-maps" not in error


@pytest.mark.parametrize("name", KINDS)
def test_incomplete_scans_of_any_kind_can_be_left_out(trees, name, nnunet_raw, capsys):
    for path in trees[name].rglob("*"):
        if path.is_file() and "tmax" in path.name.lower():
            path.unlink()
            break
    assert main(["convert", name, str(trees[name]), "--skip-incomplete"]) == 2
    error = capsys.readouterr().err
    assert "1 training patient, folds need at least 2" in error  # one of two is left
