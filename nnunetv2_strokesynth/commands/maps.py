"""``strokesynth maps``: perfusion maps of a raw CT perfusion series."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nnunetv2_strokesynth.channels import DWI, PRESETS
from nnunetv2_strokesynth.commands.next_step import Words, say_next
from nnunetv2_strokesynth.commands.trained_models import device_option, newest_model

if TYPE_CHECKING:
    import numpy as np
    from tqdm import tqdm

    from nnunetv2_strokesynth.ctp.compute_maps import ComputedMaps
    from nnunetv2_strokesynth.io.placement import Reference
    from nnunetv2_strokesynth.io.series import Series

EXAMPLE = "strokesynth maps ctp.nii.gz -o maps --frame-s 1.5"

PICTURE, PAGE = "vessels.png", "report.html"
_DPI = 110

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("ctp", type=Path, metavar="CTP", help="the series, a 4-D NIfTI file in HU")
    add("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the maps")
    add(
        "--frame-s",
        type=float,
        metavar="S",
        help="seconds between frames (default: from the sidecar or the header)",
    )
    voxel = {"type": int, "nargs": 3, "metavar": ("X", "Y", "Z")}
    add("--aif", **voxel, help="voxel of the artery, counted from 0 (default: found automatically)")
    add("--vof", **voxel, help="voxel of the vein, counted from 0 (default: found automatically)")
    add(
        "--brain-mask",
        type=Path,
        metavar="FILE",
        help="NIfTI file that is not 0 in the brain (default: found)",
    )
    add(
        "--no-aif-scaling",
        action="store_true",
        help="leave the artery's curve as measured: no correction for partial volume by the vein",
    )
    add(
        "--method",
        choices=("svd", "tikhonov"),
        default="svd",
        help="deconvolution: the truncated block-circulant SVD as it is (default), or Tikhonov's "
        "filter, corrected for what it adds to MTT and Tmax, for thresholds in seconds",
    )
    add("--overwrite", action="store_true", help="replace maps that this command wrote")


def run(args: argparse.Namespace) -> None:
    """Check the input, compute the maps, write them, and say what was found."""
    from tqdm import tqdm

    from nnunetv2_strokesynth.ctp.brain_mask_file import read_brain_mask
    from nnunetv2_strokesynth.ctp.check_computed import check_computed
    from nnunetv2_strokesynth.ctp.compute_maps import compute_maps
    from nnunetv2_strokesynth.ctp.frame_times import frame_times_of
    from nnunetv2_strokesynth.ctp.map_files import RECORD, write_maps
    from nnunetv2_strokesynth.ctp.plausibility.finding import settle
    from nnunetv2_strokesynth.ctp.unusable_voxels import check_unusable, series_unusable
    from nnunetv2_strokesynth.io.output_folder import refuse_existing_folder, result_folder
    from nnunetv2_strokesynth.io.placement import place, read_grid, reference_of
    from nnunetv2_strokesynth.io.series import NiftiSeries, ReorderedSeries, unusable_voxels

    refuse_existing_folder(args.output, args.overwrite, _is_ours, record=RECORD)
    series = NiftiSeries(args.ctp)
    if len(series) == 1:
        raise ValueError(
            f"{args.ctp}: one volume of shape {series.header.disk_shape}, expected a series "
            "(X, Y, Z, T)"
        )
    times = frame_times_of(args.ctp, len(series), args.frame_s)
    reference = reference_of("series", read_grid(args.ctp))
    ordered = ReorderedSeries(series, reference.reorientation.apply)
    brain, notes = None, times.notes
    if args.brain_mask:
        placed = place(args.brain_mask, reference)
        brain, notes = read_brain_mask(placed), [*notes, *placed.notes]
    with tqdm(desc="reading frames", unit="frame") as bar:
        computed = compute_maps(
            _Counted(ordered, bar),
            spacing_zyx_mm=reference.grid.geometry.spacing_zyx_mm,
            times_s=times.times_s,
            brain=brain,
            aif_at=reference.read_voxel(args.aif) if args.aif else None,
            vof_at=reference.read_voxel(args.vof) if args.vof else None,
            scale_aif=not args.no_aif_scaling,
            method=args.method,
            stored_voxel=reference.stored_voxel,
        )
    said = check_unusable(series_unusable(unusable_voxels(ordered)), computed.brain)
    doubts = settle(check_computed(computed, reference.grid.geometry.spacing_zyx_mm))
    computed = computed._replace(warnings=[*notes, *computed.warnings, *said, *doubts])
    with result_folder(
        args.output, overwrite=args.overwrite, is_ours=_is_ours, record=RECORD
    ) as folder:
        write_maps(folder, computed, args.ctp, reference)
        _write_picture(folder, computed, args.ctp, reference)
        _write_page(folder, computed, args.ctp, reference)
    _report(args.output, computed)
    say_next(next_command(args))


class _Counted:
    """A series that moves a progress bar; it is walked through more than once."""

    def __init__(self, series: Series, bar: tqdm):
        self._series, self._bar = series, bar

    def __len__(self) -> int:
        return len(self._series)

    def __iter__(self) -> Iterator[np.ndarray]:
        self._bar.total = self._bar.n + len(self)
        try:
            for frame in self._series:
                yield frame
                self._bar.update()
        finally:  # the walk for the baseline ends early
            self._bar.total = self._bar.n


def _is_ours(name: str) -> bool:
    from nnunetv2_strokesynth.ctp.map_files import FILES

    return name in FILES or name in (PICTURE, PAGE)


def _write_picture(
    folder: Path, computed: ComputedMaps, source: Path, reference: Reference
) -> None:
    from nnunetv2_strokesynth.io.figure_file import save_png
    from nnunetv2_strokesynth.reporting.perfusion_figure import draw_perfusion

    figure = draw_perfusion(computed, reference, title=source.name)
    save_png(figure, folder / PICTURE, dpi=_DPI)


def _write_page(folder: Path, computed: ComputedMaps, source: Path, reference: Reference) -> None:
    from nnunetv2_strokesynth.io.atomic import write_text
    from nnunetv2_strokesynth.reporting.scan_page import maps_page

    page = maps_page(
        source.name,
        computed,
        reference.grid.geometry.spacing_zyx_mm,
        sides_known=reference.stored.known,
        result={"orientation": reference.stored.order, **computed.row},
    )
    write_text(folder / PAGE, page)


def _report(folder: Path, computed: ComputedMaps) -> None:
    row = computed.row
    logger.info(
        "artery at %s (peak %.0f HU at %.1f s), scaled by %.2f; brain %.0f mL",
        row["aif_voxels_xyz"].split(";")[0],
        row["aif_peak_hu"],
        row["aif_peak_s"],
        row["aif_scale"],
        row["brain_ml"],
    )
    for warning in computed.warnings:
        logger.warning("warning: %s", warning)
    logger.info("wrote %s; look at %s first. For research only", folder, folder / PAGE)


def next_command(args: argparse.Namespace) -> Words:
    """Predict the lesion by the model trained last; without a model, how to come by one.

    The series is given, and not the maps: a model reads its frames, too, and computes the maps in
    the same way.
    """
    readable = [preset.names for preset in PRESETS.values() if preset.made_from_ctp]
    model = newest_model([names for names in readable if DWI not in names])
    if model is None:
        return ["strokesynth", "convert", "--help"]
    output = args.output.with_name(f"{args.output.name}_lesion")
    words: list[object] = ["strokesynth", "predict", args.ctp, "-m", model, "-o", output]
    for option, value in (("--aif", args.aif), ("--vof", args.vof)):
        words += [option, *value] if value else []
    words += ["--frame-s", args.frame_s] if args.frame_s else []
    return [*words, *device_option(None)]
