"""Which cases lie in ``nnUNet_preprocessed/DatasetNNN_*``, in nnU-Net's folders and in ours.

A module without nnU-Net and PyTorch, since the converter uses it, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

# These names must stay as they are: folders on users' disks and the plans of trained models have
# them.
PHYSICAL_SUFFIX = "_physical"
FRAMES_SUFFIX = "_frames"
TARGETS_SUFFIX = "_targets"
# They end alike, so they count as targets everywhere.
BRAIN_TARGETS_SUFFIX = f"_brain{TARGETS_SUFFIX}"
SOFT_LABELS_SUFFIX = f"_soft{TARGETS_SUFFIX}"
# Scans that have a DWI and no outline; their targets lie in folders that begin alike.
UNOUTLINED_SUFFIX = "_unoutlined"
# Their folders in the raw data set, which nnU-Net does not read.
UNOUTLINED_IMAGES, UNOUTLINED_TARGETS = "imagesUn", "targetsUn"
# A subfolder, since nnU-Net infers the kind of a folder's cases from the endings of all its files.
RECORDS = "made_from"
_LABELS = "gt_segmentations"
_CASE_SUFFIXES = (".b2nd", "_seg.b2nd", ".pkl")
_TARGET_SUFFIXES = (".b2nd", ".json")


class PreprocessedFolders(NamedTuple):
    """Folder -> the cases that it holds, those cut off while they were made included.

    Attributes:
        physical: ours, with fixed intensities or with CTP frames as one volume.
        targets: ours, with DWI targets and soft labels.
        unoutlined: ours, of both kinds, with scans that have no label in the raw data set.
        nnunets: all others; ``gt_segmentations`` with copies of the labels is one of them.
    """

    physical: dict[Path, set[str]]
    targets: dict[Path, set[str]]
    unoutlined: dict[Path, set[str]]
    nnunets: dict[Path, set[str]]

    @classmethod
    def of(cls, preprocessed: Path, file_ending: str) -> PreprocessedFolders:
        """Looks into all folders of a data set, which may be absent."""
        found = cls({}, {}, {}, {})
        for folder in sorted(path for path in preprocessed.glob("*") if path.is_dir()):
            if _is_unoutlined(folder):
                is_cases = (folder / RECORDS).is_dir()
                found.unoutlined[folder] = (
                    _cases_in(folder) if is_cases else names_in(folder, _TARGET_SUFFIXES)
                )
            elif _is_own(folder):
                found.physical[folder] = _cases_in(folder)
            elif _is_targets(folder):
                found.targets[folder] = names_in(folder, _TARGET_SUFFIXES)
            elif folder.name == _LABELS:
                found.nnunets[folder] = names_in(folder, (file_ending,))
            else:
                found.nnunets[folder] = _cases_in(folder)
        return found

    @property
    def cases(self) -> set[str]:
        """All cases of which there is anything, without the scans that have no label."""
        folders = (self.physical, self.targets, self.nnunets)
        return set().union(*(ids for kind in folders for ids in kind.values()))


def names_in(folder: Path, suffixes: Iterable[str]) -> set[str]:
    """The names of the files in a folder that end so, without the ending."""
    return {
        path.name.removesuffix(suffix)
        for suffix in suffixes
        for path in folder.glob(f"[!.]*{suffix}")
    }


def remove_cases(folder: Path, cases: Collection[str]) -> bool:
    """Removes cases from a folder of ours; returns whether there was anything.

    The record goes first, so that what is left after a kill does not count as a case.
    """
    removed = _remove(folder / RECORDS, cases, (".json",))
    return _remove(folder, cases, _CASE_SUFFIXES) or removed


def remove_targets(folder: Path, cases: Collection[str]) -> bool:
    """Removes DWI targets; returns whether there was one."""
    return _remove(folder, cases, _TARGET_SUFFIXES)


def without_own_suffix(name: str) -> str:
    """The name of nnU-Net's folder beside which a folder of ours lies."""
    return name.removesuffix(PHYSICAL_SUFFIX).removesuffix(FRAMES_SUFFIX)


def _is_own(folder: Path) -> bool:
    """A folder of nnU-Net's that happens to have such a name holds no records."""
    return folder.name.endswith((PHYSICAL_SUFFIX, FRAMES_SUFFIX)) and (folder / RECORDS).is_dir()


def _is_unoutlined(folder: Path) -> bool:
    """A folder of nnU-Net's that happens to have such a name holds ``.pkl`` files, no records."""
    _, suffix, rest = folder.name.rpartition(UNOUTLINED_SUFFIX)
    if not rest:
        return bool(suffix) and (folder / RECORDS).is_dir()
    return bool(suffix) and rest.endswith(TARGETS_SUFFIX) and _is_targets(folder)


def _is_targets(folder: Path) -> bool:
    """A folder of nnU-Net's that happens to have such a name holds ``.pkl`` files."""
    return folder.name.endswith(TARGETS_SUFFIX) and not any(folder.glob("*.pkl"))


def _cases_in(folder: Path) -> set[str]:
    images = {name for name in names_in(folder, (".b2nd", ".npz")) if not name.endswith("_seg")}
    return images | names_in(folder, (".pkl",)) | names_in(folder / RECORDS, (".json",))


def _remove(folder: Path, names: Collection[str], suffixes: Iterable[str]) -> bool:
    paths = [folder / f"{name}{suffix}" for name in names for suffix in suffixes]
    there = [path for path in paths if path.is_file()]
    for path in there:
        path.unlink(missing_ok=True)  # another training may have been faster
    return bool(there)
