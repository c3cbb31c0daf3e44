"""The options that all kinds of CT perfusion data have, and what they decide."""

from __future__ import annotations

import argparse
from pathlib import Path

from nnunetv2_strokesynth.channels import (
    CTA,
    DWI,
    PERFUSION_MAPS,
    PRESETS,
)
from nnunetv2_strokesynth.dataset_conversion.brain_masks import with_brain_masks
from nnunetv2_strokesynth.dataset_conversion.scans import (
    Scan,
    complete_scans,
    with_image,
    without_image,
    without_maps,
)
from nnunetv2_strokesynth.dataset_conversion.settings import Settings


def add_ctp_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for channels, resolution and perfusion maps."""
    presets = [name for name, preset in PRESETS.items() if preset.made_from_ctp]
    add = parser.add_argument
    add(
        "--preset",
        choices=presets,
        default=presets[0],
        help="which channels to write (default: %(default)s)",
    )
    add(
        "--compute-maps",
        action="store_true",
        help="compute CBF, CBV, MTT and Tmax from the series of scans that lack any of them",
    )
    add(
        "--frame-s",
        metavar="S",
        type=float,
        help="seconds between frames, for --compute-maps, if headers or sidecars are wrong",
    )
    add(
        "--unoutlined",
        action="store_true",
        help="take scans with a DWI and no outline, too, for `strokesynth outline`",
    )
    add(
        "--downsample",
        metavar="N",
        type=int,
        default=1,
        help="average blocks of N x N pixels in plane (default: 1, as acquired)",
    )
    add(
        "--brain-masks",
        metavar="DIR",
        type=Path,
        help="folder of brain masks, called like the cases or scans (default: found)",
    )


def select_ctp_scans(found: list[Scan], args: argparse.Namespace, hint: str) -> list[Scan]:
    """The scans to convert: those with a DWI, or CTA, if the preset reads it, else all of them.

    Args:
        found: the scans.
        args: the options; with ``--compute-maps`` a scan may lack the perfusion maps, with
            ``--skip-incomplete`` scans that lack a file are left out.
        hint: where a DWI could come from, for the error message.

    Raises:
        ValueError: an option cannot be used, no scan is complete, or none has the DWI or
            CTA that the preset reads.
    """
    if args.downsample < 1:
        raise ValueError(f"--downsample {args.downsample}: expected at least 1")
    if args.frame_s is not None and not args.compute_maps:
        raise ValueError(
            "--frame-s is used with --compute-maps only; leave it out, or add --compute-maps"
        )
    if args.compute_maps:
        found = [without_maps(scan, PERFUSION_MAPS) for scan in found]
    if args.skip_incomplete:
        found = complete_scans(found)
    preset = PRESETS[args.preset]
    if preset.reads_cta:
        found = with_image(found, CTA, "only ISLES 2024 has one, ..._space-ncct_cta.nii.gz")
    elif not getattr(args, "cta", False):  # a file that is not read is none of the case's inputs
        found = [without_image(scan, CTA) for scan in found]
    return with_image(found, DWI, hint) if DWI in preset.names else found


def masked_ctp_scans(scans: list[Scan], args: argparse.Namespace) -> list[Scan]:
    """The scans with the masks of ``--brain-masks``, where it is given.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: a scan has no mask or several, or ``--no-brain-mask`` is given, too.
    """
    if args.brain_masks is None:
        return scans
    if args.no_brain_mask:
        raise ValueError("--brain-masks and --no-brain-mask contradict each other; leave one out")
    return with_brain_masks(scans, args.brain_masks)


def ctp_settings(args: argparse.Namespace) -> Settings:
    """How the data set is written."""
    return Settings(
        args.preset,
        not args.no_brain_mask,
        args.folds,
        args.seed,
        downsample=args.downsample,
        compute_maps=args.compute_maps,
        frame_s=args.frame_s,
        brain_masks=args.brain_masks is not None,
        cta=getattr(args, "cta", False),  # only of kinds that have one
    )
