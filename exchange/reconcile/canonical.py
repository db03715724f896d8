"""The canonical form of a record: what databases, Avro and mapping functions write differently, and what is equal.

The form is a JSON array of [field, value] in the order of the share's schema; a value is null or a text:

| type | text |
|---|---|
| string, enum, uuid | the text itself |
| int, long | decimal digits |
| float, double | the shortest text that reads back as the same number |
| decimal | without trailing zeros and without an exponent |
| boolean | `true`, `false` |
| bytes, fixed | hexadecimal digits |
| date | `2026-11-24` |
| time | `08:00:00.000000` |
| timestamp | the moment in UTC, `2026-11-24T00:00:00.000000`; one that is stored without a zone is China's |
| local timestamp | the same without a zone |
| array, map, record | themselves, with such values inside |

A value that cannot be read as its type stands as [type's name], which no readable value equals.
"""

import hashlib
import json
import math
import struct
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Context, Decimal
from typing import Any
from uuid import UUID

Form = Callable[[Any], Any]
"""A value as the canonical form has it. Raises TypeError, ValueError or ArithmeticError for one that is none."""

_CHINA = timezone(timedelta(hours=8))
_UNREADABLE = (TypeError, ValueError, ArithmeticError, AttributeError, KeyError)
_MILLISECOND = 1000
_EXACT = Context(prec=1000)
"""No decimal of a schema has more digits, so that taking zeros away rounds nothing."""


class Canon:
    """The canonical form of the records of one share."""

    def __init__(self, schema: Mapping[str, Any], leave_out: Iterable[str] = ()) -> None:
        """leave_out: fields that are not compared."""
        out = frozenset(leave_out)
        named: dict[str, Any] = {}
        self._fields = [
            (field["name"], _form(field["type"], named)) for field in schema["fields"] if field["name"] not in out
        ]

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that are compared."""
        return tuple(name for name, _ in self._fields)

    def form(self, record: Mapping[str, Any]) -> list[list[Any]]:
        """The canonical form of a record; a field that it lacks is null."""
        return [[name, _value(form, record.get(name))] for name, form in self._fields]

    def differing(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, ...]:
        """The names of the fields in which two records differ."""
        both = zip(self.form(one), self.form(other), strict=True)
        return tuple(name for (name, ours), (_, theirs) in both if ours != theirs)

    def digest(self, record: Mapping[str, Any]) -> bytes:
        """SHA-256 of the canonical form."""
        return hashlib.sha256(json.dumps(self.form(record), separators=(",", ":")).encode()).digest()


def _value(form: Form, value: Any) -> Any:
    if value is None:
        return None
    try:
        return form(value)
    except _UNREADABLE:
        return [type(value).__name__]


def _form(avro: Any, named: dict[str, Any]) -> Form:
    """The form of an Avro type. named: the named types that were met before."""
    if isinstance(avro, list):
        kinds = [one for one in avro if one != "null"]
        return _form(kinds[0], named) if len(kinds) == 1 else _any
    if isinstance(avro, str):
        return _PLAIN.get(avro) or _of_named(avro, named)
    logical = avro.get("logicalType")
    if logical in ("timestamp-millis", "timestamp-micros"):
        return lambda value: _moment(value, logical == "timestamp-millis")
    if logical in _LOGICAL:
        return _LOGICAL[logical]
    return _structured(avro, named)


def _structured(avro: Mapping[str, Any], named: dict[str, Any]) -> Form:
    kind = avro["type"]
    if kind == "array":
        item = _form(avro["items"], named)
        return lambda value: [_value(item, one) for one in _parsed(value, list)]
    if kind == "map":
        inner = _form(avro["values"], named)
        return lambda value: [[name, _value(inner, one)] for name, one in sorted(_parsed(value, dict).items())]
    if kind in ("record", "error"):
        parts: list[tuple[str, Form]] = []
        named[avro["name"]] = form = _record(parts)
        parts += [(one["name"], _form(one["type"], named)) for one in avro["fields"]]
        return form
    if kind in ("enum", "fixed"):
        named[avro["name"]] = _PLAIN["string" if kind == "enum" else "bytes"]
        return _PLAIN["string" if kind == "enum" else "bytes"]
    return _form(kind, named)


def _record(parts: list[tuple[str, Form]]) -> Form:
    def form(value: Any) -> Any:
        given = _parsed(value, dict)
        return [[name, _value(part, given.get(name))] for name, part in parts]

    return form


def _of_named(name: str, named: Mapping[str, Form]) -> Form:
    """A type that was defined before, or that the value stands in: it is looked up when the first value comes."""

    def form(value: Any) -> Any:
        return next(form for known, form in named.items() if _last(known) == _last(name))(value)

    return form


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _parsed(value: Any, kind: type) -> Any:
    """What has structure, or the JSON text of it as some databases give it."""
    found = json.loads(value) if isinstance(value, str | bytes) else value
    if not isinstance(found, kind):
        raise TypeError
    return found


def _any(value: Any) -> Any:
    """A value of a union of several types: by its own kind."""
    if isinstance(value, bool):
        return _boolean(value)
    if isinstance(value, int | Decimal):
        return _decimal(value)
    if isinstance(value, float):
        return _double(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return _moment(value, False)
    return str(value) if isinstance(value, str | date | UUID) else json.dumps(value, sort_keys=True)


def _text(value: Any) -> str:
    if isinstance(value, UUID):
        return str(value)
    if not isinstance(value, str):
        raise TypeError
    return value


def _integer(value: Any) -> str:
    number = int(value)
    if number != value and str(number) != value:
        raise ValueError
    return str(number)


def _double(value: Any) -> str:
    number = float(value)
    return "0.0" if number == 0 and math.copysign(1, number) > 0 else repr(number)


def _single(value: Any) -> str:
    """As far as 32 bits hold it: some databases give the nearest text, some the nearest double."""
    return repr(struct.unpack("<f", struct.pack("<f", float(value)))[0])


def _decimal(value: Any) -> str:
    number = Decimal(repr(value) if isinstance(value, float) else value)
    if not number.is_finite():
        raise ValueError
    return format(number.normalize(_EXACT), "f") if number else "0"


def _boolean(value: Any) -> str:
    if value in ("true", "false"):
        return str(value)
    number = int.from_bytes(value, "big") if isinstance(value, bytes) else value
    if number not in (0, 1):
        raise ValueError
    return "true" if number else "false"


def _bytes(value: Any) -> str:
    if isinstance(value, int):
        raise TypeError
    return (b64decode(value, validate=True) if isinstance(value, str) else bytes(value)).hex()


def _date(value: Any) -> str:
    """A moment is a day in China."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return (value.astimezone(_CHINA) if value.tzinfo else value).date().isoformat()
    if not isinstance(value, date):
        raise TypeError
    return value.isoformat()


