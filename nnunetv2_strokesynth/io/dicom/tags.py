"""What a DICOM file of a CT series says of itself: where its slices lie and when they were taken.

pydicom does the reading. Only the tags named here are looked at, and none of them says who the
patient is. In a multi-frame file (enhanced CT, standard or converted from single images) each frame
counts as an image: its tags are looked for among those of the frame, then among those that all
frames share, then in the file itself.
"""

from __future__ import annotations

import logging
import math
import os
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from nnunetv2_strokesynth.io.dicom.moments import TIME_TAGS, Moment, read_moments
from nnunetv2_strokesynth.io.dicom.pixels import is_complete
from nnunetv2_strokesynth.io.output_folder import is_result_folder

_MAGIC, _PREAMBLE_BYTES = b"DICM", 128
# Old exports have no preamble: such a file begins with an element of group 0002 or 0008.
_BARE_STARTS = (b"\x02\x00", b"\x08\x00")
# Kinds of objects that are not CT, which is number 2, enhanced CT 2.1 and converted CT 2.2.
_OTHER_KIND = re.compile(r"1\.2\.840\.10008\.5\.1\.4\.1\.1\.(?!2$|2\.)\d+")
# The best first; the last counts files.
ORDER_TAGS = (
    "TemporalPositionIndex",
    "TemporalPositionIdentifier",
    "AcquisitionNumber",
    "FrameAcquisitionNumber",
    "InstanceNumber",
)
_SHARED, _PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
_TAGS = [
    *"SpecificCharacterSet SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID".split(),
    *"Modality SeriesDescription Manufacturer ManufacturerModelName KVP".split(),
    *"ConvolutionKernel ImageType FrameType NumberOfFrames SamplesPerPixel Rows Columns".split(),
    *"PixelSpacing ImagePositionPatient ImageOrientationPatient SliceThickness".split(),
    *"TemporalResolution RescaleSlope RescaleIntercept".split(),
    *(*TIME_TAGS, *ORDER_TAGS, _SHARED, _PER_FRAME),
]
logging.getLogger("pydicom").setLevel(logging.ERROR)  # it warns of each odd value, twice


class Unreadable(ValueError):
    """A file that says it is DICOM and cannot be used."""


class SliceHeader(NamedTuple):
    """One image of a series.

    Attributes:
        path: the file.
        frame: its number in a multi-frame file, from 0; None in a file of one image.
        study_uid, series_uid, sop_uid: which study, which series, which image; may be empty.
        modality: such as CT.
        label: the series' description.
        scanner: manufacturer, model, tube voltage; for the reader of a report.
        kernel: reconstruction kernel.
        image_type: such as ORIGINAL, PRIMARY, AXIAL; in capitals.
        n_frames: more than 1 in a multi-frame file that does not describe its frames.
        n_samples: values in a voxel, 3 for a colour image.
        shape_yx: rows and columns.
        pixel_yx_mm: distance between rows, between columns; None if not given, as all below.
        position_xyz_mm: centre of the first voxel (LPS).
        orientation: direction of a row, then of a column.
        thickness_mm: slice thickness.
        resolution_ms: time between frames.
        rescale: slope and intercept from stored numbers to HU.
        times: a moment for each of ``CLOCKS`` that the file has.
        orders: a number for each of ``ORDER_TAGS`` that the file has.
    """

    path: Path
    frame: int | None
    study_uid: str
    series_uid: str
    sop_uid: str
    modality: str
    label: str
    scanner: str
    kernel: str
    image_type: tuple[str, ...]
    n_frames: int
    n_samples: int
    shape_yx: tuple[int, int]
    pixel_yx_mm: tuple[float, ...] | None
    position_xyz_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    thickness_mm: float | None
    resolution_ms: float | None
    rescale: tuple[float, float]
    times: dict[str, Moment]
    orders: dict[str, int]

    @property
    def name(self) -> str:
        """The image for a message."""
        of_frame = "" if self.frame is None else f", frame {self.frame + 1},"
        return f"{self.path.name}{of_frame}"

    @property
    def derived(self) -> bool:
        """Whether it was computed from other images, such as a mean, a map or a MIP."""
        return "DERIVED" in self.image_type[:1]


def walk_files(folder: Path) -> Iterator[Path]:
    """All files below a folder in a fixed order, without hidden ones, DICOMDIR and our results."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if name[0] != "."
            and name.upper() != "__MACOSX"
            and not is_result_folder(Path(parent, name))
        )
        for name in sorted(names):
            if name[0] != "." and Path(name).stem.upper() != "DICOMDIR":
                yield Path(parent, name)


def is_dicom(path: Path) -> bool:
    """Whether a file has DICOM's mark at byte 128, or has no preamble and holds an image."""
    with open(path, "rb") as file:
        start = file.read(_PREAMBLE_BYTES + len(_MAGIC))
    if start[_PREAMBLE_BYTES:] == _MAGIC:
        return True
    if not start.startswith(_BARE_STARTS):
        return False
    try:
        return bool(read_images(path))
    except Unreadable:
        return False


