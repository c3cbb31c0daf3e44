"""The memory of a command is that of all its processes."""

import subprocess
import sys

import nibabel
import numpy as np
import pytest

from benchmarks import command_memory
from benchmarks.command_memory import measure, peak_mb, processes
from benchmarks.memory_runs import Run, enlarge, runs_2018

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

# A child that takes 60 MB and a parent that takes 30, at the same time for half a second.
BOTH = """
import subprocess, sys, time
sleep = "import time; x = b'1' * 60_000_000; time.sleep(.5)"
child = subprocess.Popen([sys.executable, "-c", sleep])
x = b"1" * 30_000_000
child.wait()
"""


def test_the_memory_of_children_counts(tmp_path):
    (tmp_path / "both.py").write_text(BOTH)
    together, largest = peak_mb(["python", str(tmp_path / "both.py")], tmp_path, log=tmp_path / "l")
    assert 60 < largest < 90 < together < 150


def test_a_process_that_has_ended_has_no_children():
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert list(processes(ended.pid)) == [ended.pid]


def test_what_was_measured_is_not_measured_again(tmp_path, monkeypatch):
    runs = [Run("a", "true"), Run("b", "false"), Run("c", "true", needs=tmp_path / "none")]
    monkeypatch.setattr(command_memory, "prepared", lambda *_: runs)
    monkeypatch.setattr(command_memory, "peak_mb", lambda words, *_, **__: (1400.0, 1.0))
    said = []
    for only in (None, None, ["a"]):
        measure(tmp_path / "2018", "2018", only, said.append)
    assert [line.split()[0] for line in said] == ["a", "b", "c", "c", "a"]
    assert "| `b` | 1.4 GB | - |" in command_memory.table(tmp_path)


def test_a_command_that_fails_is_told(tmp_path):
    with pytest.raises(ValueError, match="failed; see"):
        peak_mb(["python", "-c", "raise SystemExit(3)"], tmp_path, log=tmp_path / "log.txt")


def test_stars_become_the_path_that_is_there(tmp_path):
    (tmp_path / "scans/TESTING/case_1/x.4DPWI.y").mkdir(parents=True)
    series = tmp_path / "scans/TESTING/case_1/x.4DPWI.y/x.nii"
    series.touch()
    maps = next(run for run in runs_2018(tmp_path) if run.name == "maps")
    assert maps.words[2] == str(series)


def test_enlarged_scans_cover_the_same_millimetres(tmp_path):
    affine = np.diag([-2.0, -2.0, 5.0, 1.0])
    small = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    (tmp_path / "a" / "case").mkdir(parents=True)
    (tmp_path / "a" / "case" / "note.json").touch()
    nibabel.save(nibabel.Nifti1Image(small, affine), tmp_path / "a" / "case" / "x.nii")
    enlarge(tmp_path / "a", tmp_path / "b", 4)
    large = nibabel.load(tmp_path / "b" / "case" / "x.nii")
    assert large.shape == (8, 12, 4) and large.header.get_zooms() == (0.5, 0.5, 5.0)
    assert np.array_equal(np.asarray(large.dataobj)[::4, ::4], small)
    assert (tmp_path / "b" / "case" / "note.json").is_file()
