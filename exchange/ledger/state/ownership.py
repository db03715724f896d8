"""Whose keys are whose: the provider rule of a schema, and departments that were merged into others or split.

What a department owned is owned by all that took over its duties, over any number of reforms. Where it was split, and
one heir registers credit codes of its own kind, no other heir inherits that kind.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from exchange.avro.record_schema import RecordSchema
from exchange.errors import ExchangeError
from exchange.identifiers import licence_id
from exchange.ledger.state.ledger_state import LedgerState, Provider
from exchange.names import Department

Owns = Callable[[bytes], bool]
"""Whether a natural key belongs to somebody."""


@dataclass(frozen=True, slots=True)
class Body:
    """What the keys of one department are told by, as far as they are a certain department's now."""

    department: Department
    credit_code: str
    owns: tuple[str, ...]


def bodies(department: Department, state: LedgerState) -> list[Body]:
    """The department and all that it took over, each with the kinds of credit codes that it has of them now."""
    mine = took_over(department, state)
    own = _kinds([department], state)
    found = []
    for entry in (one for one in state.departments.values() if one.department in mine):
        claimed = _kinds(set(heirs(entry.department, state)) - mine, state) - own
        kept = tuple(kind for kind in entry.owns if kind not in claimed)
        found.append(Body(entry.department, entry.credit_code, kept))
    return found


def _kinds(some: Iterable[Department], state: LedgerState) -> set[str]:
    """The first characters of credit codes that these departments register themselves."""
    return {kind for one in some if one in state.departments for kind in state.departments[one].owns}


def took_over(department: Department, state: LedgerState) -> set[Department]:
    """The department and all that were merged into it or split off towards it."""
    found = {department}
    while True:
        more = {entry.department for entry in state.departments.values() if found & set(entry.heirs)} - found
        if not more:
            return found
        found |= more


def heirs(department: Department, state: LedgerState) -> tuple[Department, ...]:
    """All that the department was merged into or split into; empty while it exists."""
    found: dict[Department, None] = {}
    waiting = [department]
    while waiting:
        entry = state.departments.get(waiting.pop())
        new = [one for one in (entry.heirs if entry else ()) if one not in found and one != department]
        found.update(dict.fromkeys(new))
        waiting += new
    return tuple(sorted(found))


def owned_by(schema: RecordSchema, bodies: Iterable[Provider]) -> Owns:
    """The keys that belong to any of these bodies by their form; all, when one department provides the whole type."""
    bodies = list(bodies)
    at = schema.natural_key.index(schema.provider_field) if schema.provider_field in schema.natural_key else 0
    if schema.provider_rule == "sole":
        return lambda _key: True
    if schema.provider_rule == "first-character":
        return _first_character(at, frozenset(ord(one) for body in bodies for one in body.owns))
    if schema.provider_rule == "issuer":
        return _issuer(at, frozenset(body.credit_code for body in bodies))
    prefixes = tuple(f"{body.credit_code}/".encode() for body in bodies)
    return lambda key: key.startswith(prefixes)


def _first_character(at: int, characters: frozenset[int]) -> Owns:
    if at == 0:
        return lambda key: key[0] in characters
    return lambda key: _part(key, at)[:1] in {bytes([one]) for one in characters}


def _issuer(at: int, codes: frozenset[str]) -> Owns:
    def owns(key: bytes) -> bool:
        try:
            return licence_id.issuer(_part(key, at).decode()) in codes
        except (ExchangeError, ValueError):
            return False

    return owns


def _part(key: bytes, at: int) -> bytes:
    parts = key.split(b"/")
    return parts[at] if at < len(parts) else b""
