"""Step 2: the frame around the Avro body says by which schema to read it. Only locked schemas of this type count."""

from collections.abc import Callable, Mapping
from typing import Protocol

from exchange import record
from exchange.admission.check import Check, compile_checks
from exchange.avro.record_schema import RecordSchema
from exchange.errors import ExchangeError
from exchange.names import RecordType


class Locked(Protocol):
    """A schema of the lock file."""

    @property
    def record(self) -> RecordSchema | None:
        """Its rules, when it is the schema of a record type."""
        ...


class Unsealer:
    """Gives the check that belongs to a framed value, for one record type. Compiles each schema once."""

    def __init__(
        self,
        record_type: RecordType,
        by_id: Callable[[int], Locked | None],
        code_sets: Mapping[str, frozenset[str]],
        newest: RecordSchema | None = None,
    ) -> None:
        self._type = record_type
        self._by_id = by_id
        self._code_sets = code_sets
        self._newest = newest
        """The version whose rules hold for every version. None: each version has its own."""
        self._checks: dict[bytes, Check] = {}

    def check_of(self, value: bytes) -> Check:
        """The check for a framed value. Raises ExchangeError: E_FRAMING, E_SCHEMA_UNKNOWN, E_SCHEMA_FOREIGN."""
        check = self._checks.get(value[: record.FRAME_BYTES])
        return check if check is not None else self._learn(value)

    def _learn(self, value: bytes) -> Check:
        schema_id = record.unframe(value)
        if schema_id is None:
            raise ExchangeError("E_FRAMING")
        locked = self._by_id(schema_id)
        if locked is None:
            raise ExchangeError("E_SCHEMA_UNKNOWN")
        if locked.record is None or locked.record.record_type != self._type:
            raise ExchangeError("E_SCHEMA_FOREIGN")
        check = self._checks[record.frame(schema_id)] = compile_checks(locked.record, self._code_sets, self._newest)
        return check
