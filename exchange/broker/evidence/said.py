"""What connectors say of what they have set aside, and when that is too much.

More than a twentieth of the rows of a source's last whole reading is a breach of the provider, more than a twentieth of
the records that a sink has taken one of the grantee (`interfaces.md` §6). It is their own word: a department can only
hurt itself by it, and whose connectors are not ours says nothing.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from exchange.broker.evidence.line_states import Follow
from exchange.broker.evidence.receipts import Receipts
from exchange.broker.evidence.reconciliations import Reconciliations
from exchange.broker.evidence.reports import Reports
from exchange.broker.grants.freshness import GRANTEE
from exchange.clock import Deadline
from exchange.intake.report import SourceReport, SourceState
from exchange.names import Department, GrantId, RecordType
from exchange.observe import metrics

_TOLERATED = 20
"""One in so many may be set aside."""


@dataclass(frozen=True, slots=True)
class Sink:
    """A sink, as its grantee's receipts say."""

    set_aside: int
    taken: int
    """Records applied and set aside."""
    too_many_since: datetime | None
    """Since when more is set aside than is tolerated; None: it is not."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source, as its department reports."""

    department: Department
    report: SourceReport
    too_many_since: datetime | None
    """As of a sink."""


@dataclass(frozen=True, slots=True)
class Said:
    """What all connectors say at one moment. Never changes."""

    sources: Mapping[RecordType, tuple[Source, ...]] = field(default_factory=dict)
    sinks: Mapping[GrantId, Sink] = field(default_factory=dict)
    whole: bool = True
    """Whether everything that was said has been read: else what is missing here means nothing."""

    def of(self, record_type: RecordType, providers: Collection[Department]) -> tuple[Source, ...]:
        """The sources of a record type that these departments run."""
        return tuple(one for one in self.sources.get(record_type, ()) if one.department in providers)

    def source_sets_aside(self, record_type: RecordType, providers: Collection[Department]) -> datetime | None:
        """Since when one of these sources has set aside too much; None when none has."""
        found = (one.too_many_since for one in self.of(record_type, providers))
        return min((since for since in found if since is not None), default=None)

    def worst(
        self, cause: str, grant: GrantId, record_type: RecordType, providers: Collection[Department]
    ) -> tuple[int, int] | None:
        """How many are set aside of how many, behind a breach of this cause; None when none of it is told."""
        if cause == GRANTEE:
            sink = self.sinks.get(grant)
            return None if sink is None else (sink.set_aside, sink.taken)
        found = [one.report for one in self.of(record_type, providers) if one.too_many_since is not None]
        worst = max(found, key=lambda report: report.set_aside, default=None)
        return None if worst is None else (worst.set_aside, worst.rows)

    def sink_sets_aside(self, grant: GrantId) -> datetime | None:
        """Since when the sink of a grant has set aside too much; None when it has not."""
        sink = self.sinks.get(grant)
        return None if sink is None else sink.too_many_since


class Listener:
    """Follows receipts and reports, and remembers since when something is too much. Used by one thread."""

    def __init__(self, follow: Follow) -> None:
        self.reconciliations = Reconciliations()
        """What stands in the same topics beside."""
        self.receipts = Receipts(follow, self.reconciliations.take_of_grantee)
        self._reports = Reports(follow, self.reconciliations.take_of_provider)
        self._since: dict[tuple[str, str], datetime] = {}

    def listen(
        self, topics: Collection[str], offered: Collection[RecordType], grants: Iterable[GrantId], now: datetime,
        deadline: Deadline,
    ) -> Said:  # fmt: skip
        """What is said at `now`. topics: every topic there is; offered: the record types there are."""
        self.receipts.refresh(topics, deadline)
        self._reports.refresh(topics, deadline)
        since: dict[tuple[str, str], datetime] = {}
        sources: dict[RecordType, tuple[Source, ...]] = {}
        for department, report in self._reports.all():
            record_type = RecordType(report.record_type)
            if record_type in offered:
                too_many = self._too_many(_too_many_rows(report), (department, report.connector), report.at, now, since)
                found = Source(department, report, too_many)
                sources[record_type] = (*sources.get(record_type, ()), found)
        sinks = {}
        for grant in grants:
            done = self.receipts.of(grant)
            if done.at is not None:
                taken = done.records + done.set_aside
                too_many = self._too_many(done.set_aside * _TOLERATED > taken, ("", grant), done.at, now, since)
                sinks[grant] = Sink(done.set_aside, taken, too_many)
        self._since = since
        return Said(sources, sinks, self.receipts.whole and self._reports.whole)

    def close(self) -> None:
        """Let go of the clients."""
        self.receipts.close()
        self._reports.close()

    def _too_many(
        self, holds: bool, who: tuple[str, str], at: datetime, now: datetime, since: dict[tuple[str, str], datetime]
    ) -> datetime | None:
        """Since when it has held: the moment of the first word of it, which cannot lie ahead."""
        if not holds:
            return None
        since[who] = self._since.get(who, min(at, now))
        return since[who]


def publish(said: Said, holders: Mapping[GrantId, tuple[Department, RecordType]]) -> None:
    """Show what is said as metrics. holders: the demander and the record type of each grant."""
    waiting: Counter[tuple[str, ...]] = Counter()
    states: Counter[tuple[str, ...]] = Counter()
    for record_type, sources in said.sources.items():
        for source in sources:
            waiting[(source.department, record_type, "source")] += source.report.set_aside
            states[(source.department, record_type, source.report.state.value)] += 1
    for grant, sink in said.sinks.items():
        if grant in holders:
            waiting[(*holders[grant], "sink")] += sink.set_aside
    metrics.REPORTED_SET_ASIDE.replace({labels: float(count) for labels, count in waiting.items()})
    metrics.REPORTED_SOURCES.replace({labels: float(count) for labels, count in states.items()})


def _too_many_rows(report: SourceReport) -> bool:
    """Before its first whole reading has ended, a working source has no rows yet to measure by.

    One that has stopped before that maps nothing at all, whatever it counted.
    """
    if report.rows == 0 and report.compared_at is None:
        return report.state is SourceState.STOPPED or (report.state is SourceState.AWAY and report.set_aside > 0)
    return report.set_aside * _TOLERATED > report.rows
