"""Terms and row scopes as event data, and their one normal form: equal terms are equal values."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from exchange.errors import ExchangeError
from exchange.ledger.state.interning import interned
from exchange.ledger.state.ledger_state import Condition, Terms
from exchange.names import Department, RecordType

EQUALS = "equals"
IN = "in"
PREFIX = "prefix"


def condition(field: str, operator: str, values: Sequence[str]) -> Condition:
    """One part of a scope in its normal form: `in` sorted and without repetition, of one value `equals`.

    Raises ExchangeError(E_SCOPE) for an unknown operator, no value, or several where one is meant.
    """
    distinct = tuple(sorted(set(values)))
    if operator not in (EQUALS, IN, PREFIX) or not distinct or (operator != IN and len(distinct) > 1):
        raise ExchangeError("E_SCOPE", "equals and prefix take one value, in takes one or more")
    if operator == PREFIX and not distinct[0]:
        raise ExchangeError("E_SCOPE", "an empty prefix narrows nothing")
    return Condition(field, EQUALS if operator == IN and len(distinct) == 1 else operator, distinct)


def scope_of(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """A conjunction in its normal form: each condition normal, sorted, none twice."""
    normal = {condition(part.field, part.operator, part.values) for part in conditions}
    return tuple(sorted(normal, key=lambda part: (part.field, part.operator, part.values)))


def implied(scope: Iterable[Condition], wanted: Condition) -> bool:
    """Whether every row of `scope` meets `wanted` anyway, as far as one condition of it shows."""
    return any(_implies(part, wanted) for part in scope if part.field == wanted.field)


def _implies(part: Condition, wanted: Condition) -> bool:
    if wanted.operator == PREFIX:
        return all(value.startswith(wanted.values[0]) for value in part.values)
    return part.operator != PREFIX and set(part.values) <= set(wanted.values)


def scope_to_json(scope: Iterable[Condition]) -> list[dict[str, Any]]:
    """A scope as event data."""
    return [{"field": part.field, "operator": part.operator, "values": list(part.values)} for part in scope]


def scope_from_json(value: Iterable[Mapping[str, Any]]) -> tuple[Condition, ...]:
    """The scope of event data.

    Raises KeyError or TypeError for another shape, ExchangeError(E_SCOPE) for what is no scope.
    """
    return scope_of(Condition(part["field"], part["operator"], tuple(part["values"])) for part in value)


def terms_to_json(terms: Terms) -> dict[str, Any]:
    """Terms as event data."""
    return {
        "record_type": terms.record_type,
        "provider": terms.provider,
        "fields": list(terms.fields),
        "masks": dict(terms.masks),
        "scope": scope_to_json(terms.scope),
        "pseudonymous": terms.pseudonymous,
    }


def terms_from_json(value: Mapping[str, Any]) -> Terms:
    """The terms of event data. Raises KeyError or TypeError for another shape."""
    terms = Terms(
        record_type=RecordType(interned(value["record_type"])),
        provider=Department(interned(value["provider"])),
        fields=interned(tuple(value["fields"])),
        masks=tuple(sorted(value.get("masks", {}).items())),
        scope=scope_from_json(value.get("scope", ())),
        pseudonymous=bool(value.get("pseudonymous", False)),
    )
    return interned(terms)  # a grant and its share have the same
