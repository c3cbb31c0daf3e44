"""Exact statistics of values that come case by case, every case with the same weight.

nnU-Net's fingerprint draws the same number of voxels from each case, with replacement, and takes
statistics of all draws. With more and more draws they become those of this mixture: a value of case
k has the weight 1 / (K n_k), for K cases that have values and the n_k values of case k. They are
computed here without drawing.

The memory that this takes does not grow with the data. Means and variances are merged case by case.
Percentiles come from two histograms of the values' bits: the first 16 bits of all values while they
come, then the last 16 bits of those in the bins that hold a percentile. The second needs the values
once more; until then they wait in memory, and beyond ``_IN_MEMORY`` bytes in a temporary file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from nnunetv2_strokesynth.io.atomic import TEMPORARY_PREFIX

PERCENTILES = {"median": 50.0, "percentile_99_5": 99.5, "percentile_00_5": 0.5}
_IN_MEMORY = 2**28
_BINS = 2**16
_SIGN = np.uint32(2**31)
# Of the sum of weights: what summing in float64 may lose, and less than one value's weight.
_ROUNDING = 1e-11


class CaseStatistics:
    """Statistics of each channel over the values of all cases; a context, for its temporary file.

    Args:
        n_channels: C.
        folder: where the temporary file lies; it has no name there on Linux and macOS.
    """

    def __init__(self, n_channels: int, folder: Path) -> None:
        self._store = tempfile.SpooledTemporaryFile(  # noqa: SIM115  (closed by __exit__)
            max_size=_IN_MEMORY, dir=folder, prefix=TEMPORARY_PREFIX
        )
        self._sizes: list[int] = []
        self._means: list[np.ndarray] = []
        self._variances: list[np.ndarray] = []
        self._low = np.full(n_channels, np.inf)
        self._high = np.full(n_channels, -np.inf)
        self._coarse = np.zeros((n_channels, _BINS))

    def __enter__(self) -> CaseStatistics:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._store.close()

    @property
    def n_cases(self) -> int:
        """How many cases had values."""
        return len(self._sizes)

    def add(self, values: Sequence[np.ndarray]) -> None:
        """Add one case.

        Args:
            values: for each of C channels its n values, finite. A case without values (n = 0) has
                no weight.
        """
        if not values[0].size:
            return
        channels = [np.asarray(channel, dtype=np.float32) for channel in values]
        exact = [channel.astype(np.float64) for channel in channels]
        self._sizes.append(channels[0].size)
        self._means.append(np.array([channel.mean() for channel in exact]))
        self._variances.append(np.array([channel.var() for channel in exact]))
        self._low = np.minimum(self._low, [channel.min() for channel in exact])
        self._high = np.maximum(self._high, [channel.max() for channel in exact])
        for index, channel in enumerate(channels):
            keys = _sortable(channel)
            self._coarse[index] += np.bincount(keys >> 16, minlength=_BINS) / keys.size
            self._store.write(keys.tobytes())

    def result(self) -> list[dict[str, float]]:
        """Of each channel ``mean``, ``median``, ``std``, ``min``, ``max`` and two percentiles.

        A percentile is the smallest value below or at which lies that share of the weight. Where
        the share is met exactly, as by two of four equal weights, a draw is as likely to give the
        next value: then it is the mean of the two.

        Raises:
            ValueError: no case had values.
        """
        if not self._sizes:
            raise ValueError("no case has values")
        means = np.mean(self._means, axis=0)
        spread = np.mean(self._variances, axis=0) + np.var(self._means, axis=0)
        percentiles = self._percentiles()
        return [
            {
                "mean": float(means[k]),
                "median": percentiles[k]["median"],
                "std": float(np.sqrt(spread[k])),
                "min": float(self._low[k]),
                "max": float(self._high[k]),
                "percentile_99_5": percentiles[k]["percentile_99_5"],
                "percentile_00_5": percentiles[k]["percentile_00_5"],
            }
            for k in range(len(means))
        ]

    def _percentiles(self) -> list[dict[str, float]]:
        """Each channel's percentiles, by name."""
        shares = [percent / 100 * self.n_cases for percent in PERCENTILES.values()]
        slack = _ROUNDING * self.n_cases
        # The value at the share, and the next one where the share is met exactly.
        wanted = [share + offset for share in shares for offset in (-slack, slack)]
        below = np.cumsum(self._coarse, axis=1)
        bins = [[_first_above(channel, share) for share in wanted] for channel in below]
        fine = self._fine_histograms(bins)
        found = []
        for k, own in enumerate(bins):
            values = []
            for first, share in zip(own, wanted, strict=True):
                start = below[k, first - 1] if first else 0.0
                last = _first_above(start + np.cumsum(fine[k][first]), share)
                values.append(_value(first << 16 | last))
            pairs = zip(values[::2], values[1::2], strict=True)
            means = [(lower + upper) / 2 for lower, upper in pairs]
            found.append(dict(zip(PERCENTILES, means, strict=True)))
        return found

    def _fine_histograms(self, bins: list[list[int]]) -> list[dict[int, np.ndarray]]:
        """Of each channel, by first 16 bits: the weights of the last 16 bits."""
        fine = [{first: np.zeros(_BINS) for first in own} for own in bins]
        self._store.seek(0)
        for size in self._sizes:
            for own in fine:
                keys = np.frombuffer(self._store.read(4 * size), dtype=np.uint32)
                for first, weights in own.items():
                    last = keys[keys >> 16 == first] & (_BINS - 1)
                    weights += np.bincount(last, minlength=_BINS) / size
        return fine


def _first_above(cumulated: np.ndarray, share: float) -> int:
    """The first index whose cumulated weight exceeds a share; the last that adds any at the end."""
    last = np.searchsorted(cumulated, cumulated[-1])
    return int(min(np.searchsorted(cumulated, share, side="right"), last))


def _sortable(values: np.ndarray) -> np.ndarray:
    """float32 as uint32 in the same order: the bits, all flipped where the sign is set."""
    bits = (values + np.float32(0)).view(np.uint32)  # -0.0 becomes 0.0
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _value(key: int) -> float:
    """The float32 of a key."""
    bits = np.array([key], dtype=np.uint32)
    return float(np.where(bits & _SIGN, bits ^ _SIGN, ~bits).view(np.float32)[0])
