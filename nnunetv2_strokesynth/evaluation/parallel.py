"""Run one function over many cases, with a progress bar, in this process or in several."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_cases(
    function: Callable[[Item], Result], items: Sequence[Item], *, workers: int, description: str
) -> list[Result]:
    """Apply a function to every case and keep the order.

    Args:
        function: defined at the top of a module, so that worker processes can import it.
        workers: 1 stays in this process. New processes are spawned, not forked: SimpleITK and
            PyTorch keep threads.

    Raises:
        ValueError: fewer than one worker.
        OSError: a worker was killed, usually for memory.
        Whatever the function raises first; cases not yet begun are dropped.
    """
    if workers < 1:
        raise ValueError(f"--workers is {workers}, expected 1 or more")
    bar = {"desc": description, "unit": "case", "total": len(items)}
    if workers == 1 or len(items) < 2:
        return [function(item) for item in tqdm(items, **bar)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(items)), mp_context=context) as pool:
        futures = [pool.submit(function, item) for item in items]
        try:
            for future in tqdm(as_completed(futures), **bar):
                future.result()
        except BrokenProcessPool as error:
            raise OSError("a worker process was killed; try again with --workers 1") from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]
