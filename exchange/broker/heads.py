"""The head of the ledger, told to the log once a day: a chain alone cannot show that its end was cut off."""

from datetime import date

from exchange.calendar import day_in_shanghai
from exchange.clock import Clock
from exchange.ledger.state.ledger_state import LedgerState
from exchange.observe.logs import get_logger

_log = get_logger("exchange.ledger")


class HeadLog:
    """Tells the head at its first call and then on the first call of each day in Asia/Shanghai."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: date | None = None

    def note(self, state: LedgerState) -> None:
        """Tell the head, unless it was told today or the ledger is empty."""
        today = day_in_shanghai(self._clock.now())
        if today != self._told and state.seq:
            self._told = today
            _log.info("ledger.head", seq=state.seq, hash=state.head, head=f"{state.seq}:{state.head}")
