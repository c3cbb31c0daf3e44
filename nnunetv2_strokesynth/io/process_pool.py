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
    # Closed before an error leaves this function, so that its message gets a line of its own.
    with tqdm(desc=description, unit="case", total=len(items)) as bar:
        if workers == 1 or len(items) < 2:
            return [_counted(function, item, bar) for item in items]
        return _map_in_processes(function, items, min(workers, len(items)), bar)


def _counted(function: Callable[[Item], Result], item: Item, bar: tqdm) -> Result:
    result = function(item)
    bar.update()
    return result


def _map_in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int, bar: tqdm
) -> list[Result]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = [pool.submit(function, item) for item in items]
        try:
            for future in as_completed(futures):
                future.result()
                bar.update()
        except BrokenProcessPool as error:
            raise OSError("a worker process was killed; try again with --workers 1") from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]
