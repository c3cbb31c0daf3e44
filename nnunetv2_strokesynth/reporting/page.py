"""Pieces of a self-contained HTML page: every text is escaped here, every image is embedded."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape

from matplotlib.figure import Figure

from nnunetv2_strokesynth.evaluation.tables import Table

CSS = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: #fff; color: #1a1a1a;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .4rem 0 1rem; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; padding-bottom: .2rem;
  border-bottom: 2px solid #0072b2; }
h3 { font-size: 1.05rem; margin: 1.4rem 0 .5rem; }
p { margin: .5rem 0; max-width: 52rem; }
.small, figcaption { font-size: .85rem; color: #444; }
.notice { border: 1px solid #8a6d00; border-left-width: 6px; background: #fff8e1;
  padding: .5rem .8rem; }
.facts { display: grid; grid-template-columns: minmax(7rem, 13rem) 1fr; gap: .25rem 1rem;
  margin: .6rem 0; }
.facts dt { font-weight: 600; } .facts dd { margin: 0; }
.scroll { overflow-x: auto; margin: .5rem 0 1rem; -webkit-overflow-scrolling: touch; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums;
  overflow-wrap: break-word; }
.caption { font-size: .88rem; font-weight: 600; margin: 1rem 0 0; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid #ddd;
  vertical-align: top; white-space: nowrap; }
th { background: #f2f5f8; border-bottom: 2px solid #9fb3c4; white-space: normal;
  vertical-align: bottom; }
.text { text-align: left; white-space: normal; min-width: 8rem; max-width: 24rem;
  overflow-wrap: break-word; }
.published { background: #f4efe6; }
.published th { background: #e8dfcc; border-bottom-color: #b39a66; }
.tag { display: inline-block; background: #6b4e00; color: #fff; border-radius: 3px;
  padding: 0 .35rem; font-size: .75rem; white-space: nowrap; }
figure { margin: .6rem 0; }
img { max-width: 100%; height: auto; display: block; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr));
  gap: 1rem; align-items: start; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr));
  gap: .6rem; }
.panels figure { margin: 0; } .panels img { width: 100%; }
.none { background: #eee; color: #555; aspect-ratio: 1; display: flex; align-items: center;
  justify-content: center; }
.gt, .pred { display: inline-block; width: 1.6rem; height: .7rem; background: #222;
  border: 2px solid lime; vertical-align: middle; }
.pred { border-color: yellow; }
code { background: #f0f0f0; padding: .05rem .25rem; font-size: .85rem; }
.failure { border-left: 6px solid #d55e00; padding-left: .8rem; }
@media (max-width: 30rem) {
  body { padding: .7rem; } .facts { grid-template-columns: 1fr; gap: 0; }
  .facts dd { margin-bottom: .5rem; }
  .panels { grid-template-columns: repeat(auto-fill, minmax(7.5rem, 1fr)); }
}
@media print {
  @page { size: A4; margin: 12mm; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  h2, h3, .caption { break-after: avoid; page-break-after: avoid; }
  figure, tr, .notice, .facts { break-inside: avoid; page-break-inside: avoid; }
  thead { display: table-header-group; }
  .scroll { overflow: visible; } table { font-size: 7.2pt; } th, td { padding: .15rem .3rem; }
  .text { min-width: 5rem; }
  .panels { grid-template-columns: repeat(6, 1fr); } .panels figcaption { font-size: 7pt; }
  .caption { font-size: 8.5pt; } .tag { font-size: 6pt; }
  .curves img { max-height: 230mm; width: auto; }
  th, .notice, .published, .tag, .gt, .pred, .none {
    print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
# Nothing may be loaded or run, whatever a file name says.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
CHART_DPI, PANEL_DPI = 130, 110


def paragraph(text: str, css: str = "") -> str:
    """A paragraph of plain text."""
    return f"<p{_class(css)}>{escape(text)}</p>"


def _class(css: str) -> str:
    return f' class="{css}"' if css else ""


def definition_list(pairs: Iterable[tuple[str, str]]) -> str:
    """Headings and texts beside each other."""
    rows = "".join(f"<dt>{escape(head)}</dt><dd>{escape(text)}</dd>" for head, text in pairs)
    return f'<dl class="facts">{rows}</dl>'


def table(content: Table, *, text_columns: Sequence[str] = (), css: str = "") -> str:
    """A table that scrolls sideways in a box of its own.

    Args:
        content: plain text in cells.
        text_columns: headings of columns of words, set left and wrapped; the rest are numbers.
        css: class of the table. ``published`` tags every row.
    """
    tag = '<span class="tag">published</span> ' if css == "published" else ""
    kinds = [_class("text") if name in text_columns else "" for name in content.header]
    head = "".join(
        f'<th scope="col"{kind}>{escape(name)}</th>'
        for kind, name in zip(kinds, content.header, strict=True)
    )
    rows = []
    for row in content.rows:
        cells = [f"<td{k}>{escape(cell)}</td>" for k, cell in zip(kinds, row, strict=True)]
        cells[0] = cells[0].replace(">", f">{tag}", 1)
        rows.append(f"<tr>{''.join(cells)}</tr>")
    # The caption stands outside the box that scrolls, or a phone would cut it off.
    title = escape(content.title)
    return (
        f'<p class="caption">{tag}{title}</p>'
        f'<div class="scroll"><table{_class(css)} aria-label="{title}">'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{''.join(rows)}</tbody></table></div>"
    )


def image(figure: Figure, alt: str, *, dpi: int = CHART_DPI) -> str:
    """A figure as an embedded PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=dpi, format="png")
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    width, height = (round(inches * dpi) for inches in figure.get_size_inches())
    size = f'width="{width}" height="{height}"'
    return f'<img {size} alt="{escape(alt)}" src="data:image/png;base64,{data}">'


def captioned(body: str, caption: str) -> str:
    """A figure with its caption; ``body`` is HTML, the caption plain text."""
    return f"<figure>{body}<figcaption>{escape(caption)}</figcaption></figure>"


def document(title: str, sections: Iterable[str]) -> str:
    """The whole page."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{CSS}</style></head>",
            f"<body><main><h1>{escape(title)}</h1>",
            *sections,
            "</main></body></html>",
            "",
        ]
    )
