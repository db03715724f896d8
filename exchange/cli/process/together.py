"""Connectors that share a process: each works in a thread of its own, and its end is nobody else's.

One that ends with an error says so in the log and at /readyz, and its neighbours go on. What the exchange may mend (the
grant is suspended, Kafka refuses or is away) is waited for: the connector begins again after a pause that grows. What
only its own department can mend (its declaration, its settings, its state folder) is not.
"""

import errno
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from exchange.backoff import Backoff
from exchange.cli.output import exit_status
from exchange.clock import Clock, SystemClock, format_time
from exchange.errors import Action, ExchangeError
from exchange.observe import metrics
from exchange.observe.condition import Condition
from exchange.observe.logs import place_of

PAUSES = Backoff(first=5.0, longest=300.0)
"""Before a connector begins again."""
_WENT_WELL_SECONDS = 600.0
"""Whoever has worked for so long is waited for with the shortest pause again."""
_MENDED_ELSEWHERE = frozenset(
    {"E_GRANT_REFUSED", "E_KAFKA", "E_KAFKA_REFUSED", "E_KAFKA_FORBIDDEN", "E_KAFKA_TOPIC_MISSING"}
    | {"E_TOKEN", "E_RATE_LIMIT"}
)
"""Errors that stop a connector and that end when the exchange gives back grant, right, secret or token. Those of
`Action.RETRY` end by themselves."""
_OF_THE_DISK = frozenset(
    {errno.EACCES, errno.EDQUOT, errno.EIO, errno.ENOENT, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS}
)
_log = structlog.get_logger("exchange.connector")


@dataclass(frozen=True, slots=True)
class Orders:
    """What the command line says to all connectors of the process."""

    stop: threading.Event
    once: bool = False
    """Only until there is nothing more to do just now; nothing is begun again."""
    confirm_withdrawals: bool = False


class Member:
    """One connector of the process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.condition = Condition()
        self.error: ExchangeError | None = None
        """With what it has ended; None while it works or when it ended well."""
        self.first = True
        """Whether this is its first beginning in this process: what was confirmed once is not confirmed for ever."""
        self._line: Callable[[], tuple[bool, str]] | None = None

    def follow(self, line: Callable[[], tuple[bool, str]] | None) -> None:
        """Let a line say how the connector is, until told otherwise (None: the condition says it)."""
        self._line = line

    @property
    def state(self) -> tuple[bool, str]:
        """Whether it works, and if not, why."""
        line = self._line
        return self.condition.state if line is None else line()


Work = Callable[[Member], None]
"""Works as one connector until it is told to stop. Raises ExchangeError for what it cannot go on with."""


class Together:
    """The connectors of one process."""

    def __init__(self, names: Sequence[str], orders: Orders, pauses: Backoff = PAUSES, clock: Clock | None = None):
        self.members = [Member(name) for name in names]
        self._orders = orders
        self._pauses = pauses
        self._clock = clock or SystemClock()

    def unready(self) -> list[str]:
        """A line for each connector that is not ready: its name and why."""
        told = "told to stop" if self._orders.stop.is_set() else None
        states = [(member.name, *member.state) for member in self.members]
        return [f"{name}: {told if ready else reason}" for name, ready, reason in states if told or not ready]

    def run(self, work: Work) -> None:
        """Let all work until each has ended.

        Raises the error of the one whose exit status is the highest, when any has ended with an error.
        """
        threads = [
            threading.Thread(target=self._live, args=(member, work), name=f"connector {member.name}")
            for member in self.members
        ]
        for member, thread in zip(self.members, threads, strict=True):
            metrics.CONNECTOR_UP.set(0, member.name)
            thread.start()
        for thread in threads:
            thread.join()
        errors = [member.error for member in self.members if member.error is not None]
        if errors:
            raise max(errors, key=exit_status)

    def _live(self, member: Member, work: Work) -> None:
        """One connector, from its beginning to its last end."""
        failures = 0
        with structlog.contextvars.bound_contextvars(connector=member.name):
            while True:
                began = time.monotonic()
                member.error = _attempt(member, work)
                failures = 1 if time.monotonic() - began > _WENT_WELL_SECONDS else failures + 1
                again = self._pause(member.error, failures)
                self._tell(member, again)
                member.first = False
                if again is None or self._orders.stop.wait(again):
                    return

    def _pause(self, error: ExchangeError | None, failures: int) -> float | None:
        """Seconds until the connector begins again; None when it does not."""
        waits = error is not None and (error.entry.action is Action.RETRY or error.code in _MENDED_ELSEWHERE)
        if not waits or self._orders.once or self._orders.stop.is_set():
            return None
        return self._pauses.pause(failures)

    def _tell(self, member: Member, again: float | None) -> None:
        now, error = format_time(self._clock.now()), member.error
        member.follow(None)
        metrics.CONNECTOR_UP.set(0, member.name)
        if error is None:
            member.condition.set(False, f"ended since {now}")
            _log.info("connector.ended")
            return
        what = "stopped" if again is None else "waits"
        member.condition.set(False, f"{what} since {now} ({error.code})")
        told = {"stage": error.entry.stage, "code": error.code, "detail": error.detail, "advice": error.entry.advice}
        with suppress(OSError):  # the disk that the log goes to may be the one that is full
            if again is None:
                _log.error("connector.stopped", **told)
            else:
                _log.warning("connector.waits", **told, again_in_seconds=again)


def _attempt(member: Member, work: Work) -> ExchangeError | None:
    """Work once. What ends it, as an error of the exchange; None when it ended well."""
    try:
        work(member)
    except ExchangeError as error:
        return error
    except BaseException as error:  # a bug of one connector, also one that calls exit(), is its own
        if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
            return ExchangeError("E_STATE", f"{error.strerror}, {place_of(error)}")
        return ExchangeError("E_INTERNAL", f"{type(error).__name__} at {place_of(error)}")
    return None
