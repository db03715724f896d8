"""Evidence of real delivery: what grantees have taken, how far the lines are, whether sources live.

Offsets are the grantee's own word; what they leave open (only markers, or records, before the end?) is looked up by
reading single records for their time alone. Only transitions enter the ledger; everything else is a metric.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from exchange import names
from exchange.broker.evidence.absence import absent
from exchange.broker.evidence.judge import Agreed, Sight, Untaken, Verdict, judge
from exchange.broker.evidence.lag import Unread, delivery_ages, unread
from exchange.broker.evidence.line_states import LineStates
from exchange.broker.evidence.said import Listener, Said, publish
from exchange.broker.evidence.share_states import delivery_of, transitions
from exchange.broker.evidence.untaken import FirstRecords, Peek
from exchange.broker.grants.first_delivery import MarkFilled, MarkFirstDelivered
from exchange.broker.grants.freshness import EXCHANGE_CAUSE, PROVIDER, SET_ASIDE, BreakFreshness, RestoreFreshness
from exchange.broker.seams import EXCHANGE, Ledger, Offsets
from exchange.clock import Clock, Deadline
from exchange.kafka.admin.topics import INBOX_KEPT, TOMBSTONES_KEPT
from exchange.ledger.state.ledger_state import GrantEntry, LedgerState, ShareEntry
from exchange.ledger.state.ownership import heirs
from exchange.ledger.store.command import Command
from exchange.names import Department, GrantId, RecordType
from exchange.observe import metrics
from exchange.observe.logs import get_logger

_LOOK_SECONDS = 60.0
_LISTEN_SECONDS = 20.0
_COMMAND_SECONDS = 20.0
_JOIN_SLACK = timedelta(seconds=1)
"""The records of the join's transaction may be appended to the share a moment after the join itself."""
_log = get_logger("exchange.evidence")


