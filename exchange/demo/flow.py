"""What flows: counts from the books, from the sources and from the sinks' receipts, until nothing is under way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exchange.demo.places import Places
from exchange.intake.memory.look import state_of
from exchange.web.client import ApiClient

_ADMISSION = ("admitted", "unchanged", "superseded", "quarantined")
_SHARE = ("forwarded", "out_of_scope", "retracted")
KEYS = ("collected", "unmapped", "submitted", *_ADMISSION, "in_flight", *_SHARE, "handed_over")
"""The counts of the summary, in travel order."""


@dataclass(slots=True)
class Counts:
    """All counts at one moment, since the folder was new."""

    by_record_type: dict[str, dict[str, int]] = field(default_factory=dict)
    quarantined_by_code: dict[str, int] = field(default_factory=dict)
    closed: bool = True
    taken: dict[str, int] = field(default_factory=dict)
    """What admission has taken from inboxes, by record type."""
    compared: dict[str, str] = field(default_factory=dict)
    """When each source connector compared itself last with the whole of its table or file."""
    backfilling: set[str] = field(default_factory=set)
    """Shares that still read what stood in the registry before them; nothing of that is in flight."""

    def of(self, record_type: str) -> dict[str, int]:
        """The counts of a record type."""
        return self.by_record_type.setdefault(record_type, dict.fromkeys(KEYS, 0))

    @property
    def total(self) -> dict[str, int]:
        """Sums over all record types."""
        return {key: sum(counts[key] for counts in self.by_record_type.values()) for key in KEYS}

    @property
    def still(self) -> bool:
        """Whether everything submitted was taken, every share is full, and everything forwarded was handed over."""
        return not self.backfilling and all(
            self.taken.get(name, 0) >= counts["submitted"]
            and counts["in_flight"] == 0
            and counts["handed_over"] == counts["forwarded"] + counts["retracted"]
            for name, counts in self.by_record_type.items()
        )

    def since(self, before: "Counts") -> "Counts":
        """What was added after `before`; what is in flight or backfilling is told as it is now."""
        fresh = Counts(closed=self.closed, compared=self.compared, backfilling=self.backfilling)
        for name, counts in self.by_record_type.items():
            earlier = before.of(name)
            fresh.by_record_type[name] = {key: counts[key] - earlier[key] for key in KEYS}
            fresh.by_record_type[name]["in_flight"] = counts["in_flight"]
            fresh.taken[name] = self.taken.get(name, 0) - before.taken.get(name, 0)
        for code, count in self.quarantined_by_code.items():
            if count > before.quarantined_by_code.get(code, 0):
                fresh.quarantined_by_code[code] = count - before.quarantined_by_code.get(code, 0)
        return fresh


def look(operator: ApiClient, places: Places, sources: Mapping[str, str]) -> Counts:
    """The counts now. sources: record type of each source connector."""
    counts = Counts()
    for connector, record_type in sources.items():
        _add_source(counts.of(record_type), places, connector)
        comparison = state_of(places.connectors, connector, "comparison")
        if comparison is not None:
            counts.compared[connector] = comparison["at"]
    for account in operator.items("/v1/books"):
        _add_account(counts, account)
    return counts


def _add_source(row: dict[str, int], places: Places, connector: str) -> None:
    books = state_of(places.connectors, connector, "books")
    if books is not None:
        for key in ("collected", "unmapped", "submitted"):
            row[key] += books[key]


def _add_account(counts: Counts, account: dict[str, Any]) -> None:
    row, entries = counts.of(account["record_type"]), account["entries"]
    counts.closed = counts.closed and account["difference"] == 0
    if account["share"] is None:
        row["in_flight"] = entries["in_flight"]
        for key in _ADMISSION:
            row[key] += entries[key]
        counts.taken[account["record_type"]] = entries["taken"]
        for code, count in account["quarantined_by_code"].items():
            counts.quarantined_by_code[code] = counts.quarantined_by_code.get(code, 0) + count
    else:
        for key in _SHARE:
            row[key] += entries[key]
        row["handed_over"] += account["handed_over"]
        if account["backfilling"] is not None:
            counts.backfilling.add(account["share"])
