"""What makes a model's predictions doubtful, whatever the scan is."""

from __future__ import annotations

from collections.abc import Mapping

from nnunetv2_strokesynth.inference.patient import Prepared
from nnunetv2_strokesynth.phantom.marker import PHANTOM_ORIGIN

PHANTOM_MODEL = (
    "the model was trained on a digital phantom, not on patients: what it finds in a patient's "
    "scan means nothing"
)


def with_model_doubts(prepared: Prepared, dataset_json: Mapping[str, object]) -> Prepared:
    """The scan with a warning where the model has learned from simulated scans alone.

    Args:
        prepared: the scan.
        dataset_json: of the model, where the converter wrote the scans' origin.
    """
    if dataset_json.get("origin") != PHANTOM_ORIGIN:
        return prepared
    return prepared._replace(
        notes=[PHANTOM_MODEL, *prepared.notes], warnings=[PHANTOM_MODEL, *prepared.warnings]
    )
