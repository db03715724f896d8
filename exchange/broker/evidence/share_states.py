"""How the delivery line stands to a share: delivered, left out after an error, or on its way back. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from exchange.broker.evidence.line_states import Unit
from exchange.broker.grants.amend import SwitchShare
from exchange.broker.grants.shares import SuspendShare
from exchange.ledger.state.ledger_state import LedgerState, ShareEntry
from exchange.ledger.store.command import Command
from exchange.names import RecordType


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the units of a record type say of one share, against what the ledger says."""

    joined: datetime | None
    """When the last partition joined; None while one has not, or is suspended, or has not come back."""
    suspended: tuple[str, datetime] | None
    """The error code and since when the line leaves it out, on any partition, since its last recovery."""
    missing_since: datetime | None
    """Since when it is not delivered although it was: suspended, lost, or not back after a recovery."""


def delivery_of(entry: ShareEntry, units: Iterable[Unit]) -> Delivery:
    """How the line stands to a share. units: every partition of its record type."""
    units = list(units)
    suspended = min(_suspensions(entry, units), default=None)
    joins = [_joined(entry, unit) for unit in units]
    times = [at for at in joins if at is not None]
    joined = max(times) if units and len(times) == len(joins) else None
    missing: datetime | None = None
    if suspended is not None:
        missing = suspended[0]
    elif entry.suspended is not None or (entry.recoveries and joined is None):
        missing = entry.suspended_since
    return Delivery(
        joined=None if entry.suspended is not None else joined,
        suspended=None if suspended is None else (suspended[1], suspended[0]),
        missing_since=missing,
    )


def _suspensions(entry: ShareEntry, units: Iterable[Unit]) -> Iterable[tuple[datetime, str]]:
    for unit in units:
        place = unit.delivery.place(entry.share)
        # An older suspension is one that the line has not yet looked at again.
        if place is not None and place.suspended is not None and place.recoveries >= entry.recoveries:
            yield unit.placed_at[entry.share], place.suspended


def _joined(entry: ShareEntry, unit: Unit) -> datetime | None:
    place = unit.delivery.joins.get(entry.share)
    if place is None or place.suspended is not None or place.recoveries < entry.recoveries:
        return None
    return unit.placed_at[entry.share]


def transitions(state: LedgerState, units: Callable[[RecordType], list[Unit]]) -> list[Command]:
    """What the line's state means for the ledger: shares that it leaves out, and next shares that have joined."""
    said: list[Command] = []
    for entry in state.shares.values():
        if entry.deleted or entry.suspended is not None:
            continue
        suspended = delivery_of(entry, units(entry.terms.record_type)).suspended
        if suspended is not None:
            said.append(SuspendShare(entry.share, *suspended))
    for grant in state.grants.values():
        if grant.ended is None and grant.next is not None and grant.next.share is not None:
            entry = state.shares[grant.next.share]
            if delivery_of(entry, units(entry.terms.record_type)).joined is not None:
                said.append(SwitchShare(grant.grant))
    return said
