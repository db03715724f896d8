"""Who may say what under which key: kinds of keys that are another's or forged, and resources that cut their own rows.

The unit of admission and the unit of delivery are the real ones, without Kafka below them.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest

from exchange.admission.line import AdmissionUnit
from exchange.admission.rules import Rules
from exchange.avro import Codec
from exchange.avro.lock import SchemaRepository
from exchange.broker.departments.commands import ApplyCatalogue
from exchange.catalogue.code_sets import FOLDER, load_code_sets
from exchange.catalogue.load import load
from exchange.demo.province.registers import generate
from exchange.demo.province.trade import identifier
from exchange.identifiers import credit_code
from exchange.ledger.state.ledger_state import Condition, LedgerState
from exchange.names import Department, RecordType, ShareName, inbox_topic, quarantine_topic, registry_topic
from exchange.record import SOURCE, Headers, frame, header, source_of
from exchange.settings import Settings
from tests.harness.memory.delivery import DeliveryMemory, company, share_entry
from tests.harness.memory.ledger import MemoryLedger

MARKET, HEALTH, CIVIL, ECOLOGY = "market-regulation", "health", "civil-affairs", "ecology-and-environment"
DEATH, PENALTY, LICENCE = "population.death", "credit.penalty", "e-licence.licence"
RESIDENT, COMPANY = "population.resident", "legal-entity.registration"
NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
CODES = {str(slug): one.credit_code for slug, one in load(Settings().catalogue).departments.items()}
ASSOCIATION = "51340000MJA000001"
ASSOCIATION += credit_code.check_character(ASSOCIATION)
"""A social organisation: civil affairs gives codes that begin with 5."""


@dataclass
class Record:
    """A record as the client hands it over."""

    topic_: str
    key_: bytes
    value_: bytes | None
    headers_: Headers

    def topic(self) -> str:
        return self.topic_

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return 0

    def key(self) -> bytes:
        return self.key_

    def value(self) -> bytes | None:
        return self.value_

    def headers(self) -> Headers:
        return self.headers_

    def timestamp(self) -> tuple[int, int]:
        return 2, int(NOW.timestamp() * 1000)


@dataclass
class Bus:
    """A unit of admission for each record type, and all that they wrote: (topic, key, headers)."""

    rules: Rules
    written: list[tuple[str, bytes | None, Headers]] = field(default_factory=list)
    units: dict[str, AdmissionUnit] = field(default_factory=dict)
    sequence: int = 0

    def produce(
        self, topic: str, value: bytes | None, key: bytes | None, partition: int, headers: Headers | None = None
    ) -> None:
        self.written.append((topic, key, headers or []))

    def poll(self, seconds: float = 0) -> None:
        """Nothing is on its way."""

    def submit(self, record_type: str, by: str, key: str, row: dict[str, Any] | None, **headers: bytes) -> None:
        """A department puts a record, or a withdrawal, under a key into its own inbox."""
        unit = self.units.get(record_type)
        if unit is None:
            unit = self.units[record_type] = AdmissionUnit(
                RecordType(record_type), 0, 1, self.rules, lambda _topic, _partition: []
            )
            unit.restore()
        self.sequence += 1
        sent = [("ce_sequence", b"%d" % self.sequence), *headers.items()]
        topic = inbox_topic(RecordType(record_type), Department(by))
        value = None if row is None else self._encode(record_type, row)
        unit.process([Record(topic, key.encode(), value, sent)], self)
        unit.seal(self)
        unit.committed()

    def _encode(self, record_type: str, row: dict[str, Any]) -> bytes:
        schema = self.rules.schemas.latest(record_type)
        given = {rule["name"]: None for rule in schema.schema["fields"]}
        return frame(schema.id) + Codec(schema.schema).encode(given | row)

    def admitted(self, record_type: str) -> list[tuple[bytes | None, bytes | None]]:
        """Key and source of what entered the registry."""
        topic = registry_topic(RecordType(record_type))
        return [(key, header(headers, SOURCE)) for name, key, headers in self.written if name == topic]

    def refused(self, by: str) -> list[str]:
        """The codes of what waits in a department's quarantine."""
        topic = quarantine_topic(Department(by))
        return [
            (header(headers, "x-exchange-code") or b"").decode() for name, _, headers in self.written if name == topic
        ]


