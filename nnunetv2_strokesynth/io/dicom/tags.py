"""What a DICOM file of a CT series says about itself: where its slice lies and when it was taken.

SimpleITK's reader (GDCM) does the reading. Only the tags named here are looked at, and none of
them says who the patient is.
"""

from __future__ import annotations

import datetime
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import SimpleITK as sitk

_MAGIC, _PREAMBLE_BYTES, _META_BYTES = b"DICM", 128, 1024
# Old exports have no preamble: such a file begins with an element of group 0002 or 0008.
_BARE_STARTS = (b"\x02\x00", b"\x08\x00")
_SOP_CLASS_ELEMENT = b"\x02\x00\x02\x00UI"
_CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
_TIME = re.compile(r"(\d{2}):?(?:(\d{2}):?(?:(\d{2})(?:\.(\d{1,6}))?)?)?$")
_DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})$")

# The best clock first. A date goes with a time; milliseconds count from the start of the series.
CLOCKS = {
    "AcquisitionDateTime": ("0008|002a",),
    "AcquisitionTime": ("0008|0022", "0008|0032"),
    "ContentTime": ("0008|0023", "0008|0033"),
    "TriggerTime": ("0018|1060",),
    "FrameReferenceTime": ("0054|1300",),
}
ORDER_TAGS = {
    "TemporalPositionIdentifier": "0020|0100",
    "AcquisitionNumber": "0020|0012",
    "InstanceNumber": "0020|0013",
}


class Moment(NamedTuple):
    """A point in time: ``day`` is None where the file has a time of day and no date."""

    day: int | None
    microseconds: int


class SliceHeader(NamedTuple):
    """One image of a series.

    Attributes:
        path: the file.
        study_uid, series_uid, sop_uid: which study, which series, which image; may be empty.
        modality: such as CT.
        label: the series' description.
        scanner: manufacturer, model, tube voltage; for the reader of a report.
        kernel: reconstruction kernel.
        n_frames: more than 1 in a multi-frame file.
        n_samples: values in a voxel, 3 for a colour image.
        shape_yx: rows and columns.
        pixel_yx_mm: distance between rows, between columns; None if not given, as all below.
        position_xyz_mm: centre of the first voxel (LPS).
        orientation: direction of a row, then of a column.
        thickness_mm: slice thickness.
        resolution_ms: time between frames.
        times: a moment for each of ``CLOCKS`` that the file has.
        orders: a number for each of ``ORDER_TAGS`` that the file has.
    """

    path: Path
    study_uid: str
    series_uid: str
    sop_uid: str
    modality: str
    label: str
    scanner: str
    kernel: str
    n_frames: int
    n_samples: int
    shape_yx: tuple[int, int]
    pixel_yx_mm: tuple[float, ...] | None
    position_xyz_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    thickness_mm: float | None
    resolution_ms: float | None
    times: dict[str, Moment]
    orders: dict[str, int]


def walk_files(folder: Path) -> Iterator[Path]:
    """All files below a folder in a fixed order, without hidden ones and DICOMDIR."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if name[0] != "." and name.upper() != "__MACOSX"
        )
        for name in sorted(names):
            if name[0] != "." and Path(name).stem.upper() != "DICOMDIR":
                yield Path(parent, name)


def is_dicom(path: Path) -> bool:
    """Whether a file has DICOM's mark at byte 128, or has no preamble and GDCM reads it."""
    with open(path, "rb") as file:
        start = file.read(_PREAMBLE_BYTES + len(_MAGIC))
    if start[_PREAMBLE_BYTES:] == _MAGIC:
        return True
    return start.startswith(_BARE_STARTS) and _loaded(gdcm_reader(), path)


