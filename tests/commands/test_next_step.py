"""The line that says what to type next: quoted, with a program that the shell finds."""

import logging
import shlex
import sys
from pathlib import Path

import pytest
from next_commands import check_command, next_commands

from nnunetv2_strokesynth.commands.next_step import command_line, open_page, say_next


def test_words_survive_the_shell():
    words = ["strokesynth", "report", "-m", Path("my models/a'b"), "-o", "$x.html", 3]
    assert shlex.split(command_line(words))[1:] == [str(word) for word in words[1:]]


def test_program_off_the_path_is_named_with_its_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", "/nowhere")
    assert command_line(["strokesynth"]) == "strokesynth"  # it is nowhere to be found
    (tmp_path / "strokesynth").touch()
    assert command_line(["strokesynth", "demo"]) == f"{tmp_path / 'strokesynth'} demo"


def test_steps_and_choices_are_lines_of_their_own(caplog):
    caplog.set_level(logging.INFO)
    report = ["strokesynth", "report", "-m", "a b", "--raw", "r", "-o", "r.html"]
    say_next(report, ["nnUNetv2_train", "18", "2d", "0"])
    say_next(report, ["strokesynth", "demo", "out"], link="or")
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(":")[0] for line in lines] == ["next", "then", "next", "or"]
    assert next_commands("\n".join(lines))[2] == report


def test_page_is_opened_by_its_address(tmp_path):
    words = open_page(tmp_path / "a page.html")
    assert words[-1] == (tmp_path / "a page.html").as_uri() and "%20" in words[-1]
    check_command(words)


@pytest.mark.parametrize("words", [["strokesynth", "report", "--nonsense"], ["nnUNetv2_cook"]])
def test_a_command_that_cannot_be_typed_is_found_out(words):
    with pytest.raises((SystemExit, FileNotFoundError)):
        check_command(words)


def test_console_without_a_next_command_is_found_out():
    with pytest.raises(AssertionError, match="no next command"):
        next_commands("results: out/summary.md")
