"""The wheel holds the whole package, and nnU-Net finds the trainers with nothing exported."""

import ast
import email
import os
import runpy
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import setuptools

from nnunetv2_strokesynth import __version__
from nnunetv2_strokesynth.nnunet_commands import trainers_folder

ROOT = Path(__file__).parents[1]
PACKAGE = "nnunetv2_strokesynth"
PTH = Path(sysconfig.get_path("purelib")) / "nnunetv2_strokesynth.pth"
FOLDERS = (PACKAGE, "dataset_conversion")
FILES = ("pyproject.toml", "setup.py", "README.md", "LICENSE")
NOT_SHIPPED = shutil.ignore_patterns("__pycache__", "*.pyc")


@pytest.fixture(scope="module")
def start_up_line():
    """The line that the build writes, from setup.py run without building anything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, "setup", lambda **kwargs: None)
        return runpy.run_path(str(ROOT / "setup.py"))["PTH_LINE"]


def _execute(line, sitedir, monkeypatch, before):
    monkeypatch.delenv("nnUNet_extTrainer", raising=False)
    if before is not None:
        monkeypatch.setenv("nnUNet_extTrainer", before)
    exec(line, {}, {"sitedir": str(sitedir)})
    return os.environ.get("nnUNet_extTrainer")


@pytest.mark.parametrize("before", [None, "", "/mine"])
def test_line_appends_and_keeps_what_is_set(start_up_line, tmp_path, monkeypatch, before):
    folder = tmp_path / "nnunetv2_strokesynth" / "nnunet_ext"
    folder.mkdir(parents=True)
    expected = os.pathsep.join(filter(None, (before, str(folder))))
    assert _execute(start_up_line, tmp_path, monkeypatch, before) == expected
    assert _execute(start_up_line, tmp_path, monkeypatch, expected) == expected, "added only once"


def test_line_does_nothing_when_the_package_is_gone(start_up_line, tmp_path, monkeypatch):
    assert _execute(start_up_line, tmp_path, monkeypatch, "/mine") == "/mine"


def test_line_is_one_line_that_python_executes(start_up_line):
    assert start_up_line.startswith("import ") and start_up_line.count("\n") == 1


@pytest.mark.skipif(not PTH.is_file(), reason="an editable install does not ship the file")
def test_fresh_interpreter_knows_the_trainers_folder():
    environment = {key: value for key, value in os.environ.items() if key != "nnUNet_extTrainer"}
    command = [sys.executable, "-c", "import os; print(os.environ['nnUNet_extTrainer'])"]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(trainers_folder())


def _copy_of_the_source(target):
    """What a build reads, without the files that a build or an import leaves behind."""
    for name in FILES:
        shutil.copy(ROOT / name, target / name)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, target / name, ignore=NOT_SHIPPED, symlinks=True)
    link = target / PACKAGE / "dataset_conversion"  # some work with a link in the checkout
    if link.is_symlink():
        link.unlink()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A copy of the source and the wheel that is built from it, without a network."""
    source = tmp_path_factory.mktemp("source")
    _copy_of_the_source(source)
    before = [path for name in FOLDERS for path in (source / name).rglob("*") if path.is_file()]
    build = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    (wheel,) = (source / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        yield [path.relative_to(source).as_posix() for path in before], archive


def test_wheel_holds_every_file_of_the_source_once(built):
    source, archive = built
    expected = [path if path.startswith(PACKAGE) else f"{PACKAGE}/{path}" for path in source]
    shipped = [name for name in archive.namelist() if ".dist-info/" not in name]
    assert Counter(shipped) == Counter([*expected, PTH.name])


def test_wheel_states_what_is_needed_to_install_and_run_it(built):
    _, archive = built
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = email.message_from_bytes(archive.read(name))
    assert metadata["Version"] == __version__
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert {"nnunetv2<2.9,>=2.8", "torch", "jinja2"} <= set(metadata.get_all("Requires-Dist"))
    scripts = archive.read(name.replace("METADATA", "entry_points.txt")).decode()
    assert f"strokesynth = {PACKAGE}.cli:main" in scripts


def test_version_is_read_without_importing_the_package(built):
    """A build environment has neither torch nor numpy: only the text of the file is read."""
    tree = ast.parse((ROOT / PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


def test_citation_names_this_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {__version__}\n" in citation


def test_the_containers_builder_gets_what_the_build_reads():
    """The image's wheel is built from the same files as here, and Docker may send them."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [word for line in lines if line.startswith("COPY ") and "--from" not in line
              for word in line.split()[1:-1]]  # fmt: skip
    assert sorted(copied) == sorted([*FILES, *FOLDERS])
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored.index("*") < min(ignored.index(f"!{name}") for name in copied)
