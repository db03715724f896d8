"""Equal content has equal digests, whichever database or library gives the values; another value has another one."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from exchange.avro import Codec
from exchange.avro.reference import ReferenceReader
from exchange.errors import ExchangeError
from exchange.reconcile.canonical import Canon

CHINA = timezone(timedelta(hours=8))
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 4}


def canon(avro: Any) -> Canon:
    return Canon({"type": "record", "name": "R", "fields": [{"name": "f", "type": avro}]})


def logical(kind: str, name: str) -> dict[str, str]:
    return {"type": kind, "logicalType": name}


SAME: list[tuple[Any, list[Any]]] = [
    ("string", ["a\u4e00", "a\u4e00"]),
    ("int", [7, Decimal("7"), Decimal("7.00"), "7"]),
    ("long", [1 << 62, Decimal(1 << 62), str(1 << 62)]),
    ("double", [0.1, Decimal("0.1"), "0.1"]),
    ("float", [0.10000000149011612, 0.1, Decimal("0.1")]),
    ("boolean", [True, 1, b"\x01", "true"]),
    ("boolean", [False, 0, b"\x00"]),
    ("bytes", [b"\x00\xff", bytearray(b"\x00\xff"), memoryview(b"\x00\xff")]),
    (DECIMAL, [Decimal("12.5"), Decimal("12.5000"), 12.5, "12.50", Decimal("1.25e1")]),
    (DECIMAL, [Decimal(0), Decimal("-0.00"), 0, "0"]),
    (DECIMAL, [Decimal("1e3"), 1000, "1000.0000"]),
    (logical("int", "date"), [date(2026, 1, 2), "2026-01-02", datetime(2026, 1, 1, 16, tzinfo=UTC)]),
    (logical("int", "time-millis"), [time(8, 1), timedelta(hours=8, minutes=1), "08:01:00"]),
    (
        logical("long", "timestamp-micros"),
        [datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, 8, tzinfo=CHINA), "2026-01-02 00:00:00+00:00"],
    ),
    (
        logical("long", "timestamp-micros"),
        [datetime(2026, 1, 1, 16, tzinfo=UTC), datetime(2026, 1, 2), date(2026, 1, 2)],
    ),
    (logical("long", "local-timestamp-micros"), [datetime(2026, 1, 2, 8), "2026-01-02T08:00:00"]),
    (
        logical("string", "uuid"),
        [UUID(int=5), str(UUID(int=5)), str(UUID(int=5)).upper(), UUID(int=5).bytes, UUID(int=5).hex],
    ),
    ({"type": "array", "items": "string"}, [["a", "b"], '["a", "b"]']),
    ({"type": "map", "values": "int"}, [{"b": 1, "a": 2}, '{"a": 2, "b": 1}']),
    (["null", "string"], [None, None]),
]


@pytest.mark.parametrize(("avro", "values"), SAME, ids=[str(number) for number in range(len(SAME))])
def test_values_that_mean_the_same_have_one_digest(avro: Any, values: list[Any]) -> None:
    digests = {canon(avro).digest({"f": value}) for value in values}
    assert len(digests) == 1
    assert canon(["null", avro] if not isinstance(avro, list) else avro).digest({"f": values[0]}) in digests


OTHER: list[tuple[Any, list[Any]]] = [
    ("string", ["a", "A", "a ", "", None, "null", 5]),
    ("int", [0, 1, None, "x", 1.5]),
    ("boolean", [True, False, None, 2, "N"]),
    (DECIMAL, [Decimal("1.0001"), Decimal("1.0002"), Decimal("1"), Decimal("100"), None, Decimal("NaN")]),
    (DECIMAL, [Decimal("12345678901234567890123456.7891"), Decimal("12345678901234567890123456.7892")]),
    (logical("int", "date"), [date(2026, 1, 2), date(2026, 1, 1), None, "yesterday"]),
    (
        logical("long", "timestamp-millis"),
        [
            datetime(2026, 1, 2, tzinfo=UTC),
            datetime(2026, 1, 2, tzinfo=CHINA),
            datetime(2026, 1, 2, 0, 0, 0, 1000),
            None,
        ],
    ),
    ("bytes", [b"", b"\0", None, "text"]),
    ({"type": "array", "items": "string"}, [["a"], ["a", None], [], None, "a"]),
]


@pytest.mark.parametrize(("avro", "values"), OTHER, ids=[str(number) for number in range(len(OTHER))])
def test_values_that_differ_have_different_digests(avro: Any, values: list[Any]) -> None:
    assert len({canon(avro).digest({"f": value}) for value in values}) == len(values)


def test_milliseconds_are_what_the_encoder_keeps() -> None:
    avro = logical("long", "timestamp-millis")
    schema = {"type": "record", "name": "R", "fields": [{"name": "f", "type": avro}]}
    given = {"f": datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)}
    read = ReferenceReader(schema).read(Codec(schema).encode(given))
    assert Canon(schema).digest(read) == Canon(schema).digest(given)


def test_a_value_moves_into_no_other_field_unseen() -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": name, "type": ["null", "string"]} for name in "ab"]}
    forms = [{"a": "x", "b": None}, {"a": None, "b": "x"}, {"a": "x", "b": "x"}, {"a": '"', "b": ","}]
    assert len({Canon(schema).digest(form) for form in forms}) == len(forms)


def test_a_field_that_is_left_out_does_not_matter() -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": name, "type": "string"} for name in "ab"]}
    left = Canon(schema, ["b"])
    assert left.fields == ("a",)
    assert left.digest({"a": "x", "b": "1"}) == left.digest({"a": "x", "b": "2"})


def test_a_type_that_holds_itself_has_a_form() -> None:
    tree = {
        "type": "record",
        "name": "T",
        "fields": [{"name": "v", "type": "int"}, {"name": "t", "type": ["null", "T"]}],
    }
    one = canon(tree).digest({"f": {"v": 1, "t": {"v": 2, "t": None}}})
    assert one == canon(tree).digest({"f": '{"v": 1, "t": {"v": 2, "t": null}}'})
    assert one != canon(tree).digest({"f": {"v": 1, "t": {"v": 3, "t": None}}})


def test_the_reference_reader_takes_exactly_one_record() -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "f", "type": "string"}]}
    reader = ReferenceReader(schema)
    assert reader.read(b"\x02a") == {"f": "a"}
    for data in (b"", b"\x02", b"\x02a\x00", b"\x03a", b"\x02\xff"):
        with pytest.raises(ExchangeError) as caught:
            reader.read(data)
        assert caught.value.code == "E_AVRO_VALUE"