def read_images(path: Path) -> list[SliceHeader]:
    """The images of one file: one, or as many as there are frames; none in a dose report.

    Raises:
        Unreadable: it is no DICOM file, or is damaged or truncated.
    """
    damaged = "truncated or damaged; copy or export it again"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of each odd value
        try:
            with open(path, "rb") as file:
                header = dcmread(file, stop_before_pixels=True, specific_tags=_TAGS, force=True)
                complete = "Rows" in header and is_complete(file, header)
        except OSError as error:
            raise Unreadable(f"{path}: {error.strerror or error}") from error
        except Exception as error:  # pydicom lets errors of many kinds through
            raise Unreadable(f"{path}: {damaged}") from error
        of_file = header.file_meta.get("MediaStorageSOPClassUID", "")
        kind = str(of_file or header.get("SOPClassUID", ""))
        if not complete:
            if _OTHER_KIND.match(kind):
                return []
            raise Unreadable(f"{path}: {damaged}")
        try:
            return [
                _slice_header(path, frame, _Tags(levels)) for frame, levels in _frames_of(header)
            ]
        except Exception as error:
            raise Unreadable(f"{path}: its tags cannot be read ({error})") from error


def _frames_of(header: Dataset) -> Iterator[tuple[int | None, list[dict[str, Any]]]]:
    """The number of each frame and its tags, the most special first."""
    of_file = _by_name(header)
    if not header.get(_PER_FRAME):
        yield None, [of_file]
        return
    shared = _flat(header.get(_SHARED) or [])
    for number, groups in enumerate(header.get(_PER_FRAME)):
        own = _flat([groups])
        own.setdefault("InstanceNumber", number + 1)
        yield number, [own, shared, of_file]


def _flat(groups: Any) -> dict[str, Any]:
    """The tags of functional groups, of which each is a sequence of one item."""
    found: dict[str, Any] = {}
    for group in groups:
        for sequence in group:
            if sequence.VR == "SQ" and len(sequence.value):
                for name, value in _by_name(sequence.value[0]).items():
                    found.setdefault(name, value)
    return found


def _by_name(tags: Dataset) -> dict[str, Any]:
    found = {}
    for name in _TAGS:
        if name in tags:
            try:
                found[name] = tags[name].value
            except Exception:  # a value that is not of its kind is as good as absent
                continue
    return found


class _Tags:
    """Values by the tags' names, from the most special level that has one."""

    def __init__(self, levels: list[dict[str, Any]]):
        self._levels = levels

    def value(self, name: str) -> Any:
        """The value; None if it is absent or empty."""
        found = (level[name] for level in self._levels if level.get(name) not in (None, ""))
        return next(found, None)

    def text(self, name: str) -> str:
        """A tag's text on one line, empty if absent."""
        value = self.value(name)
        parts = value if isinstance(value, MultiValue) else [] if value is None else [value]
        return " ".join(" ".join(map(str, parts)).replace("\0", " ").split())

    def numbers(self, name: str, count: int) -> tuple[float, ...] | None:
        """So many finite numbers, or None."""
        value = self.value(name)
        try:
            parts = value if isinstance(value, MultiValue) else [value]
            values = tuple(float(part) for part in parts)
        except (TypeError, ValueError, OverflowError):
            return None
        return values if len(values) == count and all(map(math.isfinite, values)) else None

    def number(self, name: str) -> float | None:
        values = self.numbers(name, 1)
        return values[0] if values else None


def _slice_header(path: Path, frame: int | None, tags: _Tags) -> SliceHeader:
    orders = {name: tags.number(name) for name in ORDER_TAGS}
    number: Callable[[str, float], float] = lambda name, other: (  # noqa: E731
        other if (found := tags.number(name)) is None else found
    )
    kind = tags.value("FrameType") or tags.value("ImageType") or []
    words = [tags.text("Manufacturer"), tags.text("ManufacturerModelName"), tags.text("KVP")]
    words[2] = f"{number('KVP', 0):g} kV" if tags.number("KVP") else ""
    return SliceHeader(
        path,
        frame,
        study_uid=tags.text("StudyInstanceUID"),
        series_uid=tags.text("SeriesInstanceUID"),
        sop_uid=tags.text("SOPInstanceUID"),
        modality=tags.text("Modality"),
        label=tags.text("SeriesDescription"),
        scanner=" ".join(filter(None, words)),
        kernel=tags.text("ConvolutionKernel"),
        image_type=tuple(str(w).upper() for w in ([kind] if isinstance(kind, str) else kind)),
        n_frames=1 if frame is not None else int(number("NumberOfFrames", 1)),
        n_samples=int(number("SamplesPerPixel", 1)),
        shape_yx=(int(number("Rows", 0)), int(number("Columns", 0))),
        pixel_yx_mm=tags.numbers("PixelSpacing", 2),
        position_xyz_mm=tags.numbers("ImagePositionPatient", 3),
        orientation=tags.numbers("ImageOrientationPatient", 6),
        thickness_mm=tags.number("SliceThickness"),
        resolution_ms=tags.number("TemporalResolution"),
        rescale=(number("RescaleSlope", 1.0), number("RescaleIntercept", 0.0)),
        times=read_moments(tags.value),
        orders={name: int(value) for name, value in orders.items() if value is not None},
    )
