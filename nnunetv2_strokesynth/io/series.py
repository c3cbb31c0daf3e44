"""A CT perfusion series, read one frame at a time, because it can be larger than the memory.

A series has a length, can be iterated more than once, and gives float32 frames (Z, Y, X) in HU: a
``NiftiSeries``, a ``DicomSeries``, or an array (T, Z, Y, X).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from nibabel.openers import ImageOpener
from nibabel.volumeutils import apply_read_scaling

from nnunetv2_strokesynth.io.nifti import (
    raw_header,
    read_header,
)

LEAST_FRAMES, LEAST_DURATION_S = 10, 20.0
"""Choice: a bolus does not pass through the brain in less, nor can fewer frames show it."""
LARGEST_HU = 33000.0
"""CT has 16 bits at most: what lies beyond is as little a measurement as NaN."""
AIR_HU = -1000.0
_SMALL_BYTES = 2  # whole numbers of two bytes are never larger


class Series(Protocol):
    """Frames in the order of time; each iteration reads the files anew."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[np.ndarray]: ...


class NiftiSeries:
    """The frames of a 4-D NIfTI file; only one of them is in memory at a time.

    A voxel that is NaN, infinite or beyond 33,000 HU takes the value of the frame before, or air
    in the first frame.

    Args:
        path: a file that passes ``read_header``; compressed or not.
        change: function applied to each frame as it is read, such as down-sampling.

    Attributes:
        unusable: (Z, Y, X) bool, as stored: where a frame that was read held no such number; None
            if none did.

    Raises:
        ValueError: the header cannot be used; or, while the frames are read, the file ends early
            or is damaged.
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path, change: Callable[[np.ndarray], np.ndarray] | None = None):
        self.path = path
        self.header = read_header(path)
        self.unusable: np.ndarray | None = None
        self._change = change

    def __len__(self) -> int:
        return self.header.n_frames

    def __iter__(self) -> Iterator[np.ndarray]:
        header = raw_header(self.path)
        dtype, shape = header.get_data_dtype(), self.header.shape_zyx
        n_bytes = dtype.itemsize * int(np.prod(shape))
        slope, inter = header.get_slope_inter()
        before: np.ndarray | None = None
        with ImageOpener(str(self.path)) as file:
            self._read(file, header.get_data_offset(), "header")
            for index in range(len(self)):
                stored = np.frombuffer(self._read(file, n_bytes, f"frame {index}"), dtype)
                frame = apply_read_scaling(stored, slope, inter).astype(np.float32).reshape(shape)
                if dtype.itemsize > _SMALL_BYTES or slope is not None:
                    before = frame = self._repaired(frame, before)
                yield self._change(frame) if self._change else frame

    def _repaired(self, frame: np.ndarray, before: np.ndarray | None) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            usable = np.abs(frame) <= LARGEST_HU
        if usable.all():
            return frame
        self.unusable = ~usable if self.unusable is None else self.unusable | ~usable
        return np.where(usable, frame, np.float32(AIR_HU) if before is None else before)

    def _read(self, file: ImageOpener, n_bytes: int, what: str) -> bytes:
        try:
            content = file.read(n_bytes)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(
                f"{self.path}: truncated or damaged ({error}); copy it again"
            ) from error
        if len(content) < n_bytes:
            raise ValueError(
                f"{self.path}: truncated or damaged ({what} ends after {len(content)} of "
                f"{n_bytes} bytes); copy it again"
            )
        return content


class ReorderedSeries:
    """A series whose frames are changed as they are read, such as brought to another order of axes.

    Args:
        series: the frames.
        change: function of a frame.
    """

    def __init__(self, series: Series, change: Callable[[np.ndarray], np.ndarray]):
        self._series, self._change = series, change

    def __len__(self) -> int:
        return len(self._series)

    def __iter__(self) -> Iterator[np.ndarray]:
        return map(self._change, self._series)

    @property
    def unusable(self) -> np.ndarray | None:
        """Where a frame that was read held no number, bool, changed as the frames are."""
        found = unusable_voxels(self._series)
        return None if found is None else self._change(found)


def unusable_voxels(series: Series) -> np.ndarray | None:
    """Where frames that were read so far held no number; None if none did, or for an array."""
    found: np.ndarray | None = getattr(series, "unusable", None)
    return found
