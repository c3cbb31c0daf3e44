"""Every command block of README and docs is run, in the order of its page, or says why not.

The pages' own variables hold. What differs from a reader's shell: ``/data`` is a folder with tiny
simulated scans, trainings last one epoch of one batch, nnU-Net's commands use the CPU and predict
without mirrored copies, and `strokesynth outline` outlines for fold 0 alone, by readers that have
hardly learned.
"""

from __future__ import annotations

import ast
import functools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import nnunetv2.utilities.find_objects
import pytest
import warm_commands

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_FENCE = re.compile(
    r"(?:<!-- not run: (?P<reason>[^>]+?) -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
# Pages that are read one after the other share a shell, its variables and its files.
SESSIONS = (
    ("README.md",),
    ("docs/start/one-scan.md",),
    ("docs/start/isles2018.md", "docs/how-to/evaluate.md"),
    ("docs/start/isles2024.md",),
    ("docs/how-to/data.md",),
    ("docs/how-to/no-dwi.md",),
    ("docs/how-to/score-perfusion-software.md",),
    ("docs/how-to/reproduce.md",),
    ("docs/how-to/other-systems.md",),
)
_PRELUDE = """
set -euo pipefail
warm() {{ {python} -S -E -c "$CLIENT" {server} "$@"; }}
on_cpu() {{ if [[ " $* " == *" -device "* ]]; then warm "$@"; else warm "$@" -device cpu; fi; }}
strokesynth() {{
    case $1 in
        predict | synthesize) on_cpu strokesynth "$@" ;;
        outline) on_cpu strokesynth "$@" -tr StrokeSynthTrainer_Stock --folds 0 --min-dice 0 ;;
        *) warm strokesynth "$@" ;;
    esac
}}
nnUNetv2_train() {{ on_cpu nnUNetv2_train "$@"; }}
nnUNetv2_predict() {{ on_cpu nnUNetv2_predict --disable_tta "$@"; }}
for name in plan_and_preprocess preprocess move_plans_between_datasets ensemble; do
    eval "nnUNetv2_$name() {{ warm nnUNetv2_$name \\"\\$@\\"; }}"
done
"""
_SHORT = {
    "strokesynth_num_epochs": "1",
    "strokesynth_num_iterations_per_epoch": "1",
    "strokesynth_num_val_iterations_per_epoch": "1",
    "strokesynth_base_features": "4",
    "nnUNet_n_proc_DA": "0",
    "nnUNet_def_n_proc": "1",
    "OMP_NUM_THREADS": "1",
}


class Block(NamedTuple):
    """A fenced block of a page."""

    line: int
    language: str
    code: str
    reason: str | None


def blocks_of(text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [
        Block(
            text.count("\n", 0, found.start("code")),
            found["language"],
            found["code"],
            found["reason"],
        )
        for found in _FENCE.finditer(text)
    ]


def _pages_with_commands() -> set[str]:
    return {
        str(page.relative_to(ROOT))
        for page in PAGES
        if any(b.language == "bash" and not b.reason for b in blocks_of(page.read_text()))
    }


def test_blocks_are_found_with_their_marks():
    text = "a\n```bash\nls\n```\n\n<!-- not run: why -->\n```bash\nrm x\n```\n"
    text += "```\nno language\n```\n"
    found = blocks_of(text)
    assert [(b.line, b.language, b.code, b.reason) for b in found] == [
        (2, "bash", "ls\n", None),
        (7, "bash", "rm x\n", "why"),
        (10, "", "no language\n", None),
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_says_what_it_is(page):
    text = page.read_text()
    assert text.count("\n```") + text.startswith("```") == 2 * len(blocks_of(text))
    unnamed = [block.line for block in blocks_of(text) if not block.language]
    assert not unnamed, f"{page.name}: blocks without a language at lines {unnamed}"
    commands = re.findall(r"^(?: {4}|\t)(?:\$ )?(?:strokesynth|nnUNetv2_\w+|pip|python3?) .*", text)
    assert not commands, "commands stand in fenced blocks"


# Modules of nnU-Net and of ISLES 2024's code, and the names that CONTRIBUTING fills in.
_ELSEWHERE = re.compile(r"run_training|eval_utils|NNN|NAME|test_X|name\.py")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_modules_that_a_page_names_are_there_with_what_it_says_of_them(page):
    """``ctp/mirror.py``, and in ``losses/joint.py``: ``JointLoss`` the class, too."""
    text = page.read_text()
    for name, inside in re.findall(r"`([\w./]+\.py)`(?:: `([\w.]+)`)?", text):
        if _ELSEWHERE.search(name):
            continue
        tops = [ROOT / top for top in ("", "nnunetv2_strokesynth", "tests", "tests/reliability")]
        found = [top / name for top in tops if (top / name).is_file()]
        if "/" not in name:
            found += [path for path in _modules() if path.name == name]
        assert found, f"{page.name} names {name}, which is not there"
        source = "".join(path.read_text(encoding="utf-8") for path in found)
        missing = [word for word in inside.split(".") if word not in source]
        assert not missing, f"{page.name}: {name} has no {inside}"


@functools.cache
def _modules() -> list[Path]:
    tops = ("nnunetv2_strokesynth", "dataset_conversion", "benchmarks", "tests")
    return [path for top in tops for path in (ROOT / top).rglob("*.py")]


def test_every_page_with_commands_is_read():
    assert _pages_with_commands() == {page for session in SESSIONS for page in session}


@pytest.fixture(scope="session")
def phantom2024(shared_folder):
    """Five patients and a test patient in ISLES 2024's layout."""
    from filelock import FileLock

    from nnunetv2_strokesynth.cli import main

    folder = shared_folder / "ISLES2024_phantom"
    with FileLock(shared_folder / "phantom2024.lock"):
        if not (folder / "phantom.json").is_file():
            small = "--layout isles2024 --cases 5 --test-cases 1 --size 128 --max-slices 2".split()
            assert main(["phantom", str(folder), *small, "--seed", "24", "--workers", "1"]) == 0
    return folder


@pytest.fixture
def reader(tmp_path, pipeline, data_sets, phantom2024) -> Path:
    """A reader's folder: ``data`` as the pages name it, and the demo's output."""
    data = tmp_path / "data"
    patient = data / "patient_7"
    patient.mkdir(parents=True)
    for folder in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (data / folder).mkdir()
    for year in (2017, 2018):
        (data / f"ISLES{year}").symlink_to(pipeline.out / f"ISLES{year}_phantom")
    (data / "ISLES2024").symlink_to(phantom2024)
    _hide_outlines(data / "ISLES2018", data / "stroke")
    (tmp_path / "demo_out").symlink_to(pipeline.out)
    (series,) = _scan_of_a_frame_a_second(data / "ISLES2018").glob("*4DPWI*/*.nii")
    _compress(series, patient / "ctp.nii.gz")
    return tmp_path


def _scan_of_a_frame_a_second(phantom: Path) -> Path:
    """A case folder as the page on one scan has it: vendor A's frames are 1 s apart."""
    cases = json.loads((phantom / "phantom.json").read_text())["cases"]["TRAINING"]
    return phantom / "TRAINING" / next(scan["case"] for scan in cases if scan["vendor"] == "A")


def _hide_outlines(phantom: Path, pairs: Path) -> None:
    """The same scans; two have lost their outline."""
    pairs.mkdir()
    (pairs / "phantom.json").symlink_to(phantom / "phantom.json")
    for case in sorted((phantom / "TRAINING").iterdir()):
        folder = pairs / "TRAINING" / case.name
        folder.mkdir(parents=True)
        for modality in case.iterdir():
            if not (case.name in ("case_7", "case_10") and ".OT." in modality.name):
                (folder / modality.name).symlink_to(modality)


def _compress(source: Path, target: Path) -> None:
    import gzip

    with source.open("rb") as raw, gzip.open(target, "wb", compresslevel=1) as packed:
        shutil.copyfileobj(raw, packed)


def _script(session: tuple[str, ...], folder: Path, address: Path) -> str:
    lines = [_PRELUDE.format(python=sys.executable, server=address)]
    for page in session:
        for block in blocks_of((ROOT / page).read_text()):
            if block.language == "bash" and not block.reason:
                lines.append(f"echo '### {page}, line {block.line}'")
                lines.append(block.code.replace("/data/", f"{folder}/data/"))
    return "\n".join(lines)


# Their trainers run in tests/trainers and tests/papers, their tables in tests/reproduction.
LONG = {"docs/how-to/other-systems.md", "docs/how-to/reproduce.md"}


@pytest.mark.parametrize(
    "session",
    [pytest.param(s, id=s[0], marks=[pytest.mark.long] if LONG & set(s) else []) for s in SESSIONS],
)
def test_the_commands_of_a_page_run(session, reader, warm, pipeline):
    environment = {**os.environ, **_SHORT, "CLIENT": warm_commands.CLIENT}
    if session == ("docs/start/one-scan.md",):  # uses a model that the reader has
        environment["nnUNet_results"] = str(pipeline.out / "nnUNet_results")
    script = _script(session, reader, warm.address)
    finished = subprocess.run(
        ["bash", "-c", script],
        cwd=reader,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-4000:]


def _texts(module: Path) -> list[str]:
    """The strings of a module, with ``…`` for what an f-string fills in."""
    texts = []
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            parts = (p.value if isinstance(p, ast.Constant) else "…" for p in node.values)
            texts.append("".join(parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.append(node.value)
    return texts


def test_the_messages_of_the_readme_are_messages_of_the_code():
    section = (ROOT / "README.md").read_text().split("## If something goes wrong")[1]
    messages = re.findall(r"^\| `([^`]+)` \|", section.split("\n## ")[0], re.MULTILINE)
    modules = [
        Path(nnunetv2.utilities.find_objects.__file__),
        *(ROOT / "nnunetv2_strokesynth").rglob("*.py"),
        *(ROOT / "dataset_conversion").rglob("*.py"),
    ]
    texts = [text for module in modules for text in _texts(module)]
    assert len(messages) >= 9
    for message in messages:
        pattern = re.compile(".*".join(map(re.escape, message.split("…"))))
        assert any(map(pattern.search, texts)), f"no command says: {message}"
