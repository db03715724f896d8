"""One unit of the delivery line between a registry partition and outputs in memory: every transaction is a call.

The unit, its flow, its cuts and its state are the product's own; only Kafka below them is missing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from exchange.avro import Codec
from exchange.avro.record_schema import RecordSchema
from exchange.avro.subset import subset_schema
from exchange.clock import SystemClock
from exchange.delivery.cutting.pseudonym import MasterSecret
from exchange.delivery.line import DeliveryUnit, Parts
from exchange.delivery.line_metrics import LineMetrics
from exchange.delivery.state import Counts, UnitState
from exchange.delivery.writers import Writers
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.message import Message
from exchange.kafka.line.unit import UnitId
from exchange.ledger.state.ledger_state import ShareEntry, Terms
from exchange.names import FIRST_LEDGER_SCHEMA_ID, Department, RecordType, SchemaId, ShareName, delivery_topic
from exchange.record import FRAME_BYTES, Headers, frame, source_of

TYPE = RecordType("legal-entity.registration")
STATE = delivery_topic(TYPE)
PROVIDER = Department("market-regulation")
SOURCE = source_of(PROVIDER)
PARTITION = 3
MASTER = MasterSecret({1: b"m" * 32})
FIRST: dict[str, Any] = {
    "type": "record",
    "name": "Registration",
    "naturalKey": ["code"],
    "fields": [
        {"name": "code", "type": "string"},
        {"name": "name", "type": "string"},
        {"name": "region", "type": ["null", "string"], "default": None},
    ],
}
SECOND: dict[str, Any] = {
    **FIRST,
    "fields": [*FIRST["fields"], {"name": "status", "type": ["null", "string"], "default": None}],
}
"""The same record type, one field later."""
IDS: Mapping[SchemaId, dict[str, Any]] = {SchemaId(1): FIRST, SchemaId(2): SECOND}
_ENCODE = {number: Codec(schema).encode for number, schema in IDS.items()}

Row = tuple[str, dict[str, Any] | None] | tuple[str, dict[str, Any] | None, bytes]
"""(key, record or None for a withdrawal[, source])."""
Produced = tuple[str, bytes | None, bytes, Headers | None]
"""(topic, value, key, headers)."""


class Consumed:
    """A record as the client hands it over."""

    def __init__(self, offset: int, key: bytes, value: bytes | None, source: bytes = SOURCE) -> None:
        self._offset, self._key, self._value, self._source = offset, key, value, source

    def topic(self) -> str:
        """Its registry."""
        return f"registry.{TYPE}"

    def partition(self) -> int:
        """Its partition."""
        return PARTITION

    def offset(self) -> int:
        """Its offset."""
        return self._offset

    def key(self) -> bytes:
        """Its key."""
        return self._key

    def value(self) -> bytes | None:
        """Its value."""
        return self._value

    def headers(self) -> Headers:
        """Its headers."""
        return [("ce_id", b"id"), ("ce_source", self._source), ("ce_time", b"2026-11-24T00:00:00Z")]

    def timestamp(self) -> tuple[int, int]:
        """A time of append."""
        return 2, 1_764_000_000_000


class MemoryCursor:
    """The second way into the registry; gives at most `most` records at once."""

    def __init__(self, bus: "DeliveryMemory", start: int) -> None:
        self._bus = bus
        self.seek(start)

    def seek(self, start: int) -> None:
        """Go on from an offset."""
        self.reached, self.at_end = start, False

    def fetch(self, limit: int) -> list[Message]:
        """The next records, then the end, which lies behind a marker."""
        found: list[Message] = [message for message in self._bus.registry if message.offset() >= self.reached]
        given = found[: min(limit, self._bus.most)]
        if given:
            self.reached = given[-1].offset() + 1
        self.at_end = len(given) == len(found)
        if self.at_end:
            self.reached = max(self.reached, self._bus.next)
        return given

    def close(self) -> None:
        """Nothing to let go of."""


class Plan:
    """What the ledger wants, without a ledger."""

    def __init__(self) -> None:
        self.wanted: Mapping[ShareName, ShareEntry | None] = {}

    def poll(self) -> None:
        """Nothing comes by itself."""

    def record_types(self) -> frozenset[RecordType]:
        """The one record type."""
        return frozenset([TYPE])

    def shares(self, _record_type: RecordType) -> Mapping[ShareName, ShareEntry | None]:
        """Its shares."""
        return self.wanted


class DeliveryMemory:
    """A registry partition, a unit that reads it, and everything that was committed.

    full: the client's queue refuses every other produce once. most: records that a backfill fetches at once.
    rules: what the schema says of keys and providers.
    """

    def __init__(
        self,
        personal: bool = False,
        full: bool = False,
        master: MasterSecret = MASTER,
        most: int = 1_000,
        rules: RecordSchema | None = None,
    ) -> None:
        connection = Connection("nowhere:1", "SASL_SSL", "SCRAM-SHA-512", "exchange-delivery", None, "")
        self.plan = Plan()
        self.most = most
        self.parts = Parts(
            connection,
            self.plan,
            {TYPE: Writers(personal, IDS, rules)},
            master,
            LineMetrics(SystemClock()),
            lambda _connection, _topic, _partition, start: MemoryCursor(self, start),
        )
        self.registry: list[Consumed] = []
        self.next = 0
        """The end of the registry."""
        self.records: list[Produced] = []
        """Everything that was committed, in its order."""
        self.state = UnitState()
        self._open: list[Produced] = []
        self._entries: dict[ShareName, ShareEntry] = {}
        self._full, self._calls = full, 0
        self.restart()

    def restart(self, refused: Iterable[str] | None = None) -> None:
        """Throw the unit away, and whatever it has not committed; the next one learns from its state records."""
        unwritable = None if refused is None else frozenset(refused)
        self._open = []
        self.unit = DeliveryUnit(
            UnitId(TYPE, PARTITION), self.parts, None if unwritable is None else lambda topic: topic not in unwritable
        )
        for topic, value, key, _ in self.records:
            if topic == STATE:
                self.unit._state.apply(key, value)
        self.unit._state.forget_strangers()

    def want(self, *shares: ShareEntry) -> None:
        """Let the ledger want exactly these shares; others that it had are deleted."""
        self._entries |= {share.share: share for share in shares}
        self.plan.wanted = dict.fromkeys(self._entries) | {share.share: share for share in shares}

    def produce(self, topic: str, value: bytes | None, key: bytes, partition: int, headers: Any = None) -> None:
        """Take what the unit produces."""
        self._calls += 1
        if self._full and self._calls % 2:
            raise BufferError
        assert partition == PARTITION
        self._open.append((topic, value, key, headers))

    def poll(self, seconds: float = 0) -> None:
        """Send nothing."""

    def write(self, *rows: Row, schema: int = 1) -> list[Consumed]:
        """Let the registry have more records; the key `~` is a heartbeat."""
        new = []
        for key, record, *source in rows:
            value = None if record is None else frame(SchemaId(schema)) + _ENCODE[SchemaId(schema)](record)
            new.append(Consumed(self.next, key.encode(), value, source[0] if source else SOURCE))
            self.next += 1
        self.registry += new
        return new

    def mark(self) -> None:
        """The end of a transaction takes an offset too."""
        self.next += 1

    def compact(self) -> None:
        """Remove what a later record of the same key replaces, up to what the unit has taken."""
        newest = {message.key(): message.offset() for message in self.registry}
        taken = self.unit._state.totals.next
        self.registry = [
            message
            for message in self.registry
            if message.offset() == newest[message.key()] or message.offset() >= taken
        ]

    def take(self, *rows: Row, schema: int = 1) -> None:
        """Let what waits join, then one transaction with new records."""
        self.settle()
        self.send(self.write(*rows, schema=schema))

    def untaken(self, limit: int | None = None) -> list[Consumed]:
        """The next records that the live flow has not taken."""
        return [message for message in self.registry if message.offset() >= self.unit._state.totals.next][:limit]

    def settle(self) -> None:
        """Transactions until everything is taken and nothing waits that could get on."""
        while (messages := self.untaken()) or self.unit.pending():
            self.send(messages)

    def send(self, messages: Sequence[Message], commit: Callable[[], bool] = lambda: True) -> None:
        """One transaction. When `commit` says no, the unit dies in it, after it has produced everything."""
        self.unit.process(messages, self)
        self.unit.seal(self)
        if not commit():
            self.restart()
            return
        done, self._open = self._open, []
        self.records += done
        for topic, value, key, _ in done:
            if topic == STATE:
                self.state.apply(key, value)
        self.unit.committed()

    def delivered(self, share: str = "s") -> list[tuple[str, dict[str, Any] | None]]:
        """(key, record or None) of everything that a share was given."""
        entry = self._entries[ShareName(share)]
        decode = Codec(entry.schema).decode
        found = []
        for topic, value, key, _ in self.records:
            if topic == f"share.{share}":
                assert value is None or value[:FRAME_BYTES] == frame(entry.schema_id)
                found.append((key.decode(), None if value is None else decode(value[FRAME_BYTES:])))
        return found

    def counts(self, share: str = "s") -> Counts:
        """The books of a share."""
        return self.state.counts[ShareName(share)]


def share_entry(
    name: str = "s", fields: Sequence[str] = ("code", "name"), recoveries: int = 0, **terms: Any
) -> ShareEntry:
    """A share as the ledger has it. terms: of `Terms`, beside the fields."""
    cut = Terms(TYPE, terms.pop("provider", PROVIDER), tuple(fields), **terms)
    schema = subset_schema(SECOND, fields, dict(cut.masks), "Share")
    number = SchemaId(FIRST_LEDGER_SCHEMA_ID + len(name))
    return ShareEntry(ShareName(name), cut, number, schema, 1, SystemClock().now(), recoveries=recoveries)


def company(code: str, name: str = "n", region: str | None = "340100") -> dict[str, Any]:
    """A record of the first version of the schema."""
    return {"code": code, "name": name, "region": region}
