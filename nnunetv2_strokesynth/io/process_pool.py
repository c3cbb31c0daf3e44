"""Run one function over many cases, with a progress bar, in this process or in several."""

from __future__ import annotations

import logging
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import TypeVar, cast

from tqdm import tqdm

from nnunetv2_strokesynth.io.progress import progress

Item = TypeVar("Item")
Result = TypeVar("Result")
logger = logging.getLogger(__name__)


class WorkerKilledError(OSError):
    """A worker process was killed, usually because the memory was full."""


def map_cases(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int,
    description: str,
    unit: str = "case",
) -> list[Result]:
    """Apply a function to every case and keep the order; the first error ends the run.

    Args:
        function: defined at the top of a module, so that worker processes can import it.
        items: the cases.
        workers: number of processes; 1 stays in this process.
        description: text before the progress bar.
        unit: what the progress bar counts.

    Returns:
        One result for each item, in the order of the items.

    Raises:
        ValueError: fewer than one worker.
        WorkerKilledError: a worker was killed.
        Any error of the function, as soon as it occurs: cases that have begun are finished, the
        others are dropped.
    """
    results, _ = try_cases(
        function, items, workers=workers, description=description, unit=unit, tolerated=()
    )
    return results


def try_cases(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int,
    description: str,
    unit: str = "case",
    tolerated: tuple[type[Exception], ...],
) -> tuple[list[Result], list[Exception]]:
    """The same, but errors of the ``tolerated`` kinds do not stop the other cases.

    Returns:
        The results of the cases without error, and the errors of the others; both in the order of
        the items.
    """
    if workers < 1:
        raise ValueError(f"--workers is {workers}, expected 1 or more")
    # The bar is closed before an error leaves this function, so that the error's message begins on
    # a line of its own.
    with progress(desc=description, unit=unit, total=len(items)) as bar:
        attempt = partial(_attempt, bar=bar, tolerated=tolerated)
        if workers == 1 or len(items) < 2:
            outcomes = [attempt(partial(function, item)) for item in items]
        else:
            outcomes = _in_processes(function, items, min(workers, len(items)), attempt)
    results = [cast(Result, result) for result, error in outcomes if error is None]
    return results, [error for _, error in outcomes if error is not None]


def _attempt(
    call: Callable[[], Result], *, bar: tqdm, tolerated: tuple[type[Exception], ...]
) -> tuple[Result | None, Exception | None]:
    outcome: tuple[Result | None, Exception | None]
    try:
        outcome = call(), None
    except tolerated as error:
        outcome = None, error
    bar.update()
    return outcome


def _in_processes(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    attempt: Callable[[Callable[[], Result]], tuple[Result | None, Exception | None]],
) -> list[tuple[Result | None, Exception | None]]:
    # Spawned and not forked: the threads of SimpleITK, BLAS and PyTorch do not survive a fork.
    context = multiprocessing.get_context("spawn")
    outcomes = {}
    with ProcessPoolExecutor(workers, context, _leave_interrupts_to_the_parent) as pool:
        try:
            with _without_interrupts():
                futures = [pool.submit(function, item) for item in items]
            for future in as_completed(futures):
                outcomes[future] = attempt(future.result)
        except BrokenProcessPool as error:
            raise WorkerKilledError(
                "a worker process was killed; try again with --workers 1"
            ) from error
        except KeyboardInterrupt:
            logger.info("interrupted: what has begun is finished first; again Ctrl-C ends at once")
            raise
        finally:
            _shut_down(pool)
    return [outcomes[future] for future in futures]


def _shut_down(pool: ProcessPoolExecutor) -> None:
    """Let the workers finish what they have begun; a second Ctrl-C kills them."""
    try:
        pool.shutdown(wait=True, cancel_futures=True)
    except KeyboardInterrupt:
        for process in multiprocessing.active_children():
            process.kill()
        pool.shutdown(wait=True, cancel_futures=True)
        raise


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back while processes start: they inherit that, and stay silent.

    A worker that is still importing cannot have called ``_leave_interrupts_to_the_parent``, and
    would end in a traceback. This process gets the signal afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
