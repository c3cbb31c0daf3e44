"""The numbers of ``result.json`` or ``maps.json`` as rows for a page.

Every key is shown but those that the page shows elsewhere, so a number that is added to the file is
on the page, too. The unit is the last word of a key's name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

ELSEWHERE = frozenset({"warnings", "notes", "disclaimer", "schema", "$schema"})
# What a key is called where its words do not say it.
LABELS = {
    "lesion_ml": "Predicted lesion",
    "brain_ml": "Brain in the scan",
    "highest_probability": "Highest probability of lesion",
    "shape_zyx": "Voxels (z, y, x)",
    "spacing_zyx_mm": "Voxel size (z, y, x)",
    "orientation": "Axes as stored run to",
    "given": "Images that were given",
    "maps": "Perfusion maps",
    "frames": "Frames of the series",
    "frame_s": "Time between frames",
    "onset_frame": "Contrast arrives in frame",
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
    "t_start": "First frame of the perfusion window",
    "t_end": "Last frame of the perfusion window",
    "window_rule": "Rule of the perfusion window",
}
UNITS = {"ml": "mL", "mm": "mm", "s": "s", "hu": "HU", "hu_s": "HU s", "percent": "%"}
_WORDS = {"aif": "AIF", "vof": "VOF", "cbf": "CBF", "cbv": "CBV", "mtt": "MTT", "tmax": "Tmax"}
_WORDS |= {"rcbf": "rCBF", "hir": "HIR", "ct": "CT", "dwi": "DWI", "n": "number of"}
_MOST_ITEMS = 12  # of a list


def result_rows(result: Mapping[str, object]) -> list[tuple[str, str]]:
    """Pairs of a label and a value with its unit, in the file's order.

    Args:
        result: content of the file: numbers, texts, lists, and further mappings.
    """
    return list(_rows(result, ""))


def _rows(content: Mapping[str, object], before: str) -> Iterator[tuple[str, str]]:
    for key, value in content.items():
        if key in ELSEWHERE or value is None:
            continue
        label, unit = _label(str(key))
        label = f"{before}: {label}" if before else label
        if isinstance(value, Mapping):
            yield from _rows(value, label)
        else:
            text = _text(value)
            if text:
                yield label, f"{text} {unit}" if unit and _is_number(value) else text


def _label(key: str) -> tuple[str, str]:
    """A key's words and its unit, ``aif_peak_hu`` -> ``AIF peak``, ``HU``."""
    ends = [end for end in UNITS if key.endswith(f"_{end}")]
    end = max(ends, key=len, default="")
    unit = UNITS.get(end, "")
    if key in LABELS:
        return LABELS[key], unit
    words = key.removesuffix(f"_{end}").split("_")
    text = " ".join(_WORDS.get(word, word) for word in words)
    return text[:1].upper() + text[1:], unit


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.1f}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = [_item(item) for item in value]
        more = f" and {len(items) - _MOST_ITEMS} more" if len(items) > _MOST_ITEMS else ""
        return ", ".join(items[:_MOST_ITEMS]) + more
    return str(value)


def _item(value: object) -> str:
    """An element of a list; a mapping's pairs stand beside each other."""
    if isinstance(value, Mapping):
        return " ".join(f"{label} {text}" for label, text in _rows(value, ""))
    return _text(value)


def _is_number(value: object) -> bool:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return all(_is_number(item) for item in value)
    return isinstance(value, int | float) and not isinstance(value, bool)
