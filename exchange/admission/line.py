"""The admission line: receive, unseal, check, admit. One unit for each (record type, partition) of the inboxes.

Whatever stands in an inbox goes one of four ways, and is counted in the same transaction: into the registry (admitted),
nowhere because the registry holds it (unchanged) or a newer version (superseded), or into quarantine, as it came.
"""

from collections.abc import Callable, Iterable, Sequence

import structlog

from exchange import names
from exchange.admission import positions
from exchange.admission import state as books_state
from exchange.admission.admit import Admitter, Dropped, Times
from exchange.admission.expire import Admit, Ended, Ends, PeriodAdmitter, Periods, Sweeper
from exchange.admission.inboxes import Inbox
from exchange.admission.memory import Memory
from exchange.admission.receive import receive
from exchange.admission.repeated import PREFIX, Repeated
from exchange.admission.rules import Rules
from exchange.admission.state import Books
from exchange.admission.unseal import Unsealer
from exchange.errors import ExchangeError
from exchange.kafka.client.message import Message
from exchange.kafka.client.partitioner import partitions_of_keys
from exchange.kafka.line.unit import Output
from exchange.names import HEARTBEAT_KEY, RecordType, TopicName
from exchange.observe import metrics
from exchange.observe.logs import place_of
from exchange.quarantine.divert import quarantine_headers
from exchange.quarantine.redriven import redriven_runs
from exchange.record import Headers
from exchange.stages import Stage

_log = structlog.get_logger("exchange.admission")
SWEPT_AT_ONCE = 5_000
"""Records whose period is over that leave in one transaction."""
_FULL_SECONDS = 0.1
_BY_KEY = -1
"""Kafka's number for: the client chooses the partition by the key."""

Reader = Callable[[TopicName, int], Iterable[Message]]
"""Every committed record of one partition of a topic, oldest first."""


class Passage:
    """The steps of admission, for the records of one inbox."""

    def __init__(self, source: Inbox, unsealer: Unsealer, admitter: Admit) -> None:
        self.inbox = source
        self.misplaced: frozenset[bytes] = frozenset()
        """New keys of the batch that belong into another partition."""
        self.today = 0
        self._owns = source.owns
        self._check_of = unsealer.check_of
        self._admit = admitter.admit

    def take(self, key: bytes | None, value: bytes | None, message: Message) -> Headers | Dropped | Ended:
        """The headers with which the record enters the registry, or why it does not. Raises ExchangeError for bad ones.

        Receive, unseal, check, admit; a withdrawal has nothing to unseal.
        """
        headers = receive(key, value, message.headers(), self.inbox)
        assert key is not None
        if value is not None:
            self._check_of(value)(key, value, self.today)
        if not self._owns(key):
            raise ExchangeError("E_KEY_NOT_OWNED")
        if key in self.misplaced and value is not None:
            raise ExchangeError("E_KEY_PARTITION")
        return self._admit(key, value, headers, message.offset())


