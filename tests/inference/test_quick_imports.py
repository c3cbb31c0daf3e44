"""nnU-Net is imported without the compiler, and nothing that uses one notices."""

import importlib
import inspect
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from nnunetv2_strokesynth.inference import quick_imports
from nnunetv2_strokesynth.inference.quick_imports import COMPILER, class_of, postponed


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The name of a package that can be imported, and a function: whether it has been."""
    name = "strokesynth_test_postponed"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("from fractions import Fraction\nvalue = 3\n")
    (tmp_path / name / "inner.py").write_text("value = 4\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield name, lambda: hasattr(sys.modules.get(name), "__file__")
    sys.modules.pop(name, None)


def test_a_package_is_imported_when_something_of_it_is_used(package):
    name, is_imported = package
    with postponed(name):
        module = importlib.import_module(name)
        inspect.getmodule(test_a_package_is_imported_when_something_of_it_is_used)
    assert not is_imported() and name not in sys.modules
    assert module.value == 3 and is_imported()
    assert importlib.import_module(name) is not module
    with pytest.raises(AttributeError):
        module.nothing  # noqa: B018


def test_names_are_taken_from_the_package_itself(package):
    name, is_imported = package
    with postponed(name):
        assert __import__(name, fromlist=["value"]).value == 3
        assert is_imported()
    assert is_imported()


def test_what_is_imported_or_absent_is_left_alone():
    with postponed("json", "strokesynth_test_absent"):
        assert "strokesynth_test_absent" not in sys.modules
        assert importlib.import_module("json") is sys.modules["json"]


def test_compiled_networks_are_known():
    network, OptimizedModule = nn.Linear(1, 1), class_of(COMPILER, "OptimizedModule")  # noqa: N806
    assert not isinstance(network, OptimizedModule)
    assert isinstance(torch.compile(network), OptimizedModule)


def test_a_class_of_a_package_that_is_absent_has_no_instances():
    assert not isinstance(np.zeros(2), class_of("strokesynth_test_absent", "Array"))


def test_making_one_of_a_class_imports_its_package(package, monkeypatch):
    name, is_imported = package
    monkeypatch.setitem(quick_imports.NOT_USED, name, "Fraction")
    with postponed(name):
        made = __import__(name, fromlist=["Fraction"]).Fraction  # as ``from package import`` does
        assert not is_imported()
        assert made(1, denominator=2) == 0.5 and is_imported()
    assert isinstance(made(3), made) and not isinstance(3, made)


def test_a_part_of_a_package_is_postponed_without_importing_the_package(package):
    name, is_imported = package
    with postponed(f"{name}.inner"):
        assert importlib.import_module(f"{name}.inner") is sys.modules[f"{name}.inner"]
    assert not is_imported() and f"{name}.inner" not in sys.modules


def test_nnunet_still_makes_the_folds_of_a_cross_validation():
    """In a process of its own, for here scikit-learn may be imported already."""
    script = """
import gc, sys
from nnunetv2_strokesynth.inference.quick_imports import import_nnunet
import_nnunet()
print("sklearn" in sys.modules, gc.isenabled(), gc.get_freeze_count() > 0)
from nnunetv2.utilities.crossval_split import generate_crossval_split
print(*sorted(case for fold in generate_crossval_split(list("abcde")) for case in fold["val"]))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["False True True", "a b c d e"]


def test_a_version_that_needs_more_is_imported_as_it_is(monkeypatch):
    seen = []

    def imports():
        seen.append("seaborn" in sys.modules)
        if len(seen) == 1:
            raise ImportError

    monkeypatch.setattr(quick_imports, "_import", imports)
    quick_imports.import_nnunet()
    assert len(seen) == 2
