"""The numbers of ``result.json`` or ``maps.json`` as rows for a page.

Every key is shown but those that the page shows elsewhere, so a number that is added to the file is
on the page, too. The unit is the last word of a key's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeGuard

ELSEWHERE = frozenset({"warnings", "notes", "disclaimer", "schema_version"})
# What stands in the first table, in this order; the rest is folded.
MAIN = (
    "lesion_ml lesion_interval lesion_side brain_ml highest_probability perfusion other_artery "
    "answers disagreements sensitivity"
).split()
# What a key is called where its words do not say it.
LABELS = {
    "lesion_ml": "Predicted lesion",
    "lesion_interval": "Interval of its volume",
    "lesion_side": "Its side",
    "reference_cbf": "CBF of the other side, in the map's unit",
    "hypoperfusion_intensity_ratio": "Hypoperfusion intensity ratio (Tmax > 10 s over > 6 s)",
    "mismatch_ml": "Mismatch, Tmax > 6 s minus rCBF < 30 %",
    "mismatch_ratio": "Mismatch ratio",
    "other_artery": "By another artery",
    "answers": "Lesion by",
    "disagreements": "Where two of them differ",
    "segmenter": "the model",
    "threshold_core": "threshold core",
    "pseudo_dwi_cut": "threshold of the pseudo-DWI",
    "brain_ml": "Brain in the scan",
    "highest_probability": "Highest probability of lesion",
    "shape_zyx": "Voxels (z, y, x)",
    "spacing_zyx_mm": "Voxel size (z, y, x)",
    "orientation": "Axes as stored run to",
    "given": "Images that were given",
    "maps": "Perfusion maps",
    "frames": "Frames of the series",
    "frame_s": "Time between frames",
    "onset_frame": "Contrast arrives in frame, from 0",
    "onset_s": "Contrast arrives after",
    "baseline": "Baseline is taken from the frames",
    "method": "Deconvolution",
    "aif_source": "Artery was found",
    "aif_voxels_xyz": "Artery, voxels x y z as stored",
    "aif_peak_hu": "Artery, peak",
    "aif_peak_s": "Artery, time of the peak",
    "aif_area_hu_s": "Artery, area of the curve",
    "aif_scale": "Artery scaled by",
    "vof_source": "Vein was found",
    "vof_voxels_xyz": "Vein, voxels x y z as stored",
    "vof_peak_hu": "Vein, peak",
    "vof_peak_s": "Vein, time of the peak",
    "vof_area_hu_s": "Vein, area of the curve",
    "t_start": "First frame of the perfusion window, from 0",
    "t_end": "Last frame of the perfusion window, from 0",
    "window_rule": "Rule of the perfusion window",
}
UNITS = {"ml": "mL", "mm": "mm", "s": "s", "hu": "HU", "hu_s": "HU s", "percent": "%"}
_WORDS = {"aif": "AIF", "vof": "VOF", "cbf": "CBF", "cbv": "CBV", "mtt": "MTT", "tmax": "Tmax"}
_WORDS |= {"rcbf": "rCBF", "hir": "HIR", "ct": "CT", "dwi": "DWI", "n": "number of"}
_MOST_ITEMS = 12  # of a list
_NAMES = ("first", "second")  # of answers that are compared
_PERFUSION, _BY_ANOTHER = "Perfusion: ", ("By another artery: ", "Sensitivity: By another artery: ")


def rounded_ml(volume_ml: float) -> str:
    """``12.3``; a volume of a few voxels as ``0.006``, for it must not look like none."""
    return f"{volume_ml:.1g}" if 0 < volume_ml < 0.05 else f"{volume_ml:.1f}"


def lesion_volume(result: Mapping[str, object]) -> str:
    """``12.3 mL``, or ``12.3 mL (90 % interval 8.0 to 20.1 mL)`` of a calibrated model."""
    text, interval = f"{rounded_ml(result['lesion_ml'])} mL", result.get("lesion_interval")
    if not isinstance(interval, Mapping):
        return text
    ends = f"{rounded_ml(interval['low_ml'])} to {rounded_ml(interval['high_ml'])} mL"
    return f"{text} ({100 * interval['coverage']:.0f} % interval {ends})"


def result_rows(
    result: Mapping[str, object],
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Rows of the main numbers, and of all others: pairs of a label and a value with its unit.

    Args:
        result: content of the file: numbers, texts, lists, and further mappings.
    """
    first = {key: result[key] for key in MAIN if key in result}
    others = {key: value for key, value in result.items() if key not in first}
    return _side_by_side(list(_rows(first, ""))), list(_rows(others, ""))


