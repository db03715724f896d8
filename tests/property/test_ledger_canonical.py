import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from exchange.errors import ExchangeError
from exchange.ledger.events.canonical import canonical, has_canonical_numbers, read_as_written, write_sorted
from exchange.ledger.events.event import event_of, read_lines, write_line
from tests.harness.memory.ledger import chain

TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)


def taken_as_written(text: str) -> bool:
    """Whether an export's reader takes the text of an array or object for canonical without asking the reference."""
    try:
        return write_sorted(read_as_written(text)) == text and has_canonical_numbers(text)
    except ValueError:
        return False


@given(JSON, st.booleans())
@example({"\ufb33": 1, "\U00010000": 2}, False)
@example({"\r": 1, "\u007f": "\u2028", "</script>": "é"}, True)
@example({"n": 999_999_999_999_999, "m": -0.0, "x": 1e21}, False)
@example({"n": 1e16, "m": 1.5e-7, "x": 123456789012345680.5}, False)
def test_what_is_taken_as_written_is_canonical(value: Any, escaped: bool) -> None:
    plain = json.dumps([value], ensure_ascii=escaped, sort_keys=True, separators=(",", ":"))
    for text in (plain, write_sorted([value])):
        if taken_as_written(text):
            assert text.encode() == rfc8785.dumps(json.loads(text)) == canonical([value])


def test_what_the_ledger_holds_is_taken_as_written() -> None:
    assert taken_as_written('{"a":[1,-7,1.5,true,null,"税务",999999999999999],"b":{"":"\\n"}}')


@pytest.mark.parametrize(
    "text",
    ["[1.0,2]", "[1e3]", "[1.0]", '{"n":1e+30}', "NaN", "[-Infinity]", '"\U00010000"', "[1, 2]", '{"b":1,"a":2}'],
)
def test_what_might_not_be_canonical_is_not_taken_as_written(text: str) -> None:
    assert not taken_as_written(text)


@given(JSON)
def test_canonical_text_is_that_of_the_reference(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    "value", [float("nan"), UUID(int=1), datetime.now(UTC), {1: 2}, {"a": {1}}, 2**53, "\ud800", b""]
)
def test_what_is_no_json_has_no_canonical_text(value: Any) -> None:
    with pytest.raises(ExchangeError, match="E_LEDGER_BROKEN"):
        canonical({"value": [value]})


NUMBERS = (0.0, -0.0, 1.0, 1.5, 0.1, 1e-4, 1e-5, 1e-6, 1e-7, 1e-10, 5e-324, 1e15, 2.5e15, 1e-300, 123456.0, 9e-5)


@given(st.dictionaries(TEXT, JSON, max_size=4))
@example({"a": [[one, one] for one in NUMBERS], "b": dict.fromkeys("xyz", 1.0), "c": [1.0]})
@example({str(one): one for one in NUMBERS} | {"last": [{"x": -2.0}]})
@example({"a": [1e16, 1e17, 1.2e20, 1e21, 1.7e308, 123456789012345680.5]})
def test_line_gives_the_same_event_however_it_is_written(data: dict[str, Any]) -> None:
    (event,) = chain([("secret-rotated", data)])
    exported = event.exported()
    lines = [
        write_line(event),
        json.dumps(exported) + "\r\n",
        json.dumps(dict(reversed(exported.items())), ensure_ascii=False),
    ]

    read = list(read_lines(lines))

    assert [one.hash for one in read] == [event.hash] * 3
    assert read == [event_of(exported)] * 3


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ('"seq":1', '"seq":true'),
        ('"seq":1', '"seq":-1'),
        ('"seq":1', '"seq":01'),
        ('"seq":1', '"seq":1,"seq":1'),
        ('"offset":0', '"offset":-1'),
        ('"offset":0', '"offset":"0"'),
        ('"command_id":null', '"command_id":null,"more":1'),
        ('"command_id":null', '"command_id":7'),
        ('"entity":"secret-rotated",', ""),
        ('"n":1', '"n":1,"n":1'),
        ('"n":1', '"n":NaN'),
        ('"n":1', '"n":"\\ud800"'),
        ('"n":1', '"n":"\ud800"'),
        ('"data":{"n":1}', '"data":[1]'),
        ('"at":"2', '"at":"x2'),
    ],
)
def test_line_that_is_nearly_an_event_is_a_broken_ledger(written: str, instead: str) -> None:
    line = write_line(chain([("secret-rotated", {"n": 1})])[0])
    assert written in line

    with pytest.raises(ExchangeError, match="E_LEDGER_BROKEN"):
        list(read_lines([line.replace(written, instead)]))
