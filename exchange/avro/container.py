"""Avro object container files: a header with the schema, then blocks of records, deflated."""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import fastavro
from fastavro.write import Writer

from exchange.errors import ExchangeError


class ContainerWriter:
    """Writes records of one schema into a stream."""

    def __init__(self, stream: Any, schema: Mapping[str, Any]) -> None:
        self._writer = Writer(stream, fastavro.parse_schema(dict(schema)), codec="deflate")

    def write(self, record: Mapping[str, Any]) -> None:
        """One record, as `Codec.decode` gives it."""
        self._writer.write(dict(record))

    def finish(self) -> None:
        """Write the last block."""
        self._writer.flush()


def read_container(stream: BinaryIO) -> Iterator[dict[str, Any]]:
    """The records of a container. Raises ExchangeError(E_AVRO_VALUE) for what is none, or is damaged."""
    try:
        for record in fastavro.reader(stream):
            if not isinstance(record, dict):
                raise ExchangeError("E_AVRO_VALUE", "no Avro container of records")
            yield record
    except ExchangeError:
        raise
    except Exception as error:  # whatever hostile bytes make of a generic reader
        raise ExchangeError("E_AVRO_VALUE", f"no Avro container: {type(error).__name__}") from None
