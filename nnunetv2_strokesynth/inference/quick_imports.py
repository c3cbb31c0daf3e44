"""nnU-Net imported without what a prediction does not use, which takes half of a start-up.

nnU-Net's predictor and trainer import PyTorch's compiler to ask whether a network was compiled
(``isinstance(network, OptimizedModule)``), and packages for plots, tables, DICOM and compressed
arrays, of which they use as little. Here, stand-ins take their places in ``sys.modules`` while
nnU-Net is imported. A stand-in imports the real package as soon as anything else of it is used.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from functools import reduce
from types import ModuleType

COMPILER = "torch._dynamo"
# Package -> the class of it that nnU-Net and what it builds on name in isinstance and type hints.
NOT_USED = {
    COMPILER: "OptimizedModule",
    "blosc2": "ndarray.NDArray",
    "pydicom": "Dataset",
    "pandas": "",
    "seaborn": "",
}


class _Postponed(ModuleType):
    """A package that is imported when something of it is used first.

    Python's own ``LazyLoader`` is of no use: PyTorch looks at ``__file__`` of all modules.
    """

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # the import system and ``inspect`` ask all modules for them
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def class_of(package: str, name: str) -> type:
    """Stands for a class in ``isinstance``: nothing is one as long as nobody has imported it.

    Args:
        package: its package.
        name: of the class, with the modules that lead to it.
    """

    class _Asks(type):
        def __instancecheck__(cls, value: object) -> bool:
            real = sys.modules.get(package)
            if real is None or isinstance(real, _Postponed):
                return False
            return isinstance(value, reduce(getattr, name.split("."), real))  # type: ignore[arg-type]

    return _Asks(name.rpartition(".")[2], (), {})


def _stand_in(package: str) -> _Postponed:
    """The package's, with the class of ``NOT_USED``."""
    top = module = _Postponed(package)
    *modules, last = NOT_USED.get(package, "").split(".")
    for inner in modules:
        setattr(module, inner, _Postponed(f"{module.__name__}.{inner}"))
        module = getattr(module, inner)
    if last:
        setattr(module, last, class_of(package, NOT_USED[package]))
    return top


@contextlib.contextmanager
def postponed(*names: str) -> Iterator[None]:
    """Within the context, importing a package by its name alone does not import it yet.

    Those that are imported already are left as they are.
    """
    made = {}
    for name in names:
        if name not in sys.modules and importlib.util.find_spec(name) is not None:
            made[name] = sys.modules[name] = _stand_in(name)
    try:
        yield
    finally:
        for name, module in made.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def import_nnunet() -> None:
    """Import nnU-Net and what predicts with it, quickly; later imports find them."""
    importlib.import_module("torch")
    try:
        with postponed(*NOT_USED):
            _import()
    except ImportError:  # a part of a package that is not there yet, in some other version
        _import()


def _import() -> None:
    importlib.import_module("nnunetv2.inference.predict_from_raw_data")
    importlib.import_module("nnunetv2.training.nnUNetTrainer.nnUNetTrainer")
    importlib.import_module("nnunetv2_strokesynth.inference.patient")
