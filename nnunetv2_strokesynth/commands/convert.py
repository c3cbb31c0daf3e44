"""``strokesynth convert``: from the scans as downloaded to a data set in ``nnUNet_raw``."""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nnunetv2_strokesynth.commands.next_step import say_next
from nnunetv2_strokesynth.commands.trained_models import newest_model, predict_command
from nnunetv2_strokesynth.dataset_conversion.registry import KINDS, load_kind

if TYPE_CHECKING:
    from nnunetv2_strokesynth.dataset_conversion.kind import DatasetKind
    from nnunetv2_strokesynth.dataset_conversion.scans import Scan

EXAMPLE = "strokesynth convert isles2018 /data/ISLES2018 -d 18 --workers 2"

logger = logging.getLogger(__name__)


class Training(NamedTuple):
    """How a data set of one preset is trained.

    Attributes:
        configuration: of nnU-Net's plans.
        with_dwi: the trainer where some training scan has a DWI.
        without_dwi: the trainer where none has.
    """

    configuration: str
    with_dwi: str
    without_dwi: str


TRAININGS: dict[str, Training] = {
    "wang2020": Training("2d", "StrokeSynthTrainer", "StrokeSynthTrainer_NoDWI"),
    "song2018": Training("2d", "Song2018Trainer", "Song2018Trainer_AUNetCEGD"),
    "clerigues2019": Training("2d_patch64", "Clerigues2019Trainer", "Clerigues2019Trainer"),
    "real_dwi": Training("2d", "StrokeSynthTrainer_RealDWI", "StrokeSynthTrainer_RealDWI"),
    "isles2017": Training("2d", "Gomez2023Trainer_MRI", "Gomez2023Trainer_MRI"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One subcommand per kind of data set."""
    subparsers = parser.add_subparsers(
        dest="kind", required=True, metavar="KIND", parser_class=_KindParser
    )
    for name, entry in KINDS.items():
        subparsers.add_parser(name, help=entry.summary, description=entry.summary).kind = name


class _KindParser(argparse.ArgumentParser):
    """The parser of one kind; it adds the kind's options when the kind is chosen.

    Attributes:
        kind: a key of ``KINDS``; empty once its options are there.
    """

    kind = ""

    def parse_known_args(
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse as ``argparse`` does, with the kind's options."""
        if self.kind:
            kind, self.kind = load_kind(self.kind), ""
            self.epilog = f"example:\n  {kind.example}"
            self.formatter_class = argparse.RawDescriptionHelpFormatter
            _add_common_options(self, kind)
            kind.add_options(self)
        return super().parse_known_args(args, namespace)


def _add_common_options(parser: argparse.ArgumentParser, kind: DatasetKind) -> None:
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
        default=kind.dataset_id,
        help="nnU-Net data set id (default: %(default)s)",
    )
    add("--name", default=kind.name, help="data set name (default: %(default)s)")
    add(
        "--no-brain-mask",
        action="store_true",
        help="keep what lies outside the brain",
    )
    add("--folds", type=int, default=5, help="folds of patients (default: %(default)s)")
    add("--seed", type=int, default=12345, help="of the folds (default: %(default)s)")
    add("--workers", type=int, default=2, help="scans at a time (default: %(default)s)")
    add("--overwrite", action="store_true", help="replace a data set that this command wrote")
    if kind.has_curve:
        plots = "a picture of each time-intensity curve, in curves/"
        add("--plots", action="store_true", help=plots)


def run(args: argparse.Namespace) -> None:
    """Check all scans, convert them, write the data set's files, and say what to type next."""
    from tqdm import tqdm

    from nnunetv2_strokesynth.dataset_conversion.convert_cases import convert_cases
    from nnunetv2_strokesynth.dataset_conversion.dataset_files import write_dataset_files
    from nnunetv2_strokesynth.dataset_conversion.origin import describe
    from nnunetv2_strokesynth.dataset_conversion.raw_folder import dataset_folder, prepare_folder
    from nnunetv2_strokesynth.dataset_conversion.scans import (
        TRAIN,
        header_problems,
        raise_problems,
    )
    from nnunetv2_strokesynth.dataset_conversion.splits import check_folds

    kind = load_kind(args.kind)
    if args.workers < 1:
        raise ValueError(f"--workers {args.workers}: expected at least 1")
    folder = dataset_folder(args.dataset_id, args.name)
    found, problems = kind.find_scans(args.src)
    scans = kind.select_scans(found, args)
    for scan in tqdm(scans, desc="checking", unit="scan"):
        problems += header_problems(scan)
    raise_problems(problems)
    patients = kind.patients_of(found, args)
    n_patients = len({patients[scan.case_id] for scan in scans if scan.split == TRAIN})
    if n_patients:
        check_folds(n_patients, args.folds)
    settings = kind.settings_of(args)
    prepare_folder(folder, scans, settings, overwrite=args.overwrite)
    records = convert_cases(folder, scans, settings, convert=kind.convert, workers=args.workers)
    paper = write_dataset_files(
        folder,
        scans,
        settings,
        records=records,
        patients=patients,
        description=describe(kind.description, scans),
        with_paper_split=kind.paper_split,
    )
    if kind.has_curve and args.plots:
        _write_plots(folder, records)
    _summarise(folder, scans, records, n_patients=n_patients)
    if paper:
        logger.info(
            "fold %d is a split like Wang et al. 2020's: %d training, %d validation, %d test scans",
            args.folds,
            *(len(paper[group]) for group in ("train", "val", "test")),
        )
    if n_patients:
        _say_training(args.dataset_id, TRAININGS[settings.preset], _n_dwi(scans, records))
    else:
        _say_prediction(folder / "imagesTs", tuple(settings.channel_names.values()))


def _write_plots(folder: Path, records: dict[str, dict]) -> None:
    """Write ``curves/<case>.png`` for every case."""
    import numpy as np
    from tqdm import tqdm

    from nnunetv2_strokesynth.reporting.curve_plots import plot_curve

    for case_id, record in tqdm(records.items(), desc="curves", unit="plot"):
        row = record["row"]
        window = (row["t_start"], row["t_end"], row["window_rule"])
        path = folder / "curves" / f"{case_id}.png"
        plot_curve(path, case_id, np.array(record["curve"]), window=window)


def _n_dwi(scans: list[Scan], records: dict[str, dict]) -> int:
    """How many training scans have a DWI."""
    from nnunetv2_strokesynth.dataset_conversion.scans import TRAIN

    rows = [records[scan.case_id]["row"] for scan in scans if scan.split == TRAIN]
    return sum(row.get("dwi_present", False) for row in rows)


def _summarise(
    folder: Path, scans: list[Scan], records: dict[str, dict], *, n_patients: int
) -> None:
    """Log what the records say; a line is left out where the scans have nothing of the kind."""
    from nnunetv2_strokesynth.ctp.mirror import FLIPPED, REGISTERED
    from nnunetv2_strokesynth.dataset_conversion.scans import TRAIN

    n_train = sum(scan.split == TRAIN for scan in scans)
    n_dwi = _n_dwi(scans, records)
    knows_dwi = any("dwi_present" in record["row"] for record in records.values())
    logger.info(
        "%d training scans of %d patients%s and %d testing scans in %s",
        n_train,
        n_patients,
        f", {n_dwi} of them with a DWI," if n_train and knows_dwi else "",
        len(scans) - n_train,
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


def _say_training(dataset_id: int, training: Training, n_dwi: int) -> None:
    """Say which commands plan and train the data set, with the trainer that fits its DWIs."""
    if not n_dwi and training.without_dwi != training.with_dwi:
        logger.info(
            "no training scan has a DWI, which %s needs; %s needs none",
            training.with_dwi,
            training.without_dwi,
        )
    trainer = training.with_dwi if n_dwi else training.without_dwi
    say_next(
        ["nnUNetv2_plan_and_preprocess", "-d", dataset_id, "-c", "2d"],
        ["nnUNetv2_train", dataset_id, training.configuration, 0, "-tr", trainer, "--npz"],
    )


def _say_prediction(images: Path, channels: tuple[str, ...]) -> None:
    """Say which command predicts test scans: by the last model that reads these channels."""
    logger.info("no training scans: predict with a trained model from %s", images)
    model = newest_model([channels])
    if model is not None:
        say_next(predict_command(model, images, Path("predictions")))
