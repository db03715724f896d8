"""The books: counts that the lines wrote in the transactions that did what they count, and whether their sums close.

Per record type, at admission: taken = admitted + unchanged + superseded + quarantined.
Per share: taken = forwarded + retracted + out of scope + unchanged + quarantined; in flight = admitted − taken.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from exchange.broker.evidence_lines import LineStates, Unit
from exchange.broker.evidence_receipts import HandedOver, Receipts
from exchange.names import GrantId, RecordType, ShareName
from exchange.observe import metrics

_ADMISSION = ("admitted", "unchanged", "superseded", "quarantined")
_SHARE = ("forwarded", "retracted", "out_of_scope", "unchanged", "quarantined")


_NOTHING = HandedOver()


@dataclass(frozen=True, slots=True)
class Account:
    """The books of a record type at admission (`share` is None), or of one share."""

    record_type: RecordType
    share: ShareName | None
    entries: Mapping[str, int]
    """`taken` and what became of it; `in_flight` is what admission has admitted and delivery has not taken."""
    difference: int
    """0 when the sum closes."""
    by_code: Mapping[str, int] = field(default_factory=dict)
    """At admission: quarantined records by error code."""
    handed_over: HandedOver = _NOTHING
    """Of a share: what its grantees' sinks say they have applied. No part of the sum."""


def books(lines: LineStates, receipts: Receipts, readers: Mapping[ShareName, Sequence[GrantId]]) -> list[Account]:
    """All books, admission before the shares of its record type. readers: the grants of each share."""
    accounts = []
    for name in lines.record_types():
        units = lines.units(name)
        accounts.append(_admission(name, units))
        for share in sorted({share for unit in units for share in unit.delivery.counts | unit.delivery.joins}):
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
        records.update({(*labels, entry): float(count) for entry, count in account.entries.items()})
    metrics.BOOKS.replace(records)
    metrics.BOOKS_DIFFERENCE.replace(differences)
    metrics.QUARANTINE.replace(put_aside)


def _admission(name: RecordType, units: list[Unit]) -> Account:
    entries = {entry: sum(getattr(unit.admission, entry) for unit in units) for entry in ("taken", *_ADMISSION)}
    entries["in_flight"] = sum(unit.in_flight for unit in units)
    codes: Counter[str] = Counter()
    for unit in units:
        codes.update(unit.admission.by_code)
    return Account(name, None, entries, _difference(entries, _ADMISSION), dict(codes))


def _share(name: RecordType, share: ShareName, units: list[Unit], handed_over: list[HandedOver]) -> Account:
    counts = [unit.delivery.counts[share] for unit in units if share in unit.delivery.counts]
    entries = {entry: sum(getattr(count, entry) for count in counts) for entry in ("taken", *_SHARE)}
    entries["in_flight"] = sum(unit.share_in_flight(share) for unit in units)
    applied = HandedOver(sum(one.records for one in handed_over), sum(one.faulty for one in handed_over))
    return Account(name, share, entries, _difference(entries, _SHARE), handed_over=applied)


def _difference(entries: Mapping[str, int], parts: Iterable[str]) -> int:
    """What is missing from the sum. More delivered than was ever admitted does not close either."""
    return entries["taken"] - sum(entries[part] for part in parts) + min(0, entries["in_flight"])
