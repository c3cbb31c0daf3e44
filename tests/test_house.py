"""The order of the house: imports point down, in no circle, and the tests mirror the tree.

CONTRIBUTING.md explains the order; ``support/house.py`` holds it.
"""

from __future__ import annotations

import ast
from pathlib import Path

import house
import pytest

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
ACROSS_FOLDERS = {"support", "reliability"}  # folders of tests that belong to no single folder


def _lines(found: list) -> str:
    return "\n".join(map(str, found))


@pytest.fixture(scope="module")
def arrows() -> list[house.Arrow]:
    return house.arrows(ROOT)


def test_every_folder_has_a_place_in_the_order():
    assert {name.split(".")[0] for name in house.folders(ROOT)} == set(house.LEVEL_OF)


def test_no_import_points_up(arrows):
    assert not (found := house.pointing_up(arrows)), _lines(found)


def test_no_circle_between_folders(arrows):
    """A circle has an arrow up, which the test above lists, or stays on one level."""
    up = house.pointing_up(arrows)
    found = house.in_circles([arrow for arrow in arrows if arrow not in up])
    assert not found, _lines(found)


def test_no_paper_imports_another(arrows):
    assert not (found := house.between_papers(arrows)), _lines(found)


def test_only_commands_import_the_conversion(arrows):
    assert not (found := house.to_conversion(arrows)), _lines(found)


