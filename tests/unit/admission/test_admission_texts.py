"""What no text and no key may be, because somebody downstream cannot hold it: NUL, nothing to see, too long."""

from typing import Any

import pytest

from exchange.admission.check import compile_checks
from exchange.admission.inboxes import Inbox
from exchange.admission.receive import MAX_KEY_BYTES, receive
from exchange.avro.codec import Codec
from exchange.avro.record_schema import RecordSchema, record_schema
from exchange.errors import ExchangeError
from exchange.names import Department, inbox_topic, quarantine_topic
from exchange.record import frame

WORDS = {"doc": "words", "meaningZh": "词", "personal": False}
NESTED = {"type": "record", "name": "Part", "fields": [{"name": "said", "type": "string"}]}
SCHEMA: RecordSchema = record_schema(
    {
        "type": "record",
        "name": "Thing",
        "recordType": "credit.thing",
        "naturalKey": ["number"],
        "provider": {"rule": "sole"},
        "meaningZh": "物",
        "fields": [
            {"name": "number", "type": "string", **WORDS},
            {"name": "name", "type": "string", **WORDS},
            {"name": "form", "type": "string", "form": "[^x]+", **WORDS},
            {"name": "old_form", "type": ["null", "string"], "form": "[^x]+", **WORDS},
            {"name": "must", "type": ["null", "string"], "required": True, **WORDS},
            {"name": "may", "type": ["null", "string"], **WORDS},
            {"name": "silent", "type": "string", "required": False, **WORDS},
            {"name": "list", "type": {"type": "array", "items": "string"}, **WORDS},
            {"name": "map", "type": {"type": "map", "values": ["null", NESTED]}, **WORDS},
            {"name": "bytes", "type": "bytes", **WORDS},
        ],
    }
)
CODEC = Codec(SCHEMA.schema)
CHECK = compile_checks(SCHEMA, {})
GOOD: dict[str, Any] = {
    "number": "1",
    "name": "安徽",
    "form": "a",
    "old_form": None,
    "must": "b",
    "may": None,
    "silent": "",
    "list": ["", "c"],
    "map": {"": None, "d": {"said": "e"}},
    "bytes": b"\0\0",
}
LONG = 100 * "字"


def code_of(**changes: Any) -> tuple[str, str] | None:
    record = GOOD | changes
    try:
        CHECK(SCHEMA.key_of([record["number"]]), frame(1) + CODEC.encode(record), 0)
    except ExchangeError as error:
        assert not any(str(value) in error.detail for value in changes.values() if value and value != " ")
        return error.code, error.detail.partition(":")[0]
    return None


def test_zero_bytes_that_are_no_text_are_none_of_a_texts() -> None:
    assert code_of() is None
    assert code_of(name=LONG, may=LONG, list=[LONG, ""], map={LONG: {"said": LONG}}, silent=LONG) is None


@pytest.mark.parametrize("text", ["\0", "a\0", "\0a", "阿\0明", LONG + "\0", "\0" + LONG, f"{LONG}\0{LONG}"])
@pytest.mark.parametrize(
    "field", ["number", "name", "form", "old_form", "must", "may", "silent", "list", "map", "map's key"]
)
def test_a_nul_in_any_text_is_refused(field: str, text: str) -> None:
    nested: dict[str, Any] = {
        "list": {"list": ["a", text]},
        "map": {"map": {"a": {"said": text}}},
        "map's key": {"map": {text: None}},
    }
    expected = field.removesuffix("'s key")
    assert code_of(**nested.get(field, {field: text})) == ("E_TEXT_NUL", f"field {expected}")


BLANK = [
    " ", "\t\r\n", "\u00a0", "\u3000\u3000", "\u2003", "\u2028", "\u200b", "\u200e\u200f", "\u2060", "\ufeff", "\u3164",
    "\u115f", "\uffa0", "\u2800", "\u00ad", "\u0085", "\x1b\x07", "\ufe0f", "\U000e0001", " \u3000\u200d\ufeff" * 40,
]  # fmt: skip


@pytest.mark.parametrize("text", BLANK)
@pytest.mark.parametrize("field", ["number", "name", "form", "must"])
def test_a_text_that_must_say_something_is_refused_when_there_is_nothing_to_see(field: str, text: str) -> None:
    assert code_of(**{field: text}) == ("E_TEXT_BLANK", f"field {field}")


@pytest.mark.parametrize("text", BLANK)
@pytest.mark.parametrize("field", ["old_form", "may", "silent"])
def test_a_text_that_may_be_silent_may_be_blank(field: str, text: str) -> None:
    assert code_of(**{field: text}) is None


@pytest.mark.parametrize(
    "text",
    ["-", "0", " a", "\u3000李", "\u200bA", "㐀", "\U00020000", "\ue000", "\U000323b0", "（甲）", "é", "ا", "한"],
)
def test_whatever_somebody_can_see_is_a_text(text: str) -> None:
    assert code_of(name=text, must=text, form=text) is None


def test_an_empty_text_is_still_an_empty_one() -> None:
    assert code_of(name="") == ("E_FIELD_REQUIRED", "field name")
    assert code_of(must=None) == ("E_FIELD_REQUIRED", "field must")


def test_a_lone_surrogate_is_no_text() -> None:
    encoded = CODEC.encode(GOOD | {"name": "abc"}).replace(b"abc", b"\xed\xa0\x80")
    with pytest.raises(ExchangeError) as error:
        CHECK(b"1", frame(1) + encoded, 0)
    assert (error.value.code, error.value.detail.partition(":")[0]) == ("E_AVRO_UTF8", "field name")


def inbox() -> Inbox:
    provider = Department("courts")
    type_ = SCHEMA.record_type
    return Inbox(
        inbox_topic(type_, provider), type_, provider, b"", b"", quarantine_topic(provider), owns=lambda _key: True
    )


def test_a_key_of_512_bytes_passes_and_one_more_does_not() -> None:
    receive(b"k" * MAX_KEY_BYTES, b"value", None, inbox())
    with pytest.raises(ExchangeError) as error:
        receive(b"k" * (MAX_KEY_BYTES + 1), b"value", None, inbox())
    assert error.value.code == "E_KEY_TOO_LONG"


def test_a_record_with_a_long_key_that_is_held_can_be_withdrawn() -> None:
    receive(b"k" * (MAX_KEY_BYTES + 1), None, None, inbox())
