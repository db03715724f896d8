"""Reading a ledger is cut off when it stands still, never because it takes long."""

from collections.abc import Callable, Iterator

import pytest

from exchange.avro.lock import SchemaRepository
from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection
from exchange.ledger.events.wire import EventCodec
from exchange.ledger.store import follower as following
from exchange.ledger.store import patience as waiting
from exchange.ledger.store.follower import LedgerFollower, read_ledger
from exchange.settings import KafkaSettings, Settings
from tests.harness.ledger.years import ledger_of

EVENTS = 40
HALF_A_MINUTE = 30.0


class Time:
    """A monotonic clock that moves half a minute with each poll."""

    def __init__(self) -> None:
        self.now = 0.0

    def deadline(self, seconds: float) -> Deadline:
        return _At(self, self.now + seconds)  # type: ignore[return-value]


class _At:
    def __init__(self, time: Time, at: float) -> None:
        self._time, self._at = time, at

    @property
    def passed(self) -> bool:
        return self._time.now >= self._at


class Record:
    """A record of the ledger as the client gives it."""

    def __init__(self, value: bytes, offset: int) -> None:
        self._value, self._offset = value, offset

    def value(self) -> bytes:
        return self._value

    def offset(self) -> int:
        return self._offset


class Tail:
    """Gives one event with each poll, and stands still from an event on."""

    def __init__(self, time: Time, values: list[bytes], stands_at: int) -> None:
        self._time, self._values, self._stands_at = time, values, stands_at
        self._next = 0

    @property
    def at_end(self) -> bool:
        return self._next == len(self._values)

    def poll(self, _seconds: float) -> list[Record]:
        self._time.now += HALF_A_MINUTE
        if self.at_end or self._next == self._stands_at:
            return []
        self._next += 1
        return [Record(self._values[self._next - 1], self._next - 1)]

    def ends(self, _seconds: float) -> dict[tuple[str, int], int]:
        return {("exchange.ledger", 0): len(self._values)}

    def reached(self, _place: tuple[str, int]) -> int:
        return self._next

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def schemas() -> SchemaRepository:
    return SchemaRepository.load(Settings().schemas)


@pytest.fixture
def stands_at(monkeypatch: pytest.MonkeyPatch, schemas: SchemaRepository) -> Iterator[Callable[[int], None]]:
    """Let the ledger's reader stand still at an event."""

    def prepare(at: int) -> None:
        time, codec = Time(), EventCodec(schemas)
        values = [codec.encode(event) for event in ledger_of(EVENTS)]
        monkeypatch.setattr(waiting.Deadline, "after", time.deadline)
        monkeypatch.setattr(following, "PartitionTail", lambda *_, **__: Tail(time, values, at))

    yield prepare


def test_a_replay_that_moves_on_is_never_cut_off(stands_at: Callable[[int], None], schemas: SchemaRepository) -> None:
    """Forty events take twenty minutes."""
    stands_at(-1)
    connection = Connection.of(KafkaSettings(password="nobody asks"))

    follower = LedgerFollower(connection, schemas)
    follower.catch_up()

    assert follower.state.seq == EVENTS
    assert (follower.progress.events, follower.progress.offset, follower.progress.end) == (EVENTS - 1, EVENTS, EVENTS)
    assert len(list(read_ledger(connection, schemas))) == EVENTS


def test_a_replay_that_stands_still_is_given_up(stands_at: Callable[[int], None], schemas: SchemaRepository) -> None:
    stands_at(7)
    connection = Connection.of(KafkaSettings(password="nobody asks"))
    follower = LedgerFollower(connection, schemas)

    with pytest.raises(ExchangeError, match="E_KAFKA_UNREACHABLE"):
        follower.catch_up()
    with pytest.raises(ExchangeError, match="E_KAFKA_UNREACHABLE"):
        list(read_ledger(connection, schemas))

    assert follower.state.seq == 7
