"""``strokesynth info``: text and JSON, exit code 0, no traceback."""

import json

import pytest

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.installation import facts
from nnunetv2_strokesynth.nnunet_commands import FOLDER_VARIABLES, trainers_folder

CARD = {"name": "A card", "memory_gb": 80.0}
PROBED = {
    "devices": {"error": None, "torch": "2", "cuda_build": "13.0", "cuda": [CARD], "mps": False,
                "threads": 1, "warnings": []},
    "trainers": {"error": None, "number": 7, "found_as": "a.module"},
}  # fmt: skip


@pytest.fixture
def stubbed(monkeypatch, tmp_path):
    """Folders that are there, and an answer of PyTorch and nnU-Net that takes no time."""
    for name in FOLDER_VARIABLES:
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setattr(facts, "probed", lambda: PROBED)
    return tmp_path


def test_text_of_a_sound_installation(stubbed, capsys):
    assert main(["info"]) == 0
    said = capsys.readouterr().out
    assert "A card (80.0 GB), cpu" in said and "7, found by nnU-Net" in said
    assert str(stubbed / "nnUNet_raw") in said
    assert said.endswith("no problem found\n")


def test_json_has_the_keys_that_the_page_explains(stubbed, capsys):
    assert main(["info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == [] and found["devices"]["cuda"] == [CARD]
    assert found["folders"]["nnUNet_raw"]["exists"]
    page = facts.Path(__file__).parents[2] / "docs" / "reference" / "info.md"
    text = page.read_text(encoding="utf-8")
    assert [key for key in found if f"| `{key}` |" not in text] == []


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_broken_variables_end_in_lines_and_exit_code_0(stubbed, monkeypatch, capsys, options):
    monkeypatch.setenv("nnUNet_raw", "/\udcff/no \udcfe")
    monkeypatch.setenv("nnUNet_preprocessed", "x" * 5000)
    monkeypatch.delenv("nnUNet_results")
    monkeypatch.setenv("nnUNet_extTrainer", "/nowhere")
    broken = {"error": "OSError: libtorch.so"}
    monkeypatch.setattr(facts, "probed", lambda: {"devices": broken, "trainers": broken})
    monkeypatch.setattr(facts, "version", lambda name: None)
    monkeypatch.setattr(facts, "path_of_command", lambda name: None)
    monkeypatch.setattr(facts, "memory_gb", lambda: None)
    assert main(["info", *options]) == 0
    said = capsys.readouterr()
    for expected in ("libtorch.so", "nnUNet_results is not set", "names /nowhere", "is no folder"):
        assert expected in said.out
    assert said.err == ""


def test_the_real_answer(monkeypatch, tmp_path, capsys):
    """PyTorch and nnU-Net are asked; a folder `torch` in the working directory does not matter."""
    (tmp_path / "torch.py").write_text("raise SystemExit('hidden by the folder')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("nnUNet_extTrainer", str(trainers_folder()))
    assert main(["info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["devices"]["error"] is None and found["devices"]["torch"]
    assert found["trainers"]["found_as"] and found["trainers"]["number"] > 100
    assert found["packages"]["nnunetv2"].startswith("2.8")
