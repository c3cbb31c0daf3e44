"""The images of a CT series, sorted by where their slices lie, and the grid that they make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nnunetv2_strokesynth.io.dicom.even_slices import EvenSlices, widest_distance
from nnunetv2_strokesynth.io.dicom.tags import SliceHeader
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.nifti import Geometry
from nnunetv2_strokesynth.io.tilt import Straightening

_SAME_PLACE_MM, _SAME_PLACE_SHARE = 0.01, 0.01  # or 1 % of the slices' distance
_EVEN_MM, _EVEN_SHARE = 0.05, 0.01
_SAME_DIRECTION = 1e-3
_SAME_PIXEL_MM = 1e-4
_IN_PLANE_PIXELS = 0.5
_FEW = 0.3
"""Choice: of the images at the other positions; where slabs overlap there are twice as many."""


class Stack(NamedTuple):
    """Images at each slice position, from feet to head.

    Attributes:
        name: folder and series, for messages.
        images: for each position the images there, in no order.
        places_mm: where the slices lie along their normal.
        direction: 3 x 3 direction cosines; a column for each of x, y and z, z towards the head.
    """

    name: str
    images: list[list[SliceHeader]]
    places_mm: np.ndarray
    direction: np.ndarray

    @property
    def counts(self) -> list[int]:
        """Number of images at each position."""
        return [len(images) for images in self.images]


def stack_slices(headers: list[SliceHeader], name: str) -> Stack:
    """Sort the images of one series by slice position.

    Raises:
        ValueError: an image has several frames, colours, or no position; or the images differ in
            matrix, voxel size or orientation; or the slices are not axial.
    """
    _check_images(headers, name)
    assert headers[0].orientation is not None
    direction = _direction(headers[0].orientation)
    if np.abs(direction[:, 2]).argmax() != 2:
        raise ValueError(
            f"{name}: the slices are not axial (their normal is "
            f"{np.round(direction[:, 2], 3).tolist()} in x, y, z); export the axial series"
        )
    heights = np.array([h.position_xyz_mm for h in headers]) @ direction[:, 2]
    order = np.argsort(heights, kind="stable")
    gaps = np.diff(heights[order])
    tolerance = max(_SAME_PLACE_MM, _SAME_PLACE_SHARE * gaps.max(initial=0))
    groups = np.split(order, np.flatnonzero(gaps > tolerance) + 1)
    return Stack(
        name,
        images=[[headers[index] for index in group] for group in groups],
        places_mm=np.array([np.median(heights[group]) for group in groups]),
        direction=direction,
    )


def usual_positions(stack: Stack) -> tuple[Stack, list[str]]:
    """The stack without positions that have few images, such as one image out of place.

    Returns:
        the stack, warnings.
    """
    counts = np.array(stack.counts)
    kept = np.flatnonzero(counts >= _FEW * np.median(counts))
    if len(kept) == len(counts):
        return stack, []
    named = [
        f"{stack.places_mm[z]:.2f} mm ({counts[z]})" for z in range(len(counts)) if z not in kept
    ]
    images = [stack.images[z] for z in kept]
    return stack._replace(images=images, places_mm=stack.places_mm[kept]), [
        f"{stack.name}: left out {len(named)} slice position(s) with few images: "
        f"{name_some(named, at_most=3)}; the others have {np.median(counts):.0f}"
    ]


def check_is_series(stack: Stack) -> None:
    """Check that positions have more than one image.

    Raises:
        ValueError: the series is a plain CT.
    """
    if max(stack.counts) == 1:
        raise ValueError(
            f"{stack.name} has one image at each of its {len(stack.counts)} positions: it is a "
            "plain CT, no perfusion series, which has an image at each position for every time; "
            "give the folder of the perfusion series"
        )


class Placed(NamedTuple):
    """Where the voxels of a stack lie that are read.

    Attributes:
        geometry: where.
        n_slices: how many slices there are.
        change: what brings a frame as stored to that geometry; None if nothing has to.
        warnings: sentences for the user, if something has to.
    """

    geometry: Geometry
    n_slices: int
    change: Callable[[np.ndarray], np.ndarray] | None
    warnings: list[str]


def stack_geometry(stack: Stack) -> Placed:
    """Where the voxels lie that are read; the distance between slices is that of their positions.

    Raises:
        ValueError: slices are not evenly spaced and do not overlap, or are shifted against each
            other at random; or a single slice does not say how thick it is.
    """
    first = stack.images[0][0]
    assert first.pixel_yx_mm is not None and first.position_xyz_mm is not None
    (spacing_y, spacing_x), (x_mm, y_mm, z_mm) = first.pixel_yx_mm, first.position_xyz_mm
    direction = tuple(float(value) for value in stack.direction.ravel())
    step_mm = _sideways(stack, pixel_mm=min(spacing_y, spacing_x))
    widest = widest_distance(stack.places_mm) if len(stack.images) > 2 else None
    if widest is not None and step_mm is None and _is_uneven(stack.places_mm):
        even = EvenSlices(stack.places_mm, widest)
        geometry = Geometry((widest, spacing_y, spacing_x), (x_mm, y_mm, z_mm), direction)
        warning = (
            f"{stack.name}: slices lie {np.diff(stack.places_mm).min():.2f} to {widest:.2f} mm "
            f"apart, as where slabs overlap: interpolated to {widest:.2f} mm"
        )
        return Placed(geometry, even.n_slices, even, [warning])
    if len(stack.images) > 1:
        spacing_z = _even_distance(stack)
    elif first.thickness_mm is not None and first.thickness_mm > 0:
        spacing_z = first.thickness_mm
    else:
        raise ValueError(f"{stack.name}: one slice position and no SliceThickness (0018|0050)")
    geometry = Geometry((spacing_z, spacing_y, spacing_x), (x_mm, y_mm, z_mm), direction)
    if step_mm is None:
        return Placed(geometry, len(stack.images), None, [])
    straight = Straightening(step_mm, len(stack.images), geometry)
    warning = f"{stack.name}: {straight.warning}"
    return Placed(straight.geometry, len(stack.images), straight, [warning])


def _check_images(headers: list[SliceHeader], name: str) -> None:
    first = headers[0]
    for header in headers:
        where = f"{name}: {header.name}"
        if header.n_frames > 1:
            raise ValueError(
                f"{where} is a multi-frame file ({header.n_frames} frames) that does not say where "
                "and when its frames were taken (no functional groups); export enhanced CT or "
                "single-frame images"
            )
        if header.n_samples != 1:
            raise ValueError(
                f"{where} is a colour image ({header.n_samples} values a voxel), expected CT in HU"
            )
        if None in (header.position_xyz_mm, header.orientation, header.pixel_yx_mm):
            raise ValueError(
                f"{where} has no slice position (ImagePositionPatient, ImageOrientationPatient, "
                "PixelSpacing); export the original images, not screenshots"
            )
        must_agree: tuple[tuple[str, Any, Any, float], ...] = (
            ("matrix (rows, columns)", header.shape_yx, first.shape_yx, 0),
            ("pixel spacing", header.pixel_yx_mm, first.pixel_yx_mm, _SAME_PIXEL_MM),
            ("orientation", header.orientation, first.orientation, _SAME_DIRECTION),
        )
        for what, found, expected, tolerance in must_agree:
            if np.abs(np.subtract(found, expected)).max() > tolerance:
                raise ValueError(
                    f"{where} has {what} {found}, {first.name} {expected}; a perfusion series "
                    "has one for all images: remove the images that do not belong to it"
                )


def _direction(orientation: tuple[float, ...]) -> np.ndarray:
    """Direction cosines from those of a row and a column, z towards the head if axial."""
    row = np.array(orientation[:3]) / np.linalg.norm(orientation[:3])
    column = np.array(orientation[3:]) - row * (row @ orientation[3:])
    column /= np.linalg.norm(column)
    normal = np.cross(row, column)
    return np.stack([row, column, -normal if normal[2] < 0 else normal], axis=1)


def _is_uneven(places_mm: np.ndarray) -> bool:
    distances = np.diff(places_mm)
    usual = np.median(distances)
    return bool(np.abs(distances - usual).max() > max(_EVEN_MM, _EVEN_SHARE * usual))


def _even_distance(stack: Stack) -> float:
    places = stack.places_mm
    distances = np.diff(places)
    usual = np.median(distances)
    if _is_uneven(places):
        wrong = [np.abs(distances - usual).argmax()]
        low, high = places[wrong[0]], places[wrong[0] + 1]
        guess = (
            "a slice is missing there" if high - low > 1.5 * usual else "expected even distances"
        )
        raise ValueError(
            f"{stack.name}: slices at {low:.2f} and {high:.2f} mm are {high - low:.2f} mm apart, "
            f"the others {usual:.2f} mm; {guess}: export the series again"
        )
    return round(float(places[-1] - places[0]) / len(distances), 6)  # cosines are rounded


def _sideways(stack: Stack, pixel_mm: float) -> tuple[float, float] | None:
    """How far along x and y each slice lies of the one before, as with a tilted gantry.

    Returns:
        None where the last slice lies within half a pixel of the first.

    Raises:
        ValueError: images are shifted at random.
    """
    in_plane = stack.direction[:, :2]
    rows = [[h.position_xyz_mm for h in images] @ in_plane for images in stack.images]
    places = np.array([np.median(row, axis=0) for row in rows]) - np.median(rows[0], axis=0)
    even = np.linspace(0, 1, len(rows))[:, None] * places[-1]
    tolerance = _IN_PLANE_PIXELS * pixel_mm
    start = np.median(rows[0], axis=0)
    strays = [np.abs(row - start - line).max() for row, line in zip(rows, even, strict=True)]
    worst = int(np.argmax(strays))
    if strays[worst] > tolerance:
        raise ValueError(
            f"{stack.name}: an image at {stack.places_mm[worst]:.2f} mm is shifted sideways by "
            f"{strays[worst]:.2f} mm against the others, expected one field of view; export the "
            "series with one field of view"
        )
    if float(np.linalg.norm(places[-1])) <= tolerance:
        return None
    x_mm, y_mm = (float(value) for value in places[-1] / (len(rows) - 1))
    return x_mm, y_mm
