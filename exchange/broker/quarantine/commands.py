"""Commands on quarantined records. The ledger says which wait no longer; it holds offsets and counts, never a record.

A redrive is exact whatever dies when: its event and the redriven records are written in one transaction of the ledger's
leader. Either both become readable or neither does; a leader that was replaced cannot write any more. A record is
settled once, because the leader decides one command after the other against a state that holds all settled offsets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from exchange.broker.demands.state import acts_for
from exchange.broker.departments.commands import department_entry
from exchange.clock import format_time
from exchange.errors import ExchangeError
from exchange.ledger.events.event import Beside, NewEvent
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.state.settled_quarantine import SettledRecords
from exchange.names import Department

OPERATOR = "operator"
"""How a command by no department is signed."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for, as an idempotency key stands for it and as the ledger keeps it."""

    ids: tuple[str, ...] = ()
    """Places in quarantine; empty when the filters choose."""
    code: str | None = None
    stage: str | None = None
    record_type: str | None = None
    since: datetime | None = None
    limit: int = 0
    after: str | None = None

    def as_json(self) -> dict[str, Any]:
        """What of it says something. Ids are left out: the event's ranges name the records."""
        said = {
            "code": self.code,
            "stage": self.stage,
            "record_type": self.record_type,
            "since": None if self.since is None else format_time(self.since),
        }
        return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Chosen:
    """The records that a command settles."""

    offsets: Mapping[int, Sequence[int]] = field(default_factory=dict)
    """By partition, rising."""
    ranges: Mapping[int, Sequence[tuple[int, int]]] = field(default_factory=dict)
    """The same as the ledger keeps them."""
    by_code: Mapping[str, int] = field(default_factory=dict)
    redriven: Sequence[Beside] = field(default=(), repr=False)
    """In their order, the records of the redrive topics."""


@dataclass(frozen=True, slots=True)
class RedriveQuarantined:
    """Let records pass admission again. Nothing when none was chosen.

    `by` is the department whose quarantine it is, or None for an operator.
    Raises ExchangeError: E_UNKNOWN_DEPARTMENT, E_ROLE, E_QUARANTINE_STATE when one of them waits no longer.
    """

    department: str
    by: Department | None
    asked: Asked
    chosen: Chosen = field(compare=False, repr=False)

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `quarantine-redriven`, with the records beside it."""
        data = _settle(state, self)
        event = NewEvent("quarantine-redriven", self.department, data, self.chosen.redriven)
        return (event,) if self.chosen.by_code else ()


@dataclass(frozen=True, slots=True)
class DiscardQuarantined:
    """Say that records need not reach the registry. Nothing when none was chosen. They stay readable for 30 days.

    Raises as RedriveQuarantined does, and E_DISCARD_REASON.
    """

    department: str
    by: Department | None
    asked: Asked
    reason: str
    chosen: Chosen = field(compare=False, repr=False)

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `quarantine-discarded`."""
        data = {**_settle(state, self), "reason": reason_of(self.reason)}
        return (NewEvent("quarantine-discarded", self.department, data),) if self.chosen.by_code else ()


def owner_of(state: LedgerState, department: str, by: Department | None) -> Department:
    """The department whose quarantine it is, when `by` may act on it: itself, its successor, or an operator (None).

    Raises ExchangeError: E_NAME_INVALID, E_UNKNOWN_DEPARTMENT, E_ROLE.
    """
    owner = department_entry(state, department).department
    if by is not None and not acts_for(state, by, owner):
        raise ExchangeError("E_ROLE", "quarantine is the matter of its department and of operators")
    return owner


def reason_of(text: str) -> str:
    """The reason of a discard. Raises ExchangeError(E_DISCARD_REASON) when there is none."""
    if not text.strip():
        raise ExchangeError("E_DISCARD_REASON")
    return text.strip()


def _settle(state: LedgerState, command: RedriveQuarantined | DiscardQuarantined) -> dict[str, Any]:
    """The data of the event, when `by` may do this and every chosen record waits."""
    owner, chosen = owner_of(state, command.department, command.by), command.chosen
    settled = state.settled.get(owner, SettledRecords())
    if any(settled.act_on(number, offset) for number, some in chosen.offsets.items() for offset in some):
        raise ExchangeError("E_QUARANTINE_STATE")
    return {
        "department": owner,
        "by": command.by or OPERATOR,
        "count": sum(chosen.by_code.values()),
        "codes": dict(sorted(chosen.by_code.items())),
        "ranges": {str(number): [list(one) for one in some] for number, some in chosen.ranges.items()},
        "asked": command.asked.as_json(),
    }