@pytest.fixture(scope="module")
def rules() -> Rules:
    settings = Settings()
    ledger = MemoryLedger()
    ledger.execute(ApplyCatalogue.of(load(settings.catalogue)), "operator")
    schemas = SchemaRepository.load(settings.schemas)

    class Still:
        state: LedgerState = ledger.state

        def poll(self) -> bool:
            return False

    class Noon:
        def now(self) -> datetime:
            return NOW

    return Rules(schemas, load_code_sets(settings.schemas / FOLDER), Still(), Noon())


@pytest.fixture
def bus(rules: Rules) -> Bus:
    return Bus(rules)


@cache
def row(connector: str) -> dict[str, Any]:
    """A good row of a generated register."""
    return generate(400, CODES).rows[connector][0]


def death(by: str) -> tuple[str, dict[str, Any]]:
    """Key and record of the report of a death by a department."""
    found = row("health.deaths") | {"provider_code": CODES[by]}
    return f"{CODES[by]}/{found['resident_id']}", found


def test_own_keys_of_every_rule_are_admitted(bus: Bus) -> None:
    bus.submit(DEATH, HEALTH, *death(HEALTH))
    bus.submit(PENALTY, MARKET, *penalty_of_market(bus))
    for record_type, connector in (
        (LICENCE, f"{MARKET}.licences"),
        (COMPANY, f"{MARKET}.registrations"),
        (RESIDENT, "public-security.residents"),
    ):
        found = row(connector)
        bus.submit(record_type, connector.partition(".")[0], key_of(bus, record_type, found), found)
    for record_type in (DEATH, PENALTY, LICENCE, COMPANY, RESIDENT):
        assert len(bus.admitted(record_type)) == 1
    assert bus.refused(MARKET) == bus.refused(HEALTH) == []


def key_of(bus: Bus, record_type: str, values: dict[str, Any]) -> str:
    schema = bus.rules.schema(RecordType(record_type))
    return schema.key_of([values[part] for part in schema.natural_key]).decode()


def penalty_of_market(bus: Bus) -> tuple[str, dict[str, Any]]:
    found = row(f"{MARKET}.penalties")
    return key_of(bus, PENALTY, found), found


FOREIGN = "E_KEY_NOT_OWNED"


def test_a_death_under_another_departments_code_is_refused(bus: Bus) -> None:
    bus.submit(DEATH, CIVIL, *death(HEALTH))
    assert bus.refused(CIVIL) == [FOREIGN]


def test_a_penalty_under_another_departments_code_is_refused(bus: Bus) -> None:
    bus.submit(PENALTY, ECOLOGY, *penalty_of_market(bus))
    assert bus.refused(ECOLOGY) == [FOREIGN]


def test_a_key_that_only_begins_like_the_departments_own_code_is_refused(bus: Bus) -> None:
    key, found = death(HEALTH)
    bus.submit(DEATH, HEALTH, key.replace("/", "X/"), None)
    bus.submit(DEATH, HEALTH, key.replace("/", "X/"), found)
    assert bus.refused(HEALTH) == [FOREIGN, "E_KEY_MISMATCH"]


def test_a_key_with_the_departments_code_written_otherwise_is_refused(bus: Bus) -> None:
    key, found = death(HEALTH)
    bus.submit(DEATH, HEALTH, f"%31{key[1:]}", None)
    bus.submit(DEATH, HEALTH, f"%31{key[1:]}", found)
    assert bus.refused(HEALTH) == [FOREIGN, "E_KEY_MISMATCH"]


