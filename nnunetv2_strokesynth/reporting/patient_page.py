"""One page about one patient: the images that the network saw, the lesion, and the bolus.

Volumes come in ``LPS`` order, which is radiological convention: the patient's right on the left,
anterior at the top. Where the header does not say how the head lies, slices are as stored.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from nnunetv2_strokesynth.inference.patient import (
    Prediction,
    Prepared,
)
from nnunetv2_strokesynth.io.figure_file import figure_style
from nnunetv2_strokesynth.io.nifti import Geometry
from nnunetv2_strokesynth.reporting.dark import darken
from nnunetv2_strokesynth.reporting.fitted_text import letters, shortened, wrapped
from nnunetv2_strokesynth.reporting.near_miss import NearMiss, near_miss
from nnunetv2_strokesynth.reporting.scan_images import (
    AIF_COLOUR,
    CT_WINDOW_HU,
    VOF_COLOUR,
    scan_images,
)
from nnunetv2_strokesynth.reporting.slice_image import (
    PREDICTION_COLOUR,
    Outline,
    crop,
    draw_slice,
    widest_lesion_slice,
)
from nnunetv2_strokesynth.reporting.viewer import ViewedImage

_COLUMNS = 4
_WIDTH_INCHES, _TITLE_FONT = 8.3, 7.5
_MOST_SLICES = 20
_MARGIN = 0.15  # around the brain, as a part of its size
_HEADER_INCHES, _SENTENCE_INCHES, _NOTE_INCHES = 0.55, 0.15, 0.12  # title; lines below it
_MOST_NOTE_LINES, _MOST_TITLE = 8, 65  # lines, characters
_WARNING = "#B00020"


class Page(NamedTuple):
    """What the page says beside its images.

    Attributes:
        title: the patient's folder.
        lines: sentences under the title.
        notes: what the reader must know, such as what was computed.
        orientation_known: whether right and left can be told apart.
        warnings: why the result is doubtful; they stand above the notes, in another colour.
    """

    title: str
    lines: Sequence[str]
    notes: Sequence[str]
    orientation_known: bool
    warnings: Sequence[str] = ()


class _View(NamedTuple):
    """How slices are shown: what part of them, and what is known about them."""

    rows: slice
    columns: slice
    aspect: float  # height of a pixel over its width
    known: bool  # whether their orientation is

    def of(self, image: np.ndarray) -> np.ndarray:
        """(Y, X) as it is shown."""
        return image[self.rows, self.columns]

    @property
    def order(self) -> str:
        """Of the slices."""
        return "from the feet" if self.known else "as stored"


class _Outlined(NamedTuple):
    """What is outlined: the lesion, or without one what was nearly called."""

    lesion: np.ndarray
    missed: NearMiss | None

    @property
    def name(self) -> str:
        """For titles."""
        if self.missed is None:
            return "predicted lesion"
        return f"nearly called (probability > {self.missed.threshold:.2f})"

    @property
    def slice_index(self) -> int:
        """The slice to show first."""
        return self.missed.slice_index if self.missed else widest_lesion_slice(self.lesion)

    @property
    def why(self) -> str:
        """Why this slice is shown."""
        if self.missed is not None:
            return f"no lesion; highest probability, {self.missed.highest:.2f}"
        return "widest lesion" if self.lesion.any() else "the middle one; no lesion"

    def of(self, index: int, view: _View) -> list[Outline]:
        """Of one slice; dashed where no lesion was called."""
        mask = self.lesion if self.missed is None else self.missed.region
        dashed = self.missed is not None
        return [Outline(view.of(mask[index]), PREDICTION_COLOUR, width=1.0, dashed=dashed)]


@figure_style()
def draw_page(
    page: Page,
    prepared: Prepared,
    prediction: Prediction,
    geometry: Geometry,
    times_s: np.ndarray | None,
) -> Figure:
    """A portrait page: inputs and outputs in the widest slice, all slices, and the bolus.

    Args:
        page: the words.
        prepared: the scan.
        prediction: of the model.
        geometry: of the volumes, in ``LPS`` order or as stored.
        times_s: (T,) of the frames; None draws the curve over their numbers.
    """
    figure = Figure(figsize=(_WIDTH_INCHES, 11.7), layout="constrained")
    warnings = _note_lines(page.warnings, bullet="WARNING: ", of="warnings")
    notes = _note_lines(page.notes)
    sentences = [part for line in page.lines for part in _sentence_lines(line)]
    header_inches = _HEADER_INCHES + _SENTENCE_INCHES * len(sentences)
    bands_inches = (header_inches + _NOTE_INCHES * (len(warnings) + len(notes)), 4.1, 4.6, 1.9)
    bands = figure.subfigures(4, 1, height_ratios=bands_inches)
    lines = [(line, _WARNING) for line in warnings] + [(line, "0.3") for line in notes]
    _write(bands[0], page.title, sentences, lines)
    voxel_ml = float(np.prod(geometry.spacing_zyx_mm)) / 1000
    missed = near_miss(prediction.lesion, prediction.probability, voxel_ml)
    view = _view(prepared.made.mask, geometry, page.orientation_known)
    outlined = _Outlined(prediction.lesion, missed)
    _draw_widest(bands[1], scan_images(prepared, prediction), outlined, view)
    _draw_slices(bands[2], prepared, outlined, view)
    _draw_bolus(bands[3].add_subplot(), prepared, times_s)
    return figure


def _note_lines(notes: Sequence[str], bullet: str = "- ", of: str = "notes") -> list[str]:
    """Notes as lines; the last line says so where there are too many."""
    lines = [line for note in notes for line in textwrap.wrap(f"{bullet}{note}", 150)]
    if len(lines) <= _MOST_NOTE_LINES:
        return lines
    return [*lines[: _MOST_NOTE_LINES - 1], f"{bullet}further {of} are in result.json"]


def _sentence_lines(sentence: str) -> list[str]:
    """A sentence in lines of the page; a word that is longer than one, as a path is, is cut."""
    place = (_WIDTH_INCHES - 0.2, 8.5)
    words = (shortened(word, letters(*place) - 10) for word in sentence.split())
    return wrapped(" ".join(words), *place).splitlines()


def _write(
    band: SubFigure, title: str, sentences: Sequence[str], lines: Sequence[tuple[str, str]]
) -> None:
    """Title, sentences, and below them lines with their colours."""
    if len(title) > _MOST_TITLE:
        title = f"…{title[1 - _MOST_TITLE :]}"  # the end of a path tells more than its beginning
    header_inches = _HEADER_INCHES + _SENTENCE_INCHES * len(sentences)
    texts = [
        (0.08, title, {"fontsize": 13, "weight": "bold"}),
        (0.36, "\n".join(sentences), {"fontsize": 9}),
    ]
    # Line by line, for the layout may give the band less height than it asks for.
    for index, (line, colour) in enumerate(lines):
        below_top = header_inches - 0.1 + _NOTE_INCHES * index
        texts.append((below_top, line, {"fontsize": 6.5, "color": colour}))
    height = header_inches + _NOTE_INCHES * len(lines)
    for below_top, text, style in texts:
        band.text(0.02, 1 - below_top / height, text, va="top", **style)


def _draw_widest(
    band: SubFigure, images: list[ViewedImage], outlined: _Outlined, view: _View
) -> None:
    """Every image with its colour bar, so that all columns are of one width."""
    axes, index = band.subplots(2, _COLUMNS).ravel(), outlined.slice_index
    last = images[0]._replace(name=f"{outlined.name} on the CT", unit="")
    for axis, image in zip(axes, [*images, last], strict=False):
        drawn = draw_slice(
            axis,
            view.of(image.part(index)),
            sides_known=view.known,
            window=image.window,
            colour_map=image.colour_map,
            aspect=view.aspect,
            outlines=outlined.of(index, view) if image is last else (),
        )
        unit = image.unit or image.note.partition(";")[0]
        title = f"{image.name} ({unit})" if unit else image.name
        axis.set_title(
            wrapped(title, 0.9 * _WIDTH_INCHES / _COLUMNS, _TITLE_FONT), fontsize=_TITLE_FONT
        )
        band.colorbar(drawn, ax=axis, fraction=0.046, pad=0.02).ax.tick_params(labelsize=6)
    for axis in axes[len(images) + 1 :]:
        axis.axis("off")
    n_slices = len(outlined.lesion)
    place = f"Slice {index + 1} of {n_slices}, counted {view.order} ({outlined.why})"
    band.suptitle(place, fontsize=9)


def _draw_slices(band: SubFigure, prepared: Prepared, outlined: _Outlined, view: _View) -> None:
    """Slices with brain in them, evenly picked where there are too many; the lesion outlined."""
    with_brain = np.flatnonzero(prepared.made.mask.any(axis=(1, 2)))
    count = min(len(with_brain), _MOST_SLICES)
    chosen = with_brain[np.unique(np.linspace(0, len(with_brain) - 1, count).round().astype(int))]
    n_columns = 5 if count > 8 else min(count, 4)
    axes = band.subplots(-(-count // n_columns), n_columns, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, index in zip(axes, chosen, strict=False):
        draw_slice(
            axis,
            view.of(prepared.images.ct[index]),
            sides_known=view.known,
            small=True,
            window=CT_WINDOW_HU,
            aspect=view.aspect,
            outlines=outlined.of(index, view),
        )
        axis.set_title(f"{index + 1}", fontsize=6, pad=1)
    title = f"{outlined.name} on the CT, slices counted {view.order}"
    band.suptitle(title[:1].upper() + title[1:], fontsize=9)


@figure_style()
def draw_bolus(prepared: Prepared, times_s: np.ndarray | None) -> Figure:
    """The bolus and the perfusion window alone, on black, for a page of slices.

    Args:
        prepared: the scan.
        times_s: (T,) of the frames; None draws the curve over their numbers.
    """
    figure = Figure(figsize=(4.6, 3.6), layout="constrained")
    _draw_bolus(figure.add_subplot(), prepared, times_s)
    return darken(figure)


def _draw_bolus(axes: Axes, prepared: Prepared, times_s: np.ndarray | None) -> None:
    made = prepared.made
    over = made.curve - made.curve.min()
    over = over / over.max() if over.max() > 0 else over
    x = np.arange(len(over)) if times_s is None else times_s
    axes.plot(x, over, color="0.2", label="sum of the scan's HU, q(t), scaled")
    for frame, name in ((made.window.t_start, "$T_s$"), (made.window.t_end, "$T_e$")):
        axes.axvline(x[frame], color="0.5", ls="--", lw=0.8)
        place = {"xytext": (2, 0), "textcoords": "offset points"}
        axes.annotate(name, (x[frame], 1.02), **place, fontsize=7, parse_math=True)
    axes.set_ylim(-0.05, 1.12)
    axes.set_xlabel("frame" if times_s is None else "time after the first frame (s)", fontsize=8)
    axes.set_ylabel("q(t), 0 to 1", fontsize=8)
    axes.tick_params(labelsize=7)
    lines = axes.get_lines()[:1]
    if prepared.computed is not None:
        twin = axes.twinx()
        computed = prepared.computed
        vessels = (("AIF", computed.aif, AIF_COLOUR), ("VOF", computed.vof, VOF_COLOUR))
        for name, vessel, colour in vessels:
            if vessel is not None:
                lines += twin.plot(computed.times_s, vessel.curve, color=colour, label=name, lw=1)
        twin.set_ylabel("artery and vein (HU)", fontsize=8)
        twin.tick_params(labelsize=7)
    labels = [line.get_label() for line in lines]
    axes.legend(lines, labels, fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)


def _view(mask: np.ndarray, geometry: Geometry, known: bool) -> _View:
    """The brain and a margin around it."""
    rows, columns = crop(mask, _MARGIN)
    _, y_mm, x_mm = geometry.spacing_zyx_mm
    return _View(rows, columns, y_mm / x_mm, known)
