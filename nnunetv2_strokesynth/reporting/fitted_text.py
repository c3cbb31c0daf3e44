"""Names as long as users like, and numbers, in the width that a figure has for them."""

from __future__ import annotations

import textwrap

_EM = 0.64
"""Width of a letter of matplotlib's font in sizes of it; names are rarely wider on average."""


def letters(inches: float, fontsize: float) -> int:
    """How many letters fit into a width, at least 1."""
    return max(1, int(72 * inches / (_EM * fontsize)))


def shortened(name: str, most: int) -> str:
    """The name; one of more than ``most`` letters loses some before its end, where names differ."""
    if len(name) <= most:
        return name
    end = max(1, 2 * (most - 1) // 3)
    return f"{name[: max(0, most - 1 - end)]}…{name[-end:]}"


def wrapped(text: str, inches: float, fontsize: float) -> str:
    """The text in lines of a width."""
    return textwrap.fill(text, letters(inches, fontsize))


def two_digits(value: float) -> str:
    """A number as 0.042, 4.2, 42 or 4213, never as 4.2e+03."""
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"
