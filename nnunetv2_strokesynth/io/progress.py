"""Progress of long work: a bar on a terminal, elsewhere a line a minute.

A bar redraws itself many times; in a log file each redrawing would be a line of its own.
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

LINE_S = 60.0
logger = logging.getLogger(__name__)


class _Lines(tqdm):  # type: ignore[misc]
    """A bar that is never drawn; once a minute, its numbers become a line of the log."""

    def __init__(self, *args: Any, **options: Any):
        # No thread of tqdm's that redraws, and nothing before the first minute is over.
        quiet = {"file": io.StringIO(), "leave": False, "maxinterval": 0.0}
        super().__init__(*args, mininterval=LINE_S, delay=LINE_S, **quiet, **options)

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Log the numbers; called with an empty text when the bar is closed."""
        if msg is None and self.n:
            of_all = f" of {self.total}" if self.total else ""
            logger.info("%s: %d%s", self.desc.removesuffix(": "), self.n, of_all)
        return True


def progress(items: Iterable[Any] | None = None, **options: Any) -> tqdm:
    """A progress bar, as ``tqdm`` takes its arguments; lines where stderr is no terminal.

    Args:
        items: what is walked through; None where ``update`` is called.
        options: ``desc``, ``unit``, ``total``.
    """
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    return (tqdm if is_terminal else _Lines)(items, **options)
