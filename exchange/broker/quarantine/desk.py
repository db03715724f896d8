"""Quarantine at the broker service: list, show, redrive, discard. Records are read on demand, within bounds.

What waits is what stands in the quarantine topics and what the ledger has not settled. A redrive or a discard settles
at most MOST_SETTLED records; the next one goes on after the place that it names.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from exchange.avro.lock import SchemaRepository
from exchange.broker.quarantine.commands import (
    Asked,
    Chosen,
    DiscardQuarantined,
    RedriveQuarantined,
    owner_of,
    reason_of,
)
from exchange.broker.quarantine.pick import Outcome, Pick, Prepare, Seen
from exchange.broker.seams import Ledger
from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.ledger.events.event import Beside
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.store.command import Command
from exchange.ledger.store.decisions import Result
from exchange.names import Department, RecordType
from exchange.quarantine.entry import Quarantined
from exchange.quarantine.look import Filter, Walk, find
from exchange.quarantine.quarantine_id import QuarantineId, quarantine_id
from exchange.quarantine.redrive import Left, redrive
from exchange.quarantine.store import QuarantineStore

T = TypeVar("T")
MOST_SETTLED = 1_000
"""Records that one command settles at most."""
_LOOK_SECONDS = 12.0
_COMMAND_SECONDS = 15.0
"""Together less than a client waits for an answer."""


@dataclass(frozen=True, slots=True)
class By:
    """Who commands."""

    department: Department | None
    """None for an operator."""
    actor: str
    command_id: str | None
    """The idempotency key."""


@dataclass(frozen=True, slots=True)
class _Work:
    """One kind of settling."""

    command: Callable[[Chosen], Command]
    prepare: Prepare


class Quarantine:
    """The quarantine of all departments. Safe for any number of threads."""

    def __init__(
        self,
        ledger: Ledger,
        store: QuarantineStore,
        schemas: SchemaRepository,
        put_aside: Callable[[], Mapping[tuple[str, ...], float]],
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._schemas = schemas
        self._put_aside = put_aside

    def waiting(self) -> dict[tuple[str, ...], float]:
        """How many records wait, by (department, code): what admission put aside less what the ledger settled.

        Counted, not read, so that records that left quarantine by their age alone, unsettled, are in the count; but it
        is never more than the topic still has room for. Empty where the lines are not followed. Raises ExchangeError:
        E_KAFKA_*.
        """
        counts = self._put_aside()
        settled = self._ledger.read(lambda state: {name: dict(one.by_code) for name, one in state.settled.items()})
        standing: Counter[str] = Counter()
        waits = {
            Department(department)
            for (department, code), count in counts.items()
            if count > settled.get(Department(department), {}).get(code, 0)
        }
        for stretch in self._store.held(self._store.stretches(waits), Deadline.after(_LOOK_SECONDS)):
            standing[stretch.department] += stretch.end - stretch.first
        return {
            (department, code): min(
                max(0.0, count - settled.get(Department(department), {}).get(code, 0)), float(standing[department])
            )
            for (department, code), count in counts.items()
        }

    def look(
        self,
        departments: Iterable[Department] | None,
        wanted: Filter,
        status: str | None,
        limit: int,
        after: str | None = None,
    ) -> tuple[list[Seen], QuarantineId | None]:
        """Records in the order of their places, at most `limit` after the place `after`, and where to go on.

        departments: None for all. A page may hold fewer than there are: a look reads look.MOST_SEEN records at most.
        Raises ExchangeError: E_REQUEST, E_KAFKA_*.
        """
        chosen = self._known() if departments is None else departments
        walk = Walk(self._store, chosen, None if after is None else quarantine_id(after))
        found: list[Seen] = []
        for entry in walk.entries(wanted.since, lambda: len(found) >= limit, Deadline.after(_LOOK_SECONDS)):
            seen = self._seen(entry)
            if wanted.fits(entry) and status in (None, seen.status):
                found.append(seen)
        return found, walk.following

    def show(self, place: QuarantineId) -> Seen:
        """One record. Raises ExchangeError: E_UNKNOWN_QUARANTINED, E_KAFKA_*."""
        known = place.department in self._known()
        found = find(self._store, place, Deadline.after(_LOOK_SECONDS)) if known else None
        if found is None:
            raise ExchangeError("E_UNKNOWN_QUARANTINED")
        return self._seen(found)

    def redrive(self, department: str, asked: Asked, by: By, dry_run: bool = False) -> Outcome:
        """Let records that wait pass admission again: untouched, in their order, at most `asked.limit`.

        Raises ExchangeError: as RedriveQuarantined does, E_REQUEST, E_IDEMPOTENCY, E_NOT_LEADER, E_KAFKA_*.
        """
        partitions: dict[RecordType, int | None] = {}

        def count(record_type: RecordType) -> int | None:
            if record_type not in partitions:
                known = record_type in self._schemas.record_types()
                partitions[record_type] = self._store.redrive_partitions(record_type) if known else None
            return partitions[record_type]

        def prepare(entry: Quarantined) -> Beside | Left:
            made = redrive(entry, count)
            return made if isinstance(made, Left) else Beside(*made)

        work = _Work(lambda chosen: RedriveQuarantined(department, by.department, asked, chosen), prepare)
        return self._settle(department, asked, by, work, dry_run)

    def discard(self, department: str, asked: Asked, reason: str, by: By, dry_run: bool = False) -> Outcome:
        """Say of records that wait that they need not reach the registry, at most `asked.limit`.

        Raises ExchangeError: as DiscardQuarantined does, E_REQUEST, E_IDEMPOTENCY, E_NOT_LEADER, E_KAFKA_*.
        """
        reason = reason_of(reason)

        def command(chosen: Chosen) -> Command:
            return DiscardQuarantined(department, by.department, asked, reason, chosen)

        return self._settle(department, asked, by, _Work(command, lambda _entry: None), dry_run)

    def _settle(self, department: str, asked: Asked, by: By, work: _Work, dry_run: bool) -> Outcome:
        """Pick, then execute. A repeated command picks nothing: what it settled the first time is answered again."""
        owner = self._ledger.read(lambda state: owner_of(state, department, by.department))
        pick = Pick(_checked(asked, owner), work.prepare)
        if not dry_run:
            if not self._ledger.leader:
                raise ExchangeError("E_NOT_LEADER")
            if self._ledger.read(lambda state: (by.actor, by.command_id) in state.commands):
                return self._repeated(owner, self._run(work.command(Chosen()), by))
        walk = Walk(self._store, [owner], _start(asked))
        for entry in walk.entries(asked.since, lambda: pick.full, Deadline.after(_LOOK_SECONDS)):
            pick.take(self._seen(entry))
        pick.check(walk.following)
        following = None if asked.ids else walk.following
        chosen = pick.chosen()
        if dry_run or not chosen.by_code:
            return pick.outcome(following, None)
        done = self._run(work.command(chosen), by)
        return self._repeated(owner, done) if done.repeated else pick.outcome(following, done.first)

    def _run(self, command: Command, by: By) -> Result:
        return self._ledger.execute(command, by.actor, by.command_id, Deadline.after(_COMMAND_SECONDS))

    def _repeated(self, owner: Department, done: Result) -> Outcome:
        act = self._ledger.read(lambda state: state.settled[owner].acts[done.first])
        return Outcome(by_code=act.by_code, event=act.seq, repeated=True)

    def _seen(self, entry: Quarantined) -> Seen:
        place = entry.id

        def settled(state: LedgerState) -> Seen:
            of_department = state.settled.get(place.department)
            return Seen(entry, None if of_department is None else of_department.act_on(place.partition, place.offset))

        return self._ledger.read(settled)

    def _known(self) -> list[Department]:
        return self._ledger.read(lambda state: list(state.departments))


def _checked(asked: Asked, owner: Department) -> Asked:
    """The question, when it is one. Raises ExchangeError(E_REQUEST)."""
    named = Filter(asked.code, asked.stage, asked.record_type, asked.since)
    if bool(asked.ids) == bool(not named.empty):
        raise ExchangeError("E_REQUEST", "say which records: either ids, or at least one of the filters")
    if any(quarantine_id(text).department != owner for text in asked.ids):
        raise ExchangeError("E_REQUEST", "all ids are of the one department")
    if not 1 <= asked.limit <= MOST_SETTLED or len(asked.ids) > asked.limit:
        raise ExchangeError("E_REQUEST", f"limit: one command settles at most {MOST_SETTLED} records")
    return asked


def _start(asked: Asked) -> QuarantineId | None:
    """The place after which the walk begins."""
    if asked.ids:
        first = min(quarantine_id(text) for text in asked.ids)
        return first._replace(offset=first.offset - 1)
    return None if asked.after is None else quarantine_id(asked.after)
