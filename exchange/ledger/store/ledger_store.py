"""The ledger's store: the topic is the database.

The owner of the ledger's partition in the broker's group leads, when it has read the ledger: it fences its predecessor,
reads to the end, and only then takes commands, one after another; those that wait share one transaction. A command is
answered when its events have been read back. Every instance reads along, once for its reads and its commands.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TypeVar

import structlog

from exchange.avro.lock import SchemaRepository
from exchange.clock import Clock, Deadline, SystemClock
from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.leadership import Leadership
from exchange.ledger.fold.trial import StateLostError
from exchange.ledger.snapshot.topic import Snapshots
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.store.command import Command
from exchange.ledger.store.decisions import Result
from exchange.ledger.store.follower import LedgerFollower, Progress
from exchange.ledger.store.leader_term import Term
from exchange.ledger.store.ledger_topic import THE_LEDGER, LedgerTopic
from exchange.ledger.store.patience import Patience
from exchange.ledger.store.tickets import Aim, Awaited, Ticket, refuse

T = TypeVar("T")
_log = structlog.get_logger("exchange.ledger")
_IDLE_SECONDS = 0.05
_READ_SECONDS = 0.2
_PAUSE_SECONDS = 1.0
"""Before trying again what Kafka refused."""
_FENCE_SECONDS = 60.0
"""A new leader fences its predecessor within this time, or tries again."""
_COMMIT_SECONDS = 30.0
_UNDECIDED_SECONDS = 5.0
"""After a failed commit the events are read back within this time, or were not written."""
_GATHER_SECONDS = 0.004
"""While commands of others are on their way, those that come within this time share a transaction."""
_COMMANDS_PER_TRANSACTION = 200
_DECIDE_SECONDS = 0.05
"""After this no further command is decided before others have had the state."""
_FATAL = ("E_LEDGER_BROKEN", "E_WORKER_TWIN", "E_INTERNAL")


class LedgerStore:
    """One instance of the broker service at the ledger. Safe for any number of threads.

    worker_id: static member id in the group; a second instance needs another one.
    """

    def __init__(
        self,
        connection: Connection,
        schemas: SchemaRepository,
        worker_id: str,
        clock: Clock | None = None,
        topic: LedgerTopic = THE_LEDGER,
        snapshots: Snapshots | None = None,
    ) -> None:
        self._connection = connection
        self._schemas = schemas
        self._worker_id = worker_id
        self._clock = clock or SystemClock()
        self._topic = topic
        self._follower = LedgerFollower(connection, schemas, topic.name, snapshots)
        self._changed = threading.Condition(threading.RLock())
        self._awaited: list[Awaited] = []
        self._tickets: queue.SimpleQueue[Ticket] = queue.SimpleQueue()
        self._left: deque[Ticket] = deque()
        """Commands that were taken up and are decided next."""
        self._term: Term | None = None
        self._aim: Aim | None = None
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._failure: ExchangeError | None = None
        self._threads = [
            threading.Thread(target=self._guarded, args=(self._lead,), name="ledger-leader", daemon=True),
            threading.Thread(target=self._guarded, args=(self._read,), name="ledger-reader", daemon=True),
        ]

    def start(self) -> None:
        """Join the group and begin to read."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Leave; who still waits for an answer gets E_NOT_LEADER."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self._follower.close()

    @property
    def leader(self) -> bool:
        """Whether this instance takes commands. What it reads then holds everything that was written before."""
        return self._term is not None

    @property
    def failure(self) -> ExchangeError | None:
        """Why this instance has stopped for good: the chain is broken, or a twin has its id."""
        return self._failure

    @property
    def progress(self) -> Progress:
        """How far the ledger is read, while it is being read."""
        return self._follower.progress

    def wait_ready(self, deadline: Deadline) -> bool:
        """Return when everything that stood in the ledger has been read: true, or false when time ran out."""
        return self._ready.wait(deadline.remaining())

    @property
    def state(self) -> LedgerState:
        """The state, for single look-ups; it changes while it is looked at. `read` holds it still."""
        return self._follower.state

    def read(self, question: Callable[[LedgerState], T]) -> T:
        """Ask the state; nothing changes meanwhile. Keep it short: everything else waits."""
        with self._changed:
            return question(self._follower.state)

    def wait(self, after_seq: int, seconds: float) -> int:
        """The sequence number of the last event, when it is past `after_seq` or after `seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: self._follower.state.seq > after_seq, seconds)
            return self._follower.state.seq

    def execute(self, command: Command, actor: str, command_id: str | None, deadline: Deadline) -> Result:
        """Append what the command says; return when it can be read here.

        command_id: the idempotency key, for this actor. Raises ExchangeError: the command's own, E_IDEMPOTENCY,
        E_NOT_LEADER, or E_KAFKA_UNREACHABLE when time runs out: then the outcome is open, and only the same
        command with the same key is a safe repetition.
        """
        if self._failure is not None:
            raise ExchangeError(self._failure.code, self._failure.detail)
        if not self.leader:
            raise ExchangeError("E_NOT_LEADER")
        ticket = Ticket(command, actor, command_id)
        self._tickets.put(ticket)
        try:
            return ticket.answer.result(deadline.remaining())
        except FutureTimeout:
            ticket.answer.cancel()
            raise ExchangeError("E_KAFKA_UNREACHABLE", "the ledger did not answer in time") from None

    # the leader's thread

    def _lead(self) -> None:
        leadership = Leadership(self._connection, self._topic.group, self._topic.name, self._worker_id)
        number = 0
        try:
            while not self._stop.is_set():
                owned = leadership.poll()
                if self._term is not None and (not owned or leadership.term != number):
                    self._end_term("the partition has moved")
                # A replay that takes long is in the reader's hands; meanwhile the group hears of us here.
                if owned and self._term is None and self._ready.is_set():
                    number = leadership.term
                    self._begin_term(leadership)
                self._serve()
        finally:
            self._end_term("stopping")
            leadership.close()

    def _begin_term(self, leadership: Leadership) -> None:
        if not leadership.confirm():
            self._stop.wait(_PAUSE_SECONDS)
            return
        term = Term(self._connection, self._schemas, self._clock, self._follower.state, self._topic)
        try:
            term.start(Deadline.after(_FENCE_SECONDS))
            # Who acts as leader acts on what it reads: an old state would look like grants that nobody gave.
            self._read_to_end(leadership)
        except ExchangeError as error:
            term.close()
            if error.code in _FATAL:
                raise
            _log.warning("ledger.term-failed", code=error.code, detail=error.detail)
            self._stop.wait(_PAUSE_SECONDS)
            return
        term.written = self.state.seq
        self._term = term
        _log.info("ledger.leader", seq=self.state.seq, worker=self._worker_id)

    def _read_to_end(self, leadership: Leadership) -> None:
        """Return when everything that stands in the ledger now has been folded, however long that takes.

        Raises ExchangeError: E_NOT_LEADER when the partition moves away meanwhile, or when reading does not move on.
        """
        number, patience = leadership.term, Patience()
        self._aim = aim = Aim()
        try:
            while not aim.reached.wait(_IDLE_SECONDS):
                if not leadership.poll() or leadership.term != number or self._stop.is_set():
                    raise ExchangeError("E_NOT_LEADER")
                if patience.ended(self.state.seq):
                    raise ExchangeError("E_KAFKA_UNREACHABLE", "reading the ledger does not move on")
        finally:
            self._aim = None

    def _end_term(self, why: str) -> None:
        term, self._term = self._term, None
        if term is not None:
            term.close()
            _log.info("ledger.leader-ended", why=why, worker=self._worker_id)
        self._refuse_waiting()

    def _refuse_waiting(self) -> None:
        while True:
            try:
                self._left.append(self._tickets.get_nowait())
            except queue.Empty:
                break
        while self._left:
            refuse(self._left.popleft(), ExchangeError("E_NOT_LEADER"))

    def _serve(self) -> None:
        """Decide the commands that wait, and commit them together."""
        term = self._term
        if term is not None and self.wait(term.written - 1, _IDLE_SECONDS) < term.written:
            return  # commands are decided against what has been read back
        tickets = self._waiting()
        if term is None:
            self._refuse_waiting()
            return
        decided = self._decide_all(term, tickets)
        if decided:
            self._commit(term, decided)

    def _decide_all(self, term: Term, tickets: "deque[Ticket]") -> list[Awaited]:
        """Decide until none is left or others want to read; they see the state as it was before."""
        decided, until = [], Deadline.after(_DECIDE_SECONDS)
        with self._changed:
            try:
                while tickets and not until.passed:
                    awaited = self._decide(term, tickets.popleft())
                    if awaited is not None:
                        decided.append(awaited)
            finally:
                term.rewind()
        return decided

    def _commit(self, term: Term, decided: list[Awaited]) -> None:
        with self._changed:  # before the commit: the events may be read back before it returns
            self._awaited += decided
        try:
            term.commit(Deadline.after(_COMMIT_SECONDS))
        except ExchangeError as error:
            _log.warning("ledger.commit-failed", code=error.code, detail=error.detail, commands=len(decided))
            with self._changed:
                for awaited in decided:
                    awaited.until = time.monotonic() + _UNDECIDED_SECONDS
            self._end_term(error.code)
        self._answer_known()

    def _waiting(self) -> "deque[Ticket]":
        """The commands that wait: those that were left over, and new ones."""
        waiting = self._left
        try:
            if not waiting:
                waiting.append(self._tickets.get(timeout=_IDLE_SECONDS))
            if self._awaited:  # others are at work too
                self._stop.wait(_GATHER_SECONDS)
            while len(waiting) < _COMMANDS_PER_TRANSACTION:
                waiting.append(self._tickets.get_nowait())
        except queue.Empty:
            pass
        return waiting

    def _decide(self, term: Term, ticket: Ticket) -> Awaited | None:
        if not ticket.answer.set_running_or_notify_cancel():
            return None
        try:
            result = term.decide(ticket.command, ticket.actor, ticket.command_id)
        except ExchangeError as error:
            ticket.answer.set_exception(error)
            return None
        except StateLostError:
            raise
        except Exception as error:
            # A fault in one command must not stop the ledger for all others.
            _log.exception("ledger.command-fault", command=type(ticket.command).__name__)
            ticket.answer.set_exception(ExchangeError("E_INTERNAL", f"the command failed ({type(error).__name__})"))
            return None
        return Awaited(ticket, result, term.hash_of(result.last))

    # the reader's thread

    def _read(self) -> None:
        while not self._stop.is_set():
            aim = self._aim
            try:
                if aim is not None and aim.ends is None:
                    aim.ends = self._follower.ends()
                events = self._follower.fetch(_READ_SECONDS)
            except ExchangeError as error:
                if error.code in _FATAL:
                    raise
                _log.warning("ledger.read-failed", code=error.code, detail=error.detail)
                self._stop.wait(_PAUSE_SECONDS)
                continue
            with self._changed:
                for event in events:
                    self._follower.take((event,))
                    self._answer_written()
                if aim is not None and aim.ends is not None and not self._follower.short_of(aim.ends):
                    aim.reached.set()
                self._changed.notify_all()
            if self._follower.at_end:
                self._ready.set()
            self._answer_known()

    def _answer_written(self) -> None:
        """Answer the commands whose last event has, or should have, just been read."""
        state = self._follower.state
        for awaited in [one for one in self._awaited if one.hash is not None and one.result.last == state.seq]:
            self._awaited.remove(awaited)
            if awaited.hash == state.head:
                awaited.ticket.answer.set_result(awaited.result)
            else:
                awaited.ticket.answer.set_exception(ExchangeError("E_NOT_LEADER"))

    def _answer_known(self) -> None:
        """Answer the commands that rest on durable events, and give up those whose commit failed a while ago."""
        now = time.monotonic()
        with self._changed:
            for awaited in list(self._awaited):
                if awaited.hash is None and awaited.result.last <= self._follower.state.seq:
                    self._awaited.remove(awaited)
                    awaited.ticket.answer.set_result(awaited.result)
                elif awaited.until is not None and awaited.until < now:
                    self._awaited.remove(awaited)
                    awaited.ticket.answer.set_exception(ExchangeError("E_NOT_LEADER"))

    # both

    def _guarded(self, work: Callable[[], None]) -> None:
        """Run a thread's work; what it cannot go on after stops this instance for good."""
        try:
            work()
        except ExchangeError as error:
            self._failure = error
        except Exception as error:
            _log.exception("ledger.fault")
            self._failure = ExchangeError("E_INTERNAL", f"the ledger's store failed ({type(error).__name__})")
        if self._failure is not None:
            _log.error("ledger.stopped", code=self._failure.code, detail=self._failure.detail)
        self._stop.set()
        with self._changed:
            awaited, self._awaited = self._awaited, []
            self._changed.notify_all()
        for one in awaited:
            one.ticket.answer.set_exception(self._failure or ExchangeError("E_NOT_LEADER"))
