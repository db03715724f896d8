"""One unit of admission without Kafka below it: what enters the registry, what does not, and what the books say."""

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from exchange.admission import state as books_state
from exchange.admission.line import AdmissionUnit
from exchange.admission.rules import Rules
from exchange.admission.state import Books
from exchange.avro import Codec
from exchange.avro.lock import SchemaRepository
from exchange.broker.departments.commands import ApplyCatalogue
from exchange.catalogue.code_sets import FOLDER, load_code_sets
from exchange.catalogue.load import load
from exchange.demo.province.people import Population
from exchange.kafka.admin.topics import HEARTBEAT_EVERY, TOMBSTONES_KEPT
from exchange.kafka.client.partitioner import partition_of
from exchange.ledger.state.ledger_state import LedgerState
from exchange.names import RecordType, inbox_topic, registry_topic
from exchange.record import Headers, frame, header
from exchange.settings import Settings
from tests.harness.memory.ledger import MemoryLedger

TYPE = RecordType("legal-entity.registration")
DEATHS = RecordType("population.death")
NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)


class FixedClock:
    def now(self) -> datetime:
        return NOW


@dataclass
class Record:
    """A record as the client hands it over."""

    key_: bytes | None
    value_: bytes | None
    headers_: Headers | None = None
    offset_: int = 0
    topic_: str = "inbox.legal-entity.registration.market-regulation"
    appended_ms: int = 0

    def topic(self) -> str:
        return self.topic_

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.offset_

    def key(self) -> bytes | None:
        return self.key_

    def value(self) -> bytes | None:
        return self.value_

    def headers(self) -> Headers | None:
        return self.headers_

    def timestamp(self) -> tuple[int, int]:
        return 2, self.appended_ms


@dataclass
class Written:
    """An output that keeps what is produced."""

    records: list[tuple[str, bytes | None, bytes | None, Headers]] = field(default_factory=list)
    full: bool = False

    def produce(
        self, topic: str, value: bytes | None, key: bytes | None, partition: int, headers: Headers | None
    ) -> None:
        if self.full:
            raise BufferError
        self.records.append((topic, key, value, headers or []))

    def poll(self, seconds: float = 0) -> None:
        self.full = False

    def into(self, prefix: str) -> list[tuple[bytes | None, bytes | None, Headers]]:
        return [(key, value, headers) for topic, key, value, headers in self.records if topic.startswith(prefix)]

    @property
    def codes(self) -> list[bytes | None]:
        return [header(headers, "x-exchange-code") for _, _, headers in self.into("quarantine.")]


@dataclass
class Frozen:
    """A ledger that stands still."""

    state: LedgerState

    def poll(self) -> bool:
        return False


@pytest.fixture(scope="module")
def rules() -> Rules:
    settings = Settings()
    ledger = MemoryLedger()
    ledger.execute(ApplyCatalogue.of(load(settings.catalogue)), "operator")
    schemas = SchemaRepository.load(settings.schemas)
    return Rules(schemas, load_code_sets(settings.schemas / FOLDER), Frozen(ledger.state), FixedClock())


@dataclass
class Bench:
    """A unit and what it wrote."""

    rules: Rules
    record_type: RecordType = TYPE
    partition: int = 0
    partitions: int = 1
    registry: list[Record] = field(default_factory=list)
    state: list[Record] = field(default_factory=list)
    written: Written = field(default_factory=Written)

    def __post_init__(self) -> None:
        stored = {registry_topic(self.record_type): self.registry}
        self.unit = AdmissionUnit(
            self.record_type,
            self.partition,
            self.partitions,
            self.rules,
            lambda topic, _partition: stored.get(topic, self.state),
        )
        self.unit.restore()

    def take(self, *records: Record) -> Books:
        self.unit.process(records, self.written)
        self.unit.seal(self.written)
        self.unit.committed()
        return self.unit.books

    def encode(self, row: dict[str, Any]) -> bytes:
        schema = self.rules.schemas.latest(self.record_type)
        return frame(schema.id) + Codec(schema.schema).encode(row)


@pytest.fixture
def bench(rules: Rules) -> Bench:
    return Bench(rules)


def company(number: int = 0, **changes: Any) -> dict[str, Any]:
    people = Population(7).companies(number + 1, "11340000EXCH00018B")
    return dataclasses.asdict(people[number]) | changes


