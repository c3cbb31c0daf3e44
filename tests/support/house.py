"""The folders of the package, from top to bottom, and the imports between them.

Folders are named as they are imported, without the package: ``ctp``, ``papers.shared``. A module
that lies directly in the package counts as a folder of its own, and so does ``dataset_conversion``,
wherever it lies on disk.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = "nnunetv2_strokesynth"
CONVERSION = "dataset_conversion"
NOT_INSTALLED = ("benchmarks", "tests")
# Imports point down. Folders of one level may import each other in one direction.
LEVELS = (
    ("cli",),
    ("commands",),
    (CONVERSION,),
    ("installation",),
    ("outlining",),
    ("reproduction",),
    ("nnunet_ext",),
    ("reporting",),
    ("inference",),
    ("evaluation",),
    ("papers",),
    ("trainers",),
    ("dataloading", "networks"),
    ("losses",),
    ("phantom",),
    ("ctp",),
    ("io",),
    ("nnunet_commands", "channels"),
)
LEVEL_OF = {name: level for level, names in enumerate(LEVELS) for name in names}


class Arrow(NamedTuple):
    """One import: where it stands, and the folders and the module that it joins."""

    file: Path
    line: int
    source: str
    target: str
    module: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.source} imports {self.target} ({self.module})"


def modules(root: Path) -> dict[str, Path]:
    """Every module of the package by its name without the package; ``""`` is the package."""
    found = {}
    for base, prefix in ((root / PACKAGE, ()), (root / CONVERSION, (CONVERSION,))):
        for path in sorted(base.rglob("*.py")):
            parts = (*prefix, *path.relative_to(base).with_suffix("").parts)
            if path.name == "__init__.py":
                parts = parts[:-1]
            found.setdefault(".".join(parts), path)  # a link to dataset_conversion adds nothing
    return found


def folders(root: Path) -> set[str]:
    """Every folder with modules, and every module that lies directly in the package."""
    known = modules(root)
    return {_folder(name, known) for name in known} - {""}


def arrows(root: Path) -> list[Arrow]:
    """The imports from one folder to another, those inside functions and for types included."""
    known = modules(root)
    found = []
    for name, path in known.items():
        source = _folder(name, known)
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        for line, module in _imports(tree, name, known):
            target = _folder(module, known)
            if target not in ("", source):
                found.append(Arrow(path.relative_to(root), line, source, target, module))
    return list(dict.fromkeys(found))  # several names from one module are one arrow


def pointing_up(found: list[Arrow]) -> list[Arrow]:
    """The arrows whose target stands higher in ``LEVELS`` or has no place there."""

    def level(folder: str) -> int:
        return LEVEL_OF.get(folder.split(".")[0], -1)

    return [arrow for arrow in found if level(arrow.source) > level(arrow.target)]


def in_circles(found: list[Arrow]) -> list[Arrow]:
    """The arrows from whose target imports lead back to their source."""
    targets = defaultdict(set)
    for arrow in found:
        targets[arrow.source].add(arrow.target)

    def reachable(start: str) -> set[str]:
        seen, waiting = set(), [start]
        while waiting:
            new = targets[waiting.pop()] - seen
            seen |= new
            waiting += new
        return seen

    reach = {folder: reachable(folder) for folder in list(targets)}
    return [arrow for arrow in found if arrow.source in reach.get(arrow.target, ())]


def between_papers(found: list[Arrow]) -> list[Arrow]:
    """The arrows from one paper, or from what papers share, to another paper."""

    def paper(folder: str) -> str:
        return ".".join(folder.split(".")[:2]) if folder.startswith("papers.") else ""

    return [
        arrow
        for arrow in found
        if paper(arrow.source) and paper(arrow.target) not in ("", "papers.shared")
        if paper(arrow.source) != paper(arrow.target)
    ]


def to_conversion(found: list[Arrow]) -> list[Arrow]:
    """The arrows to ``dataset_conversion`` from elsewhere than the commands."""
    allowed = (CONVERSION, "commands")
    return [
        arrow
        for arrow in found
        if arrow.target.split(".")[0] == CONVERSION and arrow.source.split(".")[0] not in allowed
    ]


def tests_of_nothing(tests: Path, folder: Path) -> list[str]:
    """The files ``test_X.py`` and ``test_X_more.py`` where nothing is called X.

    X may be a module of the folder under test, a folder in it, or the folder as a whole. A folder
    without modules, such as one of documents, has no such names.
    """
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    known = {folder.name, *modules, *(path.parent.name for path in folder.glob("*/*.py"))}
    starts = tuple(f"test_{name.lower()}_" for name in known)
    names = sorted(path.name for path in tests.glob("test_*.py"))
    return [name for name in names if modules and not f"{name[:-3]}_".startswith(starts)]


def _folder(module: str, known: dict[str, Path]) -> str:
    """The folder of a module; a module directly in the package is its own."""
    path = known.get(module)
    is_package = path is None or path.name == "__init__.py"
    return module if is_package or "." not in module else module.rpartition(".")[0]


def _imports(tree: ast.AST, importer: str, known: dict[str, Path]) -> Iterator[tuple[int, str]]:
    """Line and module of every import of the package's own, or of what is not installed."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, importer, known)
            names = [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            named = node.value.startswith(f"{PACKAGE}.") and _own(node.value) in known
            names = [node.value] if named else []  # for importlib.import_module
        else:
            continue
        for name in names:
            module = _own(name)
            if module is not None:
                yield node.lineno, _existing(module, known)


def _absolute(node: ast.ImportFrom, importer: str, known: dict[str, Path]) -> str:
    if not node.level:
        return node.module or ""
    above = f"{PACKAGE}.{importer}".rstrip(".").split(".")
    is_package = known[importer].name == "__init__.py"
    above = above[: len(above) - node.level + is_package]
    return ".".join([*above, *(node.module or "").split(".")]).rstrip(".")


def _own(name: str) -> str | None:
    """The name without the package, or None for a library's."""
    first, _, rest = name.partition(".")
    if first == PACKAGE:
        return rest or None
    return name if first in (CONVERSION, *NOT_INSTALLED) else None


def _existing(name: str, known: dict[str, Path]) -> str:
    """``name`` or, where it is a class or function, the module that holds it."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        if ".".join(parts[:end]) in known:
            return ".".join(parts[:end])
    return "" if len(parts) == 1 else parts[0]
