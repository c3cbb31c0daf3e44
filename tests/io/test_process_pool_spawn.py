"""Worker processes are spawned, never forked: the only way on Windows, and the safe one elsewhere.

A spawned worker imports its function anew and gets its case by pickling. So the function stands at
the top of a module, and nothing that the parent changed since its start is there.
"""

from __future__ import annotations

import ast
import mimetypes
from pathlib import Path

import house
import pytest

from nnunetv2_strokesynth.io.process_pool import map_cases

ROOT = Path(__file__).parents[2]
POOL = "io.process_pool"
CALLS = ("map_cases", "try_cases")
# What only Unix has, or what starts processes without spawning; submission.py hands jobs to SLURM.
UNIX_ONLY = {"fork", "forkpty", "symlink", "symlink_to", "mkfifo", "killpg", "setsid", "getuid"}
UNIX_MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "pty"}
STARTS = {"multiprocessing", "concurrent.futures"}


def test_workers_are_new_processes_that_import_anew():
    """A type that this process has added to a list of the standard library is unknown to them."""
    kinds = ["application/x-added-by-the-parent", "text/html"]
    mimetypes.add_type(kinds[0], ".added")
    assert mimetypes.guess_extension(kinds[0]) == ".added"
    found = map_cases(mimetypes.guess_extension, kinds, workers=2, description="spawn")
    assert found[0] is None and found[1] is not None


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    found = house.modules(ROOT)
    return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in found.items()}


def _names(tree: ast.Module) -> set[str]:
    """What a module defines or imports at its top."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
    return found


def not_importable(tree: ast.Module) -> list[str]:
    """The functions that are handed to the pool and that a spawned worker could not find."""
    top, wrong = _names(tree), []
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        local = {alias.asname or alias.name for node in ast.walk(function)
                 if isinstance(node, ast.ImportFrom) for alias in node.names}  # fmt: skip
        wrapped = {
            node.targets[0].id: node.value.args[0]
            for node in ast.walk(function)
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Call)
            and ast.unparse(node.value.func) in ("partial", "functools.partial")
        }
        for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            if ast.unparse(call.func) in CALLS:
                given = wrapped.get(ast.unparse(call.args[0]), call.args[0])
                base = given.value if isinstance(given, ast.Attribute) else given  # of a module
                if not (isinstance(base, ast.Name) and base.id in top | local):
                    wrong.append(ast.unparse(given))
    return wrong


def unix_only(tree: ast.Module) -> list[str]:
    """Attributes, calls and modules that Windows does not have, or that could fork."""
    wrong = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in UNIX_ONLY:
            wrong.append(node.attr)
        elif isinstance(node, ast.Import):
            wrong += [a.name for a in node.names if a.name in UNIX_MODULES | STARTS]
        elif isinstance(node, ast.ImportFrom) and node.module in UNIX_MODULES | STARTS:
            wrong.append(node.module)
    return wrong


def test_what_is_handed_to_the_pool_can_be_imported_by_a_worker(trees):
    called = {name for name, tree in trees.items() if any(call in ast.dump(tree) for call in CALLS)}
    assert len(called) > 6  # the check sees the calls
    wrong = {n: w for n, tree in trees.items() if n != POOL and (w := not_importable(tree))}
    assert not wrong


def test_nothing_that_windows_lacks_and_no_other_pool(trees):
    wrong = {n: w for n, tree in trees.items() if n != POOL and (w := unix_only(tree))}
    assert wrong.pop("io.folder_lock") == ["fcntl"]
    assert "msvcrt" in ast.dump(trees["io.folder_lock"])  # the lock of the other system
    assert not wrong


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("def f():\n    map_cases(lambda case: case, [])", ["lambda case: case"]),
        ("def f():\n    def g(case): pass\n    map_cases(g, [])", ["g"]),
        ("def f(self):\n    try_cases(self.g, [])", ["self.g"]),
        ("def f():\n    h = partial(lambda c: c, 1)\n    map_cases(h, [])", ["lambda c: c"]),
        ("def g(case): pass\ndef f():\n    h = partial(g, 1)\n    map_cases(h, [])", []),
        ("def f():\n    from x import g\n    map_cases(g, [])", []),
    ],
)
def test_planted_functions_are_found(text, wrong):
    assert not_importable(ast.parse(text)) == wrong


@pytest.mark.parametrize(
    "text", ["import os\nos.fork()", "p.symlink_to(q)", "import fcntl", "import multiprocessing"]
)
def test_planted_unix_is_found(text):
    assert unix_only(ast.parse(text))
