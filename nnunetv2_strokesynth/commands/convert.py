"""``strokesynth convert``: from the scans as downloaded to a data set in ``nnUNet_raw``."""

from __future__ import annotations

import argparse
import logging
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nnunetv2_strokesynth.commands.fingerprint import plan_command, renew
from nnunetv2_strokesynth.commands.next_step import say_next
from nnunetv2_strokesynth.commands.trained_models import newest_model, predict_command
from nnunetv2_strokesynth.dataset_conversion.registry import KINDS, load_kind

if TYPE_CHECKING:
    from nnunetv2_strokesynth.dataset_conversion.conversion import Conversion
    from nnunetv2_strokesynth.dataset_conversion.kind import DatasetKind

EXAMPLE = "strokesynth convert isles2018 /data/ISLES2018 -d 18 --workers 2"

logger = logging.getLogger(__name__)


class Training(NamedTuple):
    """How a data set of one preset is trained.

    Attributes:
        configuration: of nnU-Net's plans.
        with_dwi: the trainer where some training scan has a DWI.
        without_dwi: the trainer where none has.
        planned: the configuration that nnU-Net plans for it.
        planner: of nnU-Net, and the name of its plans; empty for its standard ones.
    """

    configuration: str
    with_dwi: str
    without_dwi: str
    planned: str = "2d"
    planner: tuple[str, str] = ("", "")