def test_a_credit_code_that_another_department_gives_is_refused(bus: Bus) -> None:
    bus.submit(COMPANY, MARKET, ASSOCIATION, row(f"{MARKET}.registrations") | {"credit_code": ASSOCIATION})
    assert bus.refused(MARKET) == [FOREIGN]


def test_a_licence_of_another_issuer_is_refused(bus: Bus) -> None:
    found = row(f"{MARKET}.licences")
    bus.submit(LICENCE, "data-resources", found["licence_id"], found)
    assert bus.refused("data-resources") == [FOREIGN]


def test_a_licence_that_names_the_department_elsewhere_than_as_issuer_is_refused(bus: Bus) -> None:
    forged = identifier("001", CODES[MARKET], CODES["data-resources"])
    bus.submit(LICENCE, "data-resources", forged, row(f"{MARKET}.licences") | {"licence_id": forged})
    assert bus.refused("data-resources") == [FOREIGN]


def test_a_type_of_one_department_takes_nothing_from_another(bus: Bus) -> None:
    found = row("public-security.residents")
    bus.submit(RESIDENT, HEALTH, found["resident_id"], found)
    assert bus.refused(HEALTH) == [FOREIGN]


def test_a_withdrawal_of_another_departments_record_is_refused(bus: Bus) -> None:
    bus.submit(DEATH, HEALTH, *death(HEALTH))
    bus.submit(DEATH, CIVIL, death(HEALTH)[0], None)
    assert bus.refused(CIVIL) == [FOREIGN]
    assert len(bus.admitted(DEATH)) == 1


def test_an_own_key_around_another_departments_record_is_refused(bus: Bus) -> None:
    bus.submit(DEATH, CIVIL, death(CIVIL)[0], death(HEALTH)[1])
    assert bus.refused(CIVIL) == ["E_KEY_MISMATCH"]


def test_an_own_record_that_claims_another_source_is_refused(bus: Bus) -> None:
    bus.submit(DEATH, CIVIL, *death(CIVIL), ce_source=source_of(Department(HEALTH)))
    assert bus.refused(CIVIL) == ["E_HEADER_FORGED"]


def test_of_two_departments_with_one_key_the_owner_is_admitted_and_the_other_waits_in_its_own_quarantine(
    bus: Bus,
) -> None:
    key, found = penalty_of_market(bus)
    bus.submit(PENALTY, ECOLOGY, key, found | {"content": "another"})
    bus.submit(PENALTY, MARKET, key, found)
    bus.submit(PENALTY, ECOLOGY, key, found | {"content": "another"})
    assert bus.admitted(PENALTY) == [(key.encode(), source_of(Department(MARKET)))]
    assert bus.refused(ECOLOGY) == [FOREIGN, FOREIGN]
    assert bus.refused(MARKET) == []


def test_one_death_from_three_departments_is_three_records(bus: Bus) -> None:
    for department in (HEALTH, CIVIL, "public-security"):
        bus.submit(DEATH, department, *death(department))
    assert [source for _, source in bus.admitted(DEATH)] == [
        source_of(Department(department)) for department in (HEALTH, CIVIL, "public-security")
    ]


@pytest.mark.parametrize("scope", [(), (Condition("region", "equals", ("340100",)),)])
def test_a_resource_delivers_its_own_providers_rows_and_no_others(scope: tuple[Condition, ...]) -> None:
    memory = DeliveryMemory()
    other = share_entry("t", scope=scope)
    memory.want(share_entry(scope=scope), replace(other, terms=replace(other.terms, provider=Department(CIVIL))))
    from_civil = source_of(Department(CIVIL))
    memory.take(("a", company("a")), ("b", company("b"), from_civil), ("a", None), ("b", None, from_civil))
    assert {key for key, _ in memory.delivered(ShareName("s"))} == {"a"}
    assert {key for key, _ in memory.delivered(ShareName("t"))} == {"b"}
