"""Files that others may have damaged are read by functions that name them."""

import ast
from pathlib import Path

import pytest
from house import modules

from nnunetv2_strokesynth.io.text_files import (
    inner_object,
    read_csv_rows,
    read_csv_table,
    read_json,
    read_json_object,
)

ROOT = Path(__file__).parents[2]
BRACKETS = b"[" * 100_000
DAMAGED = {b"": "is empty", b" \n": "is empty", b"{": "damaged", b"\xff\xfe\x00": "damaged",
           BRACKETS: "damaged"}  # fmt: skip
# What json and csv raise for bytes that nobody expects, besides ValueError.
GUARDS = {"json.load": "RecursionError", "json.loads": "RecursionError",
          "csv.reader": "csv.Error", "csv.DictReader": "csv.Error"}  # fmt: skip
UNGUARDED = {
    ("inference.predictor", "json.loads"): "check_model_files has read them",
    ("installation.facts", "json.loads"): "what our own process has printed",
    ("phantom.dataset", "json.loads"): "what json.dumps has made",
    ("dataset_conversion.patients", "json.loads"): "a file of the package",
    ("dataset_conversion.patients", "csv.DictReader"): "inside a generator in a try",
}


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_json_is_named_with_the_way_out(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{path}.*{DAMAGED[content]}.*; try again"):
        read_json(path, way_out="try again")


def test_json_that_is_no_object_and_no_file_are_named(tmp_path):
    path = tmp_path / "x.json"
    with pytest.raises(FileNotFoundError, match=f"{path} is missing; try again"):
        read_json_object(path, way_out="try again")
    path.write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(path, way_out="") == [1]
    with pytest.raises(ValueError, match=f"{path} holds a list"):
        read_json_object(path, way_out="try again")


def test_what_is_no_object_has_no_inner_object():
    content = {"a": {"b": {"c": 1}, "d": [], "e": None}}
    assert inner_object(content, "a", "b") == {"c": 1}
    assert inner_object(content, "a", "d") == inner_object(content, "a", "d", "x") == {}
    assert inner_object(content, "a", "e") == inner_object(3, "a") == {}


def test_csv_with_rows_of_any_length(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2,3\n\n4\n")
    assert read_csv_rows(path, way_out="")[1:] == [["1", "2", "3"], ["4"]]
    assert read_csv_table(path, way_out="") == [{"a": "1", "b": "2"}, {"a": "4", "b": ""}]


@pytest.mark.parametrize("content", [b"a\n\xff\n", b"a\n" + b"1" * 200_000])
def test_damaged_csv_is_named(tmp_path, content):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{path} is damaged.*; try again"):
        read_csv_table(path, way_out="try again")


def _readers(tree: ast.AST) -> list[tuple[str, bool]]:
    """Each call that reads JSON or CSV, and whether a ``try`` around it names its other error."""
    guarded = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Try):
            caught = " ".join(ast.unparse(h.type) for h in node.handlers if h.type)
            for call in (inner for line in node.body for inner in ast.walk(line)):
                guarded[call] = f"{guarded.get(call, '')} {caught}"
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    named = [(ast.unparse(call.func), call) for call in calls]
    return [(n, GUARDS[n] in guarded.get(call, "")) for n, call in named if n in GUARDS]


def test_no_module_reads_json_or_csv_without_thinking_of_damage():
    """A file of nested brackets or of one long cell ended in a traceback in ten commands."""
    found = {
        (name, reader)
        for name, path in modules(ROOT).items()
        for reader, is_guarded in _readers(ast.parse(path.read_text(encoding="utf-8")))
        if not is_guarded
    }
    assert found == set(UNGUARDED)


def test_the_walk_sees_a_missing_guard():
    assert _readers(ast.parse("try:\n json.loads(x)\nexcept ValueError: pass")) == [
        ("json.loads", False)
    ]
    assert _readers(ast.parse("try:\n json.loads(x)\nexcept RecursionError: pass")) == [
        ("json.loads", True)
    ]
