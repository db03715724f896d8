"""The records that the department's table has refused: they wait in its database and are tried again.

From the first rest after the start on: first all of them, portion by portion, later those that are due or asked for,
because the table may have been mended, or a parent row may have come (`SqlTarget.apply_again` knows). What becomes of
them is told in the department's faults, which keep an entry for 30 days; so what waits for longer is told again once a
week.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from exchange.clock import Clock
from exchange.faults.log import Settled
from exchange.handover.granted import Owner
from exchange.handover.patience import Patience
from exchange.handover.report import Reporter
from exchange.handover.table.batch import AppliedAgain
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
        self, owner: Owner, target: SqlTarget, listed: Callable[[], Sequence[SetAsideRecord]], reporter: Reporter
    ) -> None:
        """listed: all that waits in the department's database."""
        self._owner = owner
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


def _weekday(record: SetAsideRecord, now: datetime) -> int:
    """The day of its week of waiting."""
    return (now - record.since).days % _WEEK.days
