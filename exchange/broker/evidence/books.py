"""The books: counts that the lines wrote in the transactions that did what they count, and whether their sums close.

Per record type, at admission: taken = admitted + unchanged + superseded + quarantined.
Per share: taken = forwarded + retracted + out of scope + unchanged + quarantined; in flight = admitted + expired −
taken: what admission withdraws because its period is over comes from no inbox, but is delivered like all else.
What admission has not read yet is in flight too, as it stands in the inboxes; a heartbeat counts until it is read.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from exchange.broker.evidence.lag import Unread
from exchange.broker.evidence.line_states import LineStates, Unit
from exchange.broker.evidence.receipts import HandedOver, Receipts
from exchange.names import GrantId, RecordType, ShareName
from exchange.observe import metrics

_ADMISSION = ("admitted", "unchanged", "superseded", "quarantined")
_SHARE = ("forwarded", "retracted", "out_of_scope", "unchanged", "quarantined")


_NOTHING = HandedOver()


@dataclass(frozen=True, slots=True)
class Backfill:
    """How far a share is that reads what stood in the registry before it."""

    sent: int
    """Records forwarded so far."""
    remaining: int
    """Places still to read: at least as many as records."""
    percent: float
    """How much of the way is done, from 0 to 100."""


@dataclass(frozen=True, slots=True)
class Account:
    """The books of a record type at admission (`share` is None), or of one share."""

    record_type: RecordType
    share: ShareName | None
    entries: Mapping[str, int]
    """`taken` and what became of it; `in_flight` is what admission has written and delivery has not taken.

    Of admission also what waits in inboxes, which is in `in_flight`; and `expired`, which is no part of its sum.
    """
    difference: int
    """0 when the sum closes."""
    by_code: Mapping[str, int] = field(default_factory=dict)
    """At admission: quarantined records by error code."""
    handed_over: HandedOver = _NOTHING
    """Of a share: what its grantees' sinks say they have applied. No part of the sum."""
    backfilling: Backfill | None = None
    """Of a share that has not joined on all partitions: stands in the place of what is in flight."""


def books(
    lines: LineStates, receipts: Receipts, readers: Mapping[ShareName, Sequence[GrantId]], inboxes: Unread
) -> list[Account]:
    """All books, admission before the shares of its record type.

    readers: the grants of each share; inboxes: what waits there, seen before the state of the lines was read.
    """
    accounts = []
    for name in lines.record_types():
        units = lines.units(name)
        accounts.append(_admission(name, units, inboxes.of(name)))
        for share in sorted({share for unit in units for share in _shares(unit)}):
            handed_over = [receipts.of(grant) for grant in readers.get(share, ())]
            accounts.append(_share(name, share, units, handed_over))
    return accounts


def quarantine(lines: LineStates) -> dict[tuple[str, ...], float]:
    """Records that admission put aside, by (department, code)."""
    found: Counter[tuple[str, ...]] = Counter()
    for name in lines.record_types():
        for unit in lines.units(name):
            for department, codes in unit.admission.by_provider.items():
                found.update({(department, code): count for code, count in codes.items()})
    return {labels: float(count) for labels, count in found.items()}


def publish(accounts: Iterable[Account], put_aside: Mapping[tuple[str, ...], float]) -> None:
    """Show the books as metrics."""
    records: dict[tuple[str, ...], float] = {}
    differences: dict[tuple[str, ...], float] = {}
    for account in accounts:
        labels = (account.record_type, account.share or "")
        differences[labels] = float(account.difference)
        hidden = ("in_flight",) if account.backfilling else ()
        shown = {entry: count for entry, count in account.entries.items() if entry not in hidden}
        records.update({(*labels, entry): float(count) for entry, count in shown.items()})
    metrics.BOOKS.replace(records)
    metrics.BOOKS_DIFFERENCE.replace(differences)
    metrics.QUARANTINE.replace(put_aside)


def _admission(name: RecordType, units: list[Unit], unread: int) -> Account:
    entries = {entry: sum(getattr(unit.admission, entry) for unit in units) for entry in ("taken", *_ADMISSION)}
    entries["expired"] = sum(unit.admission.expired for unit in units)
    entries["in_flight"] = sum(unit.in_flight for unit in units)
    difference = _difference(entries, _ADMISSION)
    entries["in_flight"] += unread
    codes: Counter[str] = Counter()
    for unit in units:
        codes.update(unit.admission.by_code)
    return Account(name, None, entries, difference, dict(codes))


def _share(name: RecordType, share: ShareName, units: list[Unit], handed_over: list[HandedOver]) -> Account:
    counts = [unit.delivery.counts[share] for unit in units if share in unit.delivery.counts]
    entries = {entry: sum(getattr(count, entry) for count in counts) for entry in ("taken", *_SHARE)}
    entries["in_flight"] = sum(unit.share_in_flight(share) for unit in units)
    applied = HandedOver(sum(one.records for one in handed_over), sum(one.faulty for one in handed_over))
    difference = _difference(entries, _SHARE)
    return Account(name, share, entries, difference, handed_over=applied, backfilling=_backfill(share, units))


def _shares(unit: Unit) -> set[ShareName]:
    state = unit.delivery
    return {*state.counts, *state.joins, *state.backfills}


def _backfill(share: ShareName, units: list[Unit]) -> Backfill | None:
    """Where the share is, over all partitions; None when it has joined on each, or is nowhere any more."""
    waiting = [unit.delivery.backfills[share] for unit in units if share in unit.delivery.backfills]
    if not waiting:
        return None
    joined = [unit.delivery.joins[share] for unit in units if share in unit.delivery.joins]
    way = sum(place.end for place in waiting) + sum(place.joined for place in joined)
    remaining = sum(place.remaining for place in waiting)
    sent = sum(place.sent for place in waiting) + sum(place.backfilled for place in joined)
    return Backfill(sent, remaining, 100.0 * (way - remaining) / way if way else 0.0)


def _difference(entries: Mapping[str, int], parts: Iterable[str]) -> int:
    """What is missing from the sum. More delivered than was ever admitted does not close either."""
    return entries["taken"] - sum(entries[part] for part in parts) + min(0, entries["in_flight"])
