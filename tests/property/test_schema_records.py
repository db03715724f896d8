"""Over records generated from the rules of every schema: admission takes them, and the codec's laws hold for them."""

import io
import unicodedata
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.admission.check import Check, compile_checks
from exchange.avro import Codec, Slicer
from exchange.avro.lock import read_files
from exchange.avro.record_schema import FieldRule, RecordSchema
from exchange.catalogue.code_sets import FOLDER, load_code_sets
from exchange.catalogue.record_types import read_record_schemas
from exchange.errors import ExchangeError
from exchange.identifiers import credit_code, licence_id, organisation_code, region, resident_id
from exchange.names import SchemaId
from exchange.record import frame

SCHEMAS = Path(__file__).parents[2] / "schemas"
RECORD_SCHEMAS = read_record_schemas(SCHEMAS)
FILES = read_files(SCHEMAS)
CODE_SETS = load_code_sets(SCHEMAS / FOLDER)
EARLIEST, TODAY, LATEST = date(1840, 1, 1), date(2026, 11, 24), date(9999, 12, 31)
DAYS = (TODAY - date(1970, 1, 1)).days
SETTINGS = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])

REGIONS = st.builds(
    lambda province, rest: f"{province}{rest:04d}", st.sampled_from(sorted(region.PROVINCES)), st.integers(0, 9999)
)
CREDIT_CODES = st.builds(
    lambda head, place, body: head + place + body,
    st.sampled_from([first + second for first, kinds in credit_code.KINDS.items() for second in kinds]),
    REGIONS | st.just(credit_code.NATIONAL),
    st.text(credit_code.ALPHABET, min_size=9, max_size=9),
).map(lambda body: body + credit_code.check_character(body))
RESIDENT_IDS = st.builds(
    lambda place, day, number: f"{place}{day:%Y%m%d}{number:03d}",
    REGIONS,
    st.dates(EARLIEST, date(1899, 12, 31)),
    st.integers(0, 999),
).map(lambda body: body + resident_id.check_character(body))
"""Of people born before 1900: nobody who lives has one."""
CAPITALS_AND_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@st.composite
def licence_ids(draw: st.DrawFn) -> str:
    definer, number = draw(CREDIT_CODES), f"{draw(st.integers(0, 999)):03d}"
    issuer, version = draw(CREDIT_CODES), f"{draw(st.integers(1, 999)):03d}"
    serial = draw(st.text(CAPITALS_AND_DIGITS, min_size=1, max_size=32))
    check = licence_id.check_character(definer + number + issuer + serial + version)
    return f"{licence_id.ROOT}.{definer}{number}.{issuer}.{serial}.{version}.{check}"


IDENTIFIERS = {
    "credit-code": CREDIT_CODES,
    "resident-id": RESIDENT_IDS,
    "region": REGIONS,
    "licence-id": licence_ids(),
    "organisation-code": st.text(CAPITALS_AND_DIGITS, min_size=8, max_size=8).map(
        lambda body: body + organisation_code.check_character(body)
    ),
}


def valid(rule: FieldRule, key: bool) -> st.SearchStrategy[Any]:
    """Values of one field that the rules of its schema allow."""
    if isinstance(rule.type, list):
        there = _there(rule, rule.type[1], False)
        return there if rule.required else st.none() | there
    return _there(rule, rule.type, key)


def _there(rule: FieldRule, type_: Any, key: bool) -> st.SearchStrategy[Any]:
    if rule.identifier:
        return IDENTIFIERS[rule.identifier]
    if rule.code_set:
        return st.sampled_from(sorted(CODE_SETS[rule.code_set]))
    if rule.form:
        return st.from_regex(rule.form, fullmatch=True)
    if type_ == "string":
        least = 1 if rule.required or key else 0
        any_text = st.text(
            st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=least, max_size=40
        )
        texts = any_text | st.text("区县代码（号）〔〕/%~ ", min_size=least, max_size=25)
        return texts.filter(_says_something) if least else texts
    return _number(rule, type_)


def _says_something(text: str) -> bool:
    return any(unicodedata.category(one)[0] in "LNPS" and one not in "\u115f\u1160\u2800\u3164\uffa0" for one in text)


