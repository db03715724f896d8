"""Canonical JSON (RFC 8785), the only text that is hashed, and the reading of an export's lines.

rfc8785 writes it. A ledger is read far more often than written, and an export is nearly always in canonical form
already: to see that, orjson reads and writes a line again in a fifth of the time.
"""

import json
from json.encoder import encode_basestring
from typing import Any, NoReturn

import orjson
import rfc8785

from exchange.errors import ExchangeError

quote = encode_basestring
"""Python escapes in JSON exactly what RFC 8785 escapes, when it may leave other characters as they are."""


def canonical(value: Any) -> bytes:
    """The RFC 8785 JSON of `value`. Raises ExchangeError(E_LEDGER_BROKEN) for what has none (NaN, huge integers)."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise ExchangeError("E_LEDGER_BROKEN", f"data has no canonical JSON ({type(error).__name__})") from None


def read_as_written(text: str) -> Any:
    """The value of a JSON text. If `write_sorted` gives the same text again, it is canonical when its numbers are.

    Characters beyond the basic plane are refused: RFC 8785 sorts them otherwise. Raises ValueError or RecursionError.
    """
    if not text.isascii() and len(text.encode("utf-16-le")) != 2 * len(text):
        raise ValueError("a character beyond the basic plane")
    return orjson.loads(text)


def write_sorted(value: Any) -> str:
    """The JSON of what `read_as_written` gave, members sorted, without spaces."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def has_canonical_numbers(text: str) -> bool:
    """Whether every number in an array or object that `write_sorted` gave stands as RFC 8785 writes it.

    Of the numbers that orjson and Python write alike, only those with `.0` or `e+` are written otherwise there. A text
    that merely holds these characters counts too: then the answer is no, which is the safe one.
    """
    return not (".0," in text or ".0}" in text or ".0]" in text or "e+" in text)


def read_strictly(text: str) -> Any:
    """The value of any JSON text. Raises ValueError for NaN, for infinity and for a member that occurs twice."""
    return json.loads(text, parse_constant=_refuse, object_pairs_hook=_members)


def _refuse(_text: str) -> NoReturn:
    raise ValueError("no number of JSON")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member occurs twice")
    return members
