"""What is redriven passes by the rules of the newest schema, what comes anew by those of the version that wrote it."""

import copy
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import pytest

from exchange.admission.line import AdmissionUnit
from exchange.admission.rules import Rules
from exchange.avro import Codec
from exchange.avro.lock import LockedSchema, SchemaRepository
from exchange.avro.record_schema import record_schema
from exchange.broker.departments.commands import ApplyCatalogue
from exchange.catalogue.code_sets import FOLDER, load_code_sets
from exchange.catalogue.load import load
from exchange.names import Department, SchemaId, redrive_topic
from exchange.quarantine.quarantine_id import Origin, QuarantineId
from exchange.quarantine.redriven import redrive_headers
from exchange.record import frame
from exchange.settings import Settings
from tests.harness.memory.ledger import MemoryLedger
from tests.unit.admission.test_admission_unit import TYPE, FixedClock, Frozen, Record, Written, company

FIRST, SECOND = SchemaId(900), SchemaId(901)
MARKET = Department("market-regulation")
Change = Callable[[dict[str, Any]], None]


def _field(schema: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in schema["fields"] if one["name"] == name)
    return found


def _in_the_future(schema: dict[str, Any]) -> None:
    _field(schema, "established")["future"] = True


def _another_form(schema: dict[str, Any]) -> None:
    field = _field(schema, "status")
    del field["codeSet"]
    field["form"] = "[0-9]|[A-Z]{2}"


def _a_field_more(schema: dict[str, Any]) -> None:
    _in_the_future(schema)
    schema["fields"].append(
        {"name": "more", "type": ["null", "string"], "default": None, "doc": "more", "meaningZh": "更多"}
    )


def _unit(mend: Change) -> AdmissionUnit:
    settings = Settings()
    ledger = MemoryLedger()
    ledger.execute(ApplyCatalogue.of(load(settings.catalogue)), "operator")
    before = SchemaRepository.load(settings.schemas).latest(TYPE).schema
    after = copy.deepcopy(before)
    mend(after)
    locked = [
        LockedSchema(FIRST, TYPE, 1, before, record_schema(before)),
        LockedSchema(SECOND, TYPE, 2, after, record_schema(after)),
    ]
    code_sets = load_code_sets(settings.schemas / FOLDER)
    rules = Rules(SchemaRepository(locked), code_sets, Frozen(ledger.state), FixedClock())
    return AdmissionUnit(TYPE, 0, 1, rules, lambda _topic, _partition: [])


def _outcome(unit: AdmissionUnit, row: Mapping[str, Any], redriven: bool) -> list[bytes | None]:
    """The codes with which the record, written in the first version, is put aside."""
    key, written = str(row["credit_code"]).encode(), Written()
    schema = SchemaRepository.load(Settings().schemas).latest(TYPE).schema
    value = frame(FIRST) + Codec(schema).encode(dict(row))
    if redriven:
        origin, was = Origin(TYPE, MARKET, 0, 7), QuarantineId(MARKET, 0, 3)
        message = Record(key, value, redrive_headers(origin, was, []), topic_=redrive_topic(TYPE))
    else:
        message = Record(key, value)
    unit.process([message], written)
    return written.codes


@pytest.mark.parametrize(
    ("mend", "changes", "code"),
    [
        (_in_the_future, {"established": date(2029, 1, 1)}, b"E_DATE_IMPLAUSIBLE"),
        (_another_form, {"status": "AB"}, b"E_CODE_UNKNOWN"),
        (_a_field_more, {"established": date(2029, 1, 1)}, b"E_DATE_IMPLAUSIBLE"),
    ],
)
def test_a_record_that_a_rule_put_aside_passes_when_it_is_redriven_after_the_rule_was_mended(
    mend: Change, changes: Mapping[str, Any], code: bytes
) -> None:
    row = company() | changes
    unit = _unit(mend)
    assert _outcome(unit, row, redriven=False) == [code]
    assert _outcome(unit, row, redriven=True) == []
    assert unit.books.admitted == 1


def test_what_the_newest_rules_refuse_too_stays_in_quarantine() -> None:
    row = company(status="AB", established=date(2029, 1, 1))
    assert _outcome(_unit(_in_the_future), row, redriven=True) == [b"E_CODE_UNKNOWN"]
