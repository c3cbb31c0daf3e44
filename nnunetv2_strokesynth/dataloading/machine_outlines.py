"""What ``dataset.json`` says of the readers that drew outlines (``strokesynth outline``).

A module without nnU-Net and PyTorch, since commands use it before they are imported.
"""

from __future__ import annotations

from collections.abc import Mapping

READERS_KEY = "outline_readers"  # their Dice on outlined scans, and "warnings"


def outline_warnings(dataset_json: Mapping[str, object]) -> list[str]:
    """Why the outlines that machines drew are doubtful; empty where nothing says so.

    Args:
        dataset_json: of a data set, or of a model that was trained on it.
    """
    readers = dataset_json.get(READERS_KEY)
    found = readers.get("warnings") if isinstance(readers, Mapping) else None
    return [str(warning) for warning in found] if isinstance(found, list) else []
