"""One writer at a time, and a crashed one does not lock the others out."""

import os
import signal
import subprocess
import sys

import pytest

from nnunetv2_strokesynth.io import folder_lock
from nnunetv2_strokesynth.io.folder_lock import LockedError, only_writer

HOLD = """
import sys, time
from pathlib import Path
from nnunetv2_strokesynth.io.folder_lock import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_writer_stops_and_nothing_is_left(tmp_path):
    folder = tmp_path / "raw" / "Dataset018_A"
    message = rf"Dataset018_A is being written .*process {os.getpid()}\); wait"
    with only_writer(folder):
        with pytest.raises(LockedError, match=message), only_writer(folder):
            pass
        with only_writer(folder.with_name("Dataset019_B")):
            pass  # another folder is free
    with only_writer(folder):
        pass
    assert not list(folder.parent.iterdir())


def test_a_killed_writer_holds_no_lock(tmp_path):
    folder = tmp_path / "Dataset018_A"
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=f"process {child.pid}"), only_writer(folder):
            pass
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert [path.name for path in tmp_path.iterdir()] == [".Dataset018_A.lock"]
    with only_writer(folder):
        pass
    assert not list(tmp_path.iterdir())


def test_a_file_system_without_locks_warns(tmp_path, monkeypatch, caplog):
    def no_locks(_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(folder_lock, "_lock", no_locks)
    with only_writer(tmp_path / "a"):
        pass
    assert "offers no locks (No locks available)" in caplog.text
