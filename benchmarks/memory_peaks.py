"""The peak of a step's memory, measured on CUDA or estimated without taking any memory.

A function without arguments builds the step, so that everything it needs counts: networks,
gradients, the optimiser's state, the batch.
"""

from __future__ import annotations

import contextlib
import gc
import math
import weakref
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

STEPS = 5
GIB = 2**30
BLOCK_BYTES = 512  # of CUDA's caching allocator
Step = Callable[[], None]


class LiveMemory(TorchDispatchMode):
    """Counts the bytes of all storages, fake or real, that are made within the context.

    Attributes:
        now: bytes in use; each storage takes whole blocks.
        peak: the highest value of ``now``; a caller may reset it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Run the operation and count what it made."""
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.native_batch_norm_backward.default:
            # The fake kernel also makes gradients that were not asked for; the real ones do not.
            result = tuple(
                t if wanted else None for t, wanted in zip(result, args[-1], strict=True)
            )
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        if id(storage) in self._sizes:  # a view or an operation in place
            return
        size = BLOCK_BYTES * math.ceil(storage.nbytes() / BLOCK_BYTES)
        self._sizes[id(storage)] = size
        weakref.finalize(storage, self._freed, id(storage))
        self.now += size
        self.peak = max(self.peak, self.now)

    def _freed(self, key: int) -> None:
        self.now -= self._sizes.pop(key)


def peak_bytes(build: Callable[[], Step]) -> int:
    """Peak of memory during the second step, including all that ``build`` made."""
    with LiveMemory() as memory:
        step = build()
        step()
        gc.collect()
        memory.peak = memory.now
        step()
    return memory.peak


def estimated_gib(build: Callable[[], Step]) -> float:
    """GiB of ``peak_bytes`` with fake tensors, which have a shape and no memory."""
    with FakeTensorMode(allow_fallback_kernels=False):  # fallbacks would compute with real zeros
        return peak_bytes(build) / GIB


class Peak(NamedTuple):
    """GiB on CUDA: taken by tensors and workspaces, and held by PyTorch for them."""

    allocated: float
    reserved: float


def peak_within_limit(
    build: Callable[[], Step], device: torch.device, limit_gib: float, *, eager: bool
) -> tuple[Peak, bool]:
    """The peak on CUDA, and whether the steps ran within ``limit_gib``.

    If they did not, it is the peak without a limit, or NaN where even the whole card is too small.
    """
    share = limit_gib * GIB / torch.cuda.get_device_properties(device).total_memory
    for limit, fits in ((min(1.0, share), True), (1.0, False)):
        torch.cuda.set_per_process_memory_fraction(limit)
        try:
            with contextlib.suppress(torch.OutOfMemoryError):
                return cuda_peak(build, device, eager=eager), fits
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
    return Peak(math.nan, math.nan), False


def cuda_peak(build: Callable[[], Step], device: torch.device, *, eager: bool) -> Peak:
    """Peaks on CUDA over all steps, including the first one, in which cuDNN tries its kernels.

    Args:
        build: a function that makes the step.
        device: where it runs.
        eager: run without ``torch.compile`` even if the step compiles.
    """
    torch._dynamo.reset()  # otherwise a second batch size would be compiled for all sizes
    gc.collect()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
    torch.cuda.reset_peak_memory_stats(device)
    step = build()
    with torch.compiler.set_stance("force_eager") if eager else contextlib.nullcontext():
        for _ in range(STEPS):
            step()
    torch.cuda.synchronize(device)
    after = torch.cuda.max_memory_allocated(device), torch.cuda.max_memory_reserved(device)
    return Peak(*((most - held) / GIB for most, held in zip(after, before, strict=True)))
