"""The generated province: its registers fit together, admission takes every row but the dirty ones, nobody is real."""

import re
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from exchange import record
from exchange.admission.check import Check, compile_checks
from exchange.avro.codec import Codec
from exchange.catalogue.code_sets import FOLDER, load_code_sets
from exchange.catalogue.load import load
from exchange.catalogue.record_types import read_record_schemas
from exchange.connect.declare import Source
from exchange.connect.find import find
from exchange.demo.province.people import NEVER_ASSIGNED_CITY
from exchange.demo.province.registers import DIRTY_EVERY, FAULTS, TABLES, Kind, Registers, Row, generate
from exchange.errors import ExchangeError
from exchange.names import SchemaId

ROOT = Path(__file__).parents[3]
RECORD_SCHEMAS = read_record_schemas(ROOT / "schemas")
CODE_SETS = load_code_sets(ROOT / "schemas" / FOLDER)
CODES = {str(slug): one.credit_code for slug, one in load(ROOT / "schemas" / "catalogue").departments.items()}
RECORDS = 1_600
TODAY = (date(2026, 11, 24) - date(1970, 1, 1)).days
PERSONS = ("resident_id", "deceased_id", "husband_id", "wife_id", "mother_id", "father_id", "spouse_id")
RESIDENT_IDS = (*PERSONS, "debtor_resident_id", "holder_resident_id")


@cache
def registers() -> Registers:
    return generate(RECORDS, CODES)


@cache
def check_of(record_type: str) -> tuple[Check, Codec]:
    return compile_checks(RECORD_SCHEMAS[record_type], CODE_SETS), Codec(RECORD_SCHEMAS[record_type].schema)


def columns_of(connector: str) -> list[str]:
    """The columns of the table that a source reads, as its department's script makes it."""
    department = connector.partition(".")[0].replace("-", "_")
    script = (ROOT / "connectors" / department / "source.sql").read_text(encoding="utf-8")
    table = re.search(rf"CREATE TABLE IF NOT EXISTS {TABLES[connector]} \((.*?)\n\);", script, re.DOTALL)
    assert table
    return re.findall(r"^    ([a-z_]+) +[a-z]", table[1], re.MULTILINE)


def mapped(connector: str, row: Row) -> dict[str, Any]:
    """The record that the connector makes of a row."""
    source = find(connector).declaration
    assert isinstance(source, Source)
    columns = columns_of(connector)
    assert set(row) <= set(columns)
    return source.map(dict.fromkeys(columns) | row)


def refusal(connector: str, row: Row) -> str | None:
    """The code with which admission refuses the record of a row; None: it takes it."""
    source = find(connector).declaration
    schema = RECORD_SCHEMAS[source.record_type]
    check, codec = check_of(source.record_type)
    values = mapped(connector, row)
    value = record.frame(SchemaId(1)) + codec.encode(values)
    try:
        check(schema.key_of([values[part] for part in schema.natural_key]), value, TODAY)
    except ExchangeError as error:
        return error.code
    return None


@pytest.mark.parametrize("connector", TABLES)
def test_admission_takes_every_row_but_the_dirty_ones(connector: str) -> None:
    rows = registers().rows[connector]
    refused = [code for code in (refusal(connector, row) for row in rows) if code is not None]
    assert rows
    assert refused == [FAULTS[connector].code] * registers().dirty[connector]


def test_one_row_in_two_hundred_is_dirty() -> None:
    for connector, rows in registers().rows.items():
        assert registers().dirty[connector] == (len(rows) + DIRTY_EVERY // 2) // DIRTY_EVERY
    assert sum(registers().dirty.values()) > 10


@pytest.mark.parametrize("connector", TABLES)
def test_no_key_is_there_twice(connector: str) -> None:
    schema = RECORD_SCHEMAS[find(connector).declaration.record_type]
    rows = [mapped(connector, row) for row in registers().rows[connector]]
    assert len({tuple(row[part] for part in schema.natural_key) for row in rows}) == len(rows)


def test_nobody_living_has_an_identifier_of_the_registers() -> None:
    found = 0
    for rows in registers().rows.values():
        for row in rows:
            for name in RESIDENT_IDS:
                if name in row:
                    found += 1
                    assert row[name].startswith(NEVER_ASSIGNED_CITY)
    assert found > RECORDS


def rows_of(connector: str) -> list[Row]:
    return registers().rows[connector]


def test_the_registers_fit_together() -> None:
    residents = {row["resident_id"]: row for row in rows_of("public-security.residents")}
    companies = {row["credit_code"] for row in rows_of("market-regulation.registrations")}
    numbers = {row["number"] for row in rows_of("market-regulation.licences")}
    clean = [row for row in rows_of("health.births") if row["certificate_number"].startswith("Y")]
    for birth in clean:
        assert residents[birth["mother_id"]]["name"] == birth["mother_name"]
    for marriage in rows_of("civil-affairs.marriages"):
        assert residents[marriage["husband_id"]]["spouse_id"] == marriage["wife_id"]
        assert marriage["registered"] > residents[marriage["wife_id"]]["birth_date"]
    for permit in rows_of("market-regulation.permits"):
        assert permit["certificate_number"] in numbers
    spoiled = registers().dirty["market-regulation.registrations"]
    punished = {row["subject_credit_code"] for row in rows_of("market-regulation.penalties")}
    assert len(punished - companies) <= spoiled
    sealed = [row for row in rows_of("natural-resources.real-estate-rights") if row["sealed"]]
    cases = {row["case_number"] for row in rows_of("high-court.dishonest-debtors")}
    assert {row["sealing_document"] for row in sealed} <= cases


def test_one_death_is_known_to_up_to_three_departments() -> None:
    certified = {row["resident_id"] for row in rows_of("health.deaths")}
    cremated = {row["deceased_id"] for row in rows_of("civil-affairs.cremations")}
    cancelled = {row["resident_id"] for row in rows_of("public-security.deaths")}
    assert cremated | cancelled <= certified
    assert certified & cremated & cancelled
    for resident in rows_of("public-security.residents"):
        if "death_date" in resident:
            assert resident["resident_id"] in cancelled


def test_the_same_seed_and_size_give_the_same_registers_on_every_day() -> None:
    first, again = generate(300, CODES), generate(300, CODES)
    assert first.rows == again.rows
    later = generate(300, CODES, Kind(today=date(2027, 5, 6)))
    assert later.rows["public-security.residents"] == first.rows["public-security.residents"]
    for connector in TABLES:
        assert len(later.rows[connector]) == len(first.rows[connector])


def test_with_a_register_from_elsewhere_all_records_are_residents() -> None:
    found = generate(300, CODES, Kind(registered=False)).rows
    assert found["market-regulation.registrations"] == []
    assert len(found["public-security.residents"]) == 300
    assert found["market-regulation.permits"]
