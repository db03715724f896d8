"""What a command is: a frozen dataclass, called with the state and the time, that says new events; and who gives it."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from datetime import datetime
from itertools import combinations
from typing import Any, Final, Protocol

from exchange.clock import format_time
from exchange.ledger.events.canonical import canonical
from exchange.ledger.events.event import NewEvent
from exchange.ledger.state.ledger_state import LedgerState

FIRST_FORM: Final = "exchange.first-form"
"""In the metadata of an argument: its default in the first form of digests, where that was another one."""
_LEARNT: Final = 2
"""How many arguments a command may have learnt within the days for which keys of the first form are kept."""


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
    """SHA-256 of the command's name and of its arguments but those with defaults: what an idempotency key stands for.

    What is left out has no part in it, so a command that learns a new optional argument has the digest that it had.
    Dataclass fields that take no part in comparison (schemas, secrets made on the way) take no part here.
    """
    return _digest(command, {name: canonical(value) for name, value, given in _arguments(command) if given})


def stands_for(digest: str, command: Command) -> bool:
    """Whether the ledger's digest of a command is that of this one.

    Digests of ledgers written before defaults were left out are of every argument that the command had then. Those that
    it has learnt since have their defaults in a repetition: up to two of them are left out by trial.
    """
    if digest == digest_of(command):
        return True
    arguments = _arguments(command)
    spare = [name for name, _, given in arguments if not given]
    forms = {name: value for name, value, _ in arguments} | _first_forms(command, spare)
    whole = {name: canonical(value) for name, value in forms.items()}
    tries = (left_out for count in range(_LEARNT + 1) for left_out in combinations(spare, count))
    return any(
        digest == _digest(command, {name: text for name, text in whole.items() if name not in left_out})
        for left_out in tries
    )


def _digest(command: Command, arguments: Mapping[str, bytes]) -> str:
    """Of the canonical JSON of the arguments: put together here, as trials differ in little of it."""
    members = b",".join(b'"%s":%s' % (name.encode(), arguments[name]) for name in sorted(arguments))
    return hashlib.sha256(b'{"arguments":{%s},"command":"%s"}' % (members, type(command).__name__.encode())).hexdigest()


def _arguments(command: Any) -> list[tuple[str, Any, bool]]:
    """Each argument: its name, its value as JSON has it, and whether that is another than its default."""
    found = []
    for part in fields(command):
        if part.compare:
            value = getattr(command, part.name)
            default = part.default if part.default_factory is MISSING else part.default_factory()
            found.append((part.name, _plain(value), default is MISSING or value != default))
    return found


def _first_forms(command: Any, left_out: Collection[str]) -> dict[str, Any]:
    """What stood in the first form of a digest for arguments that are left out, where that was another default."""
    forms = {part.name: part.metadata for part in fields(command) if part.name in left_out}
    return {name: _plain(form[FIRST_FORM]) for name, form in forms.items() if FIRST_FORM in form}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {part.name: _plain(getattr(value, part.name)) for part in fields(value) if part.compare}
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return format_time(value) if isinstance(value, datetime) else value
