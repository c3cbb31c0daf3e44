"""nnU-Net's folds of a data set, as training and tables read them."""

from __future__ import annotations

from pathlib import Path

from nnunetv2_strokesynth.io.text_files import read_json

SPLITS_FILE = "splits_final.json"
_WAY_OUT = (
    "expected a list of folds, each with the names of the cases of train and val; convert the data "
    "set again"
)


def read_splits(path: Path) -> list[dict[str, list[str]]]:
    """The folds, each with ``train`` and ``val``, and ``test`` where a converter has set it aside.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or holds something else; the message names it.
    """
    splits = read_json(path, way_out=_WAY_OUT)
    if not isinstance(splits, list) or not all(_is_split(split) for split in splits):
        raise ValueError(f"{path}: {_WAY_OUT}")
    return splits


def _is_split(split: object) -> bool:
    if not isinstance(split, dict) or not {"train", "val"} <= set(split):
        return False
    groups = [split["train"], split["val"], split.get("test", [])]
    return all(isinstance(names, list) and all(isinstance(name, str) for name in names)
               for names in groups)  # fmt: skip
