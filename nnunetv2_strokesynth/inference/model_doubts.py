"""What makes a model's predictions doubtful, whatever the scan is."""

from __future__ import annotations

from collections.abc import Mapping

from nnunetv2_strokesynth.dataloading.machine_outlines import outline_warnings
from nnunetv2_strokesynth.inference.patient import Prepared, with_warnings
from nnunetv2_strokesynth.phantom.marker import PHANTOM_ORIGIN

PHANTOM_MODEL = (
    "the model was trained on a digital phantom, not on patients: what it finds in a patient's "
    "scan means nothing"
)


def with_model_doubts(prepared: Prepared, dataset_json: Mapping[str, object]) -> Prepared:
    """The scan with a warning where the model has learned from simulated scans or poor outlines.

    Args:
        prepared: the scan.
        dataset_json: of the model, where the converter wrote the scans' origin and ``strokesynth
            outline`` how good the readers were.
    """
    said = [PHANTOM_MODEL] if dataset_json.get("origin") == PHANTOM_ORIGIN else []
    said += [
        f"the model learned from outlines that machines drew: {warning}"
        for warning in outline_warnings(dataset_json)
    ]
    return with_warnings(prepared, said)