@dataclass(frozen=True, slots=True)
class Watched:
    """An active grant, as evidence needs it."""

    entry: GrantEntry
    share: ShareEntry
    """The one to read now."""
    demander: Department
    providers: tuple[Department, ...]
    """Whose records it gives: its provider's, and those of the departments that this was merged into."""
    activated: datetime
    agreed: Agreed

    @property
    def topic(self) -> str:
        """The topic of its share."""
        return names.share_topic(self.share.share)

    @property
    def given(self) -> datetime:
        """When its share became the one to read."""
        return max(self.activated, self.entry.switched or self.activated)

    @property
    def lines(self) -> list[tuple[RecordType, Department]]:
        """The record type and each provider whose records it gives."""
        return [(self.entry.terms.record_type, provider) for provider in self.providers]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where every source and line stands, by (record type, provider) or record type."""

    seen: Mapping[tuple[RecordType, Department], datetime]
    """The last sign of life; absent before the first."""
    dropped: frozenset[tuple[RecordType, Department]]
    """Those of which the inbox has dropped it before it was seen: what stands in `seen` is the latest it can have been.
    """
    behind: Mapping[tuple[RecordType, Department], timedelta]
    """Age of the oldest record of a provider that the lines have not passed on."""

    def seen_of(self, grant: Watched) -> datetime:
        """The last sign of life of the sources of a grant, or when it became active, before there was one.

        Where that is not known exactly, a breach that is open still says it.
        """
        known = [line for line in grant.lines if line in self.seen]
        breach = grant.entry.breaches.get(PROVIDER)
        if breach is not None and breach.reason != SET_ASIDE and self.dropped.issuperset(known):
            return breach.since - grant.agreed.update_cycle
        return max((self.seen[line] for line in known), default=grant.activated)


class Evidence:
    """Looks at Kafka and tells the ledger what changed. Used by one thread of the leader."""

    def __init__(
        self, kafka: Offsets, peek: Peek, lines: LineStates, ledger: Ledger, clock: Clock, listener: Listener
    ) -> None:
        self.absent: frozenset[GrantId] = frozenset()
        """The grants whose grantees were away for longer than tombstones are kept, at the last look."""
        self.said = Said()
        """What connectors said of themselves at the last look."""
        self.unread = Unread()
        """What waited in inboxes at the last look, as of before the lines' state was read."""
        self.moved = True
        """Whether anything was otherwise at the last look than at the one before: offsets, words, or the ledger."""
        self._mark: object = None
        self._kafka = kafka
        self._listener = listener
        self._firsts = FirstRecords(peek)
        self._registries = FirstRecords(peek)
        self._seen: dict[tuple[RecordType, Department], datetime] = {}
        """The last sign of life of each source: its inbox may have dropped it."""
        self._dropped: frozenset[tuple[RecordType, Department]] = frozenset()
        self._lines = lines
        self._ledger = ledger
        self._clock = clock

    def look(self) -> None:
        """One look: refresh the lines' state, set the metrics, tell transitions."""
        deadline = Deadline.after(_LOOK_SECONDS)
        counts = self._kafka.topics()
        inboxes = [inbox for inbox in self._ledger.read(_inboxes) if inbox in counts]
        # Before the lines' state: what is taken in between is seen twice, and never not at all.
        admitted = self._kafka.committed(names.ADMISSION_GROUP)
        self.unread = unread(self._kafka, _partitions(inboxes, counts), admitted)
        self._lines.refresh(self._ledger.read(lambda state: _layout(state, counts)), deadline)
        for command in self._ledger.read(lambda state: transitions(state, self._lines.units)):
            self._say(command)
        sources = self._sources(_partitions(inboxes, counts), deadline)
        self._listen(counts, deadline)
        everyone = self._ledger.read(_watched)
        for grant in [grant for grant in everyone if grant.topic not in counts]:
            self._tell_lost(grant)
        watched = [grant for grant in everyone if grant.topic in counts]
        sights = self._sights(watched, counts, sources, deadline)
        read = [(grant.entry.grant, sight.ends, sight.committed) for grant, sight in zip(watched, sights, strict=True)]
        self._note((admitted, self.unread, self.said, read))
        now = self._clock.now()
        lags: dict[tuple[str, ...], float] = {}
        for grant, sight in zip(watched, sights, strict=True):
            verdict = judge(sight, grant.agreed, now)
            self._tell_filled(grant, sight, deadline)
            lags[(grant.entry.grant, grant.demander)] = verdict.lag.total_seconds()
            self._tell(grant, verdict)
        metrics.SHARE_LAG.replace(lags)

    def _note(self, seen: object) -> None:
        mark = (self._ledger.read(lambda state: state.seq), seen)
        self.moved, self._mark = mark != self._mark, mark

    def _listen(self, counts: Mapping[str, int], deadline: Deadline) -> None:
        offered, holders = self._ledger.read(lambda state: (_offered(state), _holders(state)))
        spoken = Deadline.after(min(_LISTEN_SECONDS, deadline.remaining()))
        self.said = self._listener.listen(counts, offered, holders, self._clock.now(), spoken)
        publish(self.said, holders)

    def _sights(
        self, watched: list[Watched], counts: Mapping[str, int], sources: Sources, deadline: Deadline
    ) -> list[Sight]:
        # Offsets before ends: an honest grantee's offset is then never beyond the end.
        committed = [self._committed(grant) for grant in watched]
        ends = self._kafka.end_offsets(_partitions({grant.topic for grant in watched}, counts))
        starts = [
            {number: taken.get(number, 0) for number in range(counts[grant.topic])}
            for grant, taken in zip(watched, committed, strict=True)
        ]
        stretches = [
            ((grant.topic, number), start)
            for grant, begins in zip(watched, starts, strict=True)
            for number, start in begins.items()
        ]
        found = self._firsts.find(stretches, ends, deadline)
        self._firsts.forget(ends)
        self._note_absent(watched, committed, ends)
        sights = []
        for grant, taken, begins in zip(watched, committed, starts, strict=True):
            mine = {number: ends[(grant.topic, number)] for number in begins}
            untaken = {
                number: found[((grant.topic, number), start)]
                for number, start in begins.items()
                if ((grant.topic, number), start) in found
            }
            sights.append(self._sight(grant, mine, taken, untaken, sources, deadline))
        return sights

    def _note_absent(
        self, watched: list[Watched], committed: list[dict[int, int]], ends: Mapping[tuple[str, int], int]
    ) -> None:
        taken = {
            grant.entry.grant: {(grant.topic, number): offset for number, offset in offsets.items()}
            for grant, offsets in zip(watched, committed, strict=True)
        }
        found = absent(self._kafka, taken, ends, self._clock.now(), TOMBSTONES_KEPT)
        for grant in found - self.absent:
            _log.warning("evidence.resync_needed", grant=grant)
        self.absent = found

    def _sight(
        self,
        grant: Watched,
        ends: Mapping[int, int],
        committed: Mapping[int, int],
        untaken: Mapping[int, Untaken],
        sources: Sources,
        deadline: Deadline,
    ) -> Sight:
        delivery = delivery_of(grant.share, self._lines.units(grant.entry.terms.record_type))
        stood = began_empty = None
        if delivery.joined is not None and grant.entry.first_delivered is None:
            stood = self._stood(grant, max(grant.given, delivery.joined), ends)
            began_empty = self._empty(grant, stood, deadline)
        return Sight(
            ends=ends,
            committed=committed,
            untaken=untaken,
            stood=stood,
            began_empty=bool(began_empty),
            exchange_behind=max(sources.behind.get(line, timedelta()) for line in grant.lines),
            suspended_since=delivery.missing_since,
            source_seen=sources.seen_of(grant),
            source_sets_aside=self.said.source_sets_aside(grant.entry.terms.record_type, grant.providers),
            sink_sets_aside=self.said.sink_sets_aside(grant.entry.grant),
        )

    def _stood(self, grant: Watched, moment: datetime, ends: Mapping[int, int]) -> dict[int, int]:
        """What stood in the share at `moment`: told from times, so that a restarted broker sees the same."""
        places = [(grant.topic, number) for number in ends]
        after = self._kafka.offsets_for_time(places, int((moment + _JOIN_SLACK).timestamp() * 1000))
        return {number: ends[number] if first is None else first for (_, number), first in after.items()}

    def _empty(self, grant: Watched, stood: Mapping[int, int], deadline: Deadline) -> bool:
        firsts = self._firsts.find(
            [((grant.topic, number), 0) for number in stood],
            {(grant.topic, number): end for number, end in stood.items()},
            deadline,
        )
        return all(record.offset >= stood[number] for ((_, number), _), record in firsts.items())

    def _tell(self, grant: Watched, verdict: Verdict) -> None:
        entry = grant.entry
        if verdict.delivered and entry.first_delivered is None:
            self._say(MarkFirstDelivered(entry.grant, verdict.empty))
        for cause, since in verdict.broken.items():
            if cause not in entry.breaches:
                reason = SET_ASIDE if cause in verdict.set_aside else ""
                self._say(BreakFreshness(entry.grant, cause, since, reason))
                _log.warning("evidence.broken", grant=entry.grant, cause=cause, reason=reason)
        kept = set() if self.said.whole else {one.cause for one in entry.breaches.values() if one.reason == SET_ASIDE}
        for cause in [cause for cause in entry.breaches if cause not in verdict.broken and cause not in kept]:
            self._say(RestoreFreshness(entry.grant, cause))
            _log.info("evidence.restored", grant=entry.grant, cause=cause)

    def _tell_filled(self, grant: Watched, sight: Sight, deadline: Deadline) -> None:
        """A share that was empty when it was first delivered may come to hold something."""
        if grant.entry.empty and not self._empty(grant, sight.ends, deadline):
            self._say(MarkFilled(grant.entry.grant))

    def _tell_lost(self, grant: Watched) -> None:
        """A share whose topic is gone is delivered to nobody, whatever the line has noticed of it."""
        since = grant.share.suspended_since or self._clock.now()
        self._say(BreakFreshness(grant.entry.grant, EXCHANGE_CAUSE, since))

    def _say(self, command: Command) -> None:
        self._ledger.execute(command, EXCHANGE, None, Deadline.after(_COMMAND_SECONDS))

    def _committed(self, grant: Watched) -> dict[int, int]:
        found = self._kafka.committed(names.grant_group(grant.entry.grant))
        return {number: offset for (topic, number), offset in found.items() if topic == grant.topic}

    def _sources(self, places: list[tuple[str, int]], deadline: Deadline) -> Sources:
        """places: every partition of every inbox."""
        now = self._clock.now()
        self._see(places, now)
        metrics.SOURCE_SILENCE.replace(
            {labels: max(0.0, (now - at).total_seconds()) for labels, at in self._seen.items()}
        )
        behind = self._behind({names.split_inbox(topic) for topic, _ in places}, now, deadline)
        return Sources(self._seen, self._dropped, behind)

    def _see(self, places: list[tuple[str, int]], now: datetime) -> None:
        """Note signs of life. An inbox that holds nothing any more had some, when it was kept for the last time."""
        lines = {names.split_inbox(topic) for topic, _ in places}
        seen = {line: at for line, at in self._seen.items() if line in lines}
        newest = self._kafka.newest(places)
        for (topic, _), at in newest.items():
            line = names.split_inbox(topic)
            moment = datetime.fromtimestamp(at.timestamp / 1000, UTC)
            seen[line] = max(moment, seen.get(line, moment))
        unknown = [place for place in places if names.split_inbox(place[0]) not in seen]
        held = {names.split_inbox(topic) for (topic, _), end in self._kafka.end_offsets(unknown).items() if end > 0}
        self._seen = seen | dict.fromkeys(held, now - INBOX_KEPT)
        self._dropped = (self._dropped | held) & lines - {names.split_inbox(topic) for topic, _ in newest}

    def _behind(
        self, lines: Iterable[tuple[RecordType, Department]], now: datetime, deadline: Deadline
    ) -> dict[tuple[RecordType, Department], timedelta]:
        delivery = delivery_ages(self._kafka, self._registries, self._lines, now, deadline)
        seconds: dict[tuple[str, ...], float] = {("delivery", n): age.total_seconds() for n, age in delivery.items()}
        records: dict[tuple[str, ...], float] = {
            ("delivery", name): float(sum(unit.in_flight for unit in self._lines.units(name))) for name in delivery
        }
        behind = {}
        for line in lines:
            age = self.unread.age(self._kafka, line, now)
            behind[line] = max(age, delivery.get(line[0], timedelta()))
            labels = ("admission", line[0])
            seconds[labels] = max(age.total_seconds(), seconds.get(labels, 0.0))
            records[labels] = self.unread.of(line[0])
        metrics.LINE_LAG_SECONDS.replace(seconds)
        metrics.LINE_LAG_RECORDS.replace(records)
        return behind


