"""Figures as files: one style for all of them, no display, complete files or none.

nnU-Net plots through seaborn, which changes matplotlib's settings for the whole process: fonts of
2.5 times the size, grey backgrounds. Every function of ours that draws is therefore decorated with
``figure_style``, and every figure is written by a function of this module. Figures are made with
``matplotlib.figure.Figure``, never with pyplot: no backend has to be chosen, and none is changed.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from nnunetv2_strokesynth.io.atomic import atomic_file

DPI = 150
# Okabe and Ito's colours, which colour-blind readers tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


@contextmanager
def figure_style() -> Iterator[None]:
    """Matplotlib's own settings inside, whatever they are outside; also a decorator.

    Dollar signs are text, because names from files are drawn; where a formula is meant, the text is
    told so (``parse_math=True``).
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams["text.parse_math"] = False
        yield


@figure_style()
def save_png(figure: Figure, path: Path, *, dpi: int = DPI) -> None:
    """Write a figure as PNG, completely or not at all."""
    with atomic_file(Path(path)) as temporary:
        figure.savefig(temporary, dpi=dpi, format="png")


@figure_style()
def save_pdf(figure: Figure, path: Path) -> None:
    """Write a figure as PDF without its date: the same figure gives the same bytes."""
    with atomic_file(Path(path)) as temporary:
        figure.savefig(temporary, format="pdf", metadata={"CreationDate": None})


@figure_style()
def png_bytes(figure: Figure, *, dpi: int = DPI) -> bytes:
    """The PNG of a figure, to be embedded in a page."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=dpi, format="png")
    return buffer.getvalue()
