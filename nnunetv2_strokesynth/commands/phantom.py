"""``strokesynth phantom``: a simulated data set in the layout of an ISLES release."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from nnunetv2_strokesynth.commands.next_step import Words, say_next

if TYPE_CHECKING:
    from nnunetv2_strokesynth.phantom.plan import PhantomSettings

EXAMPLE = "strokesynth phantom ./phantom --cases 40 --test-cases 10 --size 96 --seed 0"
# Those of `phantom.dataset`, which takes long to import.
LAYOUT_NAMES = ("isles2018", "isles2017", "isles2024")
_FOLDS = 5  # of ``strokesynth convert``, where it is not told otherwise

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder to write, the layout, and which scans."""
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write into")
    parser.add_argument(
        "--layout",
        choices=LAYOUT_NAMES,
        default="isles2018",
        help="isles2018: CT perfusion; isles2017: perfusion and diffusion MRI; isles2024: CT "
        "perfusion of the whole brain, and a DWI at follow-up (isles2018)",
    )
    parser.add_argument("--cases", type=int, required=True, metavar="N", help="training scans")
    parser.add_argument("--test-cases", type=int, default=0, metavar="M", help="test scans (0)")
    parser.add_argument(
        "--size", type=int, default=256, help="pixels along x and y; ISLES 2024 has 512 (256)"
    )
    parser.add_argument("--seed", type=int, default=0, help="equal seeds give equal bytes (0)")
    parser.add_argument(
        "--dwi",
        action=argparse.BooleanOptionalAction,
        help="write a DWI for each training scan, as in ISLES 2018's first release (MR_DWI) and in "
        "ISLES 2024 (with its ADC) (on)",
    )
    parser.add_argument(
        "--orientation",
        metavar="ORDER",
        help="one order of axes for all files, such as LPS or LAS; isles2024 only (mixed: several, "
        "as in the release)",
    )
    for option, what in (
        ("--vendors", "vendors of the CT scanners, mixed patient by patient (A B C D)"),
        ("--test-vendors", "those of the test scans (the same)"),
    ):
        parser.add_argument(option, nargs="+", metavar="V", help=what)
    parser.add_argument(
        "--truth",
        action="store_true",
        help="write the true CBF, CBV, MTT, Tmax and delay of each CT scan, too",
    )
    parser.add_argument(
        "--defects",
        action="store_true",
        help="give training patients 1 to 12 the known defects of ISLES 2024, which phantom.json "
        "lists; isles2024 only",
    )
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.add_argument("--max-slices", type=int, metavar="K", help="at most K slices a scan")
    parser.add_argument("--overwrite", action="store_true", help="replace a phantom that is in OUT")


def run(args: argparse.Namespace) -> None:
    """Write the phantom, and say how to convert it."""
    from nnunetv2_strokesynth.phantom.dataset import write_phantom

    settings = _settings(args)
    write_phantom(
        args.out,
        args.cases,
        args.test_cases,
        settings,
        workers=args.workers,
        overwrite=args.overwrite,
    )
    logger.info("wrote %d training and %d test scans to %s", args.cases, args.test_cases, args.out)
    say_next(_next_command(args, settings))


def _settings(args: argparse.Namespace) -> PhantomSettings:
    """The phantom that the user asks for; refuses what its layout does not have."""
    from nnunetv2_strokesynth.phantom.dataset import LAYOUTS
    from nnunetv2_strokesynth.phantom.plan import MIXED, PhantomSettings
    from nnunetv2_strokesynth.phantom.vendors import VENDOR_NAMES

    if args.dwi is not None and "dwi" not in LAYOUTS[args.layout].settings:
        raise ValueError(f"--dwi, --no-dwi: {args.layout} has no DWI to write or to leave out")
    dwi = args.dwi is not False
    if args.orientation and "orientation" not in LAYOUTS[args.layout].settings:
        raise ValueError(
            f"--orientation: the headers of {args.layout} do not say how the head lies, so there "
            "is one order only; leave it out, or use --layout isles2024"
        )
    orientation = args.orientation or MIXED
    for option in ("vendors", "test_vendors", "truth"):
        if getattr(args, option) and option not in LAYOUTS[args.layout].settings:
            raise ValueError(
                f"--{option.replace('_', '-')}: {args.layout} has no CT scanner; leave it out, or "
                "use --layout isles2018 or isles2024"
            )
    return PhantomSettings(
        args.size,
        args.seed,
        dwi,
        args.max_slices,
        args.layout,
        orientation,
        vendors=tuple(args.vendors or VENDOR_NAMES),
        test_vendors=tuple(args.test_vendors or ()),
        truth=args.truth,
        defects=args.defects,
    )


def _next_command(args: argparse.Namespace, settings: PhantomSettings) -> Words:
    """The conversion; for a single patient, which cannot be converted, a larger phantom."""
    from nnunetv2_strokesynth.phantom.dataset import LAYOUTS
    from nnunetv2_strokesynth.phantom.layout import TRAINING

    plans = LAYOUTS[args.layout].plan(settings, args.cases, args.test_cases)
    n_patients = len({plan.patient for plan in plans[TRAINING]})
    if n_patients == 1:
        return ["strokesynth", "phantom", args.out, *_options(args, settings), "--overwrite"]
    options = [] if n_patients >= _FOLDS else ["--folds", n_patients]
    options += ["--skip-broken"] if settings.defects else []
    return ["strokesynth", "convert", args.layout, args.out, *options]


def _options(args: argparse.Namespace, settings: PhantomSettings) -> list[object]:
    """What the user asked for, with enough training scans for the default folds."""
    options = ["--layout", args.layout, "--cases", 2 * _FOLDS, "--test-cases", args.test_cases]
    options += ["--size", args.size, "--seed", args.seed, "--workers", args.workers]
    options += [] if args.max_slices is None else ["--max-slices", args.max_slices]
    options += [] if args.orientation is None else ["--orientation", args.orientation]
    options += ["--vendors", *args.vendors] if args.vendors else []
    options += ["--test-vendors", *args.test_vendors] if args.test_vendors else []
    options += ["--truth"] if args.truth else []
    return options + ([] if settings.dwi else ["--no-dwi"])
