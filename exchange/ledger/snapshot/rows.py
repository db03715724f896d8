"""Entries of the state as rows of plain JSON values, and back.

How a dataclass is written follows from the types of its fields. Texts are written once and then named by their number,
and so are the few values that many entries have in common: what is read shares them as what was folded does.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from types import NoneType, UnionType
from typing import Any, Final, Union, cast, get_args, get_origin, get_type_hints

import orjson

from exchange.ledger.state.demand_history import DemandHistory, Numbers
from exchange.ledger.state.interning import interned_schema
from exchange.ledger.state.ledger_state import Condition, ShareEntry, Terms
from exchange.ledger.state.use_history import Told, UseHistory

_Convert = Callable[[Any], Any]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TEXTS: Final = tuple[str, ...]
_MASKS: Final = tuple[tuple[str, str], ...]
_SCOPE: Final = tuple[Condition, ...]
SHARED: Final[tuple[Any, ...]] = (_TEXTS, _MASKS, _SCOPE, Told, Terms)
"""Kinds of values that many entries have in common, each behind what it is made of."""


def bare(kind: Any) -> Any:
    """A type without its new name and without None: None is written as it is."""
    while hasattr(kind, "__supertype__"):
        kind = kind.__supertype__
    if get_origin(kind) in (Union, UnionType):
        (kind,) = [bare(one) for one in get_args(kind) if one is not NoneType]
    if get_origin(kind) in (tuple, list, dict, Mapping):
        parts = tuple(one if one is Ellipsis else bare(one) for one in get_args(kind))
        return tuple[parts] if get_origin(kind) is tuple else get_origin(kind)[parts]  # type: ignore[valid-type]
    return kind


def field_kinds(kind: type) -> list[Any]:
    """The types of a dataclass's fields, in their order."""
    hints = get_type_hints(kind)
    return [_SCHEMA if (kind, one.name) == (ShareEntry, "schema") else bare(hints[one.name]) for one in fields(kind)]


class _Schema:
    """The type of a share's schema: JSON that many shares have in common."""


_SCHEMA: Final = _Schema


