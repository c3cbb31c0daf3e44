"""What the readers' agreement says about their outlines: which ``--min-agreement`` to ask for.

    python -m benchmarks.arena.agreement FOLDER --outlined 20 --folds 0 --device cpu

FOLDER is an arena in which ``benchmarks.arena.few_outlines`` has trained readers. They outline the
DWIs of the held-out scans, of which the phantom knows the lesion, with 0 outside the brain, as the
converter writes the DWIs that readers learn from and outline. For each threshold, the table has
the share of the scans whose outline would be used, and the Dice of these. Choose on the vendors
that the readers have learned from, and report on those left out.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import SimpleITK as sitk
from scipy.stats import spearmanr

from benchmarks.arena.data import NAME, brain_of, held_out_groups, truth_folder
from benchmarks.arena.few_data import Few, few_of
from benchmarks.arena.few_readers import ReaderWork, one_core, trained_readers
from benchmarks.arena.run import settings_of
from nnunetv2_strokesynth.evaluation.cases import case_files
from nnunetv2_strokesynth.evaluation.matching import find_maps
from nnunetv2_strokesynth.evaluation.metrics import dice
from nnunetv2_strokesynth.evaluation.tables import markdown_grid
from nnunetv2_strokesynth.evaluation.volumes import read_mask
from nnunetv2_strokesynth.io.atomic import atomic_file
from nnunetv2_strokesynth.io.image_file import write_image
from nnunetv2_strokesynth.nnunet_commands import environment, run_command
from nnunetv2_strokesynth.outlining.consensus import consensus_of
from nnunetv2_strokesynth.outlining.outlines import read_probability

THRESHOLDS = (0.0, *(round(0.05 * step, 2) for step in range(6, 20)))
HEADER = ("at least", "used %", "Dice % of the used", "below 50 % among the used",
          "Dice % of those left out", "lesion volume used %")  # fmt: skip


class _Outline(NamedTuple):
    """One held-out scan, as the readers of a fold outline it."""

    case_id: str
    fold: int
    outlined: int
    agreement: float
    dice: float
    found: bool  # any lesion
    voxels: int  # of the true lesion


def outlines_of(few: Few, fold: int, device: str) -> list[_Outline]:
    """Let the readers of a fold outline the held-out scans; what they have done is kept."""
    work = trained_readers(few, fold, device)
    images = work.run.raw / "held_out"
    truth = truth_folder(few.arena)
    dwis = case_files(truth / "dwi")
    maps = find_maps([*dwis], few.arena / "nnUNet_raw" / NAME / "imagesTs")
    for case_id, path in dwis.items():
        write_as_converted(path, maps[case_id], images / f"{case_id}_0000.nii.gz")
    labels = case_files(truth / "labels")
    for reader in work.readers.all:
        _predict(work, reader.number, images, sorted(labels))
    found = []
    for case_id, path in labels.items():
        made = consensus_of(
            [read_probability(_folder(work, reader.number), case_id) for reader in work.readers.all]
        )
        lesion = read_mask(path).array
        found.append(
            _Outline(
                case_id,
                fold,
                len(few.chosen.outlined),
                made.agreement,
                dice(lesion, made.outline),
                bool(made.outline.any()),
                int(lesion.sum()),
            )
        )
    return found


def write_as_converted(dwi: Path, maps: Sequence[Path], path: Path) -> None:
    """A DWI with 0 outside the brain, which the maps of the same scan tell."""
    image = sitk.ReadImage(str(dwi))
    masked = sitk.GetImageFromArray(np.where(brain_of(maps), sitk.GetArrayFromImage(image), 0))
    masked.CopyInformation(image)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, masked)


def _folder(work: ReaderWork, number: int) -> Path:
    return work.run.raw / "held_out_outlines" / f"reader_{number:02d}"


def _predict(work: ReaderWork, number: int, images: Path, case_ids: list[str]) -> None:
    output = _folder(work, number)
    if all((output / f"{case_id}.npz").is_file() for case_id in case_ids):
        return
    run = work.run
    command = ["nnUNetv2_predict", "-d", str(run.number), "-c", run.configuration]
    command += ["-tr", run.trainer, "-f", str(number), "-i", str(images), "-o", str(output)]
    command += ["--save_probabilities", "-npp", "1", "-nps", "1", "-device", run.device]
    words, variables = one_core(command, environment(work.few.readers), run.device)
    log_file = run.raw / "logs" / f"held_out_{number:02d}.txt"
    run_command(words, variables, log_file=log_file, shown={})


def table(outlines: pd.DataFrame) -> str:
    """A row for each threshold, as a GitHub table.

    Args:
        outlines: ``agreement``, ``dice``, ``found`` and ``voxels`` of each scan and fold.
    """
    rows = []
    for threshold in THRESHOLDS:
        is_used = (outlines["agreement"] >= threshold) & outlines["found"]
        used, left_out = outlines[is_used], outlines[~is_used]
        rows.append(
            [
                f"{threshold:g}",
                f"{100 * is_used.mean():.0f}",
                _percent(used["dice"]),
                f"{100 * (used['dice'] < 0.5).mean():.0f} %" if len(used) else "",
                _percent(left_out["dice"]),
                f"{100 * used['voxels'].sum() / max(1, outlines['voxels'].sum()):.0f}",
            ]
        )
    return markdown_grid(HEADER, rows)


def _percent(values: pd.Series) -> str:
    return f"{100 * values.mean():.1f}" if len(values) else ""


def page(outlines: pd.DataFrame, groups: dict[str, set[str]]) -> str:
    """The tables of each number of outlines and group of vendors."""
    parts = []
    for n_outlined, own in outlines.groupby("outlined"):
        for title, group in groups.items():
            chosen = own[own["case_id"].isin(group)]
            rho = spearmanr(chosen["agreement"], chosen["dice"]).statistic
            parts.append(
                f"Readers of {n_outlined} outlines, {title}: {len(chosen)} outlines; rank "
                f"correlation of agreement and Dice {rho:.2f}.\n\n{table(chosen)}"
            )
    return "\n".join(parts)


def main() -> None:
    """Outline what is missing, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--outlined", type=int, nargs="+", default=[20], help="(20)")
    parser.add_argument("--folds", type=int, nargs="+", default=[0], help="(0)")
    parser.add_argument("--device", default="cuda", help="default: %(default)s")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arena = args.folder.resolve()
    rows: list[_Outline] = []
    for n_outlined in args.outlined:
        few = few_of(arena, n_outlined, 0)
        for fold in args.folds:
            rows += outlines_of(few, fold, args.device)
    outlines = pd.DataFrame(rows)
    with atomic_file(arena / "few" / "agreement.csv") as temporary:
        outlines.to_csv(temporary, index=False)
    groups = held_out_groups(np.unique(outlines["case_id"]), arena, settings_of(arena, {}))
    sys.stdout.write(page(outlines, groups))


if __name__ == "__main__":
    main()
