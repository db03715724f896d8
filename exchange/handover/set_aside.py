"""The records that the department's table has refused: they wait in its database and are tried again.

At the first rest after the start all of them, later those that are due or asked for: the table may have been mended, or
a parent row may have come. What becomes of them is told in the department's faults.
"""

import time
from collections.abc import Mapping

import structlog

from exchange.clock import Clock
from exchange.faults.log import Settled
from exchange.handover.granted import Owner
from exchange.handover.patience import Patience
from exchange.handover.report import Reporter
from exchange.handover.table.batch import AppliedAgain
from exchange.handover.table.target import SqlTarget
from exchange.observe import metrics
from exchange.stages import Stage

LOOK_SECONDS = 10.0
"""Between two looks. The database knows which records are due; a command that asks for one is heard so soon."""
_LONGEST_WAIT_SECONDS = 60.0
"""For the first rest, of a share that never stands still."""
_log = structlog.get_logger("exchange.handover")


class SetAside:
    """What waits of one grant."""

    def __init__(self, owner: Owner, target: SqlTarget, reporter: Reporter, clock: Clock) -> None:
        self._owner = owner
        self._target = target
        self._reporter = reporter
        self._clock = clock
        self._began = time.monotonic()
        self._looked: float | None = None
        self._unsaid: list[tuple[bytes, Settled]] = []
        """Of what waits no longer, and Kafka does not have it yet."""

    def look(self, patience: Patience, idle: bool) -> bool:
        """Try again what is to be tried, when it is time; whether the table has changed by that.

        Raises ExchangeError when what has become of it cannot be told: it is told the next time.
        """
        if not self._due(idle):
            return False
        grant, now, first = self._owner.grant.grant, self._clock.now(), self._looked is None
        done = patience.until(lambda: self._target.apply_again(grant, now, all=first))
        if done is None:
            return False
        self._looked = time.monotonic()
        self._tell(done)
        return bool(done.applied)

    def counts(self, patience: Patience) -> Mapping[int, int] | None:
        """How many records of each partition wait now; None when it was told to stop meanwhile."""
        found = patience.until(lambda: self._target.set_aside(self._owner.grant.grant))
        if found is not None:
            metrics.SET_ASIDE.set(sum(found.values()), self._owner.connector, self._owner.record_type)
        return found

    def _due(self, idle: bool) -> bool:
        """The first look is at a rest: what came while the sink was away may replace what waits."""
        now = time.monotonic()
        if self._looked is None:
            return idle or now - self._began >= _LONGEST_WAIT_SECONDS
        return now - self._looked >= LOOK_SECONDS

    def _tell(self, done: AppliedAgain) -> None:
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
        for how in Settled.APPLIED, Settled.REPLACED:
            self._reporter.settled([key for key, what in self._unsaid if what is how], how, self._clock.now())
        self._unsaid.clear()
