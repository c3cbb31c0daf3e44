"""When an image was taken: the tags of DICOM that hold a time, and what they say."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Any, NamedTuple

_TIME = re.compile(r"(\d{2}):?(?:(\d{2}):?(?:(\d{2})(?:\.(\d{1,6}))?)?)?$")
_DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})$")
_SECOND_US = 1_000_000

# The best clock first. A date goes with a time; what counts from a start has no date.
DATE_TIMES = ("FrameAcquisitionDateTime", "FrameReferenceDateTime", "AcquisitionDateTime")
DATES_AND_TIMES = {
    "AcquisitionTime": ("AcquisitionDate", "AcquisitionTime"),
    "ContentTime": ("ContentDate", "ContentTime"),
}
SINCE_START_US = {
    "TriggerTime": 1000,
    "FrameReferenceTime": 1000,
    "TemporalPositionTimeOffset": _SECOND_US,
}
CLOCKS = (*DATE_TIMES, "AcquisitionTime", *SINCE_START_US, "ContentTime")
DOUBTFUL_CLOCK = "ContentTime"
"""It is when an image was made: a second reconstruction has another one."""
TIME_TAGS = (*CLOCKS, "AcquisitionDate", "ContentDate")


class Moment(NamedTuple):
    """A point in time: ``day`` is None where the file has a time of day and no date."""

    day: int | None
    microseconds: int


def read_moments(value_of: Callable[[str], Any]) -> dict[str, Moment]:
    """A moment for each of ``CLOCKS`` that an image has.

    Args:
        value_of: from a tag's name to its value; None if it is absent.
    """
    found: dict[str, tuple[int | None, int | None]] = {}
    for name in DATE_TIMES:
        both = re.split("[+-]", str(value_of(name) or "").strip())[0]
        found[name] = (parse_date(both[:8]), parse_time(both[8:]))
    for name, tags in DATES_AND_TIMES.items():
        date, time = (str(value_of(tag) or "").strip() for tag in tags)
        found[name] = (parse_date(date), parse_time(time))
    for name, unit_us in SINCE_START_US.items():
        try:
            found[name] = (0, round(float(value_of(name)) * unit_us))
        except (TypeError, ValueError, OverflowError):
            continue
    return {name: Moment(day, time) for name, (day, time) in found.items() if time is not None}


def parse_time(text: str) -> int | None:
    """Microseconds since midnight of a DICOM time, ``HHMMSS.FFFFFF`` or a part of it."""
    match = _TIME.match(text)
    if not match:
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.groups()[:3])
    if hours > 23 or minutes > 59 or seconds > 60:
        return None
    fraction = int((match[4] or "0").ljust(6, "0"))
    return ((hours * 60 + minutes) * 60 + seconds) * _SECOND_US + fraction


def parse_date(text: str) -> int | None:
    """Days since the year 1 of a DICOM date, ``YYYYMMDD`` or the old ``YYYY.MM.DD``."""
    match = _DATE.match(text)
    try:
        return datetime.date(*(int(part) for part in match.groups())).toordinal() if match else None
    except ValueError:
        return None
