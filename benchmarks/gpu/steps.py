"""The part that times a system's training step: compiled, as nnU-Net trains, and not."""

from __future__ import annotations

import contextlib
import gc
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.gpu.names import COMPILED, EAGER
from benchmarks.gpu.settings import Settings
from benchmarks.gpu.systems import build, modes_of
from benchmarks.gpu.turns import Turn, described, time_limit
from benchmarks.schedule import sampled_utilisation

COMPILE_LIMIT_S = 140
WARM_UP_STEPS = 3
STEPS = (8, 200)  # at least, at most
GIB = 2**30


def measure_system(turn: Turn, setting: Settings) -> None:
    """Compile ahead, then time the steps of each mode; what fails is kept with its traceback."""
    # cuDNN keeps the fastest algorithm for each setting that it has met. In the warm-up other
    # processes disturb its trials. Allowing tf32, which half precision does not use, makes the
    # setting of the measurement a new one, so the trials are made again, undisturbed.
    torch.backends.cudnn.benchmark = torch.backends.cudnn.allow_tf32 = False
    with tempfile.TemporaryDirectory() as folder:
        system = build(turn.name, setting, Path(folder))
        turn.save(shape=list(system.shape))
        modes = list(modes_of(turn.name))
        if COMPILED in modes:
            start = time.perf_counter()
            try:
                with time_limit(COMPILE_LIMIT_S, "compiling"):
                    for _ in range(2):
                        system.step()
                turn.save(compile_s=time.perf_counter() - start)
            except Exception as error:
                modes.remove(COMPILED)
                turn.save(compiled={"error": described(error)})
        _free(setting.device)
        turn.wait()
        torch.backends.cudnn.benchmark = torch.backends.cudnn.allow_tf32 = True
        for mode in modes:
            try:
                turn.save(**{mode: timed(system.step, mode, setting, system.shape[0])})
            except Exception as error:
                turn.save(**{mode: {"error": described(error)}})


def timed(step: Callable[[], float], mode: str, setting: Settings, batch: int) -> dict:
    """Median milliseconds, images per second, peaks in GiB, utilisation, the last loss."""
    device = setting.device
    cuda = device.type == "cuda"
    _free(device)
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    with torch.compiler.set_stance("force_eager") if mode == EAGER else contextlib.nullcontext():
        for _ in range(WARM_UP_STEPS):
            step()
        seconds: list[float] = []
        with sampled_utilisation(device) as samples:
            while not _enough(seconds, setting.step_s):
                start = time.perf_counter()
                loss = step()
                if cuda:
                    torch.cuda.synchronize(device)
                seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    deciles = statistics.quantiles(seconds, n=10)
    found = {
        "ms": 1000 * median,
        "ms_p10": 1000 * deciles[0],
        "ms_p90": 1000 * deciles[-1],
        "steps": len(seconds),
        "images_per_s": batch / median,
        "loss": loss if math.isfinite(loss) else str(loss),
        "utilisation": statistics.fmean(samples) if samples else None,
    }
    if cuda:
        found["allocated_gib"] = torch.cuda.max_memory_allocated(device) / GIB
        found["reserved_gib"] = torch.cuda.max_memory_reserved(device) / GIB
    return found


def _enough(seconds: list[float], wanted_s: float) -> bool:
    least, most = STEPS
    return len(seconds) >= most or (len(seconds) >= least and sum(seconds) >= wanted_s)


def _free(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
