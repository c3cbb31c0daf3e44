"""What our trainers and mixins ask of nnU-Net's trainer, which does not offer it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from nnunetv2.paths import nnUNet_raw
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import distributed as dist
from torch import nn
from torch._dynamo import OptimizedModule

Result = TypeVar("Result")


class NNUNetHost(nnUNetTrainer):
    """nnU-Net's trainer with three helpers; it behaves as before.

    It is a class of its own because the mixins of this folder also work on nnU-Net's stock trainer,
    which is no ``StrokeTrainer``.
    """

    network: nn.Module

    @property
    def unwrapped_network(self) -> nn.Module:
        """The network without the wrappers of DDP and torch.compile."""
        network = self.network.module if self.is_ddp else self.network
        return network._orig_mod if isinstance(network, OptimizedModule) else network

    def _raw_folder(self) -> Path | None:
        """``nnUNet_raw/DatasetNNN_*``, or None if it does not exist on this machine."""
        if not nnUNet_raw.is_set():
            return None
        folder = Path(str(nnUNet_raw)) / self.plans_manager.dataset_name
        return folder if folder.is_dir() else None

    def _on_first_rank(self, function: Callable[[], Result]) -> Result:
        """Calls ``function`` in one process of a distributed training only.

        All processes get what it returns, or raise the ``ValueError`` or ``OSError`` that it
        raises.
        """
        if not self.is_ddp:
            return function()
        found: list[Result | Exception | None] = [None]
        if self.local_rank == 0:
            try:
                found = [function()]
            except (ValueError, OSError) as error:  # the other ranks wait: tell them, too
                found = [error]
        dist.broadcast_object_list(found, src=0)
        if isinstance(found[0], Exception):
            raise found[0]
        return found[0]
