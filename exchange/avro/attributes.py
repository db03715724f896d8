"""The attributes that a registry schema may carry: a misspelt one would mean nothing, without a word."""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

_NAMED = ("type", "name", "namespace", "doc", "aliases")
_OF_RECORD = frozenset((*_NAMED, "fields", "recordType", "naturalKey", "provider", "personal", "meaningZh"))
_OF_PROVIDER = frozenset(("rule", "field"))
_RULES = ("codeSet", "identifier", "form", "future", "sharing", "personal", "required")
_OF_FIELD = frozenset(("name", "type", "doc", "default", "aliases", "order", "meaningZh", "standard", *_RULES))
_OF_TYPE = frozenset(
    (*_NAMED, "fields", "items", "values", "symbols", "size", "default", "logicalType", "precision", "scale")
)


def unknown_attributes(schema: Mapping[str, Any]) -> list[str]:
    """What is no attribute of a valid registry schema, with its place, a sentence each."""
    found = list(_odd(schema, _OF_RECORD, "the record"))
    provider = schema.get("provider")
    if isinstance(provider, Mapping):
        found += _odd(provider, _OF_PROVIDER, "provider")
    return [*found, *_in_fields(schema, "")]


def _in_fields(record: Mapping[str, Any], outer: str) -> Iterator[str]:
    for field in record.get("fields", ()):
        place = f"{outer}{field['name']}"
        yield from _odd(field, _OF_FIELD, f"field {place}")
        yield from _in_type(field["type"], place)


def _in_type(type_: Any, place: str) -> Iterator[str]:
    if isinstance(type_, list):
        for branch in type_:
            yield from _in_type(branch, place)
    elif isinstance(type_, Mapping):
        yield from _odd(type_, _OF_TYPE, f"the type of field {place}")
        for part in ("type", "items", "values"):
            yield from _in_type(type_.get(part), place)
        yield from _in_fields(type_, f"{place}.")


def _odd(item: Mapping[str, Any], known: Collection[str], place: str) -> Iterator[str]:
    for name in sorted(item.keys() - set(known)):
        meant = get_close_matches(name, known, 1)
        yield f"{place} has an unknown attribute {name}" + (f" (is {meant[0]} meant?)" if meant else "")
