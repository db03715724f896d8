"""Commands on their way through the store: waiting to be decided, decided and waiting to be read back."""

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

from exchange.errors import ExchangeError
from exchange.kafka.client.message import Place
from exchange.ledger.store.command import Command
from exchange.ledger.store.decisions import Result


@dataclass(slots=True)
class Ticket:
    """A command on its way, and who waits for it."""

    command: Command
    actor: str
    command_id: str | None
    answer: "Future[Result]" = field(default_factory=Future)


@dataclass(slots=True)
class Awaited:
    """A decided command whose events are not read back yet."""

    ticket: Ticket
    result: Result
    hash: str | None
    """Of the event `result.last`: another leader may write another event of that number. None when it was durable."""
    until: float | None = None
    """Monotonic time at which it is given up, after its commit failed."""


@dataclass(slots=True)
class Aim:
    """The end of the ledger, as it is when a new leader has fenced its predecessor. The reader finds it and gets there.

    Only the reader's thread asks its client: asked by two threads at once, a client has been seen to answer neither.
    """

    ends: dict[Place, int] | None = None
    reached: threading.Event = field(default_factory=threading.Event)


def refuse(ticket: Ticket, error: ExchangeError) -> None:
    """Answer a command that was not taken up, unless who sent it has given up."""
    if ticket.answer.set_running_or_notify_cancel():
        ticket.answer.set_exception(error)
