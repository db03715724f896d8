"""One schema as three functions that agree with each other: encode, decode, check."""

from pathlib import Path
from typing import Any

from exchange.avro.compiled.checker import compile_check
from exchange.avro.compiled.decoder import compile_decode
from exchange.avro.compiled.encoder import compile_encode
from exchange.avro.schema import Schema, parse


class Codec:
    """Encodes and decodes values of one Avro schema, without framing.

    `encode(record)` gives the bytes that fastavro writes, but of a decimal the shortest two's complement, as Avro Java
    does (fastavro writes -1.28 with a byte too many). It raises ExchangeError(E_ENCODE) for a record that does not fit
    the schema, with the field's name in the detail.

    `decode(data)` gives the record that fastavro reads. `check(data)` proves that `data` is the canonical encoding of a
    valid value: exactly what `encode` writes for what `decode` gives (map entries may stand in any order). Both raise
    ExchangeError E_AVRO_TRUNCATED, _TRAILING, _VARINT, _LENGTH, _UTF8, _UNION, _VALUE, _NOT_CANONICAL or _DEPTH.

    `schema` is a dict or list, a JSON text, or a path; ExchangeError(E_SCHEMA) when it is not valid.
    """

    def __init__(self, schema: dict[str, Any] | list[Any] | str | Path | Schema) -> None:
        self.schema = parse(schema)
        self.encode = compile_encode(self.schema)
        self.decode = compile_decode(self.schema)
        self._check = compile_check(self.schema)

    def check(self, data: bytes) -> None:
        """Raises ExchangeError(E_AVRO_…) for anything but the canonical encoding of a valid value."""
        self._check(data, 0)