def _side_by_side(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The same rows; a volume by another artery stands beside that by the first."""
    others = {
        label.removeprefix(start): text
        for label, text in rows
        for start in _BY_ANOTHER
        if label.startswith(start)
    }
    merged = {f"{_PERFUSION}{name}": text for name, text in others.items()}
    merged = {label: text for label, text in merged.items() if label in dict(rows)}
    gone = {f"{start}{label.removeprefix(_PERFUSION)}" for label in merged for start in _BY_ANOTHER}
    return [
        (label, f"{text} ({merged[label]} by another artery)" if label in merged else text)
        for label, text in rows
        if label not in gone
    ]


def _rows(content: Mapping[str, object], before: str) -> Iterator[tuple[str, str]]:
    for key, value in content.items():
        if key in ELSEWHERE or value is None:
            continue
        label, unit = _label(str(key))
        label = f"{before}: {label}" if before else label
        if isinstance(value, Mapping):
            if _is_one_line(value):
                yield label, _line(value)
            else:
                yield from _rows(value, label)
        elif _is_list(value) and value and all(isinstance(item, Mapping) for item in value):
            yield from ((label, _line(item)) for item in value[:_MOST_ITEMS])
        elif text := _text(value):
            yield label, f"{text} {unit}" if unit and _is_number(value) else text


def _is_one_line(content: Mapping[str, object]) -> bool:
    """Whether a mapping is one volume with what belongs to it."""
    return "ml" in content or {"low_ml", "high_ml"} <= content.keys()


def _line(content: Mapping[str, object]) -> str:
    """``14.1 mL; side left``, or ``8 to 20.1 mL; coverage 0.9``."""
    rest, words = dict(content), []
    if {"low_ml", "high_ml"} <= rest.keys():
        words.append(f"{_text(rest.pop('low_ml'))} to {_text(rest.pop('high_ml'))} mL")
    if "ml" in rest:
        words.append(f"{_text(rest.pop('ml'))} mL")
    meaning = rest.pop("meaning", None)
    rest |= {key: LABELS.get(str(rest[key]), rest[key]) for key in _NAMES if key in rest}
    words += [f"{label[:1].lower()}{label[1:]} {text}" for label, text in _rows(rest, "")]
    return "; ".join([*words, *([str(meaning)] if meaning else [])])


def _label(key: str) -> tuple[str, str]:
    """A key's words and its unit, ``aif_peak_hu`` -> ``AIF peak``, ``HU``."""
    ends = [end for end in UNITS if key.endswith(f"_{end}")]
    end = max(ends, key=len, default="")
    unit = UNITS.get(end, "")
    if key in LABELS:
        return LABELS[key], unit
    words = key.removesuffix(f"_{end}").split("_")
    text = " ".join(_WORDS.get(word, word) for word in words)
    text = re.sub(r"\b(\d+)s\b", r"\1 s", text)
    text = re.sub(r"\b(\d+)pct\b", r"\1 %", text)
    return text if words[0] in _WORDS else text[:1].upper() + text[1:], unit


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.1f}"
    if _is_list(value):
        more = f" and {len(value) - _MOST_ITEMS} more" if len(value) > _MOST_ITEMS else ""
        return ", ".join(_text(item) for item in value[:_MOST_ITEMS]) + more
    return str(value)


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_number(value: object) -> bool:
    if _is_list(value):
        return all(_is_number(item) for item in value)
    return isinstance(value, int | float) and not isinstance(value, bool)
