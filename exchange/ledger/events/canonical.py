"""Canonical JSON (RFC 8785), the only text that is hashed, and the reading of an export's lines.

rfc8785 is the reference. A ledger is read far more often than written, and nearly all that stands in it are texts,
small whole numbers and truth values: for these orjson, thirty times faster, writes the same text. What it might
write otherwise, or what may be no JSON at all, goes the slow way.
"""

import json
from json.encoder import encode_basestring
from typing import Any, Final, NoReturn

import orjson
import rfc8785

from exchange.errors import ExchangeError

quote = encode_basestring
"""Python escapes in JSON exactly what RFC 8785 escapes, when it may leave other characters as they are."""
_AS_TEXTS: Final = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
_SAFE_DIGITS: Final = 15
"""Whole numbers of so many digits are the same in JavaScript."""


class _NotPlainError(ValueError):
    """The text holds something that both encoders might write differently."""


def canonical(value: Any) -> bytes:
    """The RFC 8785 JSON of `value`. Raises ExchangeError(E_LEDGER_BROKEN) for what has none (NaN, huge integers)."""
    try:
        written = orjson.dumps(value, option=_AS_TEXTS)
        same: bool = read_plain(written.decode()) == value  # orjson writes more than JSON has: NaN as null, UUIDs
    except (ValueError, TypeError, RecursionError):
        same = False
    return written if same else _by_reference(value)


def _by_reference(value: Any) -> bytes:
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise ExchangeError("E_LEDGER_BROKEN", f"data has no canonical JSON ({type(error).__name__})") from None


def read_plain(text: str) -> Any:
    """The value of a JSON text in which `write_plain` is right. Raises ValueError or RecursionError for any other.

    Refused are numbers with a fraction, an exponent or many digits, and characters beyond the basic plane, which RFC
    8785 sorts otherwise; of a member that occurs twice the last counts, as always in Python.
    """
    _check_plane(text)
    value, end = _PLAIN.raw_decode(text)
    if end != len(text):
        raise _NotPlainError
    return value


def read_as_written(text: str) -> Any:
    """The value of a JSON text. When `write_plain` gives the same text again, that is canonical if `is_settled`.

    In a third of the time of `read_plain`. Raises ValueError or RecursionError.
    """
    _check_plane(text)
    return orjson.loads(text)


def is_settled(text: str) -> bool:
    """Whether no number ends with `.0` or has an exponent with `+`.

    Of all numbers that orjson and Python write alike only these may be written otherwise in RFC 8785.
    """
    return not (".0," in text or ".0}" in text or ".0]" in text or "e+" in text)


def write_plain(value: Any) -> str:
    """The RFC 8785 JSON of what `read_plain` gave; of what `read_as_written` gave, perhaps."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def read_strictly(text: str) -> Any:
    """The value of any JSON text. Raises ValueError for NaN, for infinity and for a member that occurs twice."""
    return json.loads(text, parse_constant=_refuse, object_pairs_hook=_members)


def _check_plane(text: str) -> None:
    if not text.isascii() and len(text.encode("utf-16-le")) != 2 * len(text):
        raise _NotPlainError


def _whole(digits: str) -> int:
    if len(digits) > _SAFE_DIGITS:
        raise _NotPlainError
    return int(digits)


def _refuse(_text: str) -> NoReturn:
    raise _NotPlainError


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member occurs twice")
    return members


_PLAIN: Final = json.JSONDecoder(parse_int=_whole, parse_float=_refuse, parse_constant=_refuse)
