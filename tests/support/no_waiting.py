"""A stand-in for a GPU that must not be waited for."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class NoWaiting(TorchDispatchMode):
    """Stops where a GPU would be waited for: a number read from it, a size that depends on data."""

    names = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "equal")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket.__name__ in self.names:
            raise AssertionError(f"{func} waits for the GPU")
        by_index = func.overloadpacket.__name__ in ("index", "index_put", "index_put_")
        if by_index and any(i is not None and i.dtype == torch.bool for i in args[1]):
            raise AssertionError(f"{func} by a mask waits for the GPU")
        return func(*args, **(kwargs or {}))
