"""Whether all training cases are stored in one order of axes, before a training starts.

``strokesynth convert`` brings every scan to ``LPS`` and says so in ``dataset.json``. Version 0.1
left each as it was stored, and other programs do, too. A network that learns from several orders
learns where things lie in each of them from a part of the cases only.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from nnunetv2_strokesynth.dataloading.raw_cases import RawCases
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.nifti import SUFFIXES
from nnunetv2_strokesynth.io.orientation import CANONICAL, MIXED, ORIENTATION_KEY, UNKNOWN
from nnunetv2_strokesynth.io.placement import read_grid


def check_orders(raw: RawCases | None, dataset_json: dict) -> list[str]:
    """Sentences about what is doubtful in the orders of the training cases.

    Args:
        raw: the raw data set; None where it is not at hand.
        dataset_json: of the data set as it was planned.

    Raises:
        ValueError: the cases are stored in several orders, or in another one than ``dataset.json``
            says, and it does not say that they are mixed.
    """
    recorded = dataset_json.get(ORIENTATION_KEY)
    if recorded == MIXED:
        return [
            f'the training cases are in several orders of axes ("{ORIENTATION_KEY}": "{MIXED}")'
        ]
    if raw is None:
        unsaid = "whether all training cases are stored in one order of axes is not known"
        return [f"{unsaid}: dataset.json does not say so"] if recorded is None else []
    cases = _cases_by_order(raw)
    orders = set(cases) - {UNKNOWN}
    if len(orders) > 1 or (recorded == CANONICAL and orders - {CANONICAL}):
        raise ValueError(_refusal(raw.folder, cases, recorded))
    if recorded is None and orders - {CANONICAL}:
        (order,) = orders
        return [
            f"all training cases are stored in {order} order, and dataset.json does not say in "
            f"which: `strokesynth predict` and `synthesize` give the model scans in {CANONICAL} "
            "order. Convert the data set again, or predict with nnUNetv2_predict, scans that are "
            "stored alike"
        ]
    return []


def _cases_by_order(raw: RawCases) -> dict[str, list[str]]:
    """Order, such as ``LAS`` -> cases, by the header of the first image."""
    cases: dict[str, list[str]] = defaultdict(list)
    for case_id, files in raw.complete.items():
        cases[_order(files.images[0])].append(case_id)
    return cases


def _order(image: str) -> str:
    if not image.lower().endswith(SUFFIXES):
        return UNKNOWN
    try:
        return read_grid(Path(image)).order
    except (ValueError, OSError):
        return UNKNOWN


def _refusal(folder: Path, cases: dict[str, list[str]], recorded: str | None) -> str:
    found = ", ".join(
        f"{len(ids)} {order} ({name_some(ids, at_most=3)})" for order, ids in sorted(cases.items())
    )
    said = f'dataset.json says "{recorded}"' if recorded else "dataset.json does not say in which"
    return (
        f"the training cases of {folder} are stored in these orders of axes: {found}; {said}. A "
        "network needs one order. Convert the data set again (`strokesynth convert` with "
        "--overwrite) and plan it again, or bring the images to one order yourself. To train on "
        f'the mixture all the same, write "{ORIENTATION_KEY}": "{MIXED}" into dataset.json of the '
        "data set in nnUNet_preprocessed"
    )