class AdmissionUnit:
    """The unit of admission: a memory of its keys, books, and the way of a record."""

    def __init__(self, record_type: RecordType, partition: int, partitions: int, rules: Rules, read: Reader) -> None:
        self.books = Books()
        self._type = record_type
        self._partition = partition
        self._partitions = partitions
        self._rules = rules
        self._read = read
        self._registry = names.registry_topic(record_type)
        self._redrive = names.redrive_topic(record_type)
        self.state_topic = names.admission_topic(record_type)
        self._memory = Memory()
        self._repeated = Repeated(self._memory.known, rules.clock)
        self._positions = positions.Positions()
        by_id, code_sets, newest = rules.schemas.by_id, rules.code_sets, rules.schema(record_type)
        self._unsealer = Unsealer(record_type, by_id, code_sets)
        self._redriven = Unsealer(record_type, by_id, code_sets, newest)
        """What is redriven was set aside by older rules, and passes by the newest ones, which were mended."""
        self._times = Times(rules.clock)
        self._periods = Periods(Ends(by_id), rules.clock) if newest.expires else None
        self._ledger_seq: int | None = None
        """As of which event of the ledger the passages are."""
        self._passages: dict[tuple[str, Unsealer], Passage] = {}
        self._counted = Books()
        self._beaten_ms: int | None = None
        """When the registry partition last had a heartbeat, or its first record; None while it is empty."""

    def restore(self) -> None:
        """Rebuild the memory from the registry, then books and repeated withdrawals from the state."""
        registry = self._read(self._registry, self._partition)
        self._memory.fill(registry if self._periods is None else self._periods.watch(registry))
        self._beaten_ms = self._memory.beaten_ms
        for message in self._read(self.state_topic, self._partition):
            value = message.value()
            if message.key() == books_state.BOOKS_KEY and value is not None:
                self.books = books_state.decode(value)
            elif (message.key() or b"").startswith(PREFIX):
                self._repeated.read(message)
            elif (message.key() or b"").startswith(positions.PREFIX):
                self._positions.read(message)
        self._repeated.restore()
        self._counted = books_state.decode(books_state.encode(self.books))

    def next_offset(self, topic: TopicName) -> int | None:
        """The first offset of an inbox, or of what is redriven, that is not taken; None when nothing of it was."""
        return self._positions.next_offset(topic)

    def release(self) -> None:
        """Want a heartbeat at once, if anything stands in the registry. In quarantine only the next record does it."""
        if self._beaten_ms is not None:
            self._beaten_ms = 0

    def pending(self) -> bool:
        """Whether records have ended, or a heartbeat is due, however busy the partition is: a share may be quiet."""
        return self._beat_due() or (self._periods is not None and self._periods.due())

    def _beat_due(self) -> bool:
        """Also when the clock was set far back: no partition waits for a time that it had once and left again."""
        return self._beaten_ms is not None and abs(self._now_ms() - self._beaten_ms) >= self._rules.heartbeat_ms

    def process(self, messages: Sequence[Message], output: Output) -> None:
        """Pass records of one inbox, or redriven ones, which stand for those that first came in their inboxes."""
        if messages:
            self._positions.take(messages[-1])
        if messages and messages[0].topic() == self._redrive:
            for run in redriven_runs(messages, self._type):
                self._pass(run, self._redriven, output)
        elif messages:
            self._pass(messages, self._unsealer, output)
        else:
            self._sweep(output)
            if self._beat_due():
                _produce(output, self._registry, None, HEARTBEAT_KEY, self._partition, None)
                self._beaten_ms = self._now_ms()
                self._repeated.forget()

    def _sweep(self, output: Output) -> None:
        """Withdraw what has ended."""
        if self._periods is None:
            return
        sweeper = Sweeper(self._periods, self._memory.known, self._type.encode(), self._rules.clock)
        for key, headers in sweeper.sweep(SWEPT_AT_ONCE):
            _produce(output, self._registry, None, key, self._partition, headers)
            self.books.expired += 1

    def _pass(self, messages: Sequence[Message], unsealer: Unsealer, output: Output) -> None:
        passage = self._passage(messages[0].topic(), unsealer)
        keys = [message.key() for message in messages]
        passage.misplaced = self._misplaced(keys)
        passage.today = self._rules.today()
        take, produce, registry, partition = passage.take, output.produce, self._registry, self._partition
        heartbeats = admitted = unchanged = superseded = 0
        for key, message in zip(keys, messages, strict=True):
            value = message.value()
            if value is None and key == HEARTBEAT_KEY:
                heartbeats += 1
                continue
            try:
                entered = take(key, value, message)
            except Exception as error:
                self._divert(message, passage.inbox, error, output)
                continue
            if isinstance(entered, list):
                admitted += 1
                try:
                    produce(registry, value, key, partition, headers=entered)
                except BufferError:
                    _produce(output, registry, value, key, partition, entered)
            elif entered is Dropped.UNCHANGED:
                unchanged += 1
            elif entered is Dropped.SUPERSEDED:
                superseded += 1
            elif isinstance(entered, Ended):
                admitted += 1
                _produce(output, registry, None, key, partition, entered.headers)
        if admitted and self._beaten_ms is None:
            self._beaten_ms = self._now_ms()
        self.books.taken += len(messages) - heartbeats
        self.books.admitted += admitted
        self.books.unchanged += unchanged
        self.books.superseded += superseded

    def seal(self, output: Output) -> None:
        """Write the books, which withdrawals were repeated, and how far each input is taken."""
        books = (books_state.BOOKS_KEY, books_state.encode(self.books))
        for key, value in [books, *self._repeated.changed(), *self._positions.changed()]:
            _produce(output, self.state_topic, value, key, self._partition, None)

    def unwritable(self) -> bool:
        """Never: a registry or quarantine that is gone cannot be left out, so there is nothing to hurry for."""
        return False

    def committed(self) -> None:
        """Show what the transaction made durable."""
        now, before = self.books, self._counted
        for outcome in ("admitted", "unchanged", "superseded", "expired"):
            count = getattr(now, outcome) - getattr(before, outcome)
            metrics.count_records(Stage.ADMISSION_ADMIT, outcome, self._type, count)
        metrics.count_records(Stage.ADMISSION_RECEIVE, "taken", self._type, now.taken - before.taken)
        if now.quarantined != before.quarantined:
            for code, count in now.by_code.items():
                stage = ExchangeError(code).entry.stage
                metrics.count_records(stage, "quarantined", self._type, count - before.by_code.get(code, 0))
        self._counted = books_state.decode(books_state.encode(now))

    def _now_ms(self) -> int:
        return int(self._rules.clock.now().timestamp() * 1000)

    def _passage(self, topic: str, unsealer: Unsealer) -> Passage:
        """The way through admission for an inbox, renewed when the ledger has moved."""
        if self._ledger_seq != self._rules.ledger.state.seq:
            self._ledger_seq = self._rules.ledger.state.seq
            self._passages.clear()
        found = self._passages.get((topic, unsealer))
        if found is None:
            source = self._rules.inbox(TopicName(topic))
            plain = Admitter(source, self._memory.known, self._times, self._repeated.note)
            admitter = plain if self._periods is None else PeriodAdmitter(plain, self._periods, source.source)
            found = self._passages[(topic, unsealer)] = Passage(source, unsealer, admitter)
        return found

    def _misplaced(self, keys: Sequence[bytes | None]) -> frozenset[bytes]:
        """New keys that belong into another partition. A key that the memory knows came the right way once."""
        known = self._memory.known
        new = {key for key in keys if key is not None and key not in known}
        places = partitions_of_keys(new, self._partitions)
        return frozenset(key for key, place in places.items() if place != self._partition)

    def _divert(self, message: Message, source: Inbox, error: Exception, output: Output) -> None:
        """Put a record aside. A fault of ours is none of the record, but it must not stop the line either."""
        if not isinstance(error, ExchangeError):
            _log.error("admission.fault", record_type=self._type, code="E_INTERNAL", at=place_of(error))
            error = ExchangeError("E_INTERNAL", type(error).__name__)
        self.books.quarantine(source.provider, error.code)
        headers = quarantine_headers(message, error)
        _produce(output, source.quarantine, message.value(), message.key(), _BY_KEY, headers)


def _produce(
    output: Output, topic: str, value: bytes | None, key: bytes | None, partition: int, headers: Headers | None
) -> None:
    """Hand a record to the client; when its queue is full, let it send first."""
    while True:
        try:
            output.produce(topic, value, key, partition, headers=headers)
            return
        except BufferError:
            output.poll(_FULL_SECONDS)
