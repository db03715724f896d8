"""The fields of a record type as rows of a page: what each means in both languages, and how it may be masked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from exchange.avro.record_schema import RecordSchema
from exchange.broker.demands.terms import check_masks, check_scope
from exchange.errors import ExchangeError
from exchange.ledger.state.ledger_state import Condition

MASKS: Final = ("first", "ends", "pseudonym", "year")
_WHOLE, _MASKED, _NOT = "whole", "masked", "not"
"""What a grant makes of a field that was asked for."""


@dataclass(frozen=True, slots=True)
class Row:
    """A field."""

    name: str
    meaning: str
    """In the language of the page."""
    other: str
    """In the other language."""
    standard: str = ""
    key: bool = False
    masks: tuple[str, ...] = ()
    """Those that fit its type."""
    text: bool = False
    """Whether it may be in a row scope."""
    sharing: str = ""
    asked_mask: str = ""
    granted: str = ""
    """`whole`, `masked`, `not`; empty while there is no grant."""
    picked: bool = False
    """Whether it is chosen in a form when that is opened."""


def rows_of(record: RecordSchema, lang: str) -> tuple[Row, ...]:
    """Every field of a record type, in the order of its schema."""
    found = []
    for rule in record.fields:
        here, other = (rule.meaning_zh, rule.meaning) if lang == "zh" else (rule.meaning, rule.meaning_zh)
        fitting = tuple(mask for mask in MASKS if _mask_fits(record, rule.name, mask))
        key = rule.name in record.natural_key
        text = _in_scope(record, rule.name)
        found.append(Row(rule.name, here or other or rule.name, other, rule.standard, key, fitting, text))
    return tuple(found)


def some(rows: Iterable[Row], names: Iterable[str]) -> list[Row]:
    """The rows of some fields, in the order of `names`; a field that the schema lost has its name alone."""
    known = {row.name: row for row in rows}
    return [known.get(name, Row(name, name, "")) for name in names]


def shared(rows: Iterable[Row], sharing: Mapping[str, str], masks: Mapping[str, str]) -> list[Row]:
    """The rows with the sharing attribute of each field, and the mask with which it was asked for."""
    return [replace(row, sharing=sharing.get(row.name, ""), asked_mask=masks.get(row.name, "")) for row in rows]


def granted(rows: Iterable[Row], whole: Iterable[str], masked: Iterable[str]) -> list[Row]:
    """The rows with what grants give of each."""
    given = {**dict.fromkeys(masked, _MASKED), **dict.fromkeys(whole, _WHOLE)}
    return [replace(row, granted=given.get(row.name, _NOT)) for row in rows]


def picked(rows: Iterable[Row], names: Iterable[str]) -> list[Row]:
    """The rows, with those of `names` chosen."""
    chosen = set(names)
    return [replace(row, picked=row.name in chosen) for row in rows]


def _mask_fits(record: RecordSchema, name: str, mask: str) -> bool:
    try:
        check_masks(record, (name,), {name: mask})
    except ExchangeError:
        return False
    return True


def _in_scope(record: RecordSchema, name: str) -> bool:
    try:
        check_scope(record, (Condition(name, "equals", ("x",)),))
    except ExchangeError:
        return False
    return True
