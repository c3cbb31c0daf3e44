"""Each thing that is wrong is named once, with what to do; nothing is named where all is well."""

import copy

import pytest

from nnunetv2_strokesynth.installation.advice import problems

FOLDER = {"path": "/data/x", "exists": True, "writable": True, "free_gb": 9.0}
WELL = {
    "packages": {"nnunetv2": "2.8.1", "torch": "2.14"},
    "commands": {"nnUNetv2_train": "/bin/nnUNetv2_train"},
    "folders": {"nnUNet_raw": dict(FOLDER), "nnUNet_results": dict(FOLDER)},
    "trainers": {"named_folders": {"/ext": True}, "error": None, "number": 3, "found_as": "x.y"},
    "devices": {"error": None, "cuda_build": None, "cuda": [], "warnings": []},
}


def test_nothing_to_say_where_all_is_well():
    assert problems(WELL) == []


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("packages.torch", None, "not installed: torch"),
        ("packages.nnunetv2", "2.7.0", "nnunetv2 is 2.7.0, expected 2.8"),
        ("packages.nnunetv2", "2.9.0", "nnunetv2 is 2.9.0, expected 2.8"),
        ("packages.nnunetv2", "what", "nnunetv2 is what, expected 2.8"),
        ("commands.nnUNetv2_train", None, "nnUNetv2_train are neither beside this Python"),
        ("folders.nnUNet_raw.path", None, "export nnUNet_raw=/path/to/nnUNet_raw"),
        ("folders.nnUNet_raw.exists", False, "/data/x is no folder"),
        ("folders.nnUNet_raw.writable", False, "/data/x cannot be written to"),
        ("trainers.named_folders", {"/gone": False}, "nnUNet_extTrainer names /gone"),
        ("trainers.error", "ImportError: x", "could not be asked for our trainers: ImportError"),
        ("trainers.found_as", None, "strokesynth trainers-dir"),
        ("devices.error", "OSError: libcudart", "PyTorch does not start: OSError: libcudart"),
        ("devices.cuda_build", "13.0", "sees no GPU"),
    ],
)
def test_what_is_wrong_is_named_with_the_way_out(where, value, said):
    facts = copy.deepcopy(WELL)
    *path, last = where.split(".")
    inner = facts
    for key in path:
        inner = inner[key]
    inner[last] = value
    (problem,) = problems(facts)
    assert said in problem
