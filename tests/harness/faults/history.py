"""What clients saw of their commands, judged against the ledger: is there one order that explains every answer?

The ledger is that order. A history is linearizable when every command takes effect at one moment between its first
invocation and its first answer, and what was answered is what the ledger's order gives.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Written(NamedTuple):
    """A command as it stands in the ledger: its first event."""

    seq: int
    key: str
    entity: str
    once: str
    """What can be done once only, by whomever; empty when the command is no such one."""


@dataclass(slots=True)
class Operation:
    """One command under one key, however often it was sent."""

    key: str
    invoked: float
    """When it was sent first (monotonic)."""
    once: str = ""
    """What it wants to do that can be done once only; empty when it is no such command."""
    answered: float | None = None
    """When it was answered first; None while its outcome is open."""
    answers: list[tuple[str, ...]] = field(default_factory=list)
    """The entities of every answer; none when another command had done it before."""


class History:
    """What clients saw. For any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.operations: dict[str, Operation] = {}

    def invoke(self, key: str, once: str = "", at: float | None = None) -> None:
        """Note that a command is sent; only the first time counts."""
        moment = time.monotonic() if at is None else at
        with self._lock:
            self.operations.setdefault(key, Operation(key, moment, once))

    def answer(self, key: str, entities: Sequence[str], at: float | None = None) -> None:
        """Note an answer."""
        moment = time.monotonic() if at is None else at
        with self._lock:
            operation = self.operations[key]
            if operation.answered is None:
                operation.answered = moment
            operation.answers.append(tuple(entities))

    @property
    def open(self) -> list[str]:
        """The keys of commands whose outcome nobody knows."""
        with self._lock:
            return [one.key for one in self.operations.values() if one.answered is None]


def violations(operations: Iterable[Operation], ledger: Sequence[Written]) -> list[str]:
    """What no order explains, one line each; empty for a linearizable history.

    ledger: the commands in the order of the ledger.

    1. An answered command stands in the ledger exactly once, an open one at most once, and nothing that nobody sent.
    2. Every answer to a key is the same, and is what the ledger says.
    3. What was answered before another command was sent stands before it.
    4. What can be done once is done once: who was told so was answered after somebody had begun to do it.
    """
    asked = {one.key: one for one in operations}
    times = Counter(one.key for one in ledger)
    found = [f"{key} stands in the ledger {count} times" for key, count in times.items() if count > 1]
    found += [f"{key} stands in the ledger and was never sent" for key in times if key not in asked]
    entities = {one.key: one.entity for one in ledger}
    for one in asked.values():
        found += _answers(one, entities.get(one.key))
    written = [one for one in ledger if one.key in asked]
    return found + _order(asked, written) + _once(asked, written)


def _answers(one: Operation, entity: str | None) -> list[str]:
    """2., and of 1. that nothing acknowledged is lost."""
    if len(set(one.answers)) > 1:
        return [f"{one.key} was answered differently: {sorted(set(one.answers))}"]
    told = one.answers[0] if one.answers else None
    if told is None or (one.once and told == ()):
        return []
    if entity is None:
        return [f"{one.key} was answered and is not in the ledger"]
    return [] if told[:1] == (entity,) else [f"{one.key} was answered with {told}, the ledger has {entity}"]


def _order(asked: Mapping[str, Operation], written: Sequence[Written]) -> list[str]:
    """3., from the end: the earliest answer of all that stands behind may not lie before the sending."""
    found = []
    earliest, whose = float("inf"), ""
    for one in reversed(written):
        operation = asked[one.key]
        if earliest < operation.invoked:
            found.append(f"{whose} was answered before {one.key} was sent and stands behind it")
        if operation.answered is not None and operation.answered < earliest:
            earliest, whose = operation.answered, one.key
    return found


def _once(asked: Mapping[str, Operation], written: Sequence[Written]) -> list[str]:
    """4."""
    winners: dict[str, Operation] = {}
    found = []
    for one in written:
        if one.once and winners.setdefault(one.once, asked[one.key]).key != one.key:
            found.append(f"{one.once} was done by {winners[one.once].key} and again by {one.key}")
    for operation in asked.values():
        if not operation.once or operation.answered is None or operation.answers[0] != ():
            continue
        winner = winners.get(operation.once)
        if winner is None:
            found.append(f"{operation.key} was told that {operation.once} was done, and nobody has done it")
        elif operation.answered < winner.invoked:
            found.append(f"{operation.key} was told that {operation.once} was done before {winner.key} began")
    return found
