"""What the viewer in the page reads: volumes, outlines and marks as one JSON text.

``templates/viewer.js`` draws it. Volumes are cut to the head, stored as 16-bit integers, compressed
and written in base 64, so that one file holds everything. The volumes in mL that belong to a
threshold are counted here, on all voxels, whatever resolution the page shows.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps

from nnunetv2_strokesynth.reporting.slice_image import crop

_MARGIN = 0.12  # around the brain, as a part of its size
_MOST_VOXELS = 2_000_000
"""Choice: of one image as it is shown; ten of them make a file of 20 MB or so."""
_STEPS = 500  # of the stored values within the window; the screen shows 256
_NOTHING = 65535  # is NaN


class ViewedImage(NamedTuple):
    """One panel.

    Attributes:
        key: for the page's script and its links.
        name: such as ``CBF``.
        unit: such as ``s``; empty for none.
        volume: (Z, Y, X), rows from anterior to posterior, columns from right to left, or as
            stored where the sides are not known.
        window: values at both ends of the colour bar.
        colour_map: a name of matplotlib's. NaN is black: nothing was computed.
        note: a few words under the name.
        inside: bool (Z, Y, X), where the image was computed; None for everywhere.
    """

    key: str
    name: str
    unit: str
    volume: np.ndarray
    window: tuple[float, float]
    colour_map: str = "gray"
    note: str = ""
    inside: np.ndarray | None = None

    def part(self, where: int | tuple[slice, slice, slice]) -> np.ndarray:
        """A slice, or a cut through all of them, float; NaN where nothing was computed.

        So there is no second copy of a whole volume.
        """
        values = self.volume[where]
        if self.inside is None:
            return values
        return np.where(self.inside[where], values, np.float32(np.nan))


class Contour(NamedTuple):
    """A threshold that the reader moves: what lies above it is outlined and measured.

    Attributes:
        key: of the image that is compared with it.
        label: what lies above it, such as ``lesion``.
        unit: of the threshold; empty for none.
        thresholds: that can be chosen, rising.
        start: index of the first that is shown.
        colour: of the outline.
        shown_on: keys of images; empty for all.
    """

    key: str
    label: str
    unit: str
    thresholds: np.ndarray
    start: int
    colour: str
    shown_on: tuple[str, ...] = ()


class Mark(NamedTuple):
    """Voxels that are marked in an image: (z, y, x) each."""

    name: str
    colour: str
    image: str
    voxels: Sequence[tuple[int, int, int]]


class Viewed(NamedTuple):
    """What is scrolled through.

    Attributes:
        images: of one shape.
        brain: bool, the same shape; the images are cut to it and a margin.
        spacing_zyx_mm: voxel sizes.
        sides_known: whether the patient's right is on the left of the images.
        first_slice: index of the slice that is shown at first.
        contours, marks: on the images.
    """

    images: Sequence[ViewedImage]
    brain: np.ndarray
    spacing_zyx_mm: tuple[float, float, float]
    sides_known: bool
    first_slice: int
    contours: Sequence[Contour] = ()
    marks: Sequence[Mark] = ()


def voxels_above(image: ViewedImage, thresholds: np.ndarray) -> np.ndarray:
    """How many voxels of each slice lie above each threshold, (N, Z) int.

    Args:
        image: NaN lies above none.
        thresholds: (N,), rising.
    """
    n_slices = len(image.volume)
    counts = np.zeros((len(thresholds) + 1, n_slices), dtype=np.int64)
    for index in range(n_slices):
        values = np.nan_to_num(image.part(index).ravel(), nan=-np.inf)
        # A voxel lies above as many thresholds as are smaller than it.
        number = np.searchsorted(thresholds.astype(values.dtype), values, side="left")
        counts[:, index] = np.bincount(number, minlength=len(thresholds) + 1)
    return counts[::-1].cumsum(axis=0)[::-1][1:]


def reduction(viewed: Viewed) -> int:
    """By how much the images are smaller in each direction of the plane; 1 for not at all."""
    rows, columns = crop(viewed.brain, _MARGIN)
    n_voxels = len(viewed.brain) * (rows.stop - rows.start) * (columns.stop - columns.start)
    return max(1, int(np.ceil(np.sqrt(n_voxels / _MOST_VOXELS))))


def viewer_json(viewed: Viewed) -> str:
    """The JSON that ``viewer.js`` reads; it holds no character that HTML could take for a tag."""
    factor, (rows, columns) = reduction(viewed), crop(viewed.brain, _MARGIN)
    _, y_mm, x_mm = viewed.spacing_zyx_mm
    cut = (slice(None), rows, columns)
    images = [_image(image, _smaller(image.part(cut), factor)) for image in viewed.images]
    n_slices, height, width = _smaller(viewed.brain[:, rows, columns], factor).shape
    content = {
        "slices": n_slices,
        "height": height,
        "width": width,
        "pixel_mm": [factor * x_mm, factor * y_mm],
        "voxel_ml": float(np.prod(viewed.spacing_zyx_mm)) / 1000,
        "sides_known": viewed.sides_known,
        "first_slice": viewed.first_slice,
        "images": images,
        "colours": {name: _colours(name) for name in {i.colour_map for i in viewed.images}},
        "contours": [_contour(contour, viewed) for contour in viewed.contours],
        "marks": [_mark(mark, (rows.start, columns.start), factor) for mark in viewed.marks],
    }
    return json.dumps(content, sort_keys=True).replace("<", "\\u003c")


def _smaller(volume: np.ndarray, factor: int) -> np.ndarray:
    """Means over squares of ``factor`` pixels, NaN left out; the last row and column may be cut."""
    if factor == 1:
        return volume
    n_slices, height, width = len(volume), volume.shape[1] // factor, volume.shape[2] // factor
    cut = volume[:, : height * factor, : width * factor].astype(np.float32)
    blocks = cut.reshape(n_slices, height, factor, width, factor)
    known = np.isfinite(blocks)
    count = known.sum(axis=(2, 4))
    means = np.where(known, blocks, 0).sum(axis=(2, 4)) / np.maximum(count, 1)
    return np.where(count > 0, means, np.nan)


def _image(image: ViewedImage, shown: np.ndarray) -> dict[str, object]:
    """Integers of 16 bits, low bytes first and then the high ones, which compresses better."""
    low, high = image.window
    high = high if high > low else low + 1.0
    step = (high - low) / _STEPS
    finite = np.nan_to_num(shown.astype(np.float32), nan=low, posinf=high, neginf=low)
    # Nothing is stored that lies far below the window: a CT's air is black anyway.
    lowest = min(low, max(float(finite.min()), low - 20 * (high - low)))
    stored = np.clip(np.rint((finite - lowest) / step), 0, _NOTHING - 1).astype(np.uint16)
    stored[np.isnan(shown)] = _NOTHING
    planes = np.concatenate([(stored & 255).ravel(), (stored >> 8).ravel()]).astype(np.uint8)
    return {
        "key": image.key,
        "name": image.name,
        "unit": image.unit,
        "window": [low, high],
        "colour_map": image.colour_map,
        "lowest": lowest,
        "step": step,
        "nothing": _NOTHING,
        "data": _base64(gzip.compress(planes.tobytes(), 6, mtime=0)),
    }


def _contour(contour: Contour, viewed: Viewed) -> dict[str, object]:
    image = next(image for image in viewed.images if image.key == contour.key)
    return {
        "key": contour.key,
        "label": contour.label,
        "unit": contour.unit,
        "thresholds": [round(float(value), 4) for value in contour.thresholds],
        "start": contour.start,
        "colour": contour.colour,
        "shown_on": list(contour.shown_on),
        "voxels": voxels_above(image, contour.thresholds).tolist(),
    }


def _mark(mark: Mark, corner: tuple[int, int], factor: int) -> dict[str, object]:
    """Places in pixels of the images as they are shown; whole numbers are corners of pixels."""
    places = [
        [z, (y - corner[0] + 0.5) / factor, (x - corner[1] + 0.5) / factor]
        for z, y, x in mark.voxels
    ]
    return {**mark._asdict(), "voxels": places}


def _colours(name: str) -> str:
    """256 colours of three bytes, in base 64."""
    return _base64(colormaps[name](np.arange(256), bytes=True)[:, :3].tobytes())


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
