"""The records that the department's table has refused: they wait in its database and are tried again.

From the first rest after the start on: first all of them, portion by portion, later those that are due or asked for,
because the table may have been mended, or a parent row may have come (`SqlTarget.apply_again` knows). What becomes of
them is told in the department's faults, which keep an entry for 30 days; so what waits for longer is told again once a
week.

A sink may be killed when its table has taken a record and the log does not know. So behind the first look, and once a
day, the items that are open in the log are held against the table: what waits no longer is told to be cleared.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from exchange.clock import Clock
from exchange.errors import ExchangeError
from exchange.faults.fold import Fault, place_of
from exchange.faults.log import Settled, item_of
from exchange.handover.granted import Owner
from exchange.handover.patience import Patience
from exchange.handover.report import Reporter
from exchange.handover.table.batch import AppliedAgain
from exchange.handover.table.progress import Progress
from exchange.handover.table.set_aside import SetAsideRecord
from exchange.handover.table.target import SqlTarget
from exchange.observe import metrics
from exchange.stages import Stage

LOOK_SECONDS = 5.0
"""Between two looks at a database in which nothing waits; a command that asks for a record is heard so soon."""
_NEXT_PORTION_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 60.0
"""For the first rest, of a share that never stands still."""
_DAY, _WEEK = timedelta(days=1), timedelta(days=7)
_log = structlog.get_logger("exchange.handover")


class SetAside:
    """What waits of one grant."""

    def __init__(
        self,
        owner: Owner,
        target: SqlTarget,
        listed: Callable[[], Sequence[SetAsideRecord]],
        told: Callable[[], Sequence[Fault]],
        reporter: Reporter,
    ) -> None:
        """listed: all that waits in the department's database. told: what the log says that waits of this connector."""
        self._owner = owner
        self._told = told
        self._compared: datetime | None = None
        """When the log was last held against the table."""
        self._target = target
        self._listed = listed
        self._reporter = reporter
        self._rests_at = time.monotonic() + _LONGEST_WAIT_SECONDS
        self._look_at: float | None = None
        """None before the first look."""
        self._remembered: datetime | None = None
        """When it was last looked for what is to be told again."""
        self._unsaid: list[tuple[bytes, Settled]] = []
        """Of what waits no longer, and Kafka does not have it yet."""

    def look(self, patience: Patience, clock: Clock, at_rest: bool, whole: bool) -> bool:
        """Try again what is to be tried, when it is time; whether the table has changed by that.

        whole: all that waits at once, because there is no later.
        Raises ExchangeError when what has become of it cannot be told: it is told the next time.
        """
        if not self._due(at_rest):
            return False
        grant, now = self._owner.grant.grant, clock.now()
        done = patience.until(lambda: self._target.apply_again(grant, now, all=whole))
        if done is None:
            return False
        self._look_at = time.monotonic() + (_NEXT_PORTION_SECONDS if done.waiting else LOOK_SECONDS)
        self._tell(done, now)
        if done.waiting and (self._remembered is None or now - self._remembered >= _DAY):
            self._remind(patience, now)
        if at_rest and (self._compared is None or now - self._compared >= _DAY):
            self._clear(patience, now)
        return bool(done.applied)

    def counts(self, patience: Patience) -> Mapping[int, int] | None:
        """How many records of each partition wait now; None when it was told to stop meanwhile."""
        grant, connector = self._owner.grant.grant, self._owner.connector
        found = patience.until(lambda: (self._target.set_aside(grant), self._target.oldest(grant)))
        if found is None:
            return None
        counts, oldest = found
        metrics.show_set_aside(connector, sum(counts.values()), oldest)
        return counts

    def _due(self, at_rest: bool) -> bool:
        """The first look is at a rest: what came while the sink was away may replace what waits."""
        now = time.monotonic()
        return at_rest or now >= self._rests_at if self._look_at is None else now >= self._look_at

    def _tell(self, done: AppliedAgain, now: datetime) -> None:
        self._unsaid += [(key, Settled.APPLIED) for key in done.applied]
        self._unsaid += [(key, Settled.REPLACED) for key in done.replaced]
        if done.applied:
            _log.info(
                "handover.applied_again",
                stage=Stage.HANDOVER_APPLY,
                grant=self._owner.grant.grant,
                records=len(done.applied),
                waiting=done.waiting,
            )
        for how in (Settled.APPLIED, Settled.REPLACED):
            self._reporter.settled([key for key, what in self._unsaid if what is how], how, now)
        self._unsaid.clear()

    def _remind(self, patience: Patience, now: datetime) -> None:
        """Once a day: tell again of what was set aside one, two, three weeks ago."""
        listed = patience.until(self._listed)
        if listed is None:
            return
        self._remembered = now
        mine = [one for one in listed if one.grant == self._owner.grant.grant]
        self._reporter.reminded([one for one in mine if now - one.since >= _WEEK and _weekday(one, now) == 0], now)

    def _clear(self, patience: Patience, now: datetime) -> None:
        """What is open in the log and does not wait in the table is open there because its end was never told.

        A record that the table's progress has not passed may be on its way into it, by another process of this sink.
        """
        try:
            told = [one for one in self._told() if one.of_sink and one.code == "E_APPLY"]
        except ExchangeError as error:
            self._compared = now  # another day
            _log.warning("handover.faults_unread", stage=Stage.HANDOVER_APPLY, code=error.code, detail=error.detail)
            return
        stored = patience.until(lambda: self._target.stored(self._owner.grant.grant))
        listed = patience.until(self._listed)  # behind the progress: what had passed stands there, if it waits
        if stored is None or listed is None:
            return
        waiting = {item_of(self._owner.connector, one.record_key) for one in listed}
        open_ = [one.item for one in told if one.item is not None and self._passed(one, stored)]
        self._reporter.cleared([item for item in open_ if item not in waiting], now)
        self._compared = now

    def _passed(self, fault: Fault, stored: Mapping[int, Progress]) -> bool:
        """Whether the record's place is behind the progress; that of another share of the grant always is."""
        place = place_of(fault)
        if place is None or place[0] != self._owner.grant.topic:
            return place is not None
        progress = stored.get(place[1])
        return progress is not None and progress.next_offset > place[2]


def _weekday(record: SetAsideRecord, now: datetime) -> int:
    """The day of its week of waiting."""
    return (now - record.since).days % _WEEK.days
