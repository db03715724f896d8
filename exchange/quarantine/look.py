"""Looking through quarantine: filters, and a walk over the records of many departments with an end in sight."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from exchange.clock import Deadline
from exchange.names import Department
from exchange.quarantine.entry import Quarantined
from exchange.quarantine.quarantine_id import QuarantineId
from exchange.quarantine.store import QuarantineStore, Stretch

MOST_SEEN = 20_000
"""Records that one look reads at most; the next one goes on where it stopped."""
MOST_BYTES = 64_000_000
"""Bytes that one look reads at most."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which quarantined records are meant; what is None does not matter."""

    code: str | None = None
    stage: str | None = None
    record_type: str | None = None
    since: datetime | None = None
    """Put aside at this moment or later."""

    @property
    def empty(self) -> bool:
        """Whether every record is meant."""
        return self == Filter()

    def fits(self, entry: Quarantined) -> bool:
        """Whether this record is meant, as far as it says itself (`since` is a matter of where reading begins)."""
        return (
            self.code in (None, entry.code)
            and self.stage in (None, entry.stage)
            and self.record_type in (None, entry.record_type)
        )


class Walk:
    """One look through quarantine, in the order of the ids. Iterate over it once; `following` then tells the rest."""

    def __init__(
        self, store: QuarantineStore, departments: Iterable[Department], after: QuarantineId | None = None
    ) -> None:
        self._store = store
        self._departments = list(departments)
        self._after = after
        self.following: QuarantineId | None = None
        """The last record seen, when the walk ended before the end of quarantine."""

    def entries(self, since: datetime | None, enough: Callable[[], bool], deadline: Deadline) -> Iterator[Quarantined]:
        """The records, until `enough()` says so after one of them, or the bounds of one look are reached."""
        seen = bytes_seen = 0
        for stretch in self._left(since):
            with closing(self._store.read(stretch, deadline)) as entries:
                for entry in entries:
                    yield entry
                    seen += 1
                    bytes_seen += entry.size
                    if enough() or seen >= MOST_SEEN or bytes_seen >= MOST_BYTES:
                        self.following = entry.id
                        return

    def _left(self, since: datetime | None) -> Iterator[Stretch]:
        """The stretches after the place where the walk before ended."""
        for stretch in sorted(self._store.stretches(self._departments, since)):
            place = (stretch.department, stretch.partition)
            if self._after is None or place > self._after[:2]:
                yield stretch
            elif place == self._after[:2] and self._after.offset + 1 < stretch.end:
                yield stretch._replace(first=max(stretch.first, self._after.offset + 1))


def find(store: QuarantineStore, place: QuarantineId, deadline: Deadline) -> Quarantined | None:
    """The record at one place; None when there is none, or no longer."""
    for stretch in store.stretches([place.department]):
        if stretch.partition == place.partition and stretch.first <= place.offset < stretch.end:
            with closing(store.read(stretch._replace(first=place.offset), deadline)) as entries:
                found = next(entries, None)
            return found if found is not None and found.id == place else None
    return None
