"""What a department's connectors write into `faults.<department>`: rows and records set aside, and what became of them.

The value is JSON in UTF-8:

    {"item", "connector", "record_type", "stage", "code", "detail", "at",
     "place", "row": {column: text},                 of a source: where the row stands, and the row (unless too large)
     "topic", "partition", "offset"}                 of a sink: where the record stands; nothing of its content
    {"item", "connector", "record_type", "settled", "at"}    what was set aside waits no longer

`item` names one row or record of one connector for as long as it exists, so that what is open can be told from the log:
the last entry of an item says. Only the department itself can read the topic. `detail` never holds a value of the row.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from exchange.clock import format_time
from exchange.errors import ExchangeError
from exchange.names import RecordType

_MAX_BYTES = 900_000
_ITEM_CHARACTERS = 16


class Settled(StrEnum):
    """Why something that was set aside waits no longer."""

    SUBMITTED = "submitted"
    """The row was mapped and sent, or is equal to what was sent."""
    WITHDRAWN = "withdrawn"
    """The row's record was withdrawn."""
    GONE = "gone"
    """The row is no longer in the source; nothing of it had been sent, or it was withdrawn."""
    APPLIED = "applied"
    """The table has taken the record."""
    REPLACED = "replaced"
    """A newer version of the record came, or the record left the share."""
    CLEARED = "cleared"
    """Nothing of the record waits in the sink's database; its sink ended before it could tell why."""


def item_of(connector: str, identity: str) -> str:
    """The name of a row or record that was set aside.

    identity: of a source the key of the row, else its place; of a sink the key of the record.
    """
    return hashlib.sha256(f"{connector}\n{identity}".encode("utf-8", "surrogatepass")).hexdigest()[:_ITEM_CHARACTERS]


@dataclass(frozen=True, slots=True)
class Faults:
    """Encodes the faults of one connector."""

    connector: str
    record_type: RecordType

    def of_row(
        self, error: ExchangeError, at: datetime, row: Mapping[str, Any], identity: str = "", place: str | None = None
    ) -> bytes:
        """The fault of a source's row."""
        fault = {"item": item_of(self.connector, identity), **self._fault(error, at), "place": place}
        encoded = _encode({**fault, "row": {name: None if cell is None else str(cell) for name, cell in row.items()}})
        return encoded if len(encoded) <= _MAX_BYTES else _encode(fault)

    def of_record(self, error: ExchangeError, at: datetime, place: tuple[str, int, int], identity: str = "") -> bytes:
        """The fault of a share's record at `place` (topic, partition, offset)."""
        topic, partition, offset = place
        fault = {"item": item_of(self.connector, identity), **self._fault(error, at)}
        return _encode({**fault, "topic": topic, "partition": partition, "offset": offset})

    def settled(self, identity: str, how: Settled, at: datetime) -> bytes:
        """What was set aside under `identity` waits no longer."""
        return self._settled(item_of(self.connector, identity), how, at)

    def cleared(self, item: str, at: datetime) -> bytes:
        """Nothing waits of an item that is open in the log."""
        return self._settled(item, Settled.CLEARED, at)

    def _settled(self, item: str, how: Settled, at: datetime) -> bytes:
        named = {"item": item, "connector": self.connector, "record_type": self.record_type}
        return _encode({**named, "settled": how.value, "at": format_time(at)})

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
