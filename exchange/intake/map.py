"""Step two: make a record of a row, with its identifiers in their clean form."""

import types
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from exchange.avro.record_schema import RecordSchema
from exchange.connect.declare import Record, Source, Unmapped
from exchange.connect.reading import SourceRow
from exchange.errors import ExchangeError
from exchange.identifiers import IDENTIFIERS

_FILLINGS: tuple[tuple[Any, Any], ...] = (
    ("2000-01-01", "2001-02-02"),
    (date(2000, 1, 1), date(2001, 2, 2)),
    (datetime(2000, 1, 1), datetime(2001, 2, 2)),
    (Decimal(1), Decimal(2)),
    (1, 2),
)
"""Pairs of values that stand in for emptied columns of a withdrawn row: what differs within a pair is no key."""
_LONGEST_REASON = 200


class MappingFault(ExchangeError):  # noqa: N818 - a fault of a mapping, as the faults log calls it
    """E_ROW_UNMAPPED. `certain`: no row of the source can map, whatever it holds; the declaration is wrong.

    `programming`: a mapping that is right does not raise such an error, but a row may cause it.
    """

    def __init__(self, detail: str, *, certain: bool = False, programming: bool = False) -> None:
        super().__init__("E_ROW_UNMAPPED", detail)
        self.certain = certain
        self.programming = certain or programming


class RowMapper:
    """Maps rows of one source. Whether a value is right, admission judges; here it only has to fit."""

    def __init__(self, source: Source, schema: RecordSchema) -> None:
        self._map: Callable[[Mapping[str, Any]], Record] = source.map
        self._known = frozenset(field.name for field in schema.fields)
        self._needed = frozenset(field.name for field in schema.fields if _is_needed(schema, field.name))
        self._natural_key = schema.natural_key
        self._named = frozenset(_constants(getattr(source.map, "__code__", None)))
        self._identifiers = [
            (field.name, IDENTIFIERS[field.identifier].compact) for field in schema.fields if field.identifier
        ]
        self._booleans = tuple(field.name for field in schema.fields if _is_boolean(field.type))

    def map(self, row: SourceRow) -> Record:
        """The record of a row; of a withdrawn one at least its natural key.

        A column that the mapping passes on unseen, as one that was added to the table, is no part of the record; a
        field that the mapping itself names has to exist. Raises MappingFault that names the field, never a value.
        """
        try:
            record = self._mapped(row.values)
        except MappingFault:
            if not row.withdrawn:
                raise
            found = self._key_alone(row.values)
            if found is None:
                raise MappingFault("a withdrawn row whose key cannot be told from what is left in it") from None
            return found
        if not row.withdrawn and not record.keys() >= self._needed:
            absent = ", ".join(sorted(self._needed - record.keys()))
            raise MappingFault(f"the mapping gives no field {absent}", certain=True)
        return record

    def _mapped(self, values: Mapping[str, Any]) -> Record:
        record = self._call(values)
        if not record.keys() <= self._known:
            self._drop_unknown(record, values)
        for name, compact in self._identifiers:
            value = record.get(name)
            if isinstance(value, str):
                record[name] = compact(value)
        for name in self._booleans:  # MySQL, SQLite and Oracle keep them as numbers
            value = record.get(name)
            if type(value) is int and value in (0, 1):
                record[name] = value == 1
        return record

    def _drop_unknown(self, record: Record, values: Mapping[str, Any]) -> None:
        unknown = record.keys() - self._known
        if wrong := [name for name in unknown if name in self._named or name not in values]:
            told = sorted(name for name in wrong if name in self._named)
            raise MappingFault(f"the record type has no field {', '.join(told) or 'of a name it gives'}", certain=True)
        for name in unknown:
            del record[name]

    def _call(self, values: Mapping[str, Any]) -> Record:
        try:
            return dict(self._map(values))
        except Unmapped as fault:
            raise MappingFault(f"{fault.field}: {fault.reason}"[:_LONGEST_REASON]) from None
        except ExchangeError as error:
            raise MappingFault(error.code) from None
        except KeyError as error:
            raise _of_key_error(error, values) from None
        except NameError:
            raise MappingFault("the mapping function raised NameError", certain=True) from None
        except Exception as error:
            kind = isinstance(error, AttributeError | TypeError | LookupError | ImportError)
            name = type(error).__name__
            raise MappingFault(f"the mapping function raised {name}", programming=kind) from None

    def _key_alone(self, values: Mapping[str, Any]) -> Record | None:
        """The natural key of a row of which other columns were emptied, or None when it depends on those."""
        emptied = [name for name, value in values.items() if value is None or value == ""]
        for pair in _FILLINGS:
            try:
                one, other = (self._mapped({**values, **dict.fromkeys(emptied, filling)}) for filling in pair)
            except MappingFault:
                continue
            if all(one.get(name) is not None and one.get(name) == other.get(name) for name in self._natural_key):
                return {name: one[name] for name in self._natural_key}
        return None


def _of_key_error(error: KeyError, values: Mapping[str, Any]) -> MappingFault:
    """Whether a column is missing, which the mapping's own source names, or anything else was looked up in vain.

    The key of a KeyError may be a value of the row; only one that stands in the code that raised it is told.
    """
    missing = error.args[0] if error.args else None
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    code = traceback.tb_frame.f_code if traceback is not None else None
    if isinstance(missing, str) and missing.isidentifier() and missing not in values and missing in _constants(code):
        return MappingFault(f"no column {missing}"[:_LONGEST_REASON], certain=True)
    return MappingFault("the mapping function raised KeyError", programming=True)


def _constants(code: types.CodeType | None) -> Iterator[object]:
    """The constants in a function's source, also those in functions and tuples inside."""
    rest: list[object] = [code]
    while rest:
        one = rest.pop()
        if isinstance(one, types.CodeType):
            rest += one.co_consts
        elif isinstance(one, tuple | frozenset):
            rest += one
        elif isinstance(one, str):
            yield one


def _is_boolean(kind: Any) -> bool:
    return kind in ("boolean", ["null", "boolean"], ["boolean", "null"])


def _is_needed(schema: RecordSchema, name: str) -> bool:
    """Whether a record without this field cannot be encoded: it is neither nullable nor has it a default."""
    (field,) = [item for item in schema.schema["fields"] if item["name"] == name]
    kind = field["type"]
    return "default" not in field and kind != "null" and not (isinstance(kind, list) and "null" in kind)
