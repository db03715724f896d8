"""Single steps of admission: partitions of many keys, who owns a key, plausible times."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.admission import state as books_state
from exchange.admission.admit import Times
from exchange.admission.inboxes import inbox, inbox_topics
from exchange.admission.state import Books
from exchange.avro.lock import SchemaRepository
from exchange.avro.record_schema import RecordSchema
from exchange.broker.departments.commands import ApplyCatalogue
from exchange.catalogue.load import load
from exchange.errors import ExchangeError
from exchange.kafka.client.partitioner import partition_of, partitions_of_keys
from exchange.kafka.line.unit import record_type_of
from exchange.ledger.state.ledger_state import LedgerState
from exchange.names import Department, RecordType, inbox_topic
from exchange.settings import Settings
from tests.harness.memory.ledger import MemoryLedger, SetClock

MARKET, HEALTH, CIVIL, POLICE = map(Department, ("market-regulation", "health", "civil-affairs", "public-security"))


@given(st.lists(st.binary(max_size=40), max_size=80), st.integers(1, 50))
def test_many_keys_get_the_partitions_that_each_gets_alone(keys: list[bytes], partitions: int) -> None:
    assert partitions_of_keys(keys, partitions) == {key: partition_of(key, partitions) for key in keys}


@pytest.mark.parametrize("length", [1, 2, 3, 4, 17, 18, 19, 20, 200])
def test_keys_of_one_length_are_hashed_together_as_alone(length: int) -> None:
    keys = [bytes((7 * number + 31 * place) % 256 for place in range(length)) for number in range(64)]
    assert partitions_of_keys(keys, 12) == {key: partition_of(key, 12) for key in keys}


@pytest.mark.parametrize(
    ("topic", "found"),
    [
        ("inbox.legal-entity.registration.market-regulation", "legal-entity.registration"),
        ("registry.population.death", "population.death"),
        ("exchange.redrive.population.death", "population.death"),
    ],
)
def test_the_record_type_of_a_lines_input_is_in_its_name(topic: str, found: str) -> None:
    assert record_type_of(topic) == found


def test_a_topic_that_no_line_reads_has_no_record_type() -> None:
    with pytest.raises(ValueError, match="line"):
        record_type_of("quarantine.a.b.c")


@pytest.fixture(scope="module")
def schemas() -> SchemaRepository:
    return SchemaRepository.load(Settings().schemas)


@pytest.fixture
def state() -> LedgerState:
    ledger = MemoryLedger()
    ledger.execute(ApplyCatalogue.of(load(Settings().catalogue)), "operator")
    return ledger.state


def rules(schemas: SchemaRepository, record_type: str) -> RecordSchema:
    record = schemas.latest(record_type).record
    assert record is not None
    return record


def owns(schema: RecordSchema, provider: Department, state: LedgerState, key: bytes) -> bool:
    return inbox(inbox_topic(schema.record_type, provider), schema, state).owns(key)


def test_inboxes_are_those_of_the_ledgers_resources(state: LedgerState) -> None:
    assert inbox_topic(RecordType("legal-entity.registration"), MARKET) in inbox_topics(state)
    assert inbox_topic(RecordType("population.death"), MARKET) not in inbox_topics(state)


def test_a_credit_code_belongs_to_the_department_of_its_first_character(
    schemas: SchemaRepository, state: LedgerState
) -> None:
    schema = rules(schemas, "legal-entity.registration")
    assert owns(schema, MARKET, state, b"91340100X")
    assert not owns(schema, MARKET, state, b"51340100X")
    assert owns(schema, CIVIL, state, b"51340100X")


def test_a_prefixed_key_belongs_to_the_department_whose_code_it_begins_with(
    schemas: SchemaRepository, state: LedgerState
) -> None:
    schema = rules(schemas, "population.death")
    code = state.departments[HEALTH].credit_code.encode()
    assert owns(schema, HEALTH, state, code + b"/x")
    assert not owns(schema, HEALTH, state, code + b"x")
    assert not owns(schema, POLICE, state, code + b"/x")


def test_a_successor_owns_the_keys_of_those_it_took_over(schemas: SchemaRepository, state: LedgerState) -> None:
    schema = rules(schemas, "population.death")
    old = state.departments[HEALTH]
    state.departments[HEALTH] = replace(old, successors=(CIVIL,), followed=True)
    assert owns(schema, CIVIL, state, old.credit_code.encode() + b"/x")


def test_a_type_of_one_provider_is_closed_to_all_others(schemas: SchemaRepository, state: LedgerState) -> None:
    schema = rules(schemas, "population.resident")
    assert owns(schema, POLICE, state, b"anything")
    assert not owns(schema, HEALTH, state, b"anything")


def issued(**changes: Any) -> Mapping[str, Any]:
    return {"provider_rule": "issuer", "natural_key": ("licence", "part"), "provider_field": "licence"} | changes


def test_a_licence_belongs_to_its_issuer(schemas: SchemaRepository, state: LedgerState) -> None:
    schema = replace(rules(schemas, "population.death"), **issued())
    assert not owns(schema, HEALTH, state, b"1.2.156.3005.2.no.licence/1")
    assert not owns(schema, HEALTH, state, b"\xff/1")


NOW = datetime(2026, 11, 24, 8, 30, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    "good",
    [
        b"2026-11-24T08:30:20Z",
        b"2026-11-24T16:35:20+08:00",
        b"2017-01-01T00:00:00.123456Z",
        b"2026-11-24T08:34:59.999Z",
    ],
)
def test_a_time_that_can_be_stands_as_it_came(good: bytes) -> None:
    times = Times(SetClock(NOW))
    assert [times.header(good) for _ in range(2)] == [("ce_time", good)] * 2


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"2026-11-24T08:35:21Z",
        b"2026-11-24T17:30:20+08:00",
        b"2026-11-24T08:29:60Z",
        b"2026-11-24T08:29:5Z",
        b"2026-11-24T08:29:00.Z",
        b"2026-11-24T08:29:00+08:0x",
        b"2026-11-24 08:29:00Z",
        "２026-11-24T08:29:00Z".encode(),
    ],
)
def test_a_time_that_cannot_be_is_refused_whatever_came_before(bad: bytes) -> None:
    times = Times(SetClock(NOW))
    times.header(b"2026-11-24T08:29:00Z")
    with pytest.raises(ExchangeError) as caught:
        times.header(bad)
    assert caught.value.code == "E_TIME_IMPLAUSIBLE"


def test_books_survive_their_state_record_and_add_up() -> None:
    books = Books(3, 1, 0, 0, 0)
    books.quarantine("health", "E_FRAMING")
    books.quarantine("health", "E_FRAMING")
    assert books_state.decode(books_state.encode(books)) == books
    total = Books()
    total.add(books)
    total.add(books)
    assert (total.taken, total.by_provider, total.difference) == (6, {"health": {"E_FRAMING": 4}}, 0)


@pytest.mark.parametrize("broken", [b"", b"[]", b'{"taken": 1}', b'{"taken": "x"}'])
def test_books_that_nobody_wrote_stop_the_unit(broken: bytes) -> None:
    with pytest.raises(ExchangeError) as caught:
        books_state.decode(broken)
    assert caught.value.code == "E_REGISTRY_DAMAGED"