def gdcm_reader() -> sitk.ImageFileReader:
    """A reader that takes any file name: DICOM files often have no suffix."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.LoadPrivateTagsOff()
    return reader


def read_slice_header(reader: sitk.ImageFileReader, path: Path) -> SliceHeader | None:
    """Read one file's tags; GDCM notices at the same time whether the file is truncated.

    Returns:
        None for a file without a CT image that GDCM cannot read, such as a dose report.

    Raises:
        ValueError: a CT image cannot be read.
    """
    if not _loaded(reader, path):
        kind = _sop_class(path)
        if kind and kind != _CT_CLASS and not kind.startswith(_CT_CLASS + "."):
            return None
        raise ValueError(
            f"{path}: no image that GDCM can read (truncated, damaged, or compressed in a way it "
            "does not know); copy or export it again"
        )
    orders = {name: _numbers(reader, tag, 1) for name, tag in ORDER_TAGS.items()}
    words = [_text(reader, tag) for tag in ("0008|0070", "0008|1090", "0018|0060")]
    return SliceHeader(
        path,
        study_uid=_text(reader, "0020|000d"),
        series_uid=_text(reader, "0020|000e"),
        sop_uid=_text(reader, "0008|0018"),
        modality=_text(reader, "0008|0060"),
        label=_text(reader, "0008|103e"),
        scanner=" ".join(filter(None, [*words[:2], words[2] and f"{words[2]} kV"])),
        kernel=" ".join(_text(reader, "0018|1210").split("\\")),
        n_frames=int(_number(reader, "0028|0008") or 1),
        n_samples=reader.GetNumberOfComponents(),
        shape_yx=reader.GetSize()[1::-1],
        pixel_yx_mm=_numbers(reader, "0028|0030", 2),
        position_xyz_mm=_numbers(reader, "0020|0032", 3),
        orientation=_numbers(reader, "0020|0037", 6),
        thickness_mm=_number(reader, "0018|0050"),
        resolution_ms=_number(reader, "0020|0110"),
        times=_times(reader),
        orders={name: int(values[0]) for name, values in orders.items() if values},
    )


def parse_time(text: str) -> int | None:
    """Microseconds since midnight of a DICOM time, ``HHMMSS.FFFFFF`` or a part of it."""
    match = _TIME.match(text)
    if not match:
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.groups()[:3])
    if hours > 23 or minutes > 59 or seconds > 60:
        return None
    fraction = int((match[4] or "0").ljust(6, "0"))
    return ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + fraction


def parse_date(text: str) -> int | None:
    """Days since the year 1 of a DICOM date, ``YYYYMMDD`` or the old ``YYYY.MM.DD``."""
    match = _DATE.match(text)
    try:
        return datetime.date(*(int(part) for part in match.groups())).toordinal() if match else None
    except ValueError:
        return None


def _times(reader: sitk.ImageFileReader) -> dict[str, Moment]:
    both = re.split("[+-]", _text(reader, CLOCKS["AcquisitionDateTime"][0]))[0]
    found = {"AcquisitionDateTime": (parse_date(both[:8]), parse_time(both[8:]))}
    for name in ("AcquisitionTime", "ContentTime"):
        date, time = (_text(reader, tag) for tag in CLOCKS[name])
        found[name] = (parse_date(date), parse_time(time))
    for name in ("TriggerTime", "FrameReferenceTime"):
        milliseconds = _number(reader, CLOCKS[name][0])
        found[name] = (0, None if milliseconds is None else round(milliseconds * 1000))
    return {name: Moment(day, time) for name, (day, time) in found.items() if time is not None}


def _loaded(reader: sitk.ImageFileReader, path: Path) -> bool:
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return False
    return True


def _sop_class(path: Path) -> str:
    """The kind of object that a file says it is, from its first bytes, where GDCM gives up."""
    with open(path, "rb") as file:
        start = file.read(_META_BYTES)
    _, found, rest = start.partition(_SOP_CLASS_ELEMENT)
    length = int.from_bytes(rest[:2], "little")
    return rest[2 : 2 + length].decode("latin-1").strip(" \0") if found else ""


def _text(reader: sitk.ImageFileReader, tag: str) -> str:
    """A tag's text on one line, empty if absent; SimpleITK returns bytes that are not UTF-8."""
    if not reader.HasMetaDataKey(tag):
        return ""
    stored = reader.GetMetaData(tag).encode("utf-8", "surrogateescape")
    try:
        text = stored.decode("utf-8")
    except UnicodeDecodeError:
        text = stored.decode("latin-1")
    return " ".join(text.replace("\0", " ").split())


def _numbers(reader: sitk.ImageFileReader, tag: str, count: int) -> tuple[float, ...] | None:
    try:
        values = tuple(float(part) for part in _text(reader, tag).split("\\"))
    except ValueError:
        return None
    return values if len(values) == count and all(map(math.isfinite, values)) else None


def _number(reader: sitk.ImageFileReader, tag: str) -> float | None:
    values = _numbers(reader, tag, 1)
    return values[0] if values else None
