"""Row scopes as tests over bytes: a conjunction of equals, in and prefix on string fields, also nullable ones.

A null, and a field that an old version of the schema does not have, is never in scope. There is no clock in a scope.
"""

from collections.abc import Iterable

from exchange.avro.compiled.slices import Slices
from exchange.delivery.cutting.field_type import FieldType, field_type
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


def emit_scope(scope: Iterable[Condition], slices: Slices) -> str:
    """The test of a whole scope as one expression over the writer's `slices`; empty when every row is in scope.

    Raises ExchangeError(E_SHARE_TERMS) for a condition that cannot be tested.
    """
    tests = [_emit(condition, slices) for condition in scope]
    return NOWHERE if NOWHERE in tests else " and ".join(tests)


def _emit(condition: Condition, slices: Slices) -> str:
    _refuse_wrong_form(condition)
    number = slices.number(condition.field)
    if number is None:
        return NOWHERE
    type_ = field_type(slices.fields[number].type)
    if type_.kind != "string":
        raise ExchangeError("E_SHARE_TERMS", f"a scope tests strings, and {condition.field} is none")
    if condition.operator == "prefix":
        return _emit_prefix(condition, type_, number, slices)
    branch = b"" if type_.present is None else bytes([2 * type_.present])
    wanted = [branch + encoded(value.encode()) for value in condition.values]
    if len(wanted) == 1:
        return f"{slices.run(number, number)} == {slices.module.constant(wanted[0], 'C')}"
    return f"{slices.run(number, number)} in {slices.module.constant(frozenset(wanted), 'C')}"


def _refuse_wrong_form(condition: Condition) -> None:
    if condition.operator not in OPERATORS:
        raise ExchangeError("E_SHARE_TERMS", f"a scope knows no operator {condition.operator}")
    if not condition.values or (condition.operator != "in" and len(condition.values) != 1):
        raise ExchangeError("E_SHARE_TERMS", f"wrong number of values for {condition.operator}")


def _emit_prefix(condition: Condition, type_: FieldType, number: int, slices: Slices) -> str:
    start, end = slices.start(number), slices.end(number)
    prefix = slices.module.constant(condition.values[0].encode(), "C")
    test = f"b.startswith({prefix}, {type_.content(start)}, {end or 'None'})"
    return test if type_.present is None else f"b[{start}] == {2 * type_.present} and {test}"