def sent(bench: Bench, row: dict[str, Any], sequence: int | None = 1, **more: Any) -> Record:
    headers: Headers = [] if sequence is None else [("ce_sequence", b"%d" % sequence)]
    return Record(row["credit_code"].encode(), bench.encode(row), headers + more.pop("headers", []), **more)


def test_a_good_record_enters_the_registry_untouched_with_the_headers_of_the_exchange(bench: Bench) -> None:
    row = company()
    books = bench.take(sent(bench, row, 5, headers=[("ce_time", b"2026-11-24T07:00:00Z"), ("ce_subject", b"me")]))
    key = row["credit_code"].encode()
    assert bench.written.into("registry.") == [
        (
            key,
            bench.encode(row),
            [
                ("ce_specversion", b"1.0"),
                ("ce_id", hashlib.blake2b(key + b"\0" + b"5", digest_size=16).hexdigest().encode()),
                ("ce_source", b"/departments/market-regulation"),
                ("ce_type", b"legal-entity.registration"),
                ("ce_time", b"2026-11-24T07:00:00Z"),
                ("content-type", b"application/avro"),
                ("ce_sequence", b"5"),
            ],
        )
    ]
    assert (books.taken, books.admitted, books.difference) == (1, 1, 0)


def test_the_time_of_admission_stands_in_for_a_missing_time(bench: Bench) -> None:
    bench.take(sent(bench, company()))
    ((_, _, headers),) = bench.written.into("registry.")
    assert header(headers, "ce_time") == b"2026-11-24T08:00:00.000Z"


def test_an_equal_version_is_unchanged_an_older_one_superseded(bench: Bench) -> None:
    row = company()
    newer = row | {"name": "新名"}
    books = bench.take(
        sent(bench, row, 5), sent(bench, row, 5), sent(bench, newer, 6), sent(bench, row, 5), sent(bench, newer, 6)
    )
    assert (books.taken, books.admitted, books.unchanged, books.superseded) == (5, 2, 2, 1)


def test_the_same_sequence_with_other_content_is_a_conflict(bench: Bench) -> None:
    row = company()
    bench.take(sent(bench, row, 5), sent(bench, row | {"name": "别名"}, 5))
    assert bench.written.codes == [b"E_SEQUENCE_CONFLICT"]


def test_without_a_sequence_the_offset_stands_in(bench: Bench) -> None:
    row = company()
    books = bench.take(
        sent(bench, row, None, offset_=7),
        sent(bench, row, None, offset_=8),
        sent(bench, row | {"name": "新名"}, None, offset_=9),
    )
    assert (books.admitted, books.unchanged) == (2, 1)
    assert [header(headers, "ce_sequence") for _, _, headers in bench.written.into("registry.")] == [b"7", b"9"]


def test_a_withdrawal_of_a_known_key_enters_and_nothing_older_rises_again(bench: Bench) -> None:
    row = company()
    key = row["credit_code"].encode()
    books = bench.take(
        sent(bench, row, 1), Record(key, None, [("ce_sequence", b"5")]), sent(bench, row, 4), sent(bench, row, 6)
    )
    assert [value is None for _, value, _ in bench.written.into("registry.")] == [False, True, False]
    assert (books.admitted, books.superseded) == (3, 1)


def test_a_withdrawal_of_an_unknown_key_is_unchanged(bench: Bench) -> None:
    books = bench.take(Record(company()["credit_code"].encode(), None, [("ce_sequence", b"5")]))
    assert (books.taken, books.unchanged) == (1, 1)
    assert bench.written.into("registry.") == []


def withdrawn(row: dict[str, Any], sequence: int | None, **more: Any) -> Record:
    headers: Headers = [] if sequence is None else [("ce_sequence", b"%d" % sequence)]
    return Record(row["credit_code"].encode(), None, headers, **more)


def after_a_restart(bench: Bench, now: datetime = NOW, written_ms: int | None = None) -> Bench:
    """Another unit that has only what the first one wrote, at `now`; its state was appended at `written_ms`."""
    appended = int(NOW.timestamp() * 1000) if written_ms is None else written_ms
    kept = {
        prefix: [
            Record(key, value, headers, appended_ms=appended) for key, value, headers in bench.written.into(prefix)
        ]
        for prefix in ("registry.", "exchange.admission.")
    }
    return Bench(at(bench.rules, now), registry=kept["registry."], state=kept["exchange.admission."])


