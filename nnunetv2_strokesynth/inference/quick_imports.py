"""nnU-Net imported without what a prediction does not use, which takes half of a start-up.

nnU-Net's predictor and trainer import PyTorch's compiler to ask whether a network was compiled
(``isinstance(network, OptimizedModule)``), scikit-learn for the folds of a cross-validation, and
packages for plots, tables and DICOM, of which they use as little. Here, stand-ins take their places
in ``sys.modules`` while nnU-Net is imported. A stand-in imports the real package as soon as
anything else of it is used.

What is imported stays until the end of the process, so the garbage collector need not look at it:
not while it is made, not later, and not when the process ends. That saves another third.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType

COMPILER = "torch._dynamo"
# Package -> the class of it that nnU-Net and what it builds on take by name when they are imported.
NOT_USED = {
    COMPILER: "OptimizedModule",
    "pydicom": "Dataset",
    "sklearn.model_selection": "KFold",
    "scipy.stats": "",
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
        return getattr(_real(self.__name__), name)


def _real(package: str) -> ModuleType:
    """The package itself, from now on."""
    if isinstance(sys.modules.get(package), _Postponed):
        del sys.modules[package]
    return importlib.import_module(package)


def class_of(package: str, name: str) -> type:
    """Stands for a class in type hints and ``isinstance``; to make one is to import its package.

    Nothing is an instance of a class whose package nobody has imported.
    """

    class _Stands(type):
        def __instancecheck__(cls, value: object) -> bool:
            real = sys.modules.get(package)
            if real is None or isinstance(real, _Postponed):
                return False
            return isinstance(value, getattr(real, name))

        def __call__(cls, *args: object, **options: object) -> object:
            return getattr(_real(package), name)(*args, **options)

    return _Stands(name, (), {})


def _stand_in(package: str) -> _Postponed:
    """The package's, with the class of ``NOT_USED``."""
    module = _Postponed(package)
    if name := NOT_USED.get(package):
        setattr(module, name, class_of(package, name))
    return module


@contextlib.contextmanager
def postponed(*names: str) -> Iterator[None]:
    """Within the context, importing a package by its name alone does not import it yet.

    Those that are imported already are left as they are.
    """
    made = {}
    for name in names:
        top = name.partition(".")[0]  # to find a part of a package, Python would import the package
        if name not in sys.modules and importlib.util.find_spec(top) is not None:
            made[name] = sys.modules[name] = _stand_in(name)
    try:
        yield
    finally:
        for name, module in made.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def import_nnunet() -> None:
    """Import nnU-Net and what predicts with it, quickly; later imports find them."""
    with _left_to_the_end():
        importlib.import_module("torch")
        try:
            with postponed(*NOT_USED):
                _import()
        except ImportError:  # a part of a package that is not there yet, in some other version
            _import()


@contextlib.contextmanager
def _left_to_the_end() -> Iterator[None]:
    """What is made within the context is never looked at by the garbage collector."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def _import() -> None:
    importlib.import_module("nnunetv2.inference.predict_from_raw_data")
    importlib.import_module("nnunetv2.training.nnUNetTrainer.nnUNetTrainer")
    importlib.import_module("nnunetv2_strokesynth.inference.patient")
