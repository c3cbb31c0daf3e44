"""``strokesynth convert``: from the scans as downloaded to a data set in ``nnUNet_raw``."""

from __future__ import annotations

import argparse
import importlib
import logging
from collections import Counter
from pathlib import Path
from types import ModuleType

from tqdm import tqdm

from nnunetv2_strokesynth.ctp.mirror import (
    FLIPPED,
    REGISTERED,
)
from nnunetv2_strokesynth.dataset_conversion import raw_dataset
from nnunetv2_strokesynth.dataset_conversion.origin import describe
from nnunetv2_strokesynth.dataset_conversion.scans import (
    TRAIN,
    Scan,
    header_problems,
    raise_problems,
)
from nnunetv2_strokesynth.dataset_conversion.splits import check_folds

EXAMPLE = "strokesynth convert isles2018 /data/ISLES2018 -d 18 --workers 2"

# A kind's module has EXAMPLE, DATASET_ID, NAME, DESCRIPTION (dataset.json), PAPER_SPLIT (whether
# the folds are followed by a split like Wang et al. 2020's), find_scans(src) and convert(job), and
# what depends on its own options: add_options(parser), select_scans(found, args),
# patients_of(found, args), settings_of(args) and write_extras(folder, records, args).
KINDS: dict[str, str] = {
    "isles2018": "nnunetv2_strokesynth.dataset_conversion.Dataset018_ISLES2018",
    "isles2017": "nnunetv2_strokesynth.dataset_conversion.Dataset017_ISLES2017",
    "isles2024": "nnunetv2_strokesynth.dataset_conversion.Dataset024_ISLES2024",
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
        _add_common_options(subparser, module)
        module.add_options(subparser)


def _add_common_options(parser: argparse.ArgumentParser, module: ModuleType) -> None:
    add = parser.add_argument
    add(
        "src",
        metavar="SRC",
        type=Path,
        help="folder that holds the training and testing scans' folders, or one of them",
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
        "--no-brain-mask",
        action="store_true",
        help="keep what lies outside the brain",
    )
    add("--folds", type=int, default=5, help="folds of patients (default: %(default)s)")
    add("--seed", type=int, default=12345, help="of the folds (default: %(default)s)")
    add("--workers", type=int, default=2, help="scans at a time (default: %(default)s)")
    add("--overwrite", action="store_true", help="replace a data set that this command wrote")


def run(args: argparse.Namespace) -> None:
    """Check all scans, convert them, write the data set's files, and say what to type next."""
    module = importlib.import_module(KINDS[args.kind])
    if args.workers < 1:
        raise ValueError(f"--workers {args.workers}: expected at least 1")
    folder = raw_dataset.dataset_folder(args.dataset_id, args.name)
    found, problems = module.find_scans(args.src)
    scans = module.select_scans(found, args)
    for scan in tqdm(scans, desc="checking", unit="scan"):
        problems += header_problems(scan)
    raise_problems(problems)
    patients = module.patients_of(found, args)
    n_patients = len({patients[scan.case_id] for scan in scans if scan.split == TRAIN})
    if n_patients:
        check_folds(n_patients, args.folds)
    settings = module.settings_of(args)
    raw_dataset.prepare_folder(folder, scans, settings, overwrite=args.overwrite)
    records = raw_dataset.convert_cases(
        folder, scans, settings, convert=module.convert, workers=args.workers
    )
    paper = raw_dataset.write_dataset_files(
        folder,
        scans,
        settings,
        records=records,
        patients=patients,
        description=describe(module.DESCRIPTION, scans),
        with_paper_split=module.PAPER_SPLIT,
    )
    module.write_extras(folder, records, args)
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
    """Log what the records say; a line is left out where this kind of scan has no such thing."""
    train = [scan.case_id for scan in scans if scan.split == TRAIN]
    dwi = [records[case_id]["row"].get("dwi_present") for case_id in train]
    with_dwi = f", {dwi.count(True)} of them with a DWI," if {True, False} & set(dwi) else ""
    logger.info(
        "%d training scans of %d patients%s and %d testing scans in %s",
        len(train),
        n_patients,
        with_dwi,
        len(scans) - len(train),
        folder,
    )
    rows = [record["row"] for record in records.values()]
    rules = Counter(row["window_rule"] for row in rows if "window_rule" in row)
    if rules:
        logger.info(
            "perfusion windows: %s", ", ".join(f"{n} {rule}" for rule, n in rules.most_common())
        )
    mirrors = Counter(row["mirror_rule"] for row in rows if "mirror_rule" in row)
    if mirrors:
        logger.info(
            "mirrored channels: %d registered, %d plain flips",
            mirrors[REGISTERED],
            mirrors[FLIPPED],
        )
    if not train:
        logger.info("no training scans: predict with a trained model from %s", folder / "imagesTs")
        return
    if dwi.count(False) == len(train) and not mirrors:
        logger.info("no scan has a DWI, so StrokeSynthTrainer_NoDWI is the trainer to use")
