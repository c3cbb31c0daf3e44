"""nnU-Net is imported without the compiler, and nothing that uses one notices."""

import importlib
import inspect
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
    (tmp_path / name / "__init__.py").write_text("value = 3\n")
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


def test_a_class_that_lies_deeper_is_known():
    array = class_of("numpy", "ma.MaskedArray")
    assert isinstance(np.ma.zeros(2), array) and not isinstance(np.zeros(2), array)
    assert not isinstance(np.zeros(2), class_of("strokesynth_test_absent", "a.B"))


def test_the_stand_ins_have_the_classes_that_nnunet_names(monkeypatch):
    monkeypatch.delitem(sys.modules, "blosc2", raising=False)
    with postponed("blosc2"):
        import blosc2

        assert not isinstance(3, blosc2.ndarray.NDArray)
        assert sys.modules["blosc2"] is blosc2  # it is still the stand-in
    assert "blosc2" not in sys.modules


def test_a_version_that_needs_more_is_imported_as_it_is(monkeypatch):
    seen = []

    def imports():
        seen.append("seaborn" in sys.modules)
        if len(seen) == 1:
            raise ImportError

    monkeypatch.setattr(quick_imports, "_import", imports)
    quick_imports.import_nnunet()
    assert len(seen) == 2
