"""Words that many messages share."""

from __future__ import annotations

from collections.abc import Iterable, Set


def name_some(items: Iterable[object], at_most: int = 8, *, separator: str = ", ") -> str:
    """The first few items, and how many more there are: ``a, b, c and 12 more``.

    Args:
        items: things to name, as ``str`` writes them. A set is sorted, since it has no order.
        at_most: how many are named.
        separator: text between two items; ``"; "`` where the items are sentences.
    """
    names = [str(item) for item in (sorted(items) if isinstance(items, Set) else items)]
    more = len(names) - at_most
    last = f"{separator.strip(', ')} and {more} more" if more > 0 else ""
    return separator.join(names[:at_most]) + last
