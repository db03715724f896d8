"""The steps of the intake line, one by one, with the shipped schemas."""

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pytest

from exchange import settings as settings_module
from exchange.avro import Codec
from exchange.avro.lock import LockedSchema, SchemaRepository
from exchange.connect import Record, Source, Unmapped, csv_file
from exchange.connect.reading import SourceRow
from exchange.errors import ExchangeError
from exchange.faults.log import Faults
from exchange.intake.encode import Encoder, Outgoing
from exchange.intake.map import RowMapper
from exchange.intake.submit import Envelope
from exchange.names import RecordType
from exchange.record import FRAME_BYTES, header, unframe

DEATH = RecordType("population.death")
SECRET_WORD = "不可外传"
NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def schema() -> LockedSchema:
    return SchemaRepository.load(settings_module.load().schemas).latest(DEATH)


def death(**changes: Any) -> Record:
    record: Record = {
        "provider_code": "11340000EXCH000341",
        "resident_id": "349901195001010014",
        "name": SECRET_WORD,
        "sex": "1",
        "death_date": date(2026, 1, 2),
        "source": "1",
        "registered_at": date(2026, 1, 3),
        "reversed": False,
    }
    return {**record, **changes}


def mapper(schema: LockedSchema, function: Any) -> RowMapper:
    assert schema.record is not None
    return RowMapper(Source(DEATH, csv_file(), function), schema.record)


def row(values: Mapping[str, Any] | None = None, withdrawn: bool = False) -> SourceRow:
    return SourceRow(values or {"name": SECRET_WORD}, 7, withdrawn)


def test_identifiers_are_cleaned_by_the_schema(schema: LockedSchema) -> None:
    dirty = death(provider_code="11340000 exch000341", resident_id=" 34990119500101001x")
    mapped = mapper(schema, lambda _: dirty).map(row())
    assert (mapped["provider_code"], mapped["resident_id"]) == ("11340000EXCH000341", "34990119500101001X")


@pytest.mark.parametrize(("kept", "meant"), [(1, True), (0, False), (True, True), (None, None), (2, 2), ("1", "1")])
def test_a_truth_value_that_a_database_keeps_as_a_number_is_one(schema: LockedSchema, kept: Any, meant: Any) -> None:
    mapped = mapper(schema, lambda _: death(reversed=kept)).map(row())
    assert mapped["reversed"] is meant


def raise_unmapped(_: Any) -> Record:
    raise Unmapped("death_date", "not a date")


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (raise_unmapped, "death_date: not a date"),
        (lambda row: {"name": {}[row["name"]]}, "KeyError"),
        (lambda row: {"name": int(row["name"])}, "ValueError"),
        (lambda _: None, "TypeError"),
        (lambda _: death(colour="red"), "no field colour"),
    ],
)
def test_a_row_that_does_not_map_names_the_field_and_no_value(schema: LockedSchema, function: Any, says: str) -> None:
    with pytest.raises(ExchangeError) as caught:
        mapper(schema, function).map(row())
    assert caught.value.code == "E_ROW_UNMAPPED"
    assert says in caught.value.detail
    assert SECRET_WORD not in str(caught.value)


def test_a_record_is_framed_with_the_locked_id_under_its_natural_key(schema: LockedSchema) -> None:
    sent = Encoder(schema).encode(death(), row())
    assert sent.key == b"11340000EXCH000341/349901195001010014"
    assert sent.value is not None
    assert unframe(sent.value) == schema.id
    decoded = Codec(schema.schema).decode(sent.value[FRAME_BYTES:])
    assert decoded == {
        **death(),
        "death_place": None,
        "cause_class": None,
        "certificate_number": None,
        "reversed_at": None,
        "confidence": None,
    }
    assert SECRET_WORD not in repr(sent)


def test_a_withdrawn_row_is_a_tombstone_with_its_sequence(schema: LockedSchema) -> None:
    sent = Encoder(schema).encode(death(), row(withdrawn=True))
    assert (sent.value, sent.sequence) == (None, 7)


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (death(resident_id=None), "E_ROW_UNMAPPED"),
        (death(resident_id=""), "E_ROW_UNMAPPED"),
        (death(name=None), "E_ENCODE"),
        (death(death_date=SECRET_WORD), "E_ENCODE"),
        (death(name=SECRET_WORD * 30_000), "E_TOO_LARGE"),
        (death(resident_id="\ud800"), "E_ENCODE"),
        (death(name="\ud800"), "E_ENCODE"),
    ],
)
def test_a_record_that_cannot_be_sent_is_set_aside_without_a_value(
    schema: LockedSchema, record: Record, code: str
) -> None:
    with pytest.raises(ExchangeError) as caught:
        Encoder(schema).encode(record, row())
    assert caught.value.code == code
    assert SECRET_WORD not in str(caught.value)


def test_a_row_without_a_version_is_set_aside(schema: LockedSchema) -> None:
    with pytest.raises(ExchangeError) as caught:
        Encoder(schema).encode(death(), SourceRow({}, None))
    assert caught.value.code == "E_ROW_UNMAPPED"


class Frozen:
    def now(self) -> datetime:
        return NOW


def test_headers_are_those_of_cloudevents_without_a_source() -> None:
    headers = Envelope(DEATH, Frozen()).headers(Outgoing(b"key", b"value", 42))
    assert header(headers, "ce_specversion") == b"1.0"
    assert header(headers, "ce_type") == b"population.death"
    assert header(headers, "ce_time") == b"2026-11-24T08:00:00.000Z"
    assert header(headers, "ce_sequence") == b"42"
    assert header(headers, "content-type") == b"application/avro"
    assert header(headers, "ce_source") is None


def test_an_id_is_the_same_for_the_same_version_and_shows_no_key() -> None:
    def id_of(outgoing: Outgoing) -> bytes | None:
        return header(Envelope(DEATH, Frozen()).headers(outgoing), "ce_id")

    one = id_of(Outgoing(b"key", b"value", 42))
    assert one == id_of(Outgoing(b"key", b"value", 42))
    others = [
        id_of(Outgoing(b"key", b"value", 43)),
        id_of(Outgoing(b"kez", b"value", 42)),
        id_of(Outgoing(b"key", None, 42)),
    ]
    assert len({one, *others}) == 4
    assert one is not None
    assert b"key" not in one


def test_a_fault_holds_the_row_for_its_owner_and_the_code() -> None:
    error = ExchangeError("E_ROW_UNMAPPED", "name: not readable")
    fault = json.loads(
        Faults("health.deaths", DEATH).of_row(error, NOW, {"name": SECRET_WORD, "day": date(2026, 1, 2)})
    )
    assert fault["row"] == {"name": SECRET_WORD, "day": "2026-01-02"}
    assert (fault["code"], fault["stage"], fault["connector"]) == ("E_ROW_UNMAPPED", "intake.map", "health.deaths")


def test_a_fault_of_a_huge_row_leaves_the_row_out() -> None:
    error = ExchangeError("E_TOO_LARGE", "a size")
    fault = Faults("health.deaths", DEATH).of_row(error, NOW, {"name": uuid.uuid4().hex * 40_000})
    assert len(fault) < 1000
    assert "row" not in json.loads(fault)
