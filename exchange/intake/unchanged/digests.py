"""Digests of rows as they came from the source: equal digests, equal rows, to the type of each value.

A row of which the memory keeps the digest gives the record that it gave before, as a mapping is a function of its row.
The digest holds names and values of all columns and the version of the mapping, so that another mapping finds none of
its rows. Neither order of the columns nor types are passed over: 1, True, 1.0, Decimal("1") and "1" are five values.
"""

import marshal
import pickle
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Any
from uuid import UUID

from exchange.connect.reading import FaultyRow, SourceRow

DIGEST_BYTES = 16
_PLAIN = frozenset({str, int, bool, float, bytes, type(None)})
"""Types whose values `marshal` writes exactly, and as the same bytes each time."""
_FORMAT = 2
"""That of `marshal` which writes floats in binary, and in which bytes do not depend on who else refers to a value."""
_PICKLED = 5


class RowDigests:
    """Makes digests under one version of the mapping. Not safe for several threads."""

    def __init__(self, version: str) -> None:
        self.version = version
        self._names: tuple[str, ...] = ()
        self._person = b""

    def of(self, rows: Sequence[SourceRow | FaultyRow]) -> list[bytes | None]:
        """The digest of each row; None: of this one there is none, and only its record tells whether it is news."""
        if not any(isinstance(row, FaultyRow) for row in rows):
            return self._of([row for row in rows if isinstance(row, SourceRow)])
        found = iter(self._of([row for row in rows if isinstance(row, SourceRow)]))
        return [next(found) if isinstance(row, SourceRow) else None for row in rows]

    def _of(self, rows: list[SourceRow]) -> list[bytes | None]:
        names = {row.names for row in rows}
        if len(names) != 1:
            return [one for row in rows for one in self._of([row])]
        person = self._person_of(names.pop())
        try:
            columns = [_column(values) for values in zip(*(row.cells for row in rows), strict=True)]
            return [
                blake2b(marshal.dumps(row, _FORMAT), digest_size=DIGEST_BYTES, person=person).digest()
                for row in zip(*columns, strict=True)
            ]
        except Exception:  # a value of a type of somebody's own may raise anything when it is asked for its content
            return [None] if len(rows) == 1 else [one for row in rows for one in self._of([row])]

    def _person_of(self, names: tuple[str, ...]) -> bytes:
        """What tells apart the rows of other columns, or mapped otherwise."""
        if names != self._names or not self._person:
            content = marshal.dumps((self.version, names), _FORMAT)
            self._names, self._person = names, blake2b(content, digest_size=blake2b.PERSON_SIZE).digest()
        return self._person


def _column(values: Sequence[Any]) -> Sequence[Any]:
    """The values of a column as `marshal` writes them."""
    kinds = set(map(type, values))
    if kinds <= _PLAIN:
        return values
    kinds.discard(type(None))
    if len(kinds) == 1:
        tagged = _TAGGED.get(kinds.pop(), _pickled)
        return [value if value is None else tagged(value) for value in values]
    return [value if type(value) in _PLAIN else _TAGGED.get(type(value), _pickled)(value) for value in values]


def _moment(value: datetime) -> tuple[Any, ...]:
    state = value.__reduce_ex__(_PICKLED)[1][0]
    zone = value.tzinfo
    if zone is None:
        return ("t", state)
    return ("t", state, "UTC" if zone is UTC else _pickled(zone))


def _pickled(value: Any) -> tuple[Any, ...]:
    return ("p", pickle.dumps(value, _PICKLED))


_TAGGED: Mapping[type, Callable[[Any], tuple[Any, ...]]] = {
    date: lambda value: ("d", value.toordinal()),
    datetime: _moment,
    Decimal: lambda value: ("n", str(value)),
    timedelta: lambda value: ("i", value.days, value.seconds, value.microseconds),
    UUID: lambda value: ("u", value.int),
    bytearray: lambda value: ("b", bytes(value)),
    memoryview: lambda value: ("v", value.format, value.tobytes()),
}
"""A tuple is no plain value, so that none of these equals one."""
