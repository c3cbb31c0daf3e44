"""JSON files that hold an object; a damaged one is named, with what to do about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_json_object(path: Path, *, way_out: str) -> dict[str, Any]:
    """The object in a JSON file.

    Args:
        path: the file.
        way_out: what to do about a damaged file; ends the message.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is empty, cut short, no JSON, or holds something else than an object.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; {way_out}")
    content = path.read_bytes()
    if not content.strip():
        raise ValueError(f"{path} is empty; {way_out}")
    try:
        found = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged or is not JSON ({error}); {way_out}") from error
    if not isinstance(found, dict):
        kind = type(found).__name__
        raise ValueError(f"{path} holds a {kind}, expected a JSON object; {way_out}")
    return found
