"""The page about one scan in headless Chromium: it scrolls, measures, and asks for nothing."""

from __future__ import annotations

import re
from html import unescape

import numpy as np
import pytest
from browser import CHROMIUM, Browser
from scan_pages import HOSTILE_TITLE, NOTE, WARNING, Scene

READY = "document.documentElement.dataset.ready === 'yes'"
PHONE_PX = 390
in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


@pytest.fixture(scope="module")
def browser(scene: Scene, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(scene.prediction_html, encoding="utf-8")
    with Browser(path) as opened:
        yield opened


@pytest.fixture
def page(browser):
    """The page as it is when it has just been opened."""
    browser.open(ready=READY)
    return browser


def text(page: Browser, name: str) -> str:
    return page.evaluate(f"document.getElementById('{name}').textContent")


def label(page: Browser, image: str) -> str:
    return page.evaluate(
        f"document.querySelector('[data-image={image}] canvas').getAttribute('aria-label')"
    )


def pixels(page: Browser, image: str) -> list[int]:
    """Sums of red, green and blue of a panel's canvas."""
    return page.evaluate(
        f"""(() => {{
            const canvas = document.querySelector('[data-image={image}] canvas');
            const size = [0, 0, canvas.width, canvas.height];
            const data = canvas.getContext('2d').getImageData(...size).data;
            const sums = [0, 0, 0];
            data.forEach((value, i) => {{ if (i % 4 < 3) sums[i % 4] += value; }});
            return sums;
        }})()"""
    )


def choose(page: Browser, name: str, value: int) -> None:
    """Move a slider as a hand does: its value changes, and it says so."""
    page.evaluate(
        f"(() => {{ const slider = document.getElementById('{name}'); slider.value = {value};"
        "slider.dispatchEvent(new Event('input')); })()"
    )


@in_a_browser
def test_nothing_is_asked_for_and_nothing_goes_wrong(page):
    """First of all tests: reading pixels, as others do, makes the browser itself warn."""
    page.press("Home")
    page.press("o")
    choose(page, "threshold-0", 20)
    page.swipe("[data-image=cbf] canvas", 30)
    page.evaluate("document.querySelector('.panels button').click()")
    page.wheel("[data-image=ct] canvas", 120)
    assert page.problems == [] and page.requests == []
    assert page.evaluate("document.getElementById('failed').hidden")
    assert page.evaluate("document.title") == HOSTILE_TITLE


@in_a_browser
def test_keys_wheel_swipe_and_slider_change_the_slice(page, scene):
    n_slices = len(scene.probability)
    widest = scene.lesion.sum(axis=(1, 2)).argmax()
    assert text(page, "slice-text") == f"{widest + 1} of {n_slices}"
    page.press("Home")
    assert text(page, "slice-text") == f"1 of {n_slices}"
    before = pixels(page, "probability")
    page.press("ArrowUp")
    assert text(page, "slice-text") == f"2 of {n_slices}"
    assert pixels(page, "probability") != before
    page.press("ArrowDown")
    assert pixels(page, "probability") == before
    page.press("ArrowDown")
    assert text(page, "slice-text") == f"1 of {n_slices}"
    page.press("End")
    assert text(page, "slice-text") == f"{n_slices} of {n_slices}"
    page.wheel("[data-image=cbf] canvas", 120)
    assert text(page, "slice-text") == f"{n_slices - 1} of {n_slices}"
    choose(page, "slice", 1)
    page.swipe("[data-image=cbf] canvas", 30)
    assert text(page, "slice-text") == f"2 of {n_slices}"


@in_a_browser
def test_the_slider_s_volume_is_numpy_s(page, scene):
    voxel_ml = np.prod(scene.spacing_zyx_mm) / 1000
    assert text(page, "threshold-0-text") == "0.50"
    assert text(page, "volume-0") == f"{scene.lesion.sum() * voxel_ml:.1f} mL"
    for index in (4, 29, 70, 98):
        choose(page, "threshold-0", index)
        volume_ml = (scene.probability > (index + 1) / 100).sum() * voxel_ml
        assert text(page, "threshold-0-text") == f"{(index + 1) / 100:.2f}"
        assert text(page, "volume-0") == f"{volume_ml:.1f} mL"
    late_ml = (scene.computed.maps.tmax > 6).sum() * voxel_ml
    assert text(page, "threshold-1-text") == "6.00 s"
    assert text(page, "volume-1") == f"{late_ml:.1f} mL"


@in_a_browser
def test_the_outline_is_drawn_and_can_be_hidden(page):
    outlined = pixels(page, "ct")
    page.press("o")
    plain = pixels(page, "ct")
    assert outlined[0] > plain[0] and outlined[2] > plain[2]  # magenta
    page.press("o")
    assert pixels(page, "ct") == outlined
    choose(page, "threshold-0", 98)
    assert pixels(page, "ct") == plain


@in_a_browser
def test_every_panel_says_slice_scale_and_finding(page, scene):
    voxel_ml = np.prod(scene.spacing_zyx_mm) / 1000
    names = page.evaluate(
        "[...document.querySelectorAll('figure[data-image]')].map((f) => f.dataset.image)"
    )
    expected = "ct cbf cbv mtt tmax pseudo_dwi probability mip".split()
    assert names == expected
    page.press("Home")
    here_ml = scene.lesion[0].sum() * voxel_ml
    for name in names:
        words = label(page, name)
        assert f"slice 1 of {len(scene.lesion)}, counted from the feet" in words
        finding = f"lesion {here_ml:.1f} mL in this slice" if here_ml else "no lesion"
        assert finding in words
    assert "0 to 12 s" in label(page, "tmax") and label(page, "ct").startswith("CT")
    alts = page.evaluate("[...document.images].map((image) => image.alt)")
    assert alts and all(len(alt) > 20 for alt in alts)


@in_a_browser
def test_it_fits_a_phone(page):
    page.open(width=PHONE_PX, height=800, ready=READY)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE_PX
    # The image takes most of its panel: beside it are R and L, under it the words.
    width = page.evaluate("document.querySelector('figure[data-image]').clientWidth")
    assert 150 < width < PHONE_PX / 2


@in_a_browser
@pytest.mark.parametrize("width", [PHONE_PX, 1280])
def test_a_long_note_breaks_no_name_and_moves_no_slice(page, width):
    page.open(width=width, height=800, ready=READY)
    lines, tops = page.evaluate(
        """(() => {
            const figures = [...document.querySelectorAll('figure[data-image]')].slice(1, 5);
            const note = document.createElement('span');
            note.className = 'small';
            note.textContent = 'unit of the file; scale of this scan';
            figures[0].querySelector('span').after(note);
            const tops = figures.map((figure) => [
              figure.getBoundingClientRect().top,
              figure.querySelector('canvas').getBoundingClientRect().top,
            ]);
            return [figures.map((f) => f.querySelector('span').getClientRects()[0].height), tops];
        })()"""
    )
    assert max(lines) < 1.5 * min(lines)  # CBF and so on, each in one line
    for row in {top for top, _ in tops}:
        assert len({round(canvas) for top, canvas in tops if top == row}) == 1


@in_a_browser
def test_on_paper_words_are_black_and_slices_keep_their_proportions(page):
    page.as_paper(printed=True)
    colours, proportions = page.evaluate(
        """(() => {
            const words = [...document.querySelectorAll('p, td, th, output, figcaption span, h2')];
            const canvases = [...document.querySelectorAll('canvas')];
            const light = (colour) => Math.max(...colour.match(/\\d+/g).slice(0, 3).map(Number));
            return [
              words.filter((w) => w.clientHeight).map((w) => light(getComputedStyle(w).color)),
              canvases.map((c) => (c.clientWidth / c.clientHeight) / (c.width / c.height)),
            ];
        })()"""
    )
    page.as_paper(printed=False)
    assert max(colours) < 60
    np.testing.assert_allclose(proportions, 1, atol=0.02)


@in_a_browser
def test_a_lesion_of_a_few_voxels_does_not_look_like_none(scene, tmp_path):
    probability = np.zeros_like(scene.probability)
    probability[1, 30, 40] = 0.9
    path = tmp_path / "report.html"
    path.write_text(scene._replace(spacing_zyx_mm=(5.0, 0.5, 0.5)).page_of(probability), "utf-8")
    with Browser(path) as page:
        page.open(ready=READY)
        assert text(page, "volume-0") == "0.001 mL"
        assert "0.001 mL in this slice" in label(page, "ct")
        assert "Predicted lesion: 0.001 mL of" in page.evaluate("document.body.textContent")


@in_a_browser
def test_side_unknown_is_said_on_every_panel(scene, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(scene.maps_html(sides_known=False), encoding="utf-8")
    with Browser(path) as page:
        page.open(ready=READY)
        assert page.problems == []
        for name in "ct cbf cbv mtt tmax mip".split():
            assert "side unknown" in label(page, name)
        assert not page.evaluate("!!document.querySelector('[data-image=probability]')")


@in_a_browser
def test_errors_and_requests_would_be_noticed(tmp_path):
    path = tmp_path / "bad.html"
    bad = (
        '<img src="http://127.0.0.1:9/x.png"><script>console.error("no"); throw Error("x")</script>'
    )
    path.write_text(f"<!DOCTYPE html>{bad}", encoding="utf-8")
    with Browser(path) as page:
        page.open()
        assert page.requests == ["http://127.0.0.1:9/x.png"]
        assert len(page.problems) >= 2


def test_warnings_stand_before_the_result(scene):
    html = unescape(scene.prediction_html)
    order = ["Research only.", WARNING, "Predicted lesion:", 'id="slice"', NOTE]
    places = [html.index(words) for words in order]
    assert places == sorted(places)
    assert "No lesion was called" not in html


def test_what_was_nearly_called_is_said_and_shown_first(scene):
    html = scene.page_of(0.8 * scene.probability / scene.probability.max() * 0.5)
    assert "No lesion was called. Nearly called: the highest probability is 0.40" in html
    assert re.search(r'id="threshold-0" min="0" max="98" value="19"', html)


def test_the_policy_lets_one_script_run_and_loads_nothing(scene):
    html = scene.prediction_html
    assert html.count("default-src 'none'; img-src data:") == 1
    assert "script-src 'sha256-" in html
    assert "http://" not in html and "https://" not in html and "@import" not in html
    assert "<img src=x" not in html
