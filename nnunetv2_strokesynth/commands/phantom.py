"""``strokesynth phantom``: a simulated data set in the layout of an ISLES release."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from nnunetv2_strokesynth.phantom.dataset import (
    LAYOUTS,
    write_phantom,
)
from nnunetv2_strokesynth.phantom.plan import PhantomSettings

EXAMPLE = "strokesynth phantom ./phantom --cases 40 --test-cases 10 --size 96 --seed 0"

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "out", type=Path, metavar="OUT", help="folder to write into (TRAINING/ ...)"
    )
    parser.add_argument(
        "--layout",
        choices=LAYOUTS,
        default="isles2018",
        help="isles2018: CT perfusion; isles2017: perfusion and diffusion MRI; isles2024: CT "
        "perfusion of the whole brain, and a DWI at follow-up (isles2018)",
    )
    parser.add_argument("--cases", type=int, required=True, metavar="N", help="training scans")
    parser.add_argument("--test-cases", type=int, default=0, metavar="M", help="test scans (0)")
    parser.add_argument(
        "--size", type=int, default=256, help="pixels along x and y; ISLES 2024 has 512 (256)"
    )
    parser.add_argument("--seed", type=int, default=0, help="same seed, same bytes (0)")
    parser.add_argument(
        "--dwi",
        action=argparse.BooleanOptionalAction,
        help="write a DWI for each training scan, as ISLES 2018's first release (MR_DWI) and ISLES "
        "2024 (with its ADC) have it (on)",
    )
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.add_argument("--max-slices", type=int, metavar="K", help="at most K slices a scan")
    parser.add_argument("--overwrite", action="store_true", help="replace a phantom in OUT")


def run(args: argparse.Namespace) -> None:
    if args.dwi is not None and "dwi" not in LAYOUTS[args.layout].settings:
        raise ValueError(f"--dwi, --no-dwi: {args.layout} has no DWI to write or to leave out")
    dwi = args.dwi is not False
    settings = PhantomSettings(args.size, args.seed, dwi, args.max_slices, args.layout)
    write_phantom(
        args.out,
        args.cases,
        args.test_cases,
        settings,
        workers=args.workers,
        overwrite=args.overwrite,
    )
    logger.info("wrote %d training and %d test scans to %s", args.cases, args.test_cases, args.out)
