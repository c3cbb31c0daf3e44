"""Bars are for terminals; a log file gets a line a minute."""

import io
import logging
import sys

import pytest

from nnunetv2_strokesynth.io import progress as module
from nnunetv2_strokesynth.io.progress import progress


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def walk(stream, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream)
    assert list(progress(range(5), desc="scans", unit="scan")) == [0, 1, 2, 3, 4]
    with progress(desc="frames", total=3) as bar:
        bar.update(3)
    return stream.getvalue()


def test_only_a_terminal_gets_a_bar(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    assert "scans: 100%" in walk(_Terminal(), monkeypatch)
    assert walk(io.StringIO(), monkeypatch) == ""
    assert not caplog.records, "less than a minute is not worth a line"


@pytest.mark.parametrize("stream", [io.StringIO(), None])
def test_long_work_says_where_it_is(stream, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(module, "LINE_S", 0.0)
    monkeypatch.setattr(sys, "stderr", stream)
    list(progress(range(3), desc="scans"))
    assert [record.getMessage() for record in caplog.records][-1] == "scans: 3 of 3"
