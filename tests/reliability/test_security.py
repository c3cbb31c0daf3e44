"""What may run or overwrite something: a walk over our sources, and hostile names in files."""

import ast
import json
from pathlib import Path

import pytest
from markupsafe import escape
from report_files import make_tiny

import nnunetv2_strokesynth
from nnunetv2_strokesynth import dataset_conversion
from nnunetv2_strokesynth.cli import main

PACKAGES = [Path(nnunetv2_strokesynth.__file__).parent, Path(dataset_conversion.__file__).parent]
SOURCES = sorted({path for folder in PACKAGES for path in folder.rglob("*.py")})
# Modules that unpickle, unpack archives or run text as code.
FORBIDDEN_MODULES = {
    *("pickle", "cPickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"),
    *("tarfile", "zipfile", "yaml", "code", "codeop", "xmlrpc", "telnetlib", "ftplib"),
}
FORBIDDEN_CALLS = {
    *("eval", "exec", "compile", "load_pickle", "unpack_archive", "extractall", "extract"),
    *("os.system", "os.popen", "read_pickle", "torch.load", "np.load", "numpy.load"),
}
# (file, what is found) -> why it is harmless.
ALLOWED = {
    ("beside_cases.py", "load_pickle"): "nnU-Net's own record of a case that it made here",
    ("checkpoint_damage.py", "zipfile"): "the table of contents alone",
    ("checkpoint_damage.py", "pickle"): "the class of an error alone",
    ("checkpoint_file.py", "torch.load"): "weights_only=True, NumPy's numbers allowed",
    ("pretrained.py", "torch.load"): "weights_only=True",
    ("pretrained.py", "pickle"): "the class of an error alone",
    ("volumes.py", "np.load"): "allow_pickle=False",
    ("volumes.py", "zipfile"): "the class of an error alone",
}
# What a call must say for certain.
DEMANDED = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False)}


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def found_in(source: str) -> list[tuple[str, ast.AST]]:
    """Forbidden modules and calls of a source text, and ``shell`` where it is not False."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names = [name.split(".")[0] for name in _modules(node)]
        found += [(name, node) for name in names if name in FORBIDDEN_MODULES]
        if isinstance(node, ast.Call):
            dotted = _dotted(node.func)
            short = dotted.rsplit(".", 1)[-1]
            # re.compile and torch.compile do not run text; x.extract alone unpacks no archive.
            names = {dotted} if short in ("compile", "eval", "exec", "load") else {dotted, short}
            found += [(name, node) for name in sorted(names & FORBIDDEN_CALLS)]
            shell = [word.value for word in node.keywords if word.arg == "shell"]
            if shell and not (isinstance(shell[0], ast.Constant) and shell[0].value is False):
                found.append(("shell", node))
            pickles = [word.value for word in node.keywords if word.arg == "allow_pickle"]
            if pickles and not (isinstance(pickles[0], ast.Constant) and not pickles[0].value):
                found.append(("allow_pickle", node))
    return found


def test_sources_are_found():
    names = {path.name for path in SOURCES}
    assert len(SOURCES) > 100 and {"nifti.py", "targets.py", "atomic.py", "cli.py"} <= names


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import pickle", "pickle"),
        ("from joblib import load", "joblib"),
        ("import numpy as np\nnp.load(p, allow_pickle=True)", "allow_pickle"),
        ("import torch\ntorch.load(p)", "torch.load"),
        ("eval('1')", "eval"),
        ("import shutil\nshutil.unpack_archive(p)", "unpack_archive"),
        ("import subprocess\nsubprocess.run(c, shell=True)", "shell"),
        ("import os\nos.system(c)", "os.system"),
        ("archive.extractall()", "extractall"),
        ("import pandas as pd\npd.read_pickle(p)", "read_pickle"),
    ],
)
def test_the_walk_finds(source, name):
    assert name in [found for found, _ in found_in(source)]


@pytest.mark.parametrize("source", ["re.compile('a')", "self.network.eval()", "json.load(f)"])
def test_the_walk_leaves_alone(source):
    assert found_in(source) == []


def test_nothing_unpickles_unpacks_or_runs_text():
    unexpected, used = [], set()
    for path in SOURCES:
        for name, node in found_in(path.read_text(encoding="utf-8")):
            if (path.name, name) not in ALLOWED:
                unexpected.append(f"{path}:{node.lineno}: {name}")
            used.add((path.name, name))
            if name in DEMANDED:
                word, value = DEMANDED[name]
                given = [k.value.value for k in node.keywords if k.arg == word]
                assert given == [value], f"{path}:{node.lineno}: {name} without {word}={value}"
    assert unexpected == []
    assert used == ALLOWED.keys()  # an exception that nobody needs goes


PATIENT = "../../../escaped"


def test_patients_never_become_paths(folders, writers):
    """Patients, descriptions and ids of files stay text in the report."""
    scans = writers.Scans(folders.src)
    for number in (1, 2):
        scans.add(number)
        description = f"ISLES 2018 - TRAIN - Train_{PATIENT}/0{number}_A - CT"
        content = {"description": description, "path": "/etc/escaped", "name": PATIENT}
        scans.path(number, "CT").with_suffix(".json").write_text(json.dumps(content))
    table = folders.base / "patients.json"
    table.write_text(json.dumps({"case_1": PATIENT, "case_2": "/escaped"}))
    options = ["--patients", str(table), "--folds", "2", "--workers", "1", "--plots"]
    before = {path for path in folders.base.rglob("*") if folders.raw not in path.parents}
    assert main(["convert", "isles2018", str(folders.src), *options]) == 0
    after = {path for path in folders.base.rglob("*") if folders.raw not in path.parents}
    assert {path.name for path in after - before} == {
        "Dataset018_ISLES2018",
        "dataset_fingerprint.json",
    }
    written = [path.name for path in folders.raw.rglob("*")]
    assert len(written) > 30 and not any("escaped" in name for name in written)
    report = folders.raw / "Dataset018_ISLES2018" / "conversion_report.csv"
    assert f"train_{PATIENT}" in report.read_text()


@pytest.mark.parametrize("name", ["../x", "a/b", "/etc", "..", "a b", "a\n", "", "a\0"])
def test_data_set_names_never_leave_the_folder(folders, writers, capsys, name):
    writers.Scans(folders.src).add(1).add(2)
    assert main(["convert", "isles2018", str(folders.src), "--name", name]) == 2
    assert "expected letters, digits" in capsys.readouterr().err
    assert list(folders.raw.iterdir()) == []


HOSTILE = "<img src=x onerror=alert(1)>&\"'"


@pytest.fixture
def hostile_report(tmp_path):
    """A report whose data set, trainer, case, channels and loss terms have hostile names."""
    tiny = make_tiny(tmp_path)
    about = json.loads((tiny.model / "dataset.json").read_text())
    about |= {"name": HOSTILE, "description": HOSTILE, "licence": HOSTILE, "origin": HOSTILE}
    about["channel_names"] = {"0": HOSTILE, "1": f"Tmax{HOSTILE}", "2": "CTA_0"}
    (tiny.model / "dataset.json").write_text(json.dumps(about))
    (tiny.raw / "dataset.json").write_text(json.dumps(about))
    quoted = HOSTILE.replace('"', '""')
    terms = f'epoch,"train/{quoted}","val/{quoted}"\n0,3,4\n1,2,3\n'
    (tiny.model / "fold_0" / "loss_terms.csv").write_text(terms)
    dataset = tiny.model.parent.rename(tiny.model.parent.with_name("Dataset018_<b>Tiny&"))
    model = str(dataset / tiny.model.name)
    options = [model if option == str(tiny.model) else option for option in tiny.options()]
    assert main(options) == 0
    return tiny.html


def test_every_string_of_a_report_is_escaped(hostile_report):
    for raw in (HOSTILE, "<img src=x", "<b>", "<script"):
        assert raw not in hostile_report
    assert hostile_report.count(escape(HOSTILE)) >= 2
    assert escape("Dataset018_<b>Tiny&") in hostile_report
