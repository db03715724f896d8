"""A change of the share as a row of the department's table: names, key, and values that fit their columns."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any
from uuid import UUID

from sqlalchemy import Column
from sqlalchemy.engine import Dialect

from exchange.connect.declare import Record, RowMapper, Unmapped
from exchange.errors import ExchangeError
from exchange.handover.layout import RECORD_KEY, Change, Layout
from exchange.handover.table.batch import Made, Refused
from exchange.handover.table.column_types import KeyText, column_type
from exchange.handover.table.definition import FoundColumn
from exchange.handover.table.exact.convert import converter
from exchange.handover.table.exact.kinds import Kind, kind_of, kind_of_value, scale_of
from exchange.handover.table.exact.losses import Convert


@dataclass(frozen=True, slots=True)
class Shape:
    """How the department's table differs from the share."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """The column of a field that is not called like it."""
    map: RowMapper | None = None
    """A function of the department: column to value, for each record. The key is not its business."""

    def column(self, name: str) -> str:
        """The column of a field, or of the share's key."""
        return self.columns.get(name, name)


def columns_of(layout: Layout, dialect: Dialect, shape: Shape | None = None) -> list[Column[Any]]:
    """The columns of the table for a layout; of one with a mapping function the key alone.

    Raises ExchangeError(E_CONNECTOR) when two fields would have one column.
    """
    shape = shape or Shape()
    made: list[Column[Any]] = []
    if layout.key == (RECORD_KEY,):
        made.append(Column(shape.column(RECORD_KEY), KeyText(), primary_key=True))
    for one in layout.schema["fields"]:
        name, avro = one["name"], one["type"]
        in_key = name in layout.key
        if shape.map is not None and not in_key:
            continue
        type_ = column_type(avro, dialect)
        if in_key and kind_of(avro) is Kind.TEXT:
            type_ = KeyText(len(layout.key))
        nullable = not in_key and (_nullable(avro) or dialect.name == "sqlite")  # where it cannot be changed later
        made.append(Column(shape.column(name), type_, primary_key=in_key, nullable=nullable))
    if len({column.name for column in made}) < len(made):
        raise ExchangeError("E_CONNECTOR", "two fields of the share would have one column")
    return made


class RowMaker:
    """Makes rows for a table as it is now."""

    def __init__(
        self, layout: Layout, shape: Shape, found: Sequence[FoundColumn], emptied: Iterable[str], dialect: str
    ) -> None:
        """Raises ExchangeError(E_CONNECTOR) for a column that is not there, or cannot hold what is granted for it."""
        self._layout = layout
        self._map = shape.map
        self._dialect = dialect
        self._found = {column.name: column for column in found}
        self._kinds = {one["name"]: kind_of(one["type"]) for one in layout.schema["fields"]}
        self._key = [self._converter_of_key(part, shape.column(part)) for part in layout.key]
        self._plain_key = not any(self._key)
        self._key_columns = tuple(shape.column(part) for part in layout.key)
        others = () if shape.map is not None else self._kinds.keys() - set(layout.key)
        fields = [(name, shape.column(name)) for name in self._kinds if name in others]
        scales = {one["name"]: scale_of(one["type"]) for one in layout.schema["fields"]}
        converters = [
            (place, self._converter(column, self._kinds[name], scales[name]))
            for place, (name, column) in enumerate(fields)
        ]
        self._converters = [(place, convert) for place, convert in converters if convert is not None]
        self._emptied = tuple(emptied)
        self._nulls = (None,) * len(self._emptied)
        self._values = _getter([name for name, _ in fields])
        self._columns = (*self._key_columns, *(column for _, column in fields), *self._emptied)
        self._mapped_columns: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._of_values: dict[tuple[str, Kind], Convert | None] = {}

    def all(self, changes: Iterable[Change]) -> tuple[list[Made], list[Refused]]:
        """The changes as rows, and those that the table could not keep as they are."""
        made: list[Made] = []
        refused: list[Refused] = []
        for change in changes:
            try:
                made.append(self.make(change))
            except ExchangeError as error:
                refused.append(Refused(change, error.detail))
            except (ArithmeticError, LookupError, TypeError, ValueError) as error:
                refused.append(Refused(change, f"a value of another kind ({type(error).__name__})"))
        return made, refused

    def make(self, change: Change) -> Made:
        """A change as a row. Raises ExchangeError(E_APPLY) that names the column."""
        parts = key = self._layout.key_parts(change.key)
        if not self._plain_key:
            converted = zip(parts, self._key, strict=True)
            key = tuple([part if convert is None else convert(part) for part, convert in converted])
        if change.record is None:
            return Made(change, key)
        if self._map is not None:
            return self._made_of(change, key, self._mapped(change.record, parts))
        values = self._values(change.record)
        if self._converters:
            values = self._converted(values)
        return Made(change, key, key + values + self._nulls, self._columns)

    def _converted(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        found = list(values)
        for place, convert in self._converters:
            value = found[place]
            if value is not None:
                found[place] = convert(value)
        return tuple(found)

    def _made_of(self, change: Change, key: tuple[Any, ...], given: Mapping[str, Any]) -> Made:
        """A row of what the mapping gave."""
        row = {**dict(zip(self._key_columns, key, strict=True)), **given, **dict.fromkeys(self._emptied)}
        columns = tuple(row)
        return Made(change, key, tuple(row.values()), self._mapped_columns.setdefault(columns, columns))

    def _mapped(self, record: Record, parts: Sequence[str]) -> dict[str, Any]:
        assert self._map is not None
        try:
            given = dict(self._map(dict(record)))
        except Unmapped as error:
            raise ExchangeError("E_APPLY", str(error)) from None
        except Exception as error:  # a department's function may raise anything
            raise ExchangeError("E_APPLY", f"the mapping raised {type(error).__name__}") from None
        for column, part in zip(self._key_columns, parts, strict=True):
            if column in given and str(given.pop(column)) != part:
                raise ExchangeError("E_APPLY", f"{column}: the mapping gives another key than the share")
        return {column: self._fit(column, value) for column, value in sorted(given.items())}

    def _fit(self, column: str, value: Any) -> Any:
        if column not in self._found:
            raise ExchangeError("E_APPLY", f"{column}: the table has no such column")
        if value is None:
            return None
        place = (column, kind_of_value(value))
        if place not in self._of_values:
            try:
                self._of_values[place] = self._converter(*place)
            except ExchangeError as error:
                raise ExchangeError("E_APPLY", error.detail) from None
        convert = self._of_values[place]
        return value if convert is None else convert(value)

    def _converter(self, column: str, kind: Kind, scale: int | None = None) -> Convert | None:
        found = self._found.get(column)
        if found is None:
            raise ExchangeError("E_CONNECTOR", f"the table has no column {column}")
        return converter(found, kind, self._dialect, scale)

    def _converter_of_key(self, part: str, column: str) -> Convert | None:
        if self._kinds.get(part) is not Kind.UUID:
            return self._converter(column, Kind.TEXT)
        convert = self._converter(column, Kind.UUID)
        return lambda text: (convert or _same)(_uuid(column, text))


def _uuid(column: str, text: str) -> UUID:
    found = UUID(text)
    if str(found) != text:
        raise ExchangeError("E_APPLY", f"{column}: a uuid that is not written in lower case with hyphens")
    return found


def _same(value: Any) -> Any:
    return value


def _getter(names: Sequence[str]) -> Callable[[Record], tuple[Any, ...]]:
    """The values of fields, in this order."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda record: tuple([record[name] for name in names])


def _nullable(avro: Any) -> bool:
    return isinstance(avro, list) and "null" in avro