def test_no_folder_is_re_exported():
    """A name has one home: an ``__init__.py`` imports nothing."""
    facades = [
        path
        for path in house.modules(ROOT).values()
        if path.name == "__init__.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not facades


def _folder_under_test(folder: Path) -> Path | None:
    relative = folder.relative_to(TESTS)
    places = (ROOT / house.PACKAGE / relative, ROOT / relative)
    return next((place for place in places if place.is_dir()), None)


def _mirrored() -> list[Path]:
    folders = {path.parent for path in TESTS.rglob("test_*.py")} - {TESTS}
    return sorted(f for f in folders if f.relative_to(TESTS).parts[0] not in ACROSS_FOLDERS)


def test_every_folder_of_tests_has_its_folder():
    assert not [folder for folder in _mirrored() if _folder_under_test(folder) is None]


@pytest.mark.parametrize("folder", _mirrored(), ids=lambda folder: str(folder.relative_to(TESTS)))
def test_tests_are_named_after_what_they_test(folder):
    under_test = _folder_under_test(folder)
    strangers = house.tests_of_nothing(folder, under_test)
    assert not strangers, f"no module of {under_test.relative_to(ROOT)} has such a name"


# The checks find what they are for: planted arrows in a small tree.


@pytest.fixture
def planted(tmp_path):
    """Writes modules into a tree of their own and returns the arrows of that tree."""

    def plant(**texts: str) -> list[house.Arrow]:
        for name, text in texts.items():
            parts = name.split("__")
            base = () if parts[0] == house.CONVERSION else (house.PACKAGE,)
            path = tmp_path.joinpath(*base, *parts).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            for folder in (path.parent, *path.parent.parents):
                if tmp_path in folder.parents:
                    (folder / "__init__.py").touch()
            path.write_text(text)
        return house.arrows(tmp_path)

    return plant


def _joined(found: list[house.Arrow]) -> list[tuple[str, str]]:
    return [(arrow.source, arrow.target) for arrow in found]


@pytest.mark.parametrize(
    "text",
    [
        "from nnunetv2_strokesynth.ctp.curves import peak",
        "from nnunetv2_strokesynth.ctp import curves",
        "from nnunetv2_strokesynth import ctp",
        "import nnunetv2_strokesynth.ctp.curves as c",
        "from ..ctp import curves",
        "from ..ctp.curves import peak",
        "def f():\n    from nnunetv2_strokesynth.ctp import curves",
        "if TYPE_CHECKING:\n    from nnunetv2_strokesynth.ctp.curves import Curve",
        "curves = importlib.import_module('nnunetv2_strokesynth.ctp.curves')",
    ],
)
def test_planted_arrow_up_is_found(planted, text):
    found = planted(io__nifti=text, ctp__curves="from nnunetv2_strokesynth.io import nifti")
    assert _joined(house.pointing_up(found)) == [("io", "ctp")]
    (arrow,) = house.pointing_up(found)
    line = 1 + text.count("\n")
    assert str(arrow).startswith(f"{Path(house.PACKAGE, 'io', 'nifti.py')}:{line}: io imports ctp")


def test_arrows_down_and_inside_a_folder_are_no_fault(planted):
    found = planted(
        io__nifti="import numpy.ctp\nfrom nnunetv2_strokesynth import __version__",
        io__dicom__reader="from nnunetv2_strokesynth.io.nifti import read",
        ctp__curves="from nnunetv2_strokesynth.io.nifti import read\nfrom .maps import m",
        ctp__maps="'nnunetv2_strokesynth.reporting holds the pages'",
    )
    assert sorted(_joined(found)) == [("ctp", "io"), ("io.dicom", "io")]
    assert not house.pointing_up(found) and not house.in_circles(found)


def test_planted_circle_on_one_level_is_found(planted):
    found = planted(
        networks__unet="def build():\n    from nnunetv2_strokesynth.dataloading import targets",
        dataloading__targets="from nnunetv2_strokesynth.networks.unet import build",
        losses__joint="from nnunetv2_strokesynth.channels import NAMES",
        channels="",
    )
    assert not house.pointing_up(found)
    circle = [("dataloading", "networks"), ("networks", "dataloading")]
    assert sorted(_joined(house.in_circles(found))) == circle


def test_planted_circle_of_a_folder_and_one_inside_it_is_found(planted):
    found = planted(
        io__nifti="from nnunetv2_strokesynth.io.dicom.reader import read",
        io__dicom__reader="from nnunetv2_strokesynth.io.nifti import write",
    )
    assert sorted(_joined(house.in_circles(found))) == [("io", "io.dicom"), ("io.dicom", "io")]


def test_planted_import_of_another_paper_is_found(planted):
    found = planted(
        papers__wang2020__fcn="from nnunetv2_strokesynth.papers.shared.unet import U",
        papers__song2018__loss="from nnunetv2_strokesynth.papers.wang2020 import fcn",
        papers__shared__unet="from nnunetv2_strokesynth.papers.song2018.loss import l",
    )
    wrong = [("papers.shared", "papers.song2018"), ("papers.song2018", "papers.wang2020")]
    assert sorted(_joined(house.between_papers(found))) == wrong


@pytest.mark.parametrize("name", ["nnunetv2_strokesynth.dataset_conversion", "dataset_conversion"])
def test_planted_import_of_the_conversion_is_found(planted, name):
    text = f"from {name}.splits import folds"
    found = planted(
        dataset_conversion__splits="", commands__convert=text, inference__study=text, cli=text
    )
    assert sorted(_joined(house.to_conversion(found))) == [
        ("cli", "dataset_conversion"),
        ("inference", "dataset_conversion"),
    ]
    assert _joined(house.pointing_up(found)) == [("inference", "dataset_conversion")]


def test_planted_arrow_from_the_conversion_is_found(planted):
    found = planted(
        dataset_conversion__splits="from nnunetv2_strokesynth.commands import convert",
        commands__convert="",
    )
    assert _joined(house.pointing_up(found)) == [("dataset_conversion", "commands")]


@pytest.mark.parametrize(
    "text", ["import benchmarks.run", "from nnunetv2_strokesynth.gone import x"]
)
def test_planted_import_of_what_is_not_installed_is_found(planted, text):
    assert len(house.pointing_up(planted(cli=text))) == 1


def test_planted_folder_is_seen(planted, tmp_path):
    planted(extras__odd__thing="", channels="")
    assert house.folders(tmp_path) == {"extras", "extras.odd", "channels"}


def test_planted_test_of_nothing_is_found(planted, tmp_path):
    planted(io__nifti="", io__dicom__reader="")
    tests = tmp_path / "tests" / "io"
    tests.mkdir(parents=True)
    for name in ("nifti", "nifti_shear", "dicom_folders", "io_threads", "nift", "reader"):
        (tests / f"test_{name}.py").touch()
    found = house.tests_of_nothing(tests, tmp_path / house.PACKAGE / "io")
    assert found == ["test_nift.py", "test_reader.py"]
