"""The reference implementation as a reader: what judges the exchange from outside reads with it, not with our own."""

import io
from collections.abc import Mapping
from typing import Any

import fastavro

from exchange.errors import ExchangeError


class ReferenceReader:
    """Reads records of one schema by fastavro's own reader, without framing."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = fastavro.parse_schema(dict(schema))

    def read(self, data: bytes) -> dict[str, Any]:
        """The record in `data`. Raises ExchangeError(E_AVRO_VALUE) for anything that is not exactly one."""
        stream = io.BytesIO(data)
        try:
            record = fastavro.schemaless_reader(stream, self._schema, None)
        except Exception as error:  # whatever hostile bytes make of a generic reader
            raise ExchangeError("E_AVRO_VALUE", type(error).__name__) from None
        if not isinstance(record, dict) or stream.read(1):
            raise ExchangeError("E_AVRO_VALUE", "not exactly one record")
        return record
