"""One schema as four functions: encode, decode, check, and the canonical form they agree on."""

import io
from pathlib import Path
from typing import Any

import fastavro

from exchange.avro.checker import compile_check
from exchange.avro.schema import parse
from exchange.errors import ExchangeError


class Codec:
    """Encodes and decodes records of one Avro schema, without framing."""

    def __init__(self, schema: dict[str, Any] | str | Path) -> None:
        self.schema = parse(schema)
        self._parsed = fastavro.parse_schema(self.schema.source)
        self._check = compile_check(self.schema)

    def encode(self, record: Any) -> bytes:
        """The canonical bytes of `record`. Raises ExchangeError(E_ENCODE)."""
        out = io.BytesIO()
        try:
            fastavro.schemaless_writer(out, self._parsed, record)
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
            raise ExchangeError("E_ENCODE", type(error).__name__) from None
        return out.getvalue()

    def decode(self, data: bytes) -> Any:
        """The record that `data` encodes. Raises what `check` raises."""
        self._check(data, 0)
        return fastavro.schemaless_reader(io.BytesIO(data), self._parsed, None)

    def check(self, data: bytes) -> None:
        """Raises ExchangeError(E_AVRO_…) for anything but the canonical encoding of a valid value."""
        self._check(data, 0)