class RowWriter:
    """Writes entries as rows. What rows name by number stands in `texts` and `shared`, and must be read before them."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        """New texts since `take_new`."""
        self.shared: list[list[Any]] = [[] for _ in SHARED]
        """New values of each shared kind since then, as rows."""
        self.packed = bytearray()
        """Histories since then, one behind the other."""
        self._numbers: dict[str, int] = {}
        self._shared_numbers: list[dict[Any, int]] = [{} for _ in SHARED]
        self._converters: dict[Any, _Convert | None] = {}

    def converter(self, kind: Any) -> _Convert | None:
        """What writes values of a type that are not None; None when they are written as they are."""
        if kind not in self._converters:
            self._converters[kind] = self._made(kind)
        return self._converters[kind]

    def take_new(self) -> tuple[list[str], list[list[Any]], bytes]:
        """What rows since the last time name: new texts, new shared values, histories."""
        taken = (self.texts, self.shared, bytes(self.packed))
        self.texts, self.shared = [], [[] for _ in SHARED]
        self.packed.clear()
        return taken

    def _text(self, text: str) -> int:
        number = self._numbers.get(text)
        if number is None:
            number = self._numbers[text] = len(self._numbers)
            self.texts.append(text)
        return number

    def _made(self, kind: Any) -> _Convert | None:
        simple: dict[Any, _Convert] = {
            str: self._text,
            datetime: _micros,
            DemandHistory: self._history,
            UseHistory: self._uses,
            _SCHEMA: lambda schema: self._text(orjson.dumps(schema).decode()),
        }
        if kind in SHARED:
            return self._sharing(SHARED.index(kind))
        if kind in simple:
            return simple[kind]
        return self._row(kind) if is_dataclass(kind) else self._collection(kind)

    def _row(self, kind: Any) -> _Convert:
        parts = [(one.name, self.converter(part)) for one, part in zip(fields(kind), field_kinds(kind), strict=True)]

        def write(entry: Any) -> list[Any]:
            values = [(getattr(entry, name), convert) for name, convert in parts]
            return [value if value is None or convert is None else convert(value) for value, convert in values]

        return write

    def _collection(self, kind: Any) -> _Convert | None:
        origin, parts = get_origin(kind), get_args(kind)
        if origin in (dict, Mapping):
            if parts[1] is Any:
                return self._plain
            key, one = self.converter(parts[0]), self.converter(parts[1])
            return lambda value: [[_as(key, name), _as(one, part)] for name, part in value.items()]
        if origin is tuple and Ellipsis not in parts:
            each = [self.converter(part) for part in parts]
            return lambda value: [_as(one, part) for one, part in zip(each, value, strict=True)]
        if origin in (tuple, list):
            item = self.converter(parts[0])
            return list if item is None else lambda value: [_as(item, part) for part in value]
        return None

    def _plain(self, value: Mapping[str, Any]) -> list[Any]:
        """Names and texts by number, what else JSON knows in a list of its own."""
        row: list[Any] = []
        for name, part in value.items():
            row += (self._text(name), self._text(part) if isinstance(part, str) else [part])
        return row

    def _history(self, history: DemandHistory) -> int:
        packed = history.packed()
        self.packed += packed
        return len(packed)

    def _uses(self, uses: UseHistory) -> list[Any]:
        number = self.converter(Told)
        moments, told = uses.parts()
        return [moments, [_as(number, one) for one in told]]

    def _sharing(self, at: int) -> _Convert:
        kind, numbers = SHARED[at], self._shared_numbers[at]
        write = self._row(kind) if is_dataclass(kind) else self._collection(kind)
        assert write is not None

        def number_of(value: Any) -> int:
            number = numbers.get(value)
            if number is None:
                row = write(value)  # may share others, which come before
                number = numbers[value] = len(numbers)
                self.shared[at].append(row)
            return number

        return number_of


class RowReader:
    """Reads rows as RowWriter writes them. Raises any error for others."""

    def __init__(self, history_numbers: Numbers | None) -> None:
        """history_numbers: as DemandHistory.unpacked takes them."""
        self._texts: list[str] = []
        self._shared: list[list[Any]] = [[] for _ in SHARED]
        self._packed = memoryview(b"")
        self._history_numbers = history_numbers
        self._converters: dict[Any, _Convert | None] = {}
        self._moments: dict[int, datetime] = {}
        """Of the rows added last: an event that sets several moments sets the same one."""
        self._schemas: dict[int, dict[str, Any]] = {}
        self._read_shared = [self._row(kind) if is_dataclass(kind) else self._collection(kind) for kind in SHARED]

    def add(self, texts: list[str], shared: list[list[Any]], packed: memoryview) -> None:
        """What the next rows name by number, and their histories."""
        self._texts += texts
        self._moments.clear()
        self._packed = packed
        for values, rows, read in zip(self._shared, shared, self._read_shared, strict=True):
            values += [_as(read, row) for row in rows]

    def converter(self, kind: Any) -> _Convert | None:
        """What reads values of a type that are not None; None when they are read as they are."""
        if kind not in self._converters:
            self._converters[kind] = self._made(kind)
        return self._converters[kind]

    def _made(self, kind: Any) -> _Convert | None:
        simple: dict[Any, _Convert] = {
            str: self._texts.__getitem__,
            datetime: self._moment,
            DemandHistory: self._history,
            UseHistory: self._uses,
            _SCHEMA: self._schema,
        }
        if kind in SHARED:
            return self._shared[SHARED.index(kind)].__getitem__
        if kind in simple:
            return simple[kind]
        return self._row(kind) if is_dataclass(kind) else self._collection(kind)

    def _moment(self, micros: int) -> datetime:
        known = self._moments.get(micros)
        if known is None:
            known = self._moments[micros] = _EPOCH + timedelta(0, 0, micros)
        return known

    def _schema(self, number: int) -> dict[str, Any]:
        known = self._schemas.get(number)
        if known is None:
            known = self._schemas[number] = interned_schema(orjson.loads(self._texts[number]))
        return known

    def _row(self, kind: Any) -> _Convert:
        """As source of its own: a state of a million entries is read in seconds, most of them spent here."""
        parts = [self.converter(part) for part in field_kinds(kind)]
        known = {"kind": kind, "texts": self._texts, **{f"read{at}": read for at, read in enumerate(parts)}}
        values = [f"v{at}" for at in range(len(parts))]
        wanted = [self._source(at, part, parts[at]) for at, part in enumerate(field_kinds(kind))]
        source = f"def read(row):\n    {', '.join(values)}, = row\n    return kind({', '.join(wanted)})\n"
        exec(compile(source, f"<rows of {kind.__name__}>", "exec"), known)  # noqa: S102 - source of ours
        return cast(_Convert, known["read"])

    def _source(self, at: int, kind: Any, read: _Convert | None) -> str:
        """The expression that reads one value of a row."""
        if read is None:
            return f"v{at}"
        return f"None if v{at} is None else {f'texts[v{at}]' if kind is str else f'read{at}(v{at})'}"

    def _collection(self, kind: Any) -> _Convert | None:
        origin, parts = get_origin(kind), get_args(kind)
        if origin in (dict, Mapping):
            if parts[1] is Any:
                return self._plain
            key, one = self.converter(parts[0]), self.converter(parts[1])
            return lambda row: {_as(key, name): _as(one, part) for name, part in row}
        if origin is tuple and Ellipsis not in parts:
            each = [self.converter(part) for part in parts]
            return lambda row: tuple(_as(one, part) for one, part in zip(each, row, strict=True))
        if origin in (tuple, list):
            item = self.converter(parts[0])
            return origin if item is None else lambda row: origin(_as(item, part) for part in row)
        return None

    def _plain(self, row: list[Any]) -> dict[str, Any]:
        texts = self._texts
        return {
            texts[name]: part[0] if isinstance(part, list) else texts[part]
            for name, part in zip(row[::2], row[1::2], strict=True)
        }

    def _history(self, length: int) -> DemandHistory:
        packed, self._packed = self._packed[:length], self._packed[length:]
        return DemandHistory.unpacked(packed, self._history_numbers)

    def _uses(self, row: list[Any]) -> UseHistory:
        moments, numbers = row
        return UseHistory(moments, map(self._shared[SHARED.index(Told)].__getitem__, numbers))


def _as(convert: _Convert | None, value: Any) -> Any:
    return value if value is None or convert is None else convert(value)


def _micros(moment: datetime) -> int:
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
