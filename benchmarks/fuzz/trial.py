"""One trial: a copy of the inputs, damages, the command, and a look at what it left."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import re
import shutil
import signal
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
from matplotlib.figure import Figure

from benchmarks.fuzz.damages import pick, spoil
from benchmarks.fuzz.inputs import as_stand_in
from benchmarks.fuzz.targets import TARGETS, Target
from nnunetv2_strokesynth import cli
from nnunetv2_strokesynth.io.atomic import TEMPORARY_PREFIX

LONGEST_S = 60
# How the messages of libraries begin, which know no file.
_NAMES_NO_FILE = re.compile(
    r": (Expecting|Extra data|invalid literal|could not convert|Error tokenizing|'.*' codec)"
)


class Outcome(NamedTuple):
    """What a trial came to.

    Attributes:
        target, number: which trial.
        done: the damages, and the options added.
        code: exit code; -1 without one.
        finding: what must not be; empty if all is well.
        said: the line on stderr.
        seconds: of processor.
    """

    target: str
    number: int
    done: list[str]
    code: int
    finding: str
    said: str
    seconds: float


class TooLongError(Exception):
    """The command takes more than a minute."""


@contextlib.contextmanager
def quiet_commands() -> Iterator[None]:
    """Commands that log nowhere and render no figure."""
    handlers, savefig = logging.root.handlers[:], Figure.savefig
    logging.root.handlers[:] = [logging.NullHandler()]  # so that the command line adds none

    def no_pixels(self: Figure, target: str | Path | io.BytesIO, **_: object) -> None:
        if isinstance(target, io.BytesIO):
            target.write(b"pixels")
        else:
            Path(target).write_bytes(b"pixels")

    Figure.savefig = no_pixels
    try:
        yield
    finally:
        Figure.savefig = savefig
        logging.root.handlers[:] = handlers


def run_trial(base: Path, name: str, number: int, seed: int) -> Outcome:
    """Copy the inputs of a target, spoil them, run the command, look."""
    random = np.random.default_rng((seed, number))
    target, work = TARGETS[name], base / "work"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(base / name, work)
    done = _spoil_some(work, target.spoiled, random)
    words = target.words
    if random.random() < 0.4:
        option = pick(target.further, random)
        words, done = f"{words} {option}", [*done, option]
    before, earlier = _digests(work, target), _outputs(work / target.out)
    start = time.process_time()
    with as_stand_in(work):
        code, error, stderr = _call([word.replace("{}", str(work)) for word in words.split()])
    seconds = time.process_time() - start
    if "--dry-run" in done:
        target = target._replace(expected=())
    try:
        finding = error or _look(work, target, code, stderr, (before, earlier))
    except Exception as unreadable:
        finding = f"output that cannot be read: {unreadable!r}"
    said = " ".join(stderr.split())[:300]
    return Outcome(name, number, done, code, finding, said, round(seconds, 3))


def _spoil_some(work: Path, pattern: str, random: np.random.Generator) -> list[str]:
    done = []
    for _ in range(int(random.integers(1, 4))):
        files = sorted(p for p in work.rglob("*") if p.is_file() and not p.is_symlink())
        files = [path for path in files if re.search(pattern, path.relative_to(work).as_posix())]
        if not pattern and random.random() < 0.8:  # most are images, which few commands read
            files = [path for path in files if path.parent.name != "imagesTr"] or files
        if files:
            done.append(spoil(pick(files, random), random))
    return done


def _call(words: list[str]) -> tuple[int, str, str]:
    """Exit code, what went wrong, stderr."""
    stderr = io.StringIO()

    def stop(*_: object) -> None:
        raise TooLongError

    before = [signal.signal(one, stop) for one in (signal.SIGPROF, signal.SIGALRM)]
    signal.setitimer(signal.ITIMER_PROF, LONGEST_S)  # processor time: the machine may be busy
    signal.alarm(10 * LONGEST_S)
    try:
        with (
            contextlib.redirect_stderr(stderr),
            contextlib.redirect_stdout(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            return cli.main(words), "", stderr.getvalue()
    except SystemExit as error:  # argparse: a usage of several lines
        code = error.code if isinstance(error.code, int) else -1
        return code, "" if code == 2 else f"left with {error.code!r}", ""
    except TooLongError:
        return -1, f"more than {LONGEST_S} s", stderr.getvalue()
    except Exception:
        lines = traceback.format_exc().strip().splitlines()
        return -1, "\n".join(["traceback", *lines[-9:]]), stderr.getvalue()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        for one, handler in zip((signal.SIGPROF, signal.SIGALRM), before, strict=True):
            signal.signal(one, handler)


def _look(
    work: Path,
    target: Target,
    code: int,
    stderr: str,
    found: tuple[dict[str, str], dict[Path, str]],
) -> str:
    """What must not be, after a command that ended by itself; empty if all is well.

    Args:
        work: folder with the inputs.
        target: the command.
        code: its exit code.
        stderr: what it said.
        found: digests of the inputs, and of outputs, before it ran.
    """
    before, earlier = found
    left = [str(path) for path in work.rglob(f"{TEMPORARY_PREFIX}*")]
    if left:
        return f"temporary files: {left}"
    after = _digests(work, target)
    changed = sorted(name for name, digest in before.items() if after.get(name) != digest)
    if changed:
        return f"inputs changed: {changed[:4]}"
    out = work / target.out
    if code == 2:
        lines = stderr.strip().splitlines()
        if stderr and (len(lines) != 1 or not lines[0].startswith(f"strokesynth {target.command}")):
            return f"{len(lines)} lines on stderr: {stderr[-500:]}"
        if len(stderr) > 1500:
            return f"a line of {len(stderr)} characters"
        if _NAMES_NO_FILE.search(stderr) and "/" not in stderr:
            return "a line that names no file"
        made = sorted(path.name for path in _changed(out, earlier))
        return f"output of a command that failed: {made}" if made and not target.resumes else ""
    if code not in target.codes:
        return f"exit code {code}"
    return _incomplete(out, target, _changed(out, earlier))


def _outputs(out: Path) -> dict[Path, str]:
    """Digests of the files of a command: in its folder, the file itself, or JSON of that name."""
    found = {out, out.with_suffix(".json"), *out.rglob("*")}
    return {path: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in found if path.is_file()}  # fmt: skip


def _changed(out: Path, earlier: dict[Path, str]) -> list[Path]:
    """Outputs that were not there, or were others."""
    return sorted(path for path, digest in _outputs(out).items() if earlier.get(path) != digest)


def _incomplete(out: Path, target: Target, made: list[Path]) -> str:
    lacking = [name for name in target.expected if not (out / name).is_file()]
    if lacking:
        return f"output lacks {lacking}"
    for path in (path for path in made if path.suffix == ".json"):
        json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    for path in (path for path in made if path.name.endswith(".nii.gz")):
        voxels = sitk.GetArrayViewFromImage(sitk.ReadImage(str(path)))
        if not np.isfinite(voxels).all():
            return f"{path.name} holds numbers that are not finite"
    return ""


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _digests(folder: Path, target: Target) -> dict[str, str]:
    """Relative path -> digest of each file that the command must not change."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not path.is_symlink() and not name.startswith(target.own or "\0"):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
