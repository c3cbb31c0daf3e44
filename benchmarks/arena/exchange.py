"""Does the segmenter rely on the pseudo-DWI? It is exchanged, and the lesion is predicted anew.

    python -m benchmarks.arena.exchange ARENA_FOLDER [--methods strokesynth] [--folds 0]
    python -m benchmarks.arena.exchange --model MODEL --images IMAGES --truth TRUTH [--folds 0]

TRUTH holds ``labels`` and ``dwi`` of the scans in IMAGES. In place of its own pseudo-DWI each scan
gets, one after the other, that of another patient (of the next one in the list), its own brain's
median everywhere in the brain, and its real DWI on the scale that the generator learned. All other
channels stay. Printed are Dice, predicted volume and the paired difference to the scan's own
pseudo-DWI, and how much of the prediction follows: of the voxels that the prediction with the own
image and what the exchanged image stands for tell apart, the share that goes with the latter. That
is the other patient's lesion as predicted for him, no lesion, or the true one. A segmenter that
ignores the image has 0 %, one that sees nothing else nearly 100 %.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from benchmarks.arena.data import NAME, held_out_groups, held_out_patients, truth_folder
from benchmarks.arena.exchanged_image import (
    CONSTANT,
    OTHER,
    OWN,
    REAL,
    Exchange,
    Scan,
    exchanged_images,
    follows,
)
from benchmarks.arena.fold_run import CANDIDATES, begun_runs
from benchmarks.arena.methods import METHODS
from benchmarks.arena.run import settings_of
from nnunetv2_strokesynth.evaluation.cases import case_files
from nnunetv2_strokesynth.evaluation.matching import find_maps
from nnunetv2_strokesynth.evaluation.metrics import dice, volume_ml
from nnunetv2_strokesynth.evaluation.statistics import paired_difference
from nnunetv2_strokesynth.evaluation.tables import markdown_grid
from nnunetv2_strokesynth.inference.predictor import load_predictor
from nnunetv2_strokesynth.nnunet_commands import EXT_TRAINER, users_environment

HEADER = (
    "pseudo-DWI",
    "scans",
    "Dice %",
    "difference to own [95 %]",
    "predicted mL",
    "difference to own [95 %]",
    "prediction follows, %",
)


def partners_of(scans: Sequence[str], patients: Mapping[str, str]) -> dict[str, str]:
    """Scan -> the next scan of another patient in the list, which begins again at its end.

    Args:
        scans: their names.
        patients: scan -> patient; a scan that is not named is its patient's only one.

    Raises:
        ValueError: all scans are of one patient.
    """
    found = {}
    for k, scan in enumerate(scans):
        following = [*scans[k + 1 :], *scans[:k]]
        others = [s for s in following if patients.get(s, s) != patients.get(scan, scan)]
        if not others:
            raise ValueError(f"{scan}: no scan of another patient among {', '.join(scans)}")
        found[scan] = others[0]
    return found


def measure(
    exchange: Exchange, scans: Mapping[str, Scan], patients: Mapping[str, str]
) -> pd.DataFrame:
    """A row for each scan and image: Dice %, mL, share that follows; see ``partners_of``."""
    rows = []
    partners = partners_of([*scans], patients)
    logits = {
        case_id: exchange.predict(scan, scan.own)
        for case_id, scan in tqdm(scans.items(), "own pseudo-DWI", unit="scan")
    }
    lesions = {case_id: found[1:].max(axis=0) > found[0] for case_id, found in logits.items()}
    for case_id, scan in tqdm(scans.items(), "exchanged", unit="scan"):
        partner = partners[case_id]
        rows.append(_row(exchange, scan, logits[case_id]) | {"case_id": case_id, "image": OWN})
        images = exchanged_images(scan, scans[partner], lesions[partner])
        for name, (image, shown) in images.items():
            found = exchange.predict(scan, image)
            after = found[1:].max(axis=0) > found[0]
            row = _row(exchange, scan, found) | {"case_id": case_id, "image": name}
            rows.append(row | {"follows": 100 * follows(lesions[case_id], after, shown)})
    return pd.DataFrame(rows)


def _row(exchange: Exchange, scan: Scan, logits: np.ndarray) -> dict[str, float]:
    lesion = exchange.on_file(logits, scan)
    return {
        "dice": 100 * dice(scan.lesion, lesion),
        "volume_ml": volume_ml(lesion, scan.spacing_mm),
        "follows": float("nan"),
    }


def table(found: pd.DataFrame) -> list[list[str]]:
    """The rows of the table, the own pseudo-DWI first."""
    by_image = {column: found.pivot_table(index="case_id", columns="image", values=column)
                for column in ("dice", "volume_ml")}  # fmt: skip
    rows = []
    for name in (OWN, OTHER, CONSTANT, REAL):
        cells = [name, str(len(by_image["dice"]))]
        for values in by_image.values():
            cells.append(f"{values[name].mean():.1f}")
            change = paired_difference(values[name].to_numpy(), values[OWN].to_numpy())
            interval = f"{change.mean:+.1f} [{change.low:+.1f} to {change.high:+.1f}]"
            cells.append("" if name == OWN else interval)
        share = found.loc[found["image"] == name, "follows"].mean()
        rows.append([*cells, "" if np.isnan(share) else f"{share:.0f}"])
    return rows


def exchange_model(
    model: Path,
    images: Path,
    truth: Path,
    *,
    folds: Sequence[str],
    device: str,
    patients: Mapping[str, str],
) -> pd.DataFrame:
    """All scans of a folder with a label and a DWI, for one trained model; see ``measure``."""
    os.environ[EXT_TRAINER] = f"{users_environment()[EXT_TRAINER]}{os.pathsep}{CANDIDATES}"
    predictor = load_predictor(model, folds=folds, device=torch.device(device))
    exchange = Exchange(predictor)
    n_channels = len(predictor.dataset_json["channel_names"])
    ending = predictor.dataset_json["file_ending"]
    labels, dwis = case_files(truth / "labels"), case_files(truth / "dwi")
    maps = find_maps([*labels], images)
    scans = {}
    for case_id in tqdm(sorted(set(labels) & set(dwis)), "pseudo-DWI", unit="scan"):
        files = [images / f"{case_id}_{number:04d}{ending}" for number in range(n_channels)]
        scans[case_id] = exchange.read(files, labels[case_id], dwis[case_id], maps.get(case_id, ()))
    return measure(exchange, scans, patients)


def _print(title: str, found: pd.DataFrame) -> None:
    sys.stdout.write(f"{title}\n\n{markdown_grid(HEADER, table(found))}\n")


def main() -> None:
    """Print a table for each method and group of held-out scans."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="of an arena")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["strokesynth"])
    parser.add_argument("--folds", nargs="+", default=["0"])
    parser.add_argument("--device", default="cuda", help="default: %(default)s")
    for name in ("model", "images", "truth"):
        parser.add_argument(f"--{name}", type=Path, help="in place of an arena, a scan a patient")
    args = parser.parse_args()
    if args.folder is None:
        if None in (args.model, args.images, args.truth):
            parser.error("name the folder of an arena, or --model, --images and --truth")
        found = exchange_model(
            args.model,
            args.images,
            args.truth,
            folds=args.folds,
            device=args.device,
            patients={},
        )
        _print(f"{args.model.name}.", found)
        return
    root = args.folder.resolve()
    settings = settings_of(root, {})
    for name in args.methods:
        runs = [
            run for run in begun_runs(root, settings, METHODS[name]) if str(run.fold) in args.folds
        ]
        frames = [
            exchange_model(
                run.model.parent,
                root / "nnUNet_raw" / NAME / "imagesTs",
                truth_folder(root),
                folds=[str(run.fold)],
                device=args.device,
                patients=held_out_patients(root),
            )
            for run in runs
        ]
        found = pd.concat(frames)
        groups = held_out_groups(found["case_id"].unique(), root, settings)
        for title, group in groups.items():
            _print(f"{name}. {title}.", found[found["case_id"].isin(group)])


if __name__ == "__main__":
    main()
