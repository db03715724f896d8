"""A batch on its way through the shares that take it together: permit, redact, forward, retract, count.

What is the same for a whole batch is not asked for each record: the cuts are compiled (`cut.py`), and the books move
once a batch.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from exchange.delivery.cut import Cut, Holdings, compile_cut
from exchange.delivery.permit import Share
from exchange.delivery.receive import is_heartbeat, version, version_of
from exchange.delivery.retract import Retractor
from exchange.delivery.state import Counts, UnitState
from exchange.delivery.writers import Writers
from exchange.errors import ExchangeError
from exchange.kafka.client.message import Message
from exchange.kafka.line.unit import Output
from exchange.names import HEARTBEAT_KEY, SchemaId, share_topic

_FULL_SECONDS = 0.1


class Cutter:
    """Some shares of one unit. Their books in `state` move with every batch."""

    def __init__(
        self, shares: Iterable[Share], writers: Writers, state: UnitState, holdings: Holdings, partition: int
    ) -> None:
        self.shares = sorted(shares, key=lambda share: share.number)
        self._writers = writers
        self._state = state
        self._holdings = holdings
        self._partition = partition
        self._cuts: dict[SchemaId, Cut] = {}
        self._retractor = Retractor(self.shares, holdings, partition)
        self._heartbeats = 0

    def take(self, messages: Sequence[Message], output: Output, moved: Counts) -> int:
        """Deliver a batch. Returns how many records were in it: a heartbeat is passed on, but never counted.

        Adds to `moved` what was done, over all shares; its `taken` counts each record once. Raises
        ExchangeError(E_REGISTRY_DAMAGED) for what is no record.
        """
        produce, again = output.produce, partial(produce_again, output)
        self._heartbeats = 0
        schema_id = version_of(messages)
        other = partial(self._other, (produce, again), moved)
        try:
            if schema_id is None:
                for message in messages:
                    other(message)
            else:
                self._count(self._cut(schema_id)(messages, produce, again, other), moved)
        except (IndexError, ValueError, OverflowError):
            first, last = messages[0].offset(), messages[-1].offset()
            raise ExchangeError("E_REGISTRY_DAMAGED", f"a record between offsets {first} and {last}") from None
        taken = len(messages) - self._heartbeats
        self._settle(taken, moved)
        return taken

    def beat(self, output: Output) -> None:
        """Give every share a heartbeat of its own."""
        self._pass_on(_patient(output.produce, partial(produce_again, output)))

    def _cut(self, schema_id: SchemaId) -> Cut:
        cut = self._cuts.get(schema_id)
        if cut is None:
            schema = self._writers.schema(schema_id)
            cut = compile_cut(schema_id, schema, self.shares, self._holdings, self._partition)
            self._cuts[schema_id] = cut
        return cut

    def _other(self, send: tuple[Callable[..., None], Callable[..., None]], moved: Counts, message: Message) -> None:
        """What the batch's own cut does not take: a heartbeat, a withdrawal, a record of another version."""
        if message.value() is not None:
            cut = self._cut(version(message))
            self._count(cut((message,), *send, partial(self._other, send, moved)), moved)
        elif is_heartbeat(message):
            self._heartbeats += 1
            self._pass_on(_patient(*send))
        else:
            found = self._retractor.retract(message.key() or b"", message.headers() or [], _patient(*send))
            self._count(found, moved)

    def _pass_on(self, produce: Callable[..., None]) -> None:
        """A heartbeat goes to every share, so that old values get compacted there too; it is no record of anyone."""
        for share in self.shares:
            produce(share_topic(share.share), None, HEARTBEAT_KEY, self._partition)

    def _count(self, results: Sequence[tuple[int, int, int]], moved: Counts) -> None:
        """What records became for each share. Until `_settle`, what it was not given is not yet in its books."""
        for share, (forwarded, retracted, unchanged) in zip(self.shares, results, strict=True):
            for books in (self._state.counts[share.share], moved):
                books.forwarded += forwarded
                books.retracted += retracted
                books.unchanged += unchanged
                books.out_of_scope -= forwarded + retracted + unchanged

    def _settle(self, taken: int, moved: Counts) -> None:
        """Every share has taken these records; what it was not given was out of its scope."""
        for share in self.shares:
            books = self._state.counts[share.share]
            books.taken += taken
            books.out_of_scope += taken
            moved.out_of_scope += taken
        moved.taken += taken


def produce_again(output: Output, *arguments: Any, **named: Any) -> None:
    """Produce what found the client's queue full, once there is room."""
    while True:
        output.poll(_FULL_SECONDS)
        try:
            output.produce(*arguments, **named)
            return
        except BufferError:
            continue


def _patient(produce: Callable[..., None], again: Callable[..., None]) -> Callable[..., None]:
    def patient(*arguments: Any, **named: Any) -> None:
        try:
            produce(*arguments, **named)
        except BufferError:
            again(*arguments, **named)

    return patient
