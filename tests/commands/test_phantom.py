"""``strokesynth phantom``: the command that it names at its end."""

import logging

import pytest
from next_commands import next_commands

from nnunetv2_strokesynth.cli import main

pytest.importorskip("nilearn")
SMALL = "--size 32 --max-slices 1 --workers 1 --seed 5".split()


@pytest.fixture
def said(tmp_path, caplog):
    """The command that a phantom's last line names, checked, without the program's name."""

    def run(layout: str, *options: str) -> list[str]:
        caplog.set_level(logging.INFO)
        arguments = [str(tmp_path / "a phantom"), "--layout", layout, *SMALL, *options]
        assert main(["phantom", *arguments]) == 0
        (words,) = next_commands("\n".join(record.getMessage() for record in caplog.records))
        return words[1:]

    return run


@pytest.mark.parametrize(
    ("layout", "cases", "options"),
    [
        ("isles2018", 1, None),
        ("isles2018", 3, ["--folds", "2"]),  # of two patients
        ("isles2017", 5, []),
        ("isles2024", 2, ["--folds", "2"]),
    ],
)
def test_the_phantom_is_converted_next(said, tmp_path, layout, cases, options):
    words = said(layout, "--cases", str(cases))
    out = str(tmp_path / "a phantom")
    if options is None:
        assert words[:2] == ["phantom", out]
        assert words[words.index("--cases") + 1] == "10"
    else:
        assert words == ["convert", layout, out, *options]


def test_options_are_kept_where_a_larger_phantom_is_needed(said):
    words = said("isles2024", "--cases", "1", "--no-dwi")
    assert (
        words[2:]
        == (
            "--layout isles2024 --cases 10 --test-cases 0 --size 32 --seed 5 --workers 1 "
            "--max-slices 1 --no-dwi --overwrite"
        ).split()
    )