@pytest.mark.parametrize("sequences", [(5, 8), (None, None)])
def test_a_second_withdrawal_is_unchanged_and_what_is_older_than_it_does_not_rise(
    bench: Bench, sequences: tuple[int | None, int | None]
) -> None:
    row = company()
    books = bench.take(sent(bench, row, 1), *(withdrawn(row, one, offset_=n) for one, n in zip(sequences, (5, 8))))  # noqa: B905
    assert (books.admitted, books.unchanged) == (2, 1)
    again = after_a_restart(bench)
    books = again.take(sent(again, row, 7), sent(again, row | {"name": "新名"}, 9), sent(again, row, 8))
    assert (books.superseded, [value is None for _, value, _ in again.written.into("registry.")]) == (2, [False])
    last = after_a_restart(again)
    assert last.take(withdrawn(row, 9)).by_code == {"E_SEQUENCE_CONFLICT": 1}


def test_the_state_forgets_a_repeated_withdrawal_when_the_record_came_back(bench: Bench) -> None:
    row = company()
    bench.take(sent(bench, row, 1), withdrawn(row, 5), withdrawn(row, 8))
    kept = bench.written.into("exchange.admission.")
    assert [value for key, value, _ in kept if (key or b"").startswith(b"w|")] == [b"8"]
    bench.take(sent(bench, row, 9))
    again = after_a_restart(bench)
    again.take(withdrawn(company(1), 1))
    written = again.written.into("exchange.admission.")
    assert [value for key, value, _ in written if (key or b"").startswith(b"w|")] == [None]


def test_the_state_forgets_a_repeated_withdrawal_with_the_tombstones_of_its_time(bench: Bench) -> None:
    row = company()
    bench.take(sent(bench, row, 1), withdrawn(row, 5), withdrawn(row, 8))
    later = NOW + TOMBSTONES_KEPT
    again = after_a_restart(bench, later)
    again.unit.process([], again.written)  # a heartbeat is due
    again.unit.seal(again.written)
    assert [(key, value) for key, value, _ in again.written.into("exchange.admission.") if key != b"n|"] == [
        (b"w|" + row["credit_code"].encode(), None)
    ]


def test_heartbeats_are_skipped_and_never_counted(bench: Bench) -> None:
    books = bench.take(Record(b"~", None), Record(b"~", None))
    assert books == Books()
    assert bench.written.into("quarantine.") == []


def at(rules: Rules, now: datetime) -> Rules:
    """The same rules at another time."""

    class Later:
        def now(self) -> datetime:
            return now

    return Rules(rules.schemas, rules.code_sets, rules.ledger, Later())


def appended(moment: datetime, key: bytes, value: bytes | None, headers: Headers | None = None) -> Record:
    return Record(key, value, headers, appended_ms=int(moment.timestamp() * 1000))


def test_a_registry_partition_gets_a_heartbeat_when_the_last_is_old_enough_and_counts_none(rules: Rules) -> None:
    first = appended(NOW - 5 * HEARTBEAT_EVERY, b"a", None, [("ce_sequence", b"1")])
    last = appended(NOW, b"~", None)
    assert not Bench(at(rules, NOW + 0.9 * HEARTBEAT_EVERY), registry=[first, last]).unit.pending()
    due = Bench(at(rules, NOW + HEARTBEAT_EVERY), registry=[first, last])
    assert due.unit.pending()
    assert due.take() == Books()
    assert due.written.into("registry.") == [(b"~", None, [])]
    assert not due.unit.pending()
    assert due.take() == Books()
    assert len(due.written.into("registry.")) == 1


def test_a_clock_that_was_ahead_for_a_while_delays_no_heartbeat_by_more_than_a_turn(rules: Rules) -> None:
    last = appended(NOW, b"~", None)
    bench = Bench(
        at(rules, NOW + 400 * HEARTBEAT_EVERY), registry=[appended(NOW, b"a", None, [("ce_sequence", b"1")]), last]
    )
    assert bench.take() == Books()
    assert len(bench.written.into("registry.")) == 1
    bench.unit._rules = at(rules, NOW + HEARTBEAT_EVERY)
    assert bench.unit.pending()


