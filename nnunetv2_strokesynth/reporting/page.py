"""Pages from the templates beside this module: texts are escaped there, images are embedded."""

from __future__ import annotations

import base64
from functools import cache
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from nnunetv2_strokesynth.io.figure_file import png_bytes

CHART_DPI, PANEL_DPI = 130, 110


class Picture(NamedTuple):
    """An image for a page.

    Attributes:
        alt: its text for those who do not see it.
        width, height: in pixels.
        data: the PNG in base 64.
    """

    alt: str
    width: int
    height: int
    data: str


def picture(figure: Figure, alt: str, *, dpi: int = CHART_DPI) -> Picture:
    """A figure as a PNG to embed."""
    width, height = (round(inches * dpi) for inches in figure.get_size_inches())
    data = base64.b64encode(png_bytes(figure, dpi=dpi)).decode("ascii")
    return Picture(alt, width, height, data)


@cache
def environment() -> Environment:
    """Jinja2 with our templates: all values are escaped, an unknown name is an error."""
    return Environment(
        loader=PackageLoader("nnunetv2_strokesynth.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render_page(template: str, **values: object) -> str:
    """Fill in a template.

    Args:
        template: name of a file in ``templates``.
        values: whatever it names.
    """
    return environment().get_template(template).render(values)
