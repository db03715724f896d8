"""Clients that command a ledger's store, and what they tell of it: see `fault_history`.

A command issues a token for a digest, which is done once: of all clients that want the same digest one gets the token.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import count

from exchange.broker.departments.tokens import IssueToken
from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.ledger.events.event import LedgerEvent
from exchange.ledger.store.ledger_store import LedgerStore
from tests.harness.faults.history import History, Written

ACTOR = "operator"
_ANSWER_SECONDS = 20.0
_AGAIN_SECONDS = 0.02
_COMMON = "common-"

Wanted = tuple[str, str]
"""(idempotency key, what can be done once only; empty when nobody else wants it)."""
Tell = Callable[[str], None]
"""Writes a line: `sent KEY ONCE MOMENT` or `answered KEY ENTITIES MOMENT`, `-` for nothing."""


def wanted(client: str) -> Iterator[Wanted]:
    """What a client commands, without end; every fourth is what the others want too."""
    return ((f"{client}-{number}", "" if number % 4 else f"{_COMMON}{number}") for number in count())


def command(store: LedgerStore, key: str, once: str) -> tuple[str, ...]:
    """Send one command; its entities. Raises ExchangeError."""
    issue = IssueToken("auditor", None, once or key)
    return store.execute(issue, ACTOR, key, Deadline.after(_ANSWER_SECONDS)).entities


def call_until_refused(store: LedgerStore, client: str, tell: Tell) -> None:
    """Command one after the other, and tell it."""
    for key, once in wanted(client):
        tell(f"sent {key} {once or '-'} {time.monotonic()}")
        try:
            entities = command(store, key, once)
        except ExchangeError:
            return
        tell(f"answered {key} {','.join(entities) or '-'} {time.monotonic()}")


def hear(history: History, lines: Iterable[str]) -> None:
    """Note what clients of another process told."""
    for line in lines:
        what, key, told, at = line.split()
        if what == "sent":
            history.invoke(key, "" if told == "-" else told, float(at))
        else:
            history.answer(key, () if told == "-" else told.split(","), float(at))


def insist(store: LedgerStore, history: History, commands: Iterable[Wanted], deadline: Deadline) -> None:
    """Send each command until it is answered, and note it. Raises ExchangeError when time runs out."""
    pause = threading.Event()
    for key, once in commands:
        history.invoke(key, once)
        while True:
            try:
                history.answer(key, command(store, key, once))
                break
            except ExchangeError as error:
                if error.code != "E_NOT_LEADER" or deadline.passed:
                    raise
                pause.wait(_AGAIN_SECONDS)


def written(events: Iterable[LedgerEvent]) -> list[Written]:
    """The commands of a ledger, in its order."""
    return [
        Written(event.seq, event.command_id, event.entity, digest if digest.startswith(_COMMON) else "")
        for event in events
        if event.command_id is not None
        for digest in [str(event.data.get("digest", ""))]
    ]