def test_a_registry_partition_without_heartbeats_is_measured_from_its_first_record(rules: Rules) -> None:
    first = appended(NOW - HEARTBEAT_EVERY, b"a", None, [("ce_sequence", b"1")])
    second = appended(NOW, b"b", None, [("ce_sequence", b"1")])
    assert Bench(rules, registry=[first, second]).unit.pending()
    assert not Bench(rules, registry=[second]).unit.pending()


def test_an_empty_registry_partition_has_nothing_to_erase_and_gets_no_heartbeat(rules: Rules) -> None:
    bench = Bench(rules)
    assert not bench.unit.pending()
    bench.take(sent(bench, company()))
    bench.unit._rules = at(rules, NOW + HEARTBEAT_EVERY)
    assert bench.unit.pending()


def test_the_memory_is_rebuilt_from_the_registry(rules: Rules) -> None:
    row, gone = company(0), company(1)
    before = Bench(rules)
    before.take(sent(before, row, 5), sent(before, gone, 1))
    before.take(Record(gone["credit_code"].encode(), None, [("ce_sequence", b"3")]))
    registry = [Record(key, value, headers) for key, value, headers in before.written.into("registry.")]
    state = [Record(key, value) for key, value, _ in before.written.into("exchange.admission.")]
    after = Bench(rules, registry=[*registry, Record(b"~", None)], state=state)
    assert after.unit.books == before.unit.books
    books = after.take(sent(after, row, 5), sent(after, row, 4), sent(after, gone, 2))
    assert (books.taken, books.admitted, books.unchanged, books.superseded) == (6, 3, 1, 2)


def test_books_are_written_with_what_they_count(bench: Bench) -> None:
    bench.take(sent(bench, company()), Record(None, b"x"))
    (key, value, _), (place, _, _) = bench.written.into("exchange.admission.")
    assert key == books_state.BOOKS_KEY
    assert (place or b"").startswith(b"o|inbox.")
    assert value is not None
    books = books_state.decode(value)
    assert books == Books(2, 1, 0, 0, 1, {"E_KEY_MISSING": 1}, {"market-regulation": {"E_KEY_MISSING": 1}})
    assert books.difference == 0


def test_a_full_client_queue_is_waited_for(bench: Bench) -> None:
    bench.written.full = True
    assert bench.take(sent(bench, company())).admitted == 1


def test_a_quarantined_record_is_kept_as_it_came_and_says_why(bench: Bench) -> None:
    bad = Record(b"k", b"\x01no", [("ce_type", b"legal-entity.registration"), ("x", b"y")], 42)
    bench.take(bad)
    ((key, value, headers),) = bench.written.into("quarantine.market-regulation")
    assert (key, value) == (b"k", b"\x01no")
    assert headers == [
        ("x-exchange-stage", b"admission.unseal"),
        ("x-exchange-code", b"E_FRAMING"),
        ("x-exchange-reason", b"the value does not begin with 0x00 and a schema id"),
        ("x-exchange-origin", b"inbox.legal-entity.registration.market-regulation/0/42"),
        *bad.headers_,
    ]


def test_a_forged_header_of_the_exchange_is_kept_under_another_name(bench: Bench) -> None:
    bench.take(sent(bench, company(), headers=[("x-exchange-code", b"E_NOTHING")]))
    ((_, _, headers),) = bench.written.into("quarantine.")
    assert header(headers, "x-exchange-code") == b"E_HEADER_FORGED"
    assert header(headers, "submitted-x-exchange-code") == b"E_NOTHING"


Spoil = Callable[[Bench], Record]


def _changed(**changes: Any) -> Spoil:
    return lambda bench: sent(bench, company(**changes))


def _headed(*headers: tuple[str, bytes]) -> Spoil:
    return lambda bench: sent(bench, company(), None, headers=list(headers))


def _cut(change: Callable[[bytes], bytes]) -> Spoil:
    row = company()
    return lambda bench: Record(row["credit_code"].encode(), change(bench.encode(row)))


