"""dataset.json tells a phantom from patients."""

import json

import pytest

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.dataset_conversion.Dataset018_ISLES2018 import ISLES2018


@pytest.fixture
def description_of(scans, nnunet_raw, monkeypatch):
    """Converts two scans found at ``src`` and reads dataset.json."""
    scans.add(1).add(2)

    def convert(src):
        assert main(["convert", "isles2018", str(src), "--folds", "2", "--workers", "1"]) == 0
        return json.loads((nnunet_raw / "Dataset018_ISLES2018" / "dataset.json").read_text())

    monkeypatch.chdir(scans.root)
    return convert


def test_patients(scans, description_of):
    """Also where another folder beside or above the release is a phantom."""
    (scans.root.parent / "phantom.json").write_text("{}")
    (scans.root.parent / "other").mkdir()
    (scans.root.parent / "other" / "phantom.json").write_text("{}")
    description = description_of(scans.root)
    assert description["origin"] == "ISLES 2018"
    assert description["description"] == ISLES2018.description["description"]


@pytest.mark.parametrize("src", [".", "..", "TRAINING"])
def test_phantom(scans, description_of, src):
    """Found from the top folder, from one above it, and from TRAINING itself."""
    (scans.root / "phantom.json").write_text("{}")
    for path in (src, (scans.root / src).resolve()):
        description = description_of(path)
        assert description["origin"] == "digital phantom"
        assert description["description"] == (
            "DIGITAL PHANTOM, not patients: " + ISLES2018.description["description"]
        )
