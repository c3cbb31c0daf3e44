"""A preprocessed data set whose cases carry their DWI, or soft labels, as the last channel."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import blosc2
import numpy as np
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset


class ChannelStack:
    """Image and DWI as one array ``(C + 1, Z, Y, X)`` that is read only where it is indexed.

    nnU-Net's loader crops a patch from each case. The image lies on disk in compressed blocks, and
    stacking it with the DWI would decompress all of them for one slice.
    """

    def __init__(self, image: np.ndarray, dwi: np.ndarray | None):
        self.image = image
        self.dwi = dwi
        self.shape = (image.shape[0] + 1, *image.shape[1:])
        self.ndim = len(self.shape)
        self.dtype = image.dtype

    def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray:
        """A crop: ``key`` is a full channel slice followed by spatial slices."""
        channels, *spatial = key if isinstance(key, tuple) else (key,)
        if channels != slice(None):
            raise IndexError("a channel stack is indexed in space only: stack[:, z, y, x]")
        single = tuple(1 + k for k, cut in enumerate(spatial) if not isinstance(cut, slice))
        cuts = [c if isinstance(c, slice) else slice(c, c + 1 or None) for c in spatial]
        cuts += [slice(None)] * (self.ndim - 1 - len(cuts))
        sides = [len(range(*cut.indices(n))) for cut, n in zip(cuts, self.shape[1:], strict=True)]
        stacked = np.empty((self.shape[0], *sides), dtype=np.float32)
        _read(self.image, cuts, stacked[:-1])
        if self.dwi is None:
            stacked[-1] = np.nan
        else:
            _read(self.dwi, cuts, stacked[-1:])
        return stacked.squeeze(single)


def _read(source: np.ndarray | blosc2.NDArray, spatial: list[slice], out: np.ndarray) -> None:
    """``out[:] = source[:, *spatial]``. Blocks on disk are decompressed right into ``out``."""
    cuts = [cut.indices(side) for cut, side in zip(spatial, source.shape[1:], strict=True)]
    direct = hasattr(source, "get_slice_numpy") and source.dtype == out.dtype and out.size
    if direct and all(step == 1 for _, _, step in cuts):
        start, stop, _ = zip((0, source.shape[0], 1), *cuts, strict=True)
        source.get_slice_numpy(out, (start, stop))
    else:
        all_channels = (slice(None), *spatial)
        out[:] = source[all_channels]


@lru_cache(maxsize=1024)
def _opened(path: str, mtime_ns: int) -> blosc2.NDArray:  # noqa: ARG001  (a new file, a new entry)
    """The opened target. It is kept, since reading the header takes longer than reading a slice."""
    return blosc2.open(urlpath=path, mode="r", dparams={"nthreads": 1})


class PairedDataset:
    """nnU-Net's data set with the DWI appended to every case: NaN if a case has none.

    Soft labels are appended alike, to nnU-Net's data set or to one that has the DWI.

    Args:
        dataset: the preprocessed cases.
        folder: the preprocessed targets (``dataloading.targets``) or soft labels.
        cases_with_target: the cases whose DWI exists.
        what: of the folder, for messages.
    """

    def __init__(
        self,
        dataset: nnUNetBaseDataset | PairedDataset,
        folder: Path,
        cases_with_target: list[str],
        what: str = "DWI",
    ):
        self.what = what
        self.dataset = dataset
        self.folder = folder
        self.cases_with_target = frozenset(cases_with_target)
        self.identifiers: list[str] = dataset.identifiers

    def load_case(self, case_id: str) -> tuple[ChannelStack, np.ndarray, np.ndarray | None, dict]:
        """Image with DWI ``(C + 1, Z, Y, X)``, labels, labels of a previous stage, properties.

        Raises:
            ValueError: the DWI and the case have different shapes, as after a new planning.
        """
        image, labels, previous, properties = self.dataset.load_case(case_id)
        dwi = self._load_target(case_id) if case_id in self.cases_with_target else None
        if dwi is not None and tuple(dwi.shape[1:]) != tuple(image.shape[1:]):
            raise ValueError(
                f"{case_id}: the {self.what} in {self.folder} has shape {tuple(dwi.shape[1:])}, "
                f"the case has {tuple(image.shape[1:])}. Delete that folder and start the training "
                "again."
            )
        return ChannelStack(image, dwi), labels, previous, properties

    def __getitem__(self, case_id: str):
        return self.load_case(case_id)

    def _load_target(self, case_id: str) -> blosc2.NDArray:
        path = self.folder / f"{case_id}.b2nd"
        return _opened(str(path), path.stat().st_mtime_ns)
