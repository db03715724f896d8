"""What a command is: a frozen dataclass, called with the state and the time, that says new events; and who gives it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from typing import Any, Protocol

from exchange.clock import format_time
from exchange.ledger.events.canonical import canonical
from exchange.ledger.events.event import NewEvent
from exchange.ledger.state.ledger_state import LedgerState


class Actor(str):
    """Who commands, as the events name it: a department or a role; with the person or program that spoke for it.

    Any other text is an actor for whom nobody spoke, as the exchange itself.
    """

    __slots__ = ("caller",)
    caller: str

    def __new__(cls, name: str, caller: str) -> "Actor":
        """caller: a token's id, or the subject of an issuer; what an audit asks for."""
        actor = super().__new__(cls, name)
        actor.caller = caller
        return actor


ADDED = "added"
"""Marks, in a dataclass field's metadata, an argument that the command did not have from the beginning."""


class Command(Protocol):
    """Pure: checks itself against the state and says what shall be appended, or nothing when it is so already.

    Raises ExchangeError when it is refused. Its dataclass fields are its arguments.
    """

    def __call__(self, state: LedgerState, now: datetime, /) -> Sequence[NewEvent]:
        """The events to append, in order."""
        ...


@dataclass(slots=True)
class Draft:
    """The events a command is about to say."""

    state: LedgerState
    events: list[NewEvent] = field(default_factory=list)

    @property
    def seq(self) -> int:
        """The sequence number that the next event will have: unique for ever, so names are made of it."""
        return self.state.seq + len(self.events) + 1

    def say(self, event: str, entity: str, **data: Any) -> None:
        """Add an event."""
        self.events.append(NewEvent(event, entity, data))


def said(event: str, entity: str, **data: Any) -> Sequence[NewEvent]:
    """The one event of a command that says no more."""
    return (NewEvent(event, entity, data),)


def digest_of(command: Command) -> str:
    """SHA-256 of the command's name and arguments: what an idempotency key stands for.

    Dataclass fields that take no part in comparison (schemas, secrets made on the way) take no part here; those that
    were ADDED later only when they are given: a command that was sent before an upgrade is repeated after it.
    """
    asked = {"command": type(command).__name__, "arguments": _plain(command)}
    return hashlib.sha256(canonical(asked)).hexdigest()


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        given = ((part, getattr(value, part.name)) for part in fields(value) if part.compare)
        return {part.name: _plain(one) for part, one in given if not (ADDED in part.metadata and one == part.default)}
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return format_time(value) if isinstance(value, datetime) else value
