"""Whatever the environment is like, there is an answer."""

import json
import os
import sys
from pathlib import Path

import pytest

from nnunetv2_strokesynth.installation import facts
from nnunetv2_strokesynth.nnunet_commands import trainers_folder


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 reads no TOML")
def test_the_extras_are_those_that_a_user_can_install():
    import tomllib

    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    declared = tomllib.loads(text)["project"]["optional-dependencies"]
    assert set(facts.EXTRAS) == set(declared) - {"test", "oracle"}
    assert {k: sorted(v) for k, v in facts.EXTRAS.items()} == {
        k: sorted(name.split(">")[0] for name in declared[k]) for k in facts.EXTRAS
    }


def test_a_folder_that_is_there(tmp_path):
    found = facts.folder(str(tmp_path))
    assert found["exists"] and found["writable"] and found["free_gb"] > 0


def broken_paths(root):
    (root / "file").write_text("x")
    (root / "loop").symlink_to(root / "loop")
    (root / "gone").symlink_to(root / "nowhere")
    return ["", str(root / "file"), str(root / "file" / "below"), str(root / "loop"), "relative",
            str(root / "gone"), "x" * 5000, "\udcff\udcfe", "~/data", "a\x00b", "\n"]  # fmt: skip


def test_a_path_that_is_no_folder_is_an_answer_and_not_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in broken_paths(tmp_path):
        found = facts.folder(path)
        assert not found["exists"] and not found["writable"], path
        json.dumps(found)


def test_a_missing_folder_tells_the_room_where_it_would_lie(tmp_path):
    assert facts.folder(str(tmp_path / "new" / "raw"))["free_gb"] > 0


def test_the_working_directory_may_be_gone(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert not facts.folder("relative")["exists"]


def test_our_folder_is_known_behind_a_link(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(trainers_folder())
    monkeypatch.setenv("nnUNet_extTrainer", os.pathsep.join(["/gone", str(tmp_path / "link")]))
    found = facts.trainer_folders()
    assert found["is_named"]
    assert found["named_folders"] == {"/gone": False, str(tmp_path / "link"): True}
    monkeypatch.setenv("nnUNet_extTrainer", os.pathsep)
    assert facts.trainer_folders()["named_folders"] == {}


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import os; os._exit(3)", "exit code 3: no output"),
        ("import sys; sys.exit('no such library')", "exit code 1: no such library"),
        ("print('no JSON')", "exit code 0"),
        ("import time; time.sleep(60)", "had not started after 0.5 s"),
    ],
)
def test_a_process_that_breaks_becomes_a_line(monkeypatch, program, said):
    monkeypatch.setattr(facts, "_PROBE", program)
    answers = facts.probed(limit_s=0.5 if "sleep" in program else 60)
    assert said in answers["devices"]["error"] and said in answers["trainers"]["error"]
