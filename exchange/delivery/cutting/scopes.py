"""Row scopes as tests over bytes: a conjunction of equals, in and prefix on string fields, also nullable ones.

A null, and a field that an old version of the schema does not have, is never in scope. There is no clock in a scope.
"""

from collections.abc import Iterable
from typing import Any

from exchange.delivery.cutting.layout import Choice, Layout, choice
from exchange.delivery.cutting.masks import encoded
from exchange.errors import ExchangeError
from exchange.ledger.state.ledger_state import Condition

OPERATORS = ("equals", "in", "prefix")
NOWHERE = "False"
"""The test of a scope that no record of this writer's schema can be in."""


def matches(condition: Condition, value: str | None) -> bool:
    """Whether a field's value meets the condition. This is the meaning that the generated tests have."""
    if value is None:
        return False
    if condition.operator == "prefix":
        return value.startswith(condition.values[0])
    return value in condition.values


def emit_scope(scope: Iterable[Condition], layout: Layout, env: dict[str, Any]) -> str:
    """The test of a whole scope as one expression over the offsets of `layout`; empty when every row is in scope.

    Constants go into `env`. Raises ExchangeError(E_SHARE_TERMS) for a condition that cannot be tested.
    """
    tests = [_emit(condition, layout, env) for condition in scope]
    return NOWHERE if NOWHERE in tests else " and ".join(tests)


def _emit(condition: Condition, layout: Layout, env: dict[str, Any]) -> str:
    _refuse_wrong_form(condition)
    index = layout.index(condition.field)
    if index is None:
        return NOWHERE
    field = choice(layout.types[index])
    if field.kind != "string":
        raise ExchangeError("E_SHARE_TERMS", f"a scope tests strings, and {condition.field} is none")
    start, end = layout.start(index), layout.end(index)
    if condition.operator == "prefix":
        return _emit_prefix(condition, field, (start, end), env)
    branch = b"" if field.present is None else bytes([2 * field.present])
    wanted = [branch + encoded(value.encode()) for value in condition.values]
    if len(wanted) == 1:
        return f"b[{start}:{end}] == {_constant(wanted[0], env)}"
    return f"b[{start}:{end}] in {_constant(frozenset(wanted), env)}"


def _refuse_wrong_form(condition: Condition) -> None:
    if condition.operator not in OPERATORS:
        raise ExchangeError("E_SHARE_TERMS", f"a scope knows no operator {condition.operator}")
    if not condition.values or (condition.operator != "in" and len(condition.values) != 1):
        raise ExchangeError("E_SHARE_TERMS", f"wrong number of values for {condition.operator}")


def _emit_prefix(condition: Condition, field: Choice, ends: tuple[str, str], env: dict[str, Any]) -> str:
    start, end = ends
    prefix = _constant(condition.values[0].encode(), env)
    at = start if field.present is None else f"{start} + 1"
    content = f"{at} + (1 if b[{at}] < 128 else 2 if b[{at} + 1] < 128 else 3)"  # the length before it: at most 3 bytes
    test = f"b.startswith({prefix}, {content}, {end or 'None'})"
    return test if field.present is None else f"b[{start}] == {2 * field.present} and {test}"


def _constant(value: Any, env: dict[str, Any]) -> str:
    name = f"C{len(env)}"
    env[name] = value
    return name
