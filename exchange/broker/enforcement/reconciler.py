"""The reconciler: brings Kafka's topics, rights and quotas in line with the ledger, and tells the ledger what it did.

It alone works as super user. At every event it compares what the ledger explains with what it knows of Kafka; on a
timer it looks at Kafka itself. What no grant explains is removed and counted (`exchange_enforcement_drift_total`).
A right that denies is left alone: it is an operator's emergency brake and takes nothing from anyone but its principal.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Generic, TypeVar

from exchange import names
from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.automatic import AnnounceExpiry, EndExpired
from exchange.broker.departments.succession import SettleSuccession
from exchange.broker.enforcement.wanted import (
    Wanted,
    ledger_topic,
    own_acls,
    share_spec,
    snapshot_topic,
    unused,
    wanted,
)
from exchange.broker.grants.activate import ActivateGrant, has_begun
from exchange.broker.grants.amend import EndOverlaps
from exchange.broker.grants.place import PlaceGrant, placement, unplaced
from exchange.broker.grants.shares import LOST, DeleteShare, RecoverShare, ReplaceShare, SuspendShare
from exchange.broker.seams import EXCHANGE, Ledger, Topics
from exchange.clock import Clock, Deadline
from exchange.errors import ExchangeError
from exchange.kafka.admin.admin import Acl, NewTopicSpec
from exchange.kafka.admin.topics import TOMBSTONES_KEPT
from exchange.ledger.state.ledger_state import GrantEntry, LedgerState, ShareEntry
from exchange.ledger.store.command import Command
from exchange.names import Department, GrantId, ShareName
from exchange.observe.logs import get_logger
from exchange.observe.metrics import count_drift

_SHARE_PREFIX = "share."
_COMMAND_SECONDS = 20.0
_SETTLE_SECONDS = 10.0
_SHOWN_SECONDS = 0.02
_SAME = timedelta(seconds=0.5)
"""For so long what is wanted holds without an event: much less than anybody may read on after the end."""
_ENDS: tuple[Command, ...] = (EndExpired(), AnnounceExpiry(), SettleSuccession(), EndOverlaps())
"""What ends by time."""
_log = get_logger("exchange.enforcement")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Layout:
    """How topics are made."""

    replication: int
    partitions: int | None
    """Of every record type; None = the counts of the product."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What the reconciler asks others."""

    clock: Clock
    in_flow: Callable[[ShareName], bool]
    """Whether any unit of the delivery line still has a share."""
    set_quotas: Callable[[list[Department]], None]
    """Gives principals the default quotas."""
    mend: Callable[[Mapping[str, Mapping[str, str]]], None]
    """Gives topics the settings that they were made with."""
    let_go_seconds: float = 60.0
    """A delivery worker that was cut off reads the ledger again within this time, or has lost its partitions."""
    lost_seconds: float = 10.0
    """A share's topic that is not seen by looks this far apart is lost: a broker may show a new one late."""


@dataclass(slots=True)
class _Known:
    """What Kafka held when we last looked, and what we changed since."""

    topics: set[str]
    acls: set[Acl]


@dataclass(frozen=True, slots=True)
class _WorkedOut:
    """What was wanted after an event, at a time, with these shares held."""

    wanted: Wanted
    seq: int
    held: frozenset[ShareName]
    at: datetime

    def good(self, now: datetime) -> bool:
        """Whether so little time has passed that nothing has ended by time alone."""
        return timedelta() <= now - self.at < _SAME


class _Recent(Generic[T]):
    """Our own changes of the last seconds: a broker shows them only after a moment, which is no drift."""

    def __init__(self) -> None:
        self._changes: dict[T, tuple[bool, float]] = {}

    def note(self, items: Iterable[T], present: bool) -> None:
        """Note what was made (`present`) or removed now."""
        self._changes.update(dict.fromkeys(items, (present, time.monotonic())))

    def onto(self, found: set[T]) -> set[T]:
        """What was found, with the recent changes in it."""
        recent = time.monotonic() - _SETTLE_SECONDS
        self._changes = {item: change for item, change in self._changes.items() if change[1] > recent}
        made = {item for item, (present, _) in self._changes.items() if present}
        return (found | made) - (self._changes.keys() - made)


@dataclass(slots=True)
class _Released:
    """Deleted shares, and since when (monotonic) we know."""

    since: dict[ShareName, float] = field(default_factory=dict)

    def held(self, state: LedgerState, watch: Watch) -> set[ShareName]:
        """Deleted shares whose topic must stay: the line may still write it."""
        now = time.monotonic()
        kept = set()
        for share in state.shares.values():
            if not share.deleted:
                continue
            known = self.since.setdefault(share.share, now)
            if now - known < watch.let_go_seconds or watch.in_flow(share.share):
                kept.add(share.share)
        return kept


def bootstrap(kafka: Topics, secrets: Mapping[str, str], replication: int) -> None:
    """Prepare a fresh cluster for the first start: the ledger's topics, our principals' secrets and rights.

    secrets: of exchange-admission, exchange-delivery, exchange-broker. May be run again; secrets are set anew.
    """
    kafka.create_topics([ledger_topic(), snapshot_topic()], replication)
    for principal, secret in secrets.items():
        kafka.set_secret(principal, secret)
    kafka.grant(own_acls())


