"""Reading the ledger: to its end, and on and on. Lines poll a follower between batches; so does the broker service."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import structlog

from exchange.avro.lock import SchemaRepository
from exchange.clock import Every
from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.message import Place
from exchange.kafka.client.reader import PartitionTail
from exchange.ledger.events.event import LedgerEvent
from exchange.ledger.events.wire import EventCodec, is_event
from exchange.ledger.fold.apply import apply
from exchange.ledger.snapshot.topic import Snapshots
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.store.patience import Patience
from exchange.names import LEDGER_TOPIC
from exchange.observe import metrics

_log = structlog.get_logger("exchange.ledger")
_WAIT_SECONDS = 0.2
_PASSING = ("E_KAFKA_UNREACHABLE", "E_KAFKA_REFUSED")
"""What says nothing of a snapshot."""
_ASK_SECONDS = 5.0
_TELL_SECONDS = 10.0
"""Between two words on how far a replay is."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the reading of a ledger is."""

    events: int
    """Sequence number of the last event in the state."""
    offset: int
    """Behind the last record that was read."""
    end: int | None
    """Where the ledger ended when the reading began; None while that is not known."""


class LedgerFollower:
    """The state of the ledger, kept up to date by polling. For one thread; it holds no event after folding it.

    Any method raises ExchangeError: E_LEDGER_BROKEN when the chain does not hold, E_KAFKA_* when reading cannot go on.
    """

    def __init__(
        self,
        connection: Connection,
        schemas: SchemaRepository,
        topic: str = LEDGER_TOPIC,
        snapshots: Snapshots | None = None,
    ) -> None:
        """snapshots: what to begin with, when one fits the ledger; None begins with the first event."""
        self.state = LedgerState()
        """The state after everything read so far. From the first poll on it changes in place with every poll."""
        self.last_offset: int | None = None
        """Of the last event in the state."""
        self.progress = Progress(0, 0, None)
        self._connection = connection
        self._place: Place = (topic, 0)
        self._codec = EventCodec(schemas)
        self._snapshots = iter(()) if snapshots is None else snapshots.newest()
        self._unproven = False
        """Whether the state is a snapshot's, and its last event has not been met in the ledger."""
        self._tail: PartitionTail | None = None
        self._tell = Every(_TELL_SECONDS)
        self._tell.done()

    @property
    def at_end(self) -> bool:
        """Whether everything that stood in the ledger has been read."""
        return self._tail is not None and self._tail.at_end and not self._unproven

    def ends(self) -> dict[Place, int]:
        """Where the ledger ends now."""
        return self._opened().ends(_ASK_SECONDS)

    def short_of(self, ends: Mapping[Place, int]) -> bool:
        """Whether it has not been read as far as that."""
        return self._unproven or self._opened().short_of(ends)

    def catch_up(self) -> None:
        """Read to the end, however long that takes.

        Raises ExchangeError(E_KAFKA_UNREACHABLE) when nothing came for a minute.
        """
        patience = Patience()
        while not self.at_end:
            self.poll(_WAIT_SECONDS)
            if patience.ended(self.progress.offset):
                raise ExchangeError("E_KAFKA_UNREACHABLE", "reading the ledger does not move on")

    def poll(self, seconds: float = 0.0) -> bool:
        """Take what is new, waiting at most `seconds` for the first of it; true when the state changed."""
        events = self.fetch(seconds)
        self.take(events)
        return bool(events)

    def fetch(self, seconds: float) -> list[LedgerEvent]:
        """The next events, not yet part of the state: every one of them must be taken, in this order."""
        tail = self._opened()
        try:
            events = [self._codec.decode(message) for message in filter(is_event, tail.poll(seconds))]
        except ExchangeError as error:
            if not self._unproven or error.code in _PASSING:
                raise
            self._refuse(error.code)
            return []
        if self._unproven:
            events = self._proven(events)
        if self._tail is not None and (events or not self.at_end):
            self._note_progress()
        return events

    def take(self, events: Iterable[LedgerEvent]) -> None:
        """Fold fetched events into the state."""
        unread = self.state.unread
        for event in events:
            apply(self.state, event)
            self.last_offset = event.offset
        if self.state.unread > unread:
            _log.warning("ledger.unread", events=self.state.unread - unread, seq=self.state.seq)

    def close(self) -> None:
        """Let go of the client."""
        if self._tail is not None:
            self._tail.close()

    def _opened(self) -> PartitionTail:
        """What reads on behind the newest snapshot that is left, or from the first event on."""
        if self._tail is None:
            snapshot = next(self._snapshots, None)
            start = {} if snapshot is None else {"start": snapshot.offset}
            self.state, self._unproven = (snapshot.state, True) if snapshot else (LedgerState(), False)
            self._tail = PartitionTail(self._connection, [self._place], **start)
        return self._tail

    def _proven(self, events: list[LedgerEvent]) -> list[LedgerEvent]:
        """The events behind the one that a snapshot belongs to; when it is another one, the snapshot is no good."""
        if events:
            first = events[0]
            if (first.seq, first.hash) == (self.state.seq, self.state.head):
                self._unproven, self.last_offset = False, first.offset
                _log.info("ledger.snapshot-taken", seq=first.seq)
                return events[1:]
        elif self._tail is None or not self._tail.at_end:
            return []
        self._refuse("its last event is not in the ledger")
        return []

    def _refuse(self, why: str) -> None:
        """Throw the snapshot away: reading begins again with an older one, or with the first event."""
        _log.warning("ledger.snapshot-refused", why=why, seq=self.state.seq)
        self.close()
        self._tail, self._unproven = None, False

    def _note_progress(self) -> None:
        """Note how far the reading is, and tell it now and then while there is far to go."""
        end = self.progress.end
        if end is None:
            try:
                end = self.ends()[self._place]
            except ExchangeError:
                end = None  # who waits for the end hears of it by what is read
        self.progress = Progress(self.state.seq, self._opened().reached(self._place), end)
        metrics.LEDGER_EVENTS.set(self.progress.events)
        metrics.LEDGER_READ.set(self.progress.offset)
        metrics.LEDGER_END.set(end or 0)
        if self._tell.due and not self.at_end:
            self._tell.done()
            _log.info("ledger.replaying", seq=self.state.seq, offset=self.progress.offset, end=end)


def read_ledger(connection: Connection, schemas: SchemaRepository, topic: str = LEDGER_TOPIC) -> Iterator[LedgerEvent]:
    """Every event that stands in the ledger now, in its order; the chain is not checked here.

    However long it takes; raises ExchangeError(E_KAFKA_UNREACHABLE) when nothing came for a minute.
    """
    codec, patience = EventCodec(schemas), Patience()
    tail = PartitionTail(connection, [(topic, 0)])
    try:
        while not tail.at_end:
            messages = tail.poll(_WAIT_SECONDS)
            yield from map(codec.decode, filter(is_event, messages))
            if messages:
                patience = Patience()  # whoever takes the events may be slow himself
            if patience.ended(None):
                raise ExchangeError("E_KAFKA_UNREACHABLE", "reading the ledger does not move on")
    finally:
        tail.close()