DAY = datetime(2026, 11, 26, tzinfo=UTC).date()
SPOILT: list[tuple[str, Spoil]] = [
    ("E_TOO_LARGE", _cut(lambda value: value + bytes(262_144))),
    ("E_KEY_MISSING", lambda bench: Record(None, bench.encode(company()))),
    ("E_KEY_MISSING", lambda bench: Record(b"", bench.encode(company()))),
    ("E_KEY_RESERVED", lambda bench: Record(b"~", bench.encode(company()))),
    ("E_HEADERS", _headed(*((f"h{number}", b"") for number in range(40)))),
    ("E_HEADERS", _headed(("ce_id", bytes(9000)))),
    ("E_HEADERS", _headed(("other", bytes(9000)))),
    ("E_HEADERS", _headed(("ce_id", None))),  # type: ignore[arg-type]
    ("E_HEADER_FORGED", _headed(("ce_source", b"/departments/public-security"))),
    ("E_HEADER_FORGED", _headed(("ce_type", b"population.resident"))),
    ("E_HEADER_FORGED", _headed(("ce_sequence", b"1"), ("ce_sequence", b"9"))),
    ("E_HEADER_FORGED", _headed(("X-Exchange-Origin", b"a/0/1"))),
    ("E_FRAMING", _cut(lambda value: b"")),
    ("E_FRAMING", _cut(lambda value: value[5:])),
    ("E_FRAMING", _cut(lambda value: b"\0\0\0")),
    ("E_SCHEMA_UNKNOWN", _cut(lambda value: frame(99_999) + value[5:])),  # type: ignore[arg-type]
    ("E_SCHEMA_UNKNOWN", _cut(lambda value: frame(100_001) + value[5:])),  # type: ignore[arg-type]
    ("E_AVRO_TRUNCATED", _cut(lambda value: value[:-1])),
    ("E_AVRO_TRAILING", _cut(lambda value: value + b"\0")),
    ("E_KEY_MISMATCH", lambda bench: Record(company(1)["credit_code"].encode(), bench.encode(company(0)))),
    ("E_CREDIT_CODE_CHECK_DIGIT", _changed(credit_code="91340100MA2N00001X")),
    ("E_FIELD_REQUIRED", _changed(name="")),
    ("E_CODE_UNKNOWN", _changed(status="99")),
    ("E_REGION_FORM", _changed(region="990000")),
    ("E_CREDIT_CODE_FORM", _changed(authority_code="x")),
    ("E_DATE_IMPLAUSIBLE", _changed(established=DAY)),
    ("E_DATE_IMPLAUSIBLE", _changed(revoked=datetime(1839, 12, 31, tzinfo=UTC).date())),
    ("E_SEQUENCE", _headed(("ce_sequence", b"-1"))),
    ("E_SEQUENCE", _headed(("ce_sequence", b" 1"))),
    ("E_SEQUENCE", _headed(("ce_sequence", b""))),
    ("E_SEQUENCE", _headed(("ce_sequence", b"9223372036854775808"))),
    ("E_SEQUENCE", _headed(("ce_sequence", "１".encode()))),
    ("E_TIME_IMPLAUSIBLE", _headed(("ce_time", b"2026-11-24T08:06:00Z"))),
    ("E_TIME_IMPLAUSIBLE", _headed(("ce_time", b"yesterday"))),
    ("E_TIME_IMPLAUSIBLE", _headed(("ce_time", b"2026-11-24T07:00:00"))),
    ("E_TIME_IMPLAUSIBLE", _headed(("ce_time", b"2026-02-30T07:00:00Z"))),
    ("E_TIME_IMPLAUSIBLE", _headed(("ce_time", b"2026-11-23T24:00:00Z"))),
    ("E_TIME_IMPLAUSIBLE", _headed(("ce_time", b"1969-12-31T23:59:59Z"))),
    ("E_TIME_IMPLAUSIBLE", _headed(("ce_time", b"0001-01-01T00:00:00+14:00"))),
]


@pytest.mark.parametrize(("code", "spoil"), SPOILT, ids=[f"{n}-{code}" for n, (code, _) in enumerate(SPOILT)])
def test_a_bad_record_goes_to_quarantine_and_those_around_it_go_on(bench: Bench, code: str, spoil: Spoil) -> None:
    first, last = company(2), company(3)
    bad = spoil(bench)
    books = bench.take(sent(bench, first), bad, sent(bench, last))
    assert bench.written.codes == [code.encode()]
    assert bench.written.into("quarantine.")[0][:2] == (bad.key_, bad.value_)
    assert [key for key, _, _ in bench.written.into("registry.")] == [
        first["credit_code"].encode(),
        last["credit_code"].encode(),
    ]
    assert (books.taken, books.admitted, books.quarantined, books.difference) == (3, 2, 1, 0)