def _number(rule: FieldRule, type_: Any) -> st.SearchStrategy[Any]:
    if isinstance(type_, str):
        return {"boolean": st.booleans(), "int": st.integers(-(2**31), 2**31 - 1)}[type_]
    if type_["logicalType"] == "date":
        return st.dates(EARLIEST, LATEST if rule.future else TODAY)
    limit = 10 ** type_["precision"] - 1
    return st.integers(-limit, limit).map(lambda number: Decimal(number).scaleb(-type_["scale"]))


@cache
def records(name: str) -> st.SearchStrategy[dict[str, Any]]:
    schema = RECORD_SCHEMAS[name]
    return st.fixed_dictionaries({rule.name: valid(rule, rule.name in schema.natural_key) for rule in schema.fields})


@cache
def codec_of(name: str) -> Codec:
    return Codec(FILES[name])


@cache
def check_of(name: str) -> Check:
    return compile_checks(RECORD_SCHEMAS[name], CODE_SETS)


def key_of(schema: RecordSchema, record: dict[str, Any]) -> bytes:
    return schema.key_of([record[part] for part in schema.natural_key])


@pytest.mark.parametrize("name", RECORD_SCHEMAS)
def test_admission_takes_every_record_that_the_schema_allows(name: str) -> None:
    @SETTINGS
    @given(records(name))
    def takes(record: dict[str, Any]) -> None:
        check_of(name)(key_of(RECORD_SCHEMAS[name], record), frame(SchemaId(1)) + codec_of(name).encode(record), DAYS)

    takes()


@pytest.mark.parametrize("name", RECORD_SCHEMAS)
def test_two_records_have_one_key_exactly_when_their_key_fields_are_equal(name: str) -> None:
    schema = RECORD_SCHEMAS[name]

    @SETTINGS
    @given(records(name), records(name))
    def differ(one: dict[str, Any], other: dict[str, Any]) -> None:
        safe = "-._~!$&'()*+,:;=@"
        assert key_of(schema, one).decode() == "/".join(quote(one[part], safe=safe) for part in schema.natural_key)
        same = all(one[part] == other[part] for part in schema.natural_key)
        assert (key_of(schema, one) == key_of(schema, other)) == same
        value = frame(SchemaId(1)) + codec_of(name).encode(one)
        if not same:
            with pytest.raises(ExchangeError) as error:
                check_of(name)(key_of(schema, other), value, DAYS)
            assert error.value.code == "E_KEY_MISMATCH"

    differ()


EVENTS = st.fixed_dictionaries(
    {
        field["name"]: st.integers(0, 2**63 - 1) if field["type"] == "long" else st.text(max_size=40)
        for field in FILES["ledger.event"]["fields"]
    }
)


def test_every_schema_file_is_of_a_record_type_or_of_the_ledger() -> None:
    assert FILES.keys() == RECORD_SCHEMAS.keys() | {"ledger.event"}
    assert len(RECORD_SCHEMAS) == 11


@pytest.mark.parametrize("name", FILES)
def test_the_laws_of_the_codec_hold_for_every_schema_file(name: str) -> None:
    """Encode and decode as fastavro does; check accepts it; a slice is what schema resolution gives."""
    schema, codec = FILES[name], codec_of(name)

    @SETTINGS
    @given(EVENTS if name == "ledger.event" else records(name), st.data())
    def holds(record: dict[str, Any], data: st.DataObject) -> None:
        expected = written(schema, record)
        assert codec.encode(record) == expected
        assert codec.decode(expected) == record == fastavro.schemaless_reader(io.BytesIO(expected), schema, None)
        codec.check(expected)
        at = data.draw(st.integers(0, len(expected) - 1))
        with pytest.raises(ExchangeError) as error:
            codec.check(expected[:at])
        assert error.value.code == "E_AVRO_TRUNCATED"
        reader = {**schema, "fields": [field for field in schema["fields"] if data.draw(st.booleans())]}
        resolved = fastavro.schemaless_reader(io.BytesIO(expected), schema, reader)
        assert Slicer(schema, reader).slice(expected) == written(reader, resolved)

    holds()


def written(schema: Any, record: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, record)
    return out.getvalue()
