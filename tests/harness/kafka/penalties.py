"""Penalties with publication periods: a record type whose records end by themselves, and what admission knows of it."""

from datetime import date
from typing import Any

from exchange import names
from exchange.admission.rules import Rules
from exchange.avro import Codec
from exchange.avro.lock import LockedSchema, SchemaRepository
from exchange.avro.record_schema import record_schema
from exchange.clock import Clock
from exchange.ledger.state.ledger_state import DepartmentEntry, LedgerState, ResourceEntry
from exchange.names import Department, RecordType, SchemaId
from exchange.record import frame

PROVIDER = Department("market-regulation")
TYPE = RecordType("credit.penalty")
CREDIT_CODE = "11340000EXCH00018B"
DATE: dict[str, Any] = {"type": "int", "logicalType": "date"}
MOMENT: dict[str, Any] = {"type": "long", "logicalType": "timestamp-millis"}
_ID = SchemaId(90_000)


def schema(record_type: RecordType, end: Any = MOMENT) -> dict[str, Any]:
    """The schema of penalties. `end`: the type of `expires_at`, which may be null."""
    words = {"doc": "x", "meaningZh": "x"}
    return {
        "type": "record",
        "name": "Penalty",
        "recordType": record_type,
        "naturalKey": ["provider_code", "number"],
        "provider": {"rule": "prefix", "field": "provider_code"},
        "personal": False,
        "fields": [
            {"name": "provider_code", "type": "string", "identifier": "credit-code", **words},
            {"name": "number", "type": "string", **words},
            {"name": "decided", "type": DATE, **words},
            {"name": "expires_at", "type": ["null", end], "default": None, **words},
            {"name": "reason", "type": ["null", "string"], "default": None, **words},
        ],
    }


class Frozen:
    """A ledger with one department that submits penalties. It stands still."""

    def __init__(self, record_type: RecordType) -> None:
        self.state = LedgerState()
        self.state.departments[PROVIDER] = DepartmentEntry(
            PROVIDER, "x", "x", CREDIT_CODE, "province", (), "2026-01-01", None, ()
        )
        self.state.resources["1"] = ResourceEntry("1", record_type, PROVIDER, "x", "x", "unconditional", {}, 86_400)

    def poll(self) -> bool:
        """Nothing changes."""
        return False


class Penalties:
    """Penalties of one record type."""

    def __init__(self, clock: Clock, record_type: RecordType = TYPE, end: Any = MOMENT) -> None:
        self.type = record_type
        self.inbox = names.inbox_topic(record_type, PROVIDER)
        written = schema(record_type, end)
        locked = LockedSchema(_ID, record_type, 1, written, record_schema(written))
        self.rules = Rules(SchemaRepository([locked]), {}, Frozen(record_type), clock)
        self._encode = Codec(written).encode

    @staticmethod
    def key(number: int) -> bytes:
        """The key of a penalty."""
        return f"{CREDIT_CODE}/{number}".encode()

    def value(self, number: int, ends: Any, reason: str | None = None) -> bytes:
        """The framed value of a penalty that is published until `ends` (a date, a datetime or None)."""
        row = {
            "provider_code": CREDIT_CODE,
            "number": str(number),
            "decided": date(2026, 1, 5),
            "expires_at": ends,
            "reason": reason,
        }
        return frame(_ID) + self._encode(row)