NAMED: list[tuple[bytes, str, Spoil]] = [
    (b"ZHANG", "ce_source: /departments/market-regulation", _headed(("ce_source", b"/departments/ZHANG"))),
    (b"ZHANG", "ce_type: legal-entity.registration", _headed(("ce_type", b"ZHANG"))),
    (b"ZHANG", "ce_id: expected once", _headed(("ce_id", b"ZHANG"), ("ce_id", b"WEI"))),
    (b"ZHANG", "begins with x-exchange-", _headed(("X-Exchange-ZHANG", b"ZHANG"))),
    (b"ZHANG", "ce_id: a header without value", _headed(("ce_id", None), ("ce_time", b"ZHANG"))),  # type: ignore[arg-type]
    (b"ZHANG", "at most 32 headers with 8,192 bytes", _headed(*((f"ZHANG{number}", b"") for number in range(40)))),
    (b"ZHANG", "at most 32 headers with 8,192 bytes", _headed(("ce_id", b"ZHANG" * 2000))),
    (b"ZHANG", "ce_sequence: expected are the digits", _headed(("ce_sequence", b"ZHANG"))),
    (b"19491231", "ce_time: expected is a moment", _headed(("ce_time", b"19491231"))),
]


@pytest.mark.parametrize(("value", "said", "spoil"), NAMED)
def test_a_refusal_names_the_header_and_what_is_expected_and_no_value(
    bench: Bench, value: bytes, said: str, spoil: Spoil
) -> None:
    bench.take(spoil(bench))
    ((_, _, headers),) = bench.written.into("quarantine.")
    reason = header(headers, "x-exchange-reason")
    assert reason is not None
    assert said in reason.decode()
    assert value not in reason


def test_a_schema_of_another_record_type_is_refused(bench: Bench, rules: Rules) -> None:
    row = company()
    foreign = frame(rules.schemas.latest(DEATHS).id) + bench.encode(row)[5:]
    bench.take(Record(row["credit_code"].encode(), foreign))
    assert bench.written.codes == [b"E_SCHEMA_FOREIGN"]


def test_a_new_key_in_the_wrong_partition_is_refused_and_a_known_one_is_not(rules: Rules) -> None:
    row = company()
    key = row["credit_code"].encode()
    wrong = 1 - partition_of(key, 2)
    refusing = Bench(rules, partition=wrong, partitions=2)
    refusing.take(sent(refusing, row))
    assert refusing.written.codes == [b"E_KEY_PARTITION"]
    known = Bench(rules, partition=wrong, partitions=2, registry=[Record(key, b"x", [("ce_sequence", b"0")])])
    assert known.take(sent(known, row)).admitted == 1


def test_a_department_cannot_touch_a_key_of_another_nor_withdraw_it(rules: Rules) -> None:
    bench = Bench(rules)
    row = company()
    inbox = inbox_topic(TYPE, "civil-affairs")  # type: ignore[arg-type]
    key = row["credit_code"].encode()
    bench.take(sent(bench, row, topic_=inbox), Record(key, None, [("ce_sequence", b"9")], topic_=inbox))
    assert bench.written.codes == [b"E_KEY_NOT_OWNED", b"E_KEY_NOT_OWNED"]
    assert len(bench.written.into("quarantine.civil-affairs")) == 2


def test_the_id_of_a_personal_record_does_not_show_its_key(rules: Rules) -> None:
    bench = Bench(rules, DEATHS)
    people = Population(3)
    code = rules.ledger.state.departments["health"].credit_code  # type: ignore[index]
    row = dataclasses.asdict(next(people.deaths(people.residents(3000), code)))
    key = f"{code}/{row['resident_id']}".encode()
    inbox = inbox_topic(DEATHS, "health")  # type: ignore[arg-type]
    bench.take(Record(key, bench.encode(row), [("ce_sequence", b"1")], topic_=inbox))
    ((_, _, headers),) = bench.written.into("registry.")
    identity = header(headers, "ce_id") or b""
    assert len(identity) == 32
    assert row["resident_id"].encode() not in identity


def test_a_fault_of_ours_puts_the_record_aside_and_the_line_goes_on(bench: Bench) -> None:
    class Broken(Record):
        def headers(self) -> Headers | None:
            return None if self.seen else [("ce_id", "text")]  # type: ignore[list-item]

        seen = False

    row = company()
    broken = Broken(b"k", bench.encode(row))
    books = bench.take(broken, sent(bench, row))
    assert books.admitted == 1
    assert books.quarantined == 1
