"""The intake line: collect ▸ map ▸ encode ▸ decide ▸ submit, page by page along the cursor, and whole to compare."""

import threading
from dataclasses import dataclass, replace

import structlog

from exchange.backoff import Backoff
from exchange.clock import Clock, Deadline, Every, parse_time
from exchange.connect.reading import sequence_of_cursor
from exchange.errors import Action, ExchangeError
from exchange.intake.collect import PAGE_ROWS, Collector
from exchange.intake.compare import Comparer, Order
from exchange.intake.health import Health
from exchange.intake.memory.memory import Books, Memory, Request, Versions
from exchange.intake.schedule import Schedule
from exchange.intake.submit import ReportSender, Submitter
from exchange.intake.take import Taker

_BROKEN = Backoff(first=1.0, longest=600.0)
"""Pauses after a whole reading that broke off. Meanwhile the source goes on along its cursor."""
_log = structlog.get_logger("exchange.intake")


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a quiet source is looked at and says that it is alive, in seconds; when it compares itself."""

    poll_seconds: float
    heartbeat_seconds: float
    schedule: Schedule
    follows: bool
    """Whether the source has a cursor, along which it is read all the time."""
    watches: bool
    """Whether the source itself notices that it changed, as a file does."""

    @property
    def returns(self) -> bool:
        """Whether the source will be looked at again: without that it gives no signs of life."""
        return self.follows or self.watches or bool(self.schedule.times)


@dataclass(frozen=True, slots=True)
class Steps:
    """The parts that the line is made of."""

    collector: Collector
    taker: Taker
    comparer: Comparer
    submitter: Submitter
    reports: ReportSender
    health: Health
    clock: Clock


class IntakeLine:
    """One source of one department. At-least-once into the inbox; `ce_sequence` lets admission drop repetitions."""

    def __init__(self, steps: Steps, memory: Memory, pace: Pace) -> None:
        self._steps = steps
        self._memory = memory
        self._pace = pace
        self._signing = Every(pace.heartbeat_seconds)
        self._reporting = Every(pace.heartbeat_seconds)
        self._counting = Every(pace.heartbeat_seconds)
        self._order: Order | None = None
        """The whole reading that is due."""
        self._requests: list[Request] = []
        self._broken = 0
        self._next_try = Deadline.after(0)
        self._started = steps.clock.now()

    @property
    def books(self) -> Books:
        """What was done so far, over all runs."""
        return self._memory.books

    @property
    def ready(self) -> tuple[bool, str]:
        """Whether the source reads and writes, and if not, why. From any thread."""
        return self._steps.health.ready

    def run(self, stop: threading.Event, once: bool = False, confirm_withdrawals: bool = False) -> None:
        """Work until `stop` is set; with `once` only until nothing new is there.

        confirm_withdrawals: the first comparison may withdraw as much as is gone. Raises ExchangeError for what neither
        waiting nor setting a row aside mends; with `once` E_WITHDRAWALS at the end, when withdrawals wait for that.
        """
        health = self._steps.health
        try:
            self._memory.count_run()
            if confirm_withdrawals or self._pace.schedule.at_start:
                self._order = Order(confirmed=confirm_withdrawals)
            if self._steps.taker.resume(stop):
                self._work(stop, once)
            compared = self._memory.compared
            if once and compared is not None and compared.asks and not stop.is_set():
                raise ExchangeError("E_WITHDRAWALS", compared.why)
        except BaseException as error:
            health.stopped(error)
            raise
        health.ended()

    def close(self) -> None:
        """Let go of source, Kafka and memory."""
        self._steps.collector.reader.close()
        self._steps.submitter.close()
        self._steps.reports.close()
        self._memory.close()

    def _work(self, stop: threading.Event, once: bool) -> None:
        while not stop.is_set():
            waiting = self._look_for_orders(stop)
            if self._order is not None and self._next_try.passed:
                self._compare(stop)
                continue
            if self._usable and self._page(stop):
                continue
            waiting = waiting or self._steps.collector.reader.waiting
            if once and self._order is None and not waiting:
                return
            if not stop.is_set():
                self._idle(stop)

    @property
    def _usable(self) -> bool:
        """Whether the cursor that is kept leads on."""
        declaration = self._steps.collector.reader.fingerprint
        return self._memory.cursor is not None and self._memory.versions.leads_on(Versions(declaration))

    def _page(self, stop: threading.Event) -> bool:
        """Take the next page along the cursor; False when there is none."""
        cursor = self._memory.cursor
        page = None if cursor is None else self._steps.collector.page(cursor, stop)
        if page is None:
            if self._pace.follows and not stop.is_set():
                self._steps.health.read_to_end()
            return False
        set_aside = self._memory.waiting.count
        if self._steps.taker.take(page.rows, stop, cursor=page.cursor):
            if set_aside != self._memory.waiting.count:
                self._report()
            if len(page.rows) >= PAGE_ROWS and self._counting.due:
                self._steps.collector.tell_left(page.cursor)
                self._counting.done()
        return True

    # whole readings

    def _look_for_orders(self, stop: threading.Event) -> bool:
        """Note why a whole reading is due; whether the source has something that has not settled yet."""
        for request in self._memory.requests():
            if request not in self._requests:
                self._requests.append(request)
                self._ask(request)
        memory = self._memory
        last = memory.compared.at if memory.compared is not None else self._started
        if (
            not self._usable
            or self._steps.taker.turns
            or self._pace.schedule.due(last, self._steps.clock.now())
            or (self._order is None and self._steps.collector.due(memory.cursor, stop))
        ):
            self._order = self._order or Order()
        self._steps.taker.turns = False
        return self._steps.collector.reader.waiting

    def _ask(self, request: Request) -> None:
        """Add what somebody asks for to the next whole reading, which is due now."""
        order = self._order or Order()
        kind, _, argument = request.argument.partition(" ")
        if request.kind == "confirm-withdrawals":
            order = replace(order, confirmed=True)
        elif request.kind == "replay":
            order = replace(order, replayed=order.replayed | {request.argument})
        elif request.kind == "reread" and kind == "key":
            order = replace(order, afresh=True, again=order.again | {argument})
        elif request.kind == "reread" and kind == "since":
            order = replace(order, afresh=True, since=_earlier(order.since, _sequence(argument)))
        elif request.kind == "reread":
            order = replace(order, afresh=True)
        self._order = order
        self._broken, self._next_try = 0, Deadline.after(0)
        _log.info("intake.asked", kind=request.kind)

    def _compare(self, stop: threading.Event) -> None:
        assert self._order is not None
        asked = list(self._requests)
        try:
            done = self._steps.comparer.compare(self._order, self._pace.follows, stop, self._alive)
        except ExchangeError as error:
            if error.entry.action is not Action.RETRY:
                raise
            self._broken += 1
            self._next_try = Deadline.after(_BROKEN.pause(self._broken))
            _log.warning("intake.comparison_broken", code=error.code, detail=error.detail, attempts=self._broken)
            if not self._usable:
                self._steps.health.away(error, self._broken)
            return
        if done:
            self._order, self._broken = None, 0
            self._memory.answered(asked)
            self._requests = [one for one in self._requests if one not in asked]
            self._report()

    # signs of life

    def _idle(self, stop: threading.Event) -> None:
        self._alive()
        stop.wait(self._pace.poll_seconds)

    def _alive(self) -> None:
        """Say that the source is alive, while it is and will be read again."""
        if self._steps.taker.spoke:
            self._steps.taker.spoke = False
            self._signing.done()
        if self._signing.due and self._steps.health.reachable and self._pace.returns:
            self._steps.submitter.heartbeat()
            self._signing.done()
        if self._reporting.due:
            self._report()

    def _report(self) -> None:
        self._steps.health.report()
        self._reporting.done()


def _earlier(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)


def _sequence(text: str) -> int | None:
    """A moment as a sequence. What is none asks for a comparison alone: the command that left it has refused others."""
    try:
        return sequence_of_cursor(parse_time(text))
    except (ValueError, ExchangeError):
        return None
