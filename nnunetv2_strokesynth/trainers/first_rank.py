"""What one process of a distributed training does for all of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from torch import distributed as dist

LONGEST_WAIT = timedelta(days=2)
Result = TypeVar("Result")


class FirstRank:
    """Calls functions in the first process alone; all processes get what they return.

    The others wait on the CPU for as long as it takes. nnU-Net's processes talk by NCCL, which
    gives up after ten minutes; the first training of a large data set prepares for longer.

    All processes make it, and call it, in the same order.

    Args:
        rank: of this process.
    """

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self._group = dist.new_group(backend="gloo", timeout=LONGEST_WAIT)

    def call(self, function: Callable[[], Result]) -> Result:
        """What ``function`` returns in the first process.

        Raises:
            ValueError, OSError: what it raises there, in all processes.
        """
        found: list[Result | Exception | None] = [None]
        if self.rank == 0:
            try:
                found = [function()]
            except (ValueError, OSError) as error:  # the other ranks wait: tell them, too
                found = [error]
        dist.broadcast_object_list(found, src=0, group=self._group)
        if isinstance(found[0], Exception):
            raise found[0]
        return found[0]
