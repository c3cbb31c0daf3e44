"""Whether perfusion maps are in their units: times in s, flow and volume that are not negative."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.ctp.plausibility.finding import Finding, label

_IMPOSSIBLE_S = 100.0
"""Of the median voxel. The series of ISLES 2018 last 43 to 64 frames of about 1 s, and no Tmax is
longer than its series; a median over 100 s is a time in ms, or no time."""
_LATE_S = 30.0
"""Of a twentieth of the brain, choice: ISLES 2024's groups show Tmax to 7 s and MTT to 20 s."""
_MEDIANS_S = {"Tmax": (0.0, 20.0), "MTT": (1.0, 30.0), "TTP": (1.0, 90.0)}
"""Choice: normal brain has a Tmax of 1 to 4 s and an MTT of 4 to 10 s. A TTP counts from the first
frame, so that it depends on when the contrast was given."""
_MEDIAN_ADC = (300.0, 3000.0)
"""In 1e-6 mm2/s, choice: that of an infarct is 300 to 600, of brain 700 to 900, of water 3000."""
_SHORTEST_S = 0.3
"""Of the median that a map in ms may have: less is another unit."""
_DISPLAY = 255.0
_NEGATIVE_SHARE = 0.1
_ASK = "see how the software stores it"
_REDO = "or leave the maps away and have them computed from the series"


class _Values(NamedTuple):
    """A map's values in the brain.

    Attributes:
        inside: (N,), finite and not 0; not all equal.
        percentiles: the 0.5th, 5th, 50th, 95th and 99.5th.
    """

    inside: np.ndarray
    percentiles: tuple[float, float, float, float, float]

    @property
    def median(self) -> float:
        return self.percentiles[2]

    @property
    def range(self) -> str:
        """``median 5.2 in the brain, nine tenths from 1.1 to 12, highest 40``."""
        _, low, median, high, _ = self.percentiles
        return (
            f"median {median:.4g} in the brain, nine tenths from {low:.4g} to {high:.4g}, highest "
            f"{float(self.inside.max()):.4g}"
        )

    @property
    def is_display(self) -> bool:
        """Whole numbers that end at 255, as in a picture of 8 bits."""
        ends_there = float(self.inside.max()) == _DISPLAY
        return ends_there and bool(np.array_equal(self.inside, np.round(self.inside)))


def check_maps(
    names: Sequence[str],
    maps: Iterable[np.ndarray],
    brain: np.ndarray,
    *,
    files: Mapping[str, str] | None = None,
    units_known: bool = True,
) -> list[Finding]:
    """What is wrong with perfusion maps; at most one finding for each.

    CBF and CBV have no unit that all releases share: in ISLES 2018 they are large whole numbers
    (the CBF of the healthy side is 130 to 805), elsewhere mL/100 g/min and mL/100 g. So only what
    no such unit explains is found in them.

    Args:
        names: ``CBF``, ``CBV``, ``MTT``, ``Tmax``, or those of MRI.
        maps: (Z, Y, X) each; 0 where nothing was computed, see ``background.clear_background``.
        brain: (Z, Y, X) bool.
        files: name -> name of the file, for the sentences.
        units_known: whether a unit that cannot be the expected one refuses. It warns where nobody
            has confirmed the release's units, as for ISLES 2017.
    """
    found = []
    for name, volume in zip(names, maps, strict=True):
        finding = _check_map(name, volume[brain], label(name, (files or {}).get(name)), units_known)
        found += [finding] if finding else []
    return found


def _check_map(name: str, values: np.ndarray, image: str, units_known: bool) -> Finding | None:
    inside = values[np.isfinite(values) & (values != 0)]
    if not inside.size or inside.min() == inside.max():
        return _constant(image, inside)
    low, five, median, high, top = (float(v) for v in np.percentile(inside, (0.5, 5, 50, 95, 99.5)))
    measured = _Values(inside, (low, five, median, high, top))
    finding = _negative(image, measured) or _of_one_value(image, measured)
    if finding is not None:
        return finding
    if name in _MEDIANS_S:
        return _wrong_times(name, image, measured, units_known)
    if name == "ADC":
        return _wrong_adc(image, measured)
    return _wrong_scale(image, measured)


