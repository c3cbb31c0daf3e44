"""JSON and CSV files; a damaged one is named, with what to do about it."""

from __future__ import annotations

import csv
import json
from itertools import zip_longest
from pathlib import Path
from typing import Any


def read_json(path: Path, *, way_out: str) -> Any:
    """The content of a JSON file.

    Args:
        path: the file.
        way_out: what to do about a damaged file; ends the message.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is empty, cut short or no JSON.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; {way_out}")
    content = path.read_bytes()
    if not content.strip():
        raise ValueError(f"{path} is empty; {way_out}")
    try:
        return json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged or is not JSON ({error}); {way_out}") from error


def read_json_object(path: Path, *, way_out: str) -> dict[str, Any]:
    """The object in a JSON file.

    Args:
        path: the file.
        way_out: what to do about a damaged file; ends the message.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is empty, cut short, no JSON, or holds something else than an object.
    """
    found = read_json(path, way_out=way_out)
    if not isinstance(found, dict):
        kind = type(found).__name__
        raise ValueError(f"{path} holds a {kind}, expected a JSON object; {way_out}")
    return found


def inner_object(content: Any, *keys: str) -> dict[str, Any]:
    """The object at the end of some keys; an empty one where there is none, or something else."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}


def read_csv_rows(path: Path, *, way_out: str) -> list[list[str]]:
    """The cells of a CSV file, row by row; empty rows are left out.

    Args:
        path: the file.
        way_out: what to do about a damaged file; ends the message.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no text, or no CSV.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; {way_out}")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return [row for row in csv.reader(file) if row]
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path} is damaged or is no CSV file ({error}); {way_out}") from error


def read_csv_table(path: Path, *, way_out: str) -> list[dict[str, str]]:
    """The rows of a CSV file below its headings, by heading; cells that a row lacks are empty.

    Raises:
        FileNotFoundError, ValueError: as ``read_csv_rows``.
    """
    rows = read_csv_rows(path, way_out=way_out)
    header = rows[0] if rows else []
    return [dict(zip_longest(header, row[: len(header)], fillvalue="")) for row in rows[1:]]
