"""Whether a scan lies as those did that a model has learned from."""

from __future__ import annotations

from pathlib import Path

from nnunetv2_strokesynth.io.orientation import CANONICAL, MIXED, ORIENTATION_KEY, UNKNOWN


def orientation_notes(dataset_json: dict, model: Path, *, scan: str, order: str) -> list[str]:
    """Check the order of axes that a model has learned from against that of a scan.

    Args:
        dataset_json: of the model.
        model: its folder, for messages.
        scan: what to call the scan.
        order: its own order of axes, before it was brought to ``LPS``; or ``unknown``.

    Returns:
        Sentences about what cannot be checked.

    Raises:
        ValueError: the model was made by an earlier version, which left scans as they were stored,
            and this one is not stored in ``LPS`` order.
    """
    learned = dataset_json.get(ORIENTATION_KEY)
    if learned is None:
        if order in (CANONICAL, UNKNOWN):
            return []
        raise ValueError(
            f"{scan} is stored in {order} order, and {model} does not say in which order its "
            "training scans were: an earlier version of this package left each as it was stored. "
            "Convert and train again; or, if all of them were in "
            f'{CANONICAL} order, add "{ORIENTATION_KEY}": "{CANONICAL}" to {model}/dataset.json'
        )
    if learned == MIXED:
        return [
            "the model has learned from scans in several orders of axes; another order of this "
            "scan may give another lesion"
        ]
    if learned == CANONICAL and order == UNKNOWN:
        return [
            f"the header of {scan} does not say how the head lies, and the model has learned from "
            f"scans in {CANONICAL} order: the result is right only if the scan is stored so (left, "
            "back and head of the patient at the ends of x, y and z)"
        ]
    if learned == UNKNOWN and order != UNKNOWN:
        return [
            "the headers of the model's training scans do not say how the heads lie; this scan was "
            f"brought to {CANONICAL} order. Check that they lie alike, front and back above all"
        ]
    return []
