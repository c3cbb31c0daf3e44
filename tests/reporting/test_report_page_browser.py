"""The report in headless Chromium, where there is one: fits a phone, is not blank."""

from __future__ import annotations

import re
import shutil
import subprocess
from html import escape
from pathlib import Path

import matplotlib.image
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for path in map(shutil.which, NAMES) if path), None)
PHONE_PX, HEIGHT_PX = 390, 2000

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


def _chromium(profile: Path, *options: str) -> str:
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += [f"--user-data-dir={profile}", f"--window-size=500,{HEIGHT_PX}"]
    command += ["--virtual-time-budget=5000", *options]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return result.stdout


def _on_a_phone(html: str, folder: Path) -> tuple[Path, int]:
    """The page in a frame as wide as a phone (a window cannot be that narrow), and what it needs.

    Returns:
        The wrapper's path, and the width in pixels that the page's content takes.
    """
    width = "document.title = this.contentDocument.documentElement.scrollWidth"
    wrapper = folder / "phone.html"
    wrapper.write_text(
        f'<body style="margin:0"><iframe style="border:0;width:{PHONE_PX}px;height:{HEIGHT_PX}px" '
        f'srcdoc="{escape(html)}" onload="{width}"></iframe>',
        encoding="utf-8",
    )
    page = _chromium(folder / "profile", "--dump-dom", wrapper.as_uri())
    return wrapper, int(re.search(r"<title>(\d+)</title>", page)[1])


def test_the_report_fits_a_phone_and_shows_something(reported, tmp_path):
    wrapper, width = _on_a_phone(reported.html, tmp_path)
    assert width == PHONE_PX
    screenshot = tmp_path / "phone.png"
    _chromium(tmp_path / "profile", f"--screenshot={screenshot}", wrapper.as_uri())
    pixels = matplotlib.image.imread(screenshot)[:, :PHONE_PX, :3]
    dark = (pixels.mean(axis=-1) < 0.5).mean()
    assert 0.01 < dark < 0.6
    # Some text or line in every fifth of the picture.
    fifth = len(pixels) // 5
    assert all((pixels[i * fifth : (i + 1) * fifth] < 0.5).any() for i in range(5))


def test_the_measurement_notices_a_page_that_is_too_wide(tmp_path):
    html = "<!DOCTYPE html><html><body><p style='width:700px'>wide</p></body></html>"
    assert _on_a_phone(html, tmp_path)[1] > 700
