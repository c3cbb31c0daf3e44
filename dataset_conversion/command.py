"""``strokesynth convert``: from the scans as downloaded to a data set in ``nnUNet_raw``."""

from __future__ import annotations

import argparse
import importlib
import logging
from collections import Counter
from pathlib import Path
from types import ModuleType

from tqdm import tqdm

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.dataset_conversion import raw_dataset
from nnunetv2_strokesynth.dataset_conversion.case import can_build
from nnunetv2_strokesynth.dataset_conversion.origin import describe
from nnunetv2_strokesynth.dataset_conversion.patients import assign_patients
from nnunetv2_strokesynth.dataset_conversion.scans import (
    DWI,
    TRAIN,
    Scan,
    header_problems,
    raise_problems,
    with_dwi,
)
from nnunetv2_strokesynth.dataset_conversion.splits import check_folds

HELP = "convert a public data set into nnU-Net's raw format"
EXAMPLE = "strokesynth convert isles2018 /data/ISLES2018 -d 18 --workers 2"

# A kind's module has EXAMPLE, DATASET_ID, NAME, PATIENTS_FILE, DESCRIPTION (for dataset.json),
# NO_DWI (where a DWI could come from) and find_scans(src).
KINDS: dict[str, str] = {
    "isles2018": "nnunetv2_strokesynth.dataset_conversion.Dataset018_ISLES2018",
}

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One subcommand per kind of data set."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    for kind, path in KINDS.items():
        module = importlib.import_module(path)
        summary = (module.__doc__ or "").splitlines()[0]
        subparser = kinds.add_parser(
            kind,
            help=summary,
            description=summary,
            epilog=f"example:\n  {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        _add_options(subparser, module)


def _add_options(parser: argparse.ArgumentParser, module: ModuleType) -> None:
    presets = [name for name, preset in PRESETS.items() if can_build(preset)]
    add = parser.add_argument
    add(
        "src",
        metavar="SRC",
        type=Path,
        help="folder that holds TRAINING and TESTING, or one of them",
    )
    add(
        "-d",
        dest="dataset_id",
        metavar="ID",
        type=int,
        default=module.DATASET_ID,
        help="nnU-Net data set id (default: %(default)s)",
    )
    add("--name", default=module.NAME, help="data set name (default: %(default)s)")
    add(
        "--preset",
        choices=presets,
        default=presets[0],
        help="which channels to write (default: %(default)s)",
    )
    add(
        "--no-brain-mask",
        action="store_true",
        help="keep what lies outside the brain, as Wang et al. 2020 do",
    )
    add(
        "--patients",
        metavar="FILE",
        type=Path,
        help="JSON or CSV (case,patient), for scans without sidecars",
    )
    add("--folds", type=int, default=5, help="folds of patients (default: %(default)s)")
    add("--seed", type=int, default=12345, help="of the folds (default: %(default)s)")
    add("--plots", action="store_true", help="a picture of each time-intensity curve, in curves/")
    add("--workers", type=int, default=2, help="scans at a time (default: %(default)s)")
    add("--overwrite", action="store_true", help="replace a data set that this command wrote")


def run(args: argparse.Namespace) -> None:
    """Check all scans, convert them, write the data set's files, and say what to type next."""
    module = importlib.import_module(KINDS[args.kind])
    if args.workers < 1:
        raise ValueError(f"--workers {args.workers}: expected at least 1")
    folder = raw_dataset.dataset_folder(args.dataset_id, args.name)
    found, problems = module.find_scans(args.src)
    scans = with_dwi(found, module.NO_DWI) if DWI in PRESETS[args.preset].names else found
    for scan in tqdm(scans, desc="checking", unit="scan"):
        problems += header_problems(scan)
    raise_problems(problems)
    # Of all scans: the built-in map is recognised by the complete set of cases.
    patients = assign_patients(found, args.patients, module.PATIENTS_FILE)
    n_patients = len({patients[scan.case_id] for scan in scans if scan.split == TRAIN})
    if n_patients:
        check_folds(n_patients, args.folds)
    settings = raw_dataset.Settings(args.preset, not args.no_brain_mask, args.folds, args.seed)
    raw_dataset.prepare_folder(folder, scans, settings, overwrite=args.overwrite)
    records = raw_dataset.convert_cases(folder, scans, settings, workers=args.workers)
    paper = raw_dataset.write_dataset_files(
        folder,
        scans,
        settings,
        records=records,
        patients=patients,
        description=describe(module.DESCRIPTION, scans),
    )
    if args.plots:
        raw_dataset.write_plots(folder, records)
    _summarise(folder, scans, records, n_patients=n_patients)
    if paper:
        logger.info(
            "fold %d is a split like Wang et al. 2020's: %d training, %d validation, %d test scans",
            args.folds,
            *(len(paper[group]) for group in ("train", "val", "test")),
        )
    if n_patients:
        logger.info("next: nnUNetv2_plan_and_preprocess -d %d -c 2d", args.dataset_id)


def _summarise(
    folder: Path, scans: list[Scan], records: dict[str, dict], *, n_patients: int
) -> None:
    train = [scan.case_id for scan in scans if scan.split == TRAIN]
    n_dwi = sum(records[case_id]["row"]["dwi_present"] for case_id in train)
    rules = Counter(record["row"]["window_rule"] for record in records.values())
    logger.info(
        "%d training scans of %d patients, %d of them with a DWI, and %d testing scans in %s",
        len(train),
        n_patients,
        n_dwi,
        len(scans) - len(train),
        folder,
    )
    logger.info(
        "perfusion windows: %s", ", ".join(f"{n} {rule}" for rule, n in rules.most_common())
    )
    if not train:
        logger.info("no training scans: predict with a trained model from %s", folder / "imagesTs")
        return
    if n_dwi == 0:
        logger.info("no scan has a DWI, so StrokeSynthTrainer_NoDWI is the trainer to use")