def _constant(image: str, inside: np.ndarray) -> Finding:
    value = inside[0] if inside.size else 0
    return Finding(
        image,
        f"{value:g} everywhere in the brain",
        "values that differ",
        f"replace the file, {_REDO}",
        refuses=True,
    )


def _of_one_value(image: str, values: _Values) -> Finding | None:
    lowest, *_, highest = values.percentiles
    if lowest != highest:
        return None
    return Finding(
        image,
        f"{lowest:g} in 99 % of the brain",
        "values that differ",
        "look at it: is it saturated, or another image?",
        refuses=False,
    )


def _negative(image: str, values: _Values) -> Finding | None:
    """Flow, volume, time and diffusion are positive; deconvolution and noise leave a few below."""
    share = float(np.mean(values.inside < 0))
    if share <= _NEGATIVE_SHARE:
        return None
    return Finding(
        image,
        f"{share:.0%} of the brain negative, {values.range}",
        "values above 0",
        f"is it normalised, stored with an offset, or a difference? Replace the file, {_REDO}",
        refuses=values.median < 0,
    )


def _wrong_times(name: str, image: str, values: _Values, units_known: bool) -> Finding | None:
    low, high = _MEDIANS_S[name]
    expected = f"a median of {low:g} to {high:g} s"
    *_, late, highest = values.percentiles
    if values.is_display and late > _LATE_S:
        found = f"whole numbers that end at 255, {values.range}"
        action = f"it holds a picture's grey values: replace the file by times in s, {_REDO}"
        return Finding(image, found, expected, action, refuses=units_known)
    if values.median > _IMPOSSIBLE_S:
        in_ms = max(low, _SHORTEST_S) <= values.median / 1000 <= high
        hint = "it is in ms: divide it by 1000" if in_ms else f"bring it to s: {_ASK}"
        return Finding(image, values.range, expected, f"{hint}, {_REDO}", refuses=units_known)
    if highest <= 1:
        # Tmax may be a frame or less in a brain without a stroke; nobody's MTT is.
        action = f"is it scaled to 0 to 1? Replace the file by times in s, {_REDO}"
        certain = units_known and name == "MTT"
        return Finding(image, values.range, expected, action, refuses=certain)
    if not low <= values.median <= high:
        action = f"is it in s, and not scaled? {_ASK.capitalize()}"
        return Finding(image, values.range, expected, action, refuses=False)
    return None


def _wrong_adc(image: str, values: _Values) -> Finding | None:
    low, high = _MEDIAN_ADC
    if low <= values.median <= high:
        return None
    fitting = [f for f in (1e-3, 1e3, 1e6) if low <= f * values.median <= high]
    hint = f"multiply it by {fitting[0]:g}" if fitting else _ASK
    expected = f"a median of {low:g} to {high:g} (1e-6 mm2/s)"
    return Finding(image, values.range, expected, hint, refuses=False)


def _wrong_scale(image: str, values: _Values) -> Finding | None:
    """CBF and CBV, whose units differ: only what looks like a picture or like shares."""
    expected = "CBF or CBV as the software measures them, such as mL/100 g/min and mL/100 g"
    if values.is_display:
        found = f"whole numbers that end at 255, {values.range}"
        action = "does it hold a picture's grey values? They differ from scan to scan: look at it"
        return Finding(image, found, expected, action, refuses=False)
    if values.percentiles[-1] <= 1:
        action = "is it scaled to 0 to 1, or per mL? Then bring it to the unit of the other scans"
        return Finding(image, values.range, expected, action, refuses=False)
    return None
