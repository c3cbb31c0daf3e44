"""Checks a JSON record against a schema: by jsonschema where it is installed, and by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path

_TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
    "null": type(None),
    "boolean": bool,
}


def check_schema(record: object, schema_file: Path) -> None:
    """Raise ``AssertionError`` unless the record fits; it must be what JSON can hold."""
    schema = json.loads(schema_file.read_text(encoding="utf-8"))
    record = json.loads(json.dumps(record, allow_nan=False))
    _check(record, schema, "")
    try:
        import jsonschema
    except ImportError:
        return
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(record, schema)


def _check(value: object, schema: dict, where: str) -> None:
    if "enum" in schema:
        assert value in schema["enum"], f"{where}: {value!r} is none of {schema['enum']}"
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        fits = any(
            isinstance(value, _TYPES[name]) and isinstance(value, bool) == (name == "boolean")
            for name in names
        )
        assert fits, f"{where}: {value!r} is no {' or '.join(names)}"
    if isinstance(value, (int, float)):
        assert value >= schema.get("minimum", value), f"{where}: {value} is too low"
        assert value <= schema.get("maximum", value), f"{where}: {value} is too high"
    if isinstance(value, str) and "pattern" in schema:
        assert re.search(schema["pattern"], value), f"{where}: {value!r}"
    if isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, schema.get("items", {}), f"{where}[{index}]")
    if isinstance(value, dict):
        missing = set(schema.get("required", ())) - set(value)
        assert not missing, f"{where} lacks {sorted(missing)}"
        for name, part in schema.get("properties", {}).items():
            if name in value:
                _check(value[name], part, f"{where}.{name}")