TRAININGS: dict[str, Training] = {
    "wang2020": Training("2d", "StrokeSynthTrainer", "StrokeSynthTrainer_NoDWI"),
    "song2018": Training("2d", "Song2018Trainer", "Song2018Trainer_AUNetCEGD"),
    "clerigues2019": Training("2d_patch64", "Clerigues2019Trainer", "Clerigues2019Trainer"),
    "real_dwi": Training("2d", "StrokeSynthTrainer_RealDWI", "StrokeSynthTrainer_RealDWI"),
    "isles2024": Training(
        "3d_fullres",
        "StrokeSynthTrainer_Stock",
        "StrokeSynthTrainer_Stock",
        planned="3d_fullres",
        planner=("nnUNetPlannerResEncL", "nnUNetResEncUNetLPlans"),
    ),
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


def kind_parser(name: str) -> argparse.ArgumentParser:
    """The parser of the words after a kind, a key of ``KINDS``; its options come when it parses."""
    parser = _KindParser(prog=f"strokesynth convert {name}")
    parser.kind = name
    return parser


def kind_arguments(name: str, words: Sequence[str]) -> argparse.Namespace:
    """What ``strokesynth convert`` makes of the words after a kind, a key of ``KINDS``."""
    return kind_parser(name).parse_args(words)


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
    add("--folds", type=int, default=5, help="number of folds of patients (default: %(default)s)")
    add("--seed", type=int, default=12345, help="seed of the folds (default: %(default)s)")
    add("--workers", type=int, default=2, help="scans converted at a time (default: %(default)s)")
    add(
        "--skip-incomplete",
        action="store_true",
        help="leave out scans that lack a file, with a warning, instead of stopping",
    )
    add(
        "--skip-broken",
        action="store_true",
        help="leave out scans that cannot be used, and list them, instead of stopping",
    )
    add("--overwrite", action="store_true", help="replace a data set that this command wrote")
    if kind.has_curve:
        plots = "write a picture of each time-intensity curve to curves/"
        add("--plots", action="store_true", help=plots)


def run(args: argparse.Namespace) -> None:
    """Convert the scans, say what was found, and what to type next."""
    from nnunetv2_strokesynth.dataset_conversion.conversion import convert_data_set

    kind = load_kind(args.kind)
    made = convert_data_set(kind, args)
    if kind.has_curve and args.plots:
        _write_plots(made)
    _summarise(made)
    _list_skipped(made)
    if made.training:
        is_prepared = _prepare_planning(made.folder, made.training)
        if made.unoutlined:
            _say_outlining(args.dataset_id)
            return
        training = TRAININGS[made.settings.preset]
        if made.settings.cta:
            logger.info(
                "the channel CTA is read by trainers that take all channels, such as nnUNetTrainer "
                "and StrokeSynthTrainer_Stock; those that pick channels by name leave it out"
            )
        _say_training(args.dataset_id, training, made.n_dwi, is_prepared=is_prepared)
    else:
        _say_prediction(made.folder / "imagesTs", tuple(made.settings.channel_names.values()))


def _write_plots(made: Conversion) -> None:
    """Write ``curves/<case>.png`` for every case, and all of them on contact sheets."""
    import numpy as np

    from nnunetv2_strokesynth.io.progress import progress
    from nnunetv2_strokesynth.reporting.curve_figure import ScanCurve, plot_curve, plot_sheets

    scans, folder = [], made.folder / "curves"
    for case_id, record in made.records.items():
        row = record["row"]
        window = (row["t_start"], row["t_end"], row["window_rule"])
        # Records of earlier versions have neither voxels nor times.
        voxels, times = record.get("curve_voxels"), record.get("curve_times_s")
        scans.append(ScanCurve(case_id, np.array(record["curve"]), window, voxels, times))
    for scan in progress(scans, desc="curves", unit="plot"):
        plot_curve(folder / f"{scan.case_id}.png", scan)
    for path in plot_sheets(folder, scans):
        logger.info("all curves: %s", path)


def _summarise(made: Conversion) -> None:
    """Log what the records say; a line is left out where the scans have nothing of the kind."""
    from nnunetv2_strokesynth.ctp.mirror import FLIPPED, REGISTERED

    rows = [record["row"] for record in made.records.values()]
    knows_dwi = made.training and any("dwi_present" in row for row in rows)
    logger.info(
        "%d training scans of %d patients%s%s and %d testing scans in %s",
        len(made.training),
        made.n_patients,
        f", {made.n_dwi} of them with a DWI," if knows_dwi else "",
        f" {len(made.unoutlined)} scans without an outline," if made.unoutlined else "",
        len(made.scans) - len(made.training) - len(made.unoutlined),
        made.folder,
    )
    rules = Counter(row["window_rule"] for row in rows if "window_rule" in row)
    if rules:
        counts = ", ".join(f"{n} {rule}" for rule, n in rules.most_common())
        logger.info("perfusion windows: %s", counts)
    mirrors = Counter(row["mirror_rule"] for row in rows if "mirror_rule" in row)
    if mirrors:
        logger.info(
            "mirrored channels: %d registered, %d plain flips",
            mirrors[REGISTERED],
            mirrors[FLIPPED],
        )
    if made.paper:
        logger.info(
            "fold %d is a split like Wang et al. 2020's: %d training, %d validation, %d test scans",
            made.settings.folds,
            *(len(made.paper[group]) for group in ("train", "val", "test")),
        )


def _list_skipped(made: Conversion) -> None:
    """Log which scans were left out, and why; nothing if there are none."""
    if not made.skipped:
        return
    case_ids = {fault.case_id for fault in made.skipped}
    logger.warning(
        "warning: %d of %d scans cannot be used and were left out; repair or copy them again, and "
        "the same command adds them:",
        len(case_ids),
        len(case_ids) + len(made.scans),
    )
    for fault in made.skipped:
        where = f" ({fault.source})" if fault.source else ""
        logger.warning("  %s%s, %s: %s", fault.case_id, where, fault.file or "no file", fault.why)


def _prepare_planning(folder: Path, training: list[str]) -> bool:
    """Write nnU-Net's fingerprint of the data set, if nnU-Net's folder for it is known.

    Args:
        folder: the data set's folder in ``nnUNet_raw``.
        training: its training cases.

    Returns:
        Whether nothing is left for ``strokesynth fingerprint`` to do. Something is left where the
        folder holds outdated plans: the fingerprint goes when the user deletes it, as told.
    """
    from nnunetv2_strokesynth.dataset_conversion.fingerprint import NoForegroundError
    from nnunetv2_strokesynth.dataset_conversion.planned_before import outdated_plans

    preprocessed = os.environ.get("nnUNet_preprocessed")
    if not preprocessed:
        logger.info("nnUNet_preprocessed is not set; set it before you plan")
        return False
    try:
        renew(folder, Path(preprocessed))
    except NoForegroundError as error:
        logger.warning("warning: %s", error)
    return not outdated_plans(folder, training)


def _say_training(dataset_id: int, training: Training, n_dwi: int, *, is_prepared: bool) -> None:
    """Say which commands plan and train the data set, with the trainer that fits its DWIs."""
    if not n_dwi and training.without_dwi != training.with_dwi:
        logger.info(
            "no training scan has a DWI, which %s needs; %s needs none",
            training.with_dwi,
            training.without_dwi,
        )
    trainer = training.with_dwi if n_dwi else training.without_dwi
    planner, plans = training.planner
    train = ["nnUNetv2_train", dataset_id, training.configuration, 0, "-tr", trainer]
    prepare = [] if is_prepared else [["strokesynth", "fingerprint", "-d", dataset_id]]
    say_next(
        *prepare,
        plan_command(dataset_id, configuration=training.planned, planner=planner),
        [*train, *(["-p", plans] if plans else []), "--npz"],
    )


def _say_outlining(dataset_id: int) -> None:
    """Say how the scans without an outline get one."""
    new = dataset_id + 100 if dataset_id < 899 else dataset_id - 100
    say_next(["strokesynth", "outline", "-d", dataset_id, "-o", new])


def _say_prediction(images: Path, channels: tuple[str, ...]) -> None:
    """Say which command predicts test scans: by the last model that reads these channels."""
    logger.info("no training scans: predict with a trained model from %s", images)
    model = newest_model([channels])
    if model is not None:
        say_next(predict_command(model, images, Path("predictions")))
