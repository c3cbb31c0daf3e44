"""How far the reading of a series is, shown while it is walked through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from tqdm import tqdm

    from nnunetv2_strokesynth.io.series import Series


class _Counted:
    """A series that moves a progress bar; it is walked through more than once."""

    def __init__(self, series: Series, bar: tqdm):
        self._series, self._bar = series, bar

    def __len__(self) -> int:
        return len(self._series)

    def __iter__(self) -> Iterator[np.ndarray]:
        self._bar.total = self._bar.n + len(self)
        try:
            for frame in self._series:
                yield frame
                self._bar.update()
        finally:  # the walk for the baseline ends early
            self._bar.total = self._bar.n

    @property
    def unusable(self) -> np.ndarray | None:
        """Of the series itself."""
        from nnunetv2_strokesynth.io.series import unusable_voxels

        return unusable_voxels(self._series)


@contextmanager
def frames_shown() -> Iterator[Callable[[Series], Series]]:
    """Yield a function that makes a series move a bar on the console."""
    from nnunetv2_strokesynth.io.progress import progress

    with progress(desc="reading frames", unit="frame") as bar:
        yield lambda series: _Counted(series, bar)
