"""From the pseudo-DWI to the report, by the lines that the commands print."""

from __future__ import annotations

import pytest
from next_commands import next_commands

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.nnunet_commands import FOLDER_VARIABLES


@pytest.fixture
def run(pipeline, caplog, monkeypatch, tmp_path):
    """Run ``strokesynth`` in an empty folder; returns the commands that it names."""
    monkeypatch.chdir(tmp_path)
    for name in FOLDER_VARIABLES:
        monkeypatch.setenv(name, str(pipeline.out / name))
    caplog.set_level("INFO")

    def run(*words: object) -> list[list[str]]:
        caplog.clear()
        assert main(list(map(str, words))) == 0
        return next_commands("\n".join(caplog.messages))

    return run


def test_pseudo_dwi_of_the_validation_scans_is_shown_by_the_report(pipeline, run, tmp_path):
    images = ("-i", pipeline.raw / "imagesTr", "--validation", "-device", "cpu")
    (report,) = run("synthesize", "-m", pipeline.model, *images, "-o", "pseudo_dwi")
    (page,) = run(*report[1:], "--workers", "1")
    assert page[-1] == (tmp_path / "report.html").as_uri()
    assert "pseudo-DWI:" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_pseudo_dwi_of_the_test_scans_leads_to_that_of_the_validation_scans(
    pipeline, run, caplog, tmp_path
):
    """The first command's output is of no use to the report, which says so and goes on."""
    images = ("-i", pipeline.raw / "imagesTs", "-device", "cpu", "--disable_tta")
    validation, report = run("synthesize", "-m", pipeline.model, *images, "-o", "pseudo_dwi")
    assert validation[1] == "synthesize" and report[1] == "report"
    model = ("-m", pipeline.model, "--raw", pipeline.raw)
    commands = run("report", *model, "--pseudo-dwi", "pseudo_dwi", "-o", "r.html", "--workers", 1)
    assert "of test scans" in caplog.text and len(commands) == 3
    assert "pseudo-DWI:" not in (tmp_path / "r.html").read_text(encoding="utf-8")