def falls_due(state: LedgerState, now: datetime) -> bool:
    """Whether time alone has ended something: a grant, an overlap, a department."""
    return any(command(state, now) for command in _ENDS)


class Reconciler:
    """Keeps Kafka in line with the ledger. Used by one thread of the leader."""

    def __init__(
        self,
        kafka: Topics,
        ledger: Ledger,
        schemas: SchemaRepository,
        layout: Layout,
        watch: Watch,
    ) -> None:
        self._kafka = kafka
        self._ledger = ledger
        self._schemas = schemas
        self._layout = layout
        self._watch = watch
        self._known: _Known | None = None
        self._released = _Released()
        self._last: _WorkedOut | None = None
        self._limited: set[Department] = set()
        self._looked = 0.0
        """When Kafka itself was looked at (monotonic)."""
        self._missed: dict[str, float] = {}
        """Share topics that the ledger explains and Kafka did not show, and since which look."""
        self._new_topics: _Recent[str] = _Recent()
        self._new_acls: _Recent[Acl] = _Recent()

    def look(self) -> None:
        """Look at Kafka itself, and count what changed behind our back."""
        found = self._found()
        explained = self._wanted()
        before = self._known or _Known(set(explained.topics), set(explained.acls))
        drift = {
            "acl-extra": len(found.acls - before.acls),
            "topic-extra": len({name for name in found.topics - before.topics if name.startswith(_SHARE_PREFIX)}),
        }
        if self._known is not None:
            drift["acl-missing"] = len(before.acls - found.acls)
            drift["topic-missing"] = len(before.topics - found.topics)
        for kind, count in drift.items():
            if count:
                count_drift(kind, count)
                _log.warning("enforcement.drift", kind=kind, count=count)
        self._known = found
        self._looked = time.monotonic()
        self._limited.clear()

    def reconcile(self) -> bool:
        """One pass. True when everything is in line; what failed is logged and tried again by the next pass.

        1. What a grant no longer explains is taken away, topics before groups; also between the steps that take long.
        2. Topics are made, a share's before the ledger tells the line of it.
        3. Rights are given, and only then the ledger says that the grant is active.
        4. A suspended share whose recovery is ordered is mended; one that is lost, or too far behind, is replaced.
        5. A share without grants is deleted in the ledger; its topic goes when the line has let it go.
        """
        if self._known is None or self._ledger.read(_to_recover):
            self.look()
        steps: tuple[Callable[[], None], ...] = (
            self._end,
            self._take_rights,
            self._place,
            self._make_topics,
            self._take_rights,
            self._give_rights,
            self._take_rights,
            self._recover,
            self._limit,
            self._activate,
            self._retire,
            self._delete_topics,
        )
        done = [self._tried(step) for step in steps]
        return all(done)

    def _tried(self, step: Callable[[], None]) -> bool:
        try:
            step()
        except ExchangeError as error:
            if error.code == "E_NOT_LEADER":
                raise
            _log.error("enforcement.failed", step=step.__name__.strip("_"), code=error.code, detail=error.detail)
            self._known = None  # what really stands there is looked up before anything else is tried
            return False
        return True

    def _wanted(self) -> Wanted:
        return self._ledger.read(self._wanted_now)

    def _wanted_now(self, state: LedgerState) -> Wanted:
        """What is wanted, worked out again when an event may have changed it, or after a moment."""
        now, held = self._now(state), frozenset(self._released.held(state, self._watch))
        last = self._last
        if last is None or (last.seq, last.held) != (state.enforced, held) or not last.good(now):
            explained = wanted(state, now, self._layout.partitions, held)
            self._last = last = _WorkedOut(explained, state.enforced, held, now)
        return last.wanted

    def _now(self, state: LedgerState) -> datetime:
        """The time, never before the ledger's: what has begun by it would cease while our clock is set back."""
        now = self._watch.clock.now()
        return now if state.at is None else max(now, state.at)

    def _seen(self) -> _Known:
        if self._known is None:
            self._known = self._found()
        return self._known

    def _found(self) -> _Known:
        rights = {acl for acl in self._kafka.acls() if acl.permission == "allow" and acl.principal != names.ADMIN}
        return _Known(self._new_topics.onto(set(self._kafka.topics())), self._new_acls.onto(rights))

    def _say(self, command: Command) -> None:
        self._ledger.execute(command, EXCHANGE, None, Deadline.after(_COMMAND_SECONDS))

    def _end(self) -> None:
        for command in _ENDS:
            self._say(command)

    def _take_rights(self) -> None:
        known = self._seen()
        extra = known.acls - self._wanted().acls
        # Without the topic's right fetches fail at once; without the group's only at the next join.
        self._kafka.revoke([acl for acl in extra if acl.resource == "topic"])
        self._kafka.revoke([acl for acl in extra if acl.resource != "topic"])
        known.acls -= extra
        self._new_acls.note(extra, present=False)
        if extra:
            _log.info("enforcement.rights-taken", count=len(extra))

    def _make_topics(self) -> None:
        known = self._seen()
        missing = {name: spec for name, spec in self._wanted().topics.items() if name not in known.topics}
        # Made again under its name, a share would be read on by its old consumers without any error.
        self._create(known, [spec for name, spec in missing.items() if not name.startswith(_SHARE_PREFIX)])
        lost = {name for name in missing if name.startswith(_SHARE_PREFIX)}
        self._missed = {name: self._missed.get(name, self._looked) for name in lost}
        latest = self._looked - self._watch.lost_seconds
        for name in [name for name, since in self._missed.items() if since <= latest]:
            share = ShareName(name.removeprefix(_SHARE_PREFIX))
            self._say(SuspendShare(share, LOST, self._watch.clock.now()))

    def _place(self) -> None:
        for grant in self._ledger.read(unplaced):
            share, new = self._ledger.read(partial(self._placement, grant.grant))
            known = self._seen()
            if new and names.share_topic(share) not in known.topics:
                self._create(known, [share_spec(share, grant.terms.record_type, self._layout.partitions)])
            self._say(PlaceGrant(grant.grant, self._schemas))
            self._take_rights()

    def _placement(self, grant: GrantId, state: LedgerState) -> tuple[ShareName, bool]:
        return placement(state, grant, self._schemas)

    def _give_rights(self) -> None:
        known = self._seen()
        missing = self._wanted().acls - known.acls
        self._kafka.grant(sorted(missing))
        self._await(lambda: missing <= self._kafka.acls(), f"{len(missing)} rights")
        known.acls |= missing
        self._new_acls.note(missing, present=True)
        if missing:
            _log.info("enforcement.rights-given", count=len(missing))

    def _recover(self) -> None:
        known = self._seen()
        for share in self._ledger.read(_to_recover):
            topic = names.share_topic(share.share)
            if topic in known.topics and not self._is_old(share):
                spec = share_spec(share.share, share.terms.record_type, self._layout.partitions)
                self._watch.mend({topic: spec.config})
                self._say(RecoverShare(share.share))
            else:
                self._say(ReplaceShare(share.share))
            _log.info("enforcement.share-mended", share=share.share, lost=topic not in known.topics)

    def _is_old(self, share: ShareEntry) -> bool:
        """Whether the registry may no longer hold every tombstone since the share was suspended."""
        since = share.suspended_since
        return since is not None and self._watch.clock.now() - since >= TOMBSTONES_KEPT

    def _limit(self) -> None:
        registered = self._ledger.read(
            lambda state: [entry.department for entry in state.departments.values() if entry.registered]
        )
        new = [department for department in registered if department not in self._limited]
        if new:
            self._watch.set_quotas(new)
            self._limited.update(new)

    def _activate(self) -> None:
        known = self._seen()
        for grant in self._ledger.read(lambda state: _placed(state, self._now(state))):
            if grant.share is not None and names.share_topic(grant.share) in known.topics:
                self._say(ActivateGrant(grant.grant))

    def _retire(self) -> None:
        for share in self._ledger.read(lambda state: [entry.share for entry in unused(state)]):
            self._say(DeleteShare(share))

    def _delete_topics(self) -> None:
        known = self._seen()
        explained = self._wanted()
        empty = self._ledger.read(lambda state: state.seq == 0)
        extra = [name for name in known.topics if name.startswith(_SHARE_PREFIX) and name not in explained.topics]
        if not extra or empty:  # an empty ledger explains nothing: that is a disaster, not an order to delete
            return
        self._kafka.delete_topics(extra)
        known.topics.difference_update(extra)
        self._new_topics.note(extra, present=False)
        _log.info("enforcement.topics-deleted", count=len(extra))

    def _await(self, shown: Callable[[], bool], what: str) -> None:
        """Return when Kafka shows a change that it has answered: a broker applies it a moment later."""
        deadline = Deadline.after(_SETTLE_SECONDS)
        while not shown():
            if deadline.passed:
                raise ExchangeError("E_ENFORCE", f"{what} are not there {_SETTLE_SECONDS:.0f} s after they were made")
            time.sleep(_SHOWN_SECONDS)

    def _create(self, known: _Known, specs: Sequence[NewTopicSpec]) -> None:
        if specs:
            self._kafka.create_topics(specs, self._layout.replication)
            made = {spec.name for spec in specs}
            self._await(lambda: made <= self._kafka.topics().keys(), f"{len(made)} topics")
            known.topics.update(spec.name for spec in specs)
            self._new_topics.note((spec.name for spec in specs), present=True)
            _log.info("enforcement.topics-made", count=len(specs))


def _to_recover(state: LedgerState) -> list[ShareEntry]:
    return [share for share in state.shares.values() if share.recovery_ordered and not share.deleted]


def _placed(state: LedgerState, now: datetime) -> list[GrantEntry]:
    """Grants that have their share, whose time has come, and whose reader could log in."""
    return [
        grant
        for grant in state.running.values()
        if grant.share is not None
        and grant.activated is None
        and has_begun(state, grant, now)
        and state.departments[state.demands[grant.demand].demander].registered
    ]
