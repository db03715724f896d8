"""Records whose period ends: when they leave the registry, with what, and that nothing brings them back."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from exchange.admission import state as books_state
from exchange.admission.expire import compile_end
from exchange.admission.line import AdmissionUnit
from exchange.admission.state import Books
from exchange.avro import Codec
from exchange.avro.record_schema import record_schema
from exchange.errors import ExchangeError
from exchange.kafka.line.unit import Output
from exchange.names import RecordType
from exchange.record import FRAME_BYTES, Headers, header
from tests.harness.kafka.penalties import DATE, MOMENT, Penalties, schema
from tests.harness.memory.ledger import START, SetClock

ENDS = START + timedelta(hours=1)
LATER = START + timedelta(days=400)


@dataclass
class Record:
    """A record as the client hands it over."""

    key_: bytes
    value_: bytes | None
    headers_: Headers
    topic_: str
    offset_: int = 0

    def topic(self) -> str:
        return self.topic_

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.offset_

    def key(self) -> bytes:
        return self.key_

    def value(self) -> bytes | None:
        return self.value_

    def headers(self) -> Headers:
        return self.headers_

    def timestamp(self) -> tuple[int, int]:
        return 2, int(START.timestamp() * 1000)


@dataclass
class Kafka:
    """Topics in memory: what is produced can be read again."""

    records: list[Record] = field(default_factory=list)

    def produce(self, topic: str, value: bytes | None, key: bytes, partition: int, headers: Headers | None) -> None:
        self.records.append(Record(key, value, headers or [], topic))

    def poll(self, seconds: float = 0) -> None:
        pass

    def of(self, prefix: str) -> list[Record]:
        return [one for one in self.records if one.topic().startswith(prefix)]


class Bench:
    """Admission of penalties, which may be killed."""

    def __init__(self, end: Any = MOMENT) -> None:
        self.clock = SetClock()
        self.penalties = Penalties(self.clock, end=end)
        self.kafka = Kafka()
        self.output: Output = self.kafka
        self.offset = 0
        self.restart()

    def restart(self) -> None:
        """What a worker does that comes after one that was killed."""
        read = lambda topic, _partition: self.kafka.of(topic)  # noqa: E731
        self.unit = AdmissionUnit(self.penalties.type, 0, 1, self.penalties.rules, read)
        self.unit.restore()

    def submit(self, number: int, ends: Any, sequence: int | None = 1, reason: str | None = None) -> Books:
        """A version of a penalty, in a transaction of its own."""
        headers: Headers = [] if sequence is None else [("ce_sequence", b"%d" % sequence)]
        value = self.penalties.value(number, ends, reason)
        self.offset += 1
        return self.pass_(Record(self.penalties.key(number), value, headers, self.penalties.inbox, self.offset))

    def pass_(self, *records: Record) -> Books:
        self.unit.process(records, self.output)
        self.unit.seal(self.output)
        self.unit.committed()
        return self.unit.books

    def sweep(self) -> Books:
        """What the line does between batches."""
        while self.unit.pending():
            self.pass_()
        return self.unit.books

    def registry(self, number: int) -> list[tuple[bytes | None, bytes | None]]:
        """Sequence and value of every version of a key in the registry."""
        key = self.penalties.key(number)
        return [
            (header(one.headers(), "ce_sequence"), one.value())
            for one in self.kafka.of("registry.")
            if one.key() == key
        ]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_record_leaves_the_registry_when_its_period_ends_and_not_before(bench: Bench) -> None:
    bench.submit(1, ENDS, 7)
    bench.submit(2, LATER, 7)
    bench.submit(3, None, 7)
    bench.clock.moment = ENDS - timedelta(milliseconds=1)
    assert not bench.unit.pending()
    bench.clock.moment = ENDS
    books = bench.sweep()
    assert bench.registry(1) == [(b"7", bench.penalties.value(1, ENDS)), (b"7", None)]
    assert len(bench.registry(2)) == len(bench.registry(3)) == 1
    assert (books.taken, books.admitted, books.expired, books.difference) == (3, 3, 1, 0)
    assert not bench.unit.pending()


def test_the_tombstone_says_whose_record_it_was_and_is_another_event_than_the_version(bench: Bench) -> None:
    bench.submit(1, ENDS)
    bench.clock.moment = ENDS
    bench.sweep()
    version, tombstone = (one.headers() for one in bench.kafka.of("registry."))
    assert [name for name, _ in tombstone] == [name for name, _ in version]
    differing = {name for name, value in tombstone if header(version, name) != value}
    assert differing == {"ce_id", "ce_time"}
    assert header(tombstone, "ce_source") == b"/departments/market-regulation"


def test_what_has_ended_does_not_rise_again_when_it_is_submitted_again(bench: Bench) -> None:
    bench.submit(1, ENDS, 5)
    bench.clock.moment = ENDS
    bench.sweep()
    bench.submit(1, ENDS, 5)
    books = bench.submit(1, LATER, 4)
    assert len(bench.registry(1)) == 2
    assert (books.unchanged, books.superseded, books.quarantined, books.difference) == (1, 1, 0, 0)


def test_what_has_ended_does_not_rise_again_from_a_source_without_sequences(bench: Bench) -> None:
    bench.submit(1, ENDS, None)
    bench.clock.moment = ENDS
    bench.sweep()
    books = bench.submit(1, ENDS, None)
    assert len(bench.registry(1)) == 2
    assert (books.unchanged, books.quarantined) == (1, 0)


def test_a_newer_version_may_prolong_the_period_before_and_after_its_end(bench: Bench) -> None:
    bench.submit(1, ENDS, 5)
    bench.submit(1, ENDS + timedelta(hours=1), 6)
    bench.clock.moment = ENDS
    assert not bench.unit.pending()
    bench.clock.forward(hours=1)
    bench.sweep()
    bench.submit(1, LATER, 7)
    bench.sweep()
    assert [(sequence, value is None) for sequence, value in bench.registry(1)] == [
        (b"5", False),
        (b"6", False),
        (b"6", True),
        (b"7", False),
    ]


def test_a_version_that_comes_after_its_end_withdraws_the_one_before(bench: Bench) -> None:
    bench.submit(1, LATER, 5)
    books = bench.submit(1, START - timedelta(days=1), 6)
    assert bench.registry(1)[1:] == [(b"6", None)]
    assert (books.admitted, books.expired) == (2, 0)
    bench.clock.moment = LATER
    assert bench.sweep().expired == 0


def test_a_record_that_was_never_known_and_has_ended_stays_unknown(bench: Bench) -> None:
    books = bench.submit(1, START, 5)
    assert bench.registry(1) == []
    assert (books.unchanged, books.difference) == (1, 0)


def test_a_withdrawn_record_does_not_end_once_more(bench: Bench) -> None:
    bench.submit(1, ENDS, 5)
    bench.pass_(Record(bench.penalties.key(1), None, [("ce_sequence", b"6")], bench.penalties.inbox))
    bench.clock.moment = ENDS
    assert bench.sweep().expired == 0


def test_the_ends_are_known_again_after_a_kill_before_and_after_the_sweep(bench: Bench) -> None:
    bench.submit(1, LATER, 1)
    bench.submit(1, ENDS, 2)
    bench.submit(2, ENDS, 1)
    bench.submit(2, LATER, 2)
    bench.restart()
    bench.clock.moment = ENDS
    bench.sweep()
    assert [value for _, value in bench.registry(1)][2:] == [None]
    bench.restart()
    assert not bench.unit.pending()
    assert bench.unit.books.expired == 1
    bench.submit(1, ENDS, 2)
    assert len(bench.registry(1)) == 3
    bench.clock.moment = LATER
    bench.sweep()
    assert [value for _, value in bench.registry(2)][2:] == [None]


def test_many_that_end_at_once_leave_over_several_transactions(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.admission.line.SWEPT_AT_ONCE", 2)
    for number in range(5):
        bench.submit(number, ENDS)
    bench.clock.moment = ENDS
    bench.pass_()
    assert bench.unit.books.expired == 2
    assert bench.sweep().expired == 5


def test_a_day_is_over_when_it_is_over_in_china() -> None:
    bench = Bench(DATE)
    bench.submit(1, date(2026, 11, 24))
    bench.clock.moment = datetime(2026, 11, 24, 15, 59, 59, tzinfo=UTC)
    assert not bench.unit.pending()
    bench.clock.moment = datetime(2026, 11, 24, 16, tzinfo=UTC)
    assert bench.sweep().expired == 1


@pytest.mark.parametrize(
    ("type_", "written", "ends"),
    [
        (DATE, date(1969, 12, 30), datetime(1969, 12, 30, 16, tzinfo=UTC)),
        (MOMENT, ENDS, ENDS),
        (
            {"type": "long", "logicalType": "timestamp-micros"},
            ENDS + timedelta(microseconds=1),
            ENDS + timedelta(0, 0, 1000),
        ),
    ],
)
@pytest.mark.parametrize("nullable", [True, False])
@pytest.mark.parametrize("null_first", [True, False])
def test_the_end_is_read_from_the_bytes(
    type_: Any, written: Any, ends: datetime, nullable: bool, null_first: bool
) -> None:
    fields = schema(RecordType("credit.penalty"))["fields"]
    union = ["null", type_] if null_first else [type_, "null"]
    fields[3] = {"name": "expires_at", "type": union if nullable else type_}
    avro = {"type": "record", "name": "P", "fields": fields}
    row = {
        "provider_code": "c" * 300,
        "number": "1",
        "decided": date(2026, 1, 1),
        "expires_at": written,
        "reason": None,
    }
    end, encode = compile_end(avro), Codec(avro).encode
    assert end(bytes(FRAME_BYTES) + encode(row)) == int(ends.timestamp() * 1000)
    if nullable:
        assert end(bytes(FRAME_BYTES) + encode(row | {"expires_at": None})) is None


def test_a_schema_whose_end_is_no_moment_is_refused() -> None:
    with pytest.raises(ExchangeError, match="E_SCHEMA"):
        record_schema(schema(RecordType("credit.penalty"), "string"))


def test_books_without_expired_records_are_read() -> None:
    assert books_state.decode(books_state.encode(Books(2, 2))) == Books(2, 2)
    assert books_state.decode(books_state.encode(Books(2, 2, expired=1))).entered == 3
