"""What a department's connectors write into `faults.<department>`: rows that did not map, records that did not apply.

The value is JSON in UTF-8:

    {"connector", "record_type", "stage", "code", "detail", "at",
     "row": {column: text},                          of a source: the row itself (left out when it is too large)
     "topic", "partition", "offset"}                 of a sink: where the record stands; nothing of its content

Only the department itself can read the topic. `detail` never holds a value of the row.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from exchange.clock import format_time
from exchange.errors import ExchangeError
from exchange.names import RecordType

_MAX_BYTES = 900_000


@dataclass(frozen=True, slots=True)
class Faults:
    """Encodes the faults of one connector."""

    connector: str
    record_type: RecordType

    def of_row(self, error: ExchangeError, at: datetime, row: Mapping[str, Any]) -> bytes:
        """The fault of a source's row."""
        fault = self._fault(error, at)
        encoded = _encode({**fault, "row": {name: None if cell is None else str(cell) for name, cell in row.items()}})
        return encoded if len(encoded) <= _MAX_BYTES else _encode(fault)

    def of_record(self, error: ExchangeError, at: datetime, place: tuple[str, int, int]) -> bytes:
        """The fault of a share's record at `place` (topic, partition, offset)."""
        topic, partition, offset = place
        return _encode({**self._fault(error, at), "topic": topic, "partition": partition, "offset": offset})

    def _fault(self, error: ExchangeError, at: datetime) -> dict[str, Any]:
        return {
            "connector": self.connector,
            "record_type": self.record_type,
            "stage": error.entry.stage.value,
            "code": error.code,
            "detail": error.detail,
            "at": format_time(at),
        }


def _encode(fault: Mapping[str, Any]) -> bytes:
    return json.dumps(fault, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
