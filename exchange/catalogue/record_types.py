"""The record types that the schemas' folder holds now, locked or not: what a catalogue is checked against."""

import json
from pathlib import Path

from exchange.avro.record_schema import RecordSchema, record_schema
from exchange.errors import ExchangeError
from exchange.names import REGISTRIES


def read_record_schemas(folder: Path) -> dict[str, RecordSchema]:
    """The schema of every record type in `<folder>/<registry>/*.avsc`. Raises ExchangeError(E_SCHEMA)."""
    found = (_read(path) for registry in REGISTRIES for path in sorted((folder / registry).glob("*.avsc")))
    return {schema.record_type: schema for schema in found}


def _read(path: Path) -> RecordSchema:
    try:
        return record_schema(json.loads(path.read_text(encoding="utf-8")))
    except ExchangeError as error:
        raise ExchangeError("E_SCHEMA", f"{path.parent.name}/{path.name}: {error.detail}") from None
    except ValueError as error:
        raise ExchangeError("E_SCHEMA", f"{path.parent.name}/{path.name} is no JSON: {error}") from None