def _partitions(topics: Iterable[str], counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return [(topic, number) for topic in sorted(topics) for number in range(counts.get(topic, 0))]


def _layout(state: LedgerState, counts: Mapping[str, int]) -> dict[RecordType, int]:
    """Record types of which both lines' state topics exist, with their partition counts."""
    found = {}
    for name in {resource.record_type for resource in state.resources.values()}:
        if {names.admission_topic(name), names.delivery_topic(name)} <= counts.keys():
            found[name] = counts[names.delivery_topic(name)]
    return found


def _offered(state: LedgerState) -> frozenset[RecordType]:
    return frozenset(resource.record_type for resource in state.resources.values())


def _holders(state: LedgerState) -> dict[GrantId, tuple[Department, RecordType]]:
    """Who holds every grant that runs, and of which record type."""
    running = state.running.values()
    return {one.grant: (state.demands[one.demand].demander, one.terms.record_type) for one in running}


def _inboxes(state: LedgerState) -> list[str]:
    """The inboxes of everything that is offered."""
    offered = (resource for resource in state.resources.values() if not resource.withdrawn)
    return sorted({names.inbox_topic(resource.record_type, resource.provider) for resource in offered})


def _watched(state: LedgerState) -> list[Watched]:
    """Every active grant."""
    found = []
    for grant in state.grants.values():
        share = state.shares.get(grant.share) if grant.share is not None else None
        if not grant.active or share is None or grant.activated is None:
            continue
        demand = state.demands[grant.demand]
        resource = state.resources.get(demand.resource or "")
        cycle = resource.update_cycle_seconds if resource else grant.freshness_seconds
        agreed = Agreed(timedelta(seconds=grant.freshness_seconds), timedelta(seconds=cycle))
        providers = (grant.terms.provider, *heirs(grant.terms.provider, state))
        found.append(Watched(grant, share, demand.demander, providers, grant.activated, agreed))
    return found
