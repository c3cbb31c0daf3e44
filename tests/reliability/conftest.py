"""Fixtures of the reliability tests: tiny scans, damages done to them, and processes to kill."""

import hashlib
import shutil
from pathlib import Path

import children as _children
import damages as _damages
import pytest
import scan_files

from nnunetv2_strokesynth.io.atomic import TEMPORARY_PREFIX

_BARS = ("checking: ", "converting: ", "curves: ", "fingerprint: ")


@pytest.fixture(scope="session")
def writers():
    """``Scans`` and ``MriScans`` of the converters' own tests."""
    return scan_files


@pytest.fixture(scope="session")
def damages():
    """The damages that are drawn at random."""
    return _damages


@pytest.fixture(scope="session")
def children():
    """Child processes that are killed."""
    return _children


class TargetInputs:
    """What the targets of the pipeline's data are made from, and the command that makes them."""

    def __init__(self, pipeline, base: Path, children):
        self._pipeline, self._base, self._children = pipeline, base, children

    def folder(self, name: str) -> Path:
        """A preprocessed folder without targets."""
        preprocessed = self._base / name / "nnUNetPlans_2d"
        preprocessed.mkdir(parents=True)
        for path in (self._pipeline.preprocessed / "nnUNetPlans_2d").glob("*.pkl"):
            shutil.copy2(path, preprocessed / path.name)
        return preprocessed

    def start(self, preprocessed: Path, *, ready: Path, go: Path, first: str = ""):
        """Start making the targets as soon as ``go`` exists; ``first`` is run before."""
        program = first + self._children.PREPARE_TARGETS
        return self._run(program, self._pipeline.raw / "targetsTr", preprocessed, ready, go)

    def start_cases(self, folder: Path, *, ready: Path, go: Path, first: str = ""):
        """The same with the cases in HU and s."""
        program = first + self._children.PREPARE_CASES
        return self._run(program, self._pipeline.raw, folder, ready, go)

    def _run(self, program: str, raw: Path, folder: Path, ready: Path, go: Path):
        plans = self._pipeline.preprocessed / "nnUNetPlans.json"
        arguments = [str(path) for path in (raw, folder, plans, ready, go)]
        return self._children.start_forked(program, arguments, self.log)

    @property
    def log(self) -> Path:
        """Output of all these processes."""
        return self._base / "targets.log"


@pytest.fixture
def target_inputs(pipeline, tmp_path, children):
    """See ``TargetInputs``."""
    return TargetInputs(pipeline, tmp_path, children)


class Folders:
    """nnU-Net's three folders and the scans, in one folder."""

    def __init__(self, base: Path, monkeypatch):
        self.base = base
        for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
            (base / name).mkdir(parents=True, exist_ok=True)
            monkeypatch.setenv(name, str(base / name))
        self.raw = base / "nnUNet_raw"
        self.src = base / "scans"


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """nnU-Net's folders below ``tmp_path``."""
    return Folders(tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def digests():
    """Function: relative path -> what a file, link or folder holds, of all below a folder."""
    return _digests


@pytest.fixture(scope="session")
def leftovers():
    """Function: all temporary files and folders below a folder."""
    return lambda folder: sorted(folder.rglob(f"{TEMPORARY_PREFIX}*"))


@pytest.fixture(scope="session")
def without_bars():
    """Function: the lines of a command's stderr that are not progress bars."""
    return _without_bars


def _without_bars(stderr: str) -> list[str]:
    lines = stderr.replace("\r", "\n").split("\n")
    return [line for line in lines if line and not line.startswith(_BARS)]


def _digests(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            content = f"link to {path.readlink()}"
        elif not path.is_file():
            content = "folder" if path.is_dir() else "special"
        else:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(folder))] = content
    return found