def _time(value: Any) -> str:
    if isinstance(value, timedelta):
        value = (datetime.min + value).time()
    found = time.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(found, time):
        raise TypeError
    return found.replace(tzinfo=None).isoformat(timespec="microseconds")


def _moment(value: Any, millis: bool) -> str:
    """A moment without a zone is China's, and so is the beginning of a day."""
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(found, datetime):
        found = datetime(found.year, found.month, found.day)
    moment = (found if found.tzinfo else found.replace(tzinfo=_CHINA)).astimezone(UTC)
    if millis:
        moment = moment.replace(microsecond=moment.microsecond // _MILLISECOND * _MILLISECOND)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")


def _local(value: Any) -> str:
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(found, datetime):
        raise TypeError
    return found.replace(tzinfo=None).isoformat(timespec="microseconds")


def _uuid(value: Any) -> str:
    if isinstance(value, bytes):
        return str(UUID(bytes=value))
    return str(value if isinstance(value, UUID) else UUID(value))


_PLAIN: dict[str, Form] = {
    "string": _text,
    "int": _integer,
    "long": _integer,
    "float": _single,
    "double": _double,
    "boolean": _boolean,
    "bytes": _bytes,
    "null": _any,
}
_LOGICAL: dict[str, Form] = {
    "date": _date,
    "time-millis": _time,
    "time-micros": _time,
    "local-timestamp-millis": _local,
    "local-timestamp-micros": _local,
    "decimal": _decimal,
    "uuid": _uuid,
}
