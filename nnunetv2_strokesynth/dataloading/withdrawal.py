"""What was withdrawn from the raw data set stays away from a training.

Preprocessed folders are copies of the raw data set, and outlive what is removed there: a patient
who withdraws consent would still be trained on. While the raw data set is at hand, it decides.

- Cases and DWIs that are gone there are removed from the folders that our trainers keep in
  ``nnUNet_preprocessed`` (``*_physical``, ``*_frames``, ``*_targets``, ``*_unoutlined``), since
  they are personal data.
- nnU-Net's own folders are not touched. What they still hold is left out and reported.
- A split that names a case that is gone is an error: the user must decide about the folds.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset

from nnunetv2_strokesynth.dataloading.preprocessed_folders import (
    UNOUTLINED_IMAGES,
    UNOUTLINED_TARGETS,
    PreprocessedFolders,
    names_in,
    remove_cases,
    remove_targets,
)
from nnunetv2_strokesynth.dataloading.raw_cases import RawCases
from nnunetv2_strokesynth.dataloading.splits_file import SPLITS_FILE, read_splits
from nnunetv2_strokesynth.dataloading.targets import TARGETS_RAW_FOLDER


class Withdrawal(NamedTuple):
    """What is gone from a raw data set, and where it is still found.

    Attributes:
        raw: ``nnUNet_raw/DatasetNNN_*``.
        cases: case id -> what the raw data set lacks of it.
        dwis: cases whose DWI alone is gone.
        cleaned: our folders from which files of these were removed now.
        in_raw: files of these cases that the raw data set still holds.
        in_preprocessed: nnU-Net's preprocessed folder -> the cases that it still holds.
        predicted: predictions of these cases among the fold's validation.
    """

    raw: Path
    cases: dict[str, str]
    dwis: list[str]
    cleaned: list[Path]
    in_raw: list[str]
    in_preprocessed: dict[Path, list[str]]
    predicted: list[Path]

    def sentences(self) -> list[str]:
        """What the training log says: which cases, how many, where they still lie."""
        said = []
        if self.cases:
            listed = ", ".join(f"{case_id} ({why})" for case_id, why in self.cases.items())
            said.append(f"{len(self.cases)} cases are gone from {self.raw} and left out: {listed}")
        if self.dwis:
            where = self.raw / TARGETS_RAW_FOLDER
            said.append(f"{len(self.dwis)} DWIs are gone from {where}: {', '.join(self.dwis)}")
        if self.cleaned:
            said.append(f"their files were removed from {', '.join(map(str, self.cleaned))}")
        if self.in_raw:
            said.append(f"{self.raw} still holds {', '.join(self.in_raw)}: delete them")
        if self.in_preprocessed:
            held = (f"{f.name} ({', '.join(cases)})" for f, cases in self.in_preprocessed.items())
            (preprocessed,) = {folder.parent for folder in self.in_preprocessed}
            said.append(
                f"nnU-Net's folders in {preprocessed} still hold them: {', '.join(held)}; delete "
                "that folder, type `strokesynth fingerprint`, and plan and preprocess again"
            )
        if self.predicted:
            said.append(
                f"{', '.join(map(str, self.predicted))}: earlier predictions of such cases, which "
                "nnU-Net's summary would count: delete them"
            )
        return said


def find_withdrawn(raw: RawCases, preprocessed: Path, validation: Path) -> Withdrawal:
    """Finds what is gone from the raw data set, and removes it from our preprocessed folders.

    Several trainings may do this at the same time.

    Args:
        raw: the raw data set.
        preprocessed: ``nnUNet_preprocessed/DatasetNNN_*``.
        validation: the folder of the fold's predictions; it may be absent.
    """
    held = PreprocessedFolders.of(preprocessed, raw.file_ending)
    there = set(raw.complete)
    unoutlined = _unoutlined_scans(raw)
    predictions = names_in(validation, (raw.file_ending,)) - there
    gone = (held.cases | predictions) - there
    dwis = {case_id for case_id in there if _raw_file(raw, TARGETS_RAW_FOLDER, case_id) is None}
    cleaned = [folder for folder, ids in held.physical.items() if remove_cases(folder, ids & gone)]
    cleaned += [
        folder
        for folder, ids in held.targets.items()
        if remove_targets(folder, ids & (gone | dwis))
    ]
    for folder, ids in held.unoutlined.items():
        if remove_cases(folder, ids - unoutlined) | remove_targets(folder, ids - unoutlined):
            cleaned.append(folder)
    return Withdrawal(
        raw.folder,
        {case_id: raw.why_gone(case_id) for case_id in sorted(gone)},
        sorted(dwis & set().union(*held.targets.values())),
        cleaned,
        [
            f"{kind}/{path.name}"
            for case_id in sorted(gone)
            for kind in ("labelsTr", TARGETS_RAW_FOLDER)
            if (path := _raw_file(raw, kind, case_id)) is not None
        ],
        {folder: sorted(ids & gone) for folder, ids in held.nnunets.items() if ids & gone},
        [validation / f"{case_id}{raw.file_ending}" for case_id in sorted(predictions)],
    )


def _unoutlined_scans(raw: RawCases) -> set[str]:
    """The scans without a label whose DWI and images are still there."""
    images = names_in(raw.folder / UNOUTLINED_IMAGES, (f"_0000{raw.file_ending}",))
    return images & names_in(raw.folder / UNOUTLINED_TARGETS, (raw.file_ending,))


def _raw_file(raw: RawCases, kind: str, case_id: str) -> Path | None:
    path = raw.folder / kind / f"{case_id}{raw.file_ending}"
    return path if path.is_file() else None


def check_split(
    splits_file: Path,
    fold: int | str,
    *,
    raw: RawCases | None,
    folder: Path,
    held: Collection[str],
) -> None:
    """Checks that every case that a fold names can be used.

    Args:
        splits_file: ``splits_final.json``; if it is absent, nnU-Net makes one of what is there.
        fold: nnU-Net's number. ``all``, or a number that the file lacks, names no case.
        raw: the raw data set; None where it is not at hand.
        folder: the preprocessed cases.
        held: the cases in it.

    Raises:
        ValueError: a case of the fold is gone from the raw data set or was not preprocessed, or the
            file is damaged. The message names case, file and fold, and says what to do.
    """
    splits = read_splits(splits_file) if splits_file.is_file() else []
    if fold == "all" or not int(fold) < len(splits):
        return
    bad = []
    for part in ("train", "val"):
        for case_id in splits[int(fold)][part]:
            if raw is not None and case_id not in raw.complete:
                bad.append(f"{case_id} ({part}; {raw.why_gone(case_id)} in {raw.folder})")
            elif case_id not in held:
                bad.append(f"{case_id} ({part}; not in {folder})")
    if bad:
        copy = "" if raw is None else f" and from {raw.folder / SPLITS_FILE}"
        raise ValueError(
            f"fold {fold} of {splits_file} names {len(bad)} cases that are not there: "
            f"{', '.join(bad)}. If they were withdrawn, remove them from that file{copy}, or "
            f"convert the data set again with --overwrite, delete {splits_file.parent}, type "
            "`strokesynth fingerprint`, and plan and preprocess again. If they were not, "
            "put them back, or plan and preprocess again"
        )


def leaving_out(
    dataset_class: type[nnUNetBaseDataset], cases: Collection[str]
) -> type[nnUNetBaseDataset]:
    """The class, but it does not find these cases in a folder.

    nnU-Net draws folds, and takes fold ``all``, from what the class finds.
    """

    class WithoutWithdrawn(dataset_class):  # type: ignore[valid-type]
        @staticmethod
        def get_identifiers(folder: str) -> list[str]:
            return [name for name in dataset_class.get_identifiers(folder) if name not in cases]

    return WithoutWithdrawn
