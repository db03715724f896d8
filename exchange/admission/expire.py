"""Expiry: a record whose schema has a field `expires_at` leaves the registry when its period ends, as a tombstone.

`expires_at` is a date, the last day of the period in China, or a timestamp, the moment it ends; null: no end. The
tombstone bears the sequence of the version that it ends: nothing older rises again, and the department may prolong the
period with any newer version. A version that comes when its period has ended already enters as a withdrawal. Whether
and when records end is rebuilt from the registry with the rest of the memory.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from exchange import record
from exchange.admission.admit import Admitter, Dropped
from exchange.admission.memory import CONTENT, CONTENT_BITS
from exchange.avro.compiled.slices import Slices
from exchange.avro.record_schema import EXPIRES_AT
from exchange.avro.schema import Node, Primitive, Union
from exchange.clock import Clock, format_time
from exchange.errors import ExchangeError
from exchange.kafka.client.message import Message
from exchange.record import Headers

End = Callable[[bytes], int | None]
"""When the period of a framed value ends, in ms since 1970; None: never."""
_DAY_MS = 86_400_000
_CHINA_MS = 8 * 3_600_000
_ENDED = b"/expired"
"""Part of the `ce_id` of a tombstone of ours, which has the sequence of the version that it ends."""


def compile_end(schema: dict[str, Any]) -> End:
    """The end of a checked value of `schema`. Raises ExchangeError(E_SCHEMA) for a field that is no day or moment."""
    slices = Slices.of(schema, record.FRAME_BYTES)
    number = slices.number(EXPIRES_AT)
    if number is None:
        return lambda _value: None
    slices.start(number)
    slices.module.environment["number"] = _number
    slices.module.add(["def end(b):", *slices.walk(" "), *_emit_end(slices.fields[number].type)])
    end: End = slices.module.compile("end")["end"]
    return end


def _emit_end(node: Node) -> list[str]:
    lines = []
    if isinstance(node, Union):
        index, node = node.nullable or (0, node)
        lines = [f" if b[p] == {2 * (1 - index)}: return None", " p += 1"]
    logical = node.logical.name if isinstance(node, Primitive) and node.logical else ""
    if logical not in _MOMENTS:
        raise ExchangeError("E_SCHEMA", f"{EXPIRES_AT} is a date or a timestamp, or null")
    return [*lines, f" return {_MOMENTS[logical]}"]


_MOMENTS = {
    "date": f"(number(b, p) + 1) * {_DAY_MS} - {_CHINA_MS}",
    "timestamp-millis": "number(b, p)",
    "timestamp-micros": "-(-number(b, p) // 1000)",
}
"""By logical type: the first ms at which the period is over."""


def _number(b: bytes, p: int) -> int:
    """The int or long at `p`."""
    shift = number = 0
    while True:
        byte = b[p]
        p += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return (number >> 1) ^ -(number & 1)
        shift += 7


class Locked(Protocol):
    """A schema of the lock file."""

    @property
    def schema(self) -> dict[str, Any]:
        """As Avro has it."""
        ...


class Ends(dict[bytes, End]):
    """By the frame of a value: what tells its end. Compiles each version of a schema once."""

    def __init__(self, by_id: Callable[[int], Locked | None]) -> None:
        super().__init__()
        self._by_id = by_id

    def __missing__(self, frame: bytes) -> End:
        schema_id = record.unframe(frame)
        locked = None if schema_id is None else self._by_id(schema_id)
        if locked is None:
            raise ExchangeError("E_SCHEMA_UNKNOWN")
        end = self[frame] = compile_end(locked.schema)
        return end

    def of(self, value: bytes) -> int | None:
        """When a framed value ends, in ms since 1970; None: never. Raises ExchangeError(E_SCHEMA_UNKNOWN)."""
        return self[value[: record.FRAME_BYTES]](value)


Period = tuple[int, bytes, bytes]
"""(end in ms since 1970, key, `ce_source`) of a record."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The headers of a version that enters the registry as a withdrawal, because its period is over."""

    headers: Headers


class Periods:
    """Which records of a unit end, and when."""

    def __init__(self, ends: Ends, clock: Clock) -> None:
        self.ends = ends
        self._clock = clock
        self._queue: list[Period] = []
        """A heap; periods that were replaced meanwhile are still in it."""
        self._current: dict[bytes, Period] = {}

    def now_ms(self) -> int:
        """The present moment in ms since 1970."""
        return int(self._clock.now().timestamp() * 1000)

    def note(self, key: bytes, end: int | None, source: bytes) -> None:
        """The newest version of a record ends at `end`, or never, or is gone."""
        if end is None:
            self._current.pop(key, None)
        elif self._current.get(key) != (period := (end, key, source)):
            self._current[key] = period
            heapq.heappush(self._queue, period)

    def watch(self, messages: Iterable[Message]) -> Iterator[Message]:
        """Pass the records of a registry partition on, oldest first, and note their periods."""
        for message in messages:
            key, value = message.key(), message.value()
            if key is not None:
                end = None if value is None else self.ends.of(value)
                self.note(key, end, record.header(message.headers(), record.SOURCE) or b"")
            yield message

    def due(self) -> bool:
        """Whether a period is over."""
        queue, now = self._queue, self.now_ms()
        while queue and queue[0][0] <= now:
            if self._current.get(queue[0][1]) == queue[0]:
                return True
            heapq.heappop(queue)
        return False

    def take(self, limit: int) -> Iterator[Period]:
        """At most `limit` records whose period is over; they are forgotten here."""
        while limit and self.due():
            limit -= 1
            period = heapq.heappop(self._queue)
            del self._current[period[1]]
            yield period


class Admit(Protocol):
    """Decides on versions."""

    def admit(
        self, key: bytes, value: bytes | None, headers: dict[str, bytes], offset: int
    ) -> Headers | Dropped | Ended:
        """The headers with which a version enters the registry, or why it does not."""
        ...


class PeriodAdmitter:
    """Admits the versions of a record type whose records have periods, from one inbox."""

    def __init__(self, admitter: Admitter, periods: Periods, source: bytes) -> None:
        self._admit = admitter.admit
        self._periods = periods
        self._source = source

    def admit(
        self, key: bytes, value: bytes | None, headers: dict[str, bytes], offset: int
    ) -> Headers | Dropped | Ended:
        """As the admitter says; a version whose period is over is taken as the withdrawal of its record."""
        end = None if value is None else self._periods.ends.of(value)
        over = end is not None and end <= self._periods.now_ms()
        entered = self._admit(key, None if over else value, headers, offset)
        if isinstance(entered, Dropped):
            return entered
        self._periods.note(key, None if over else end, self._source)
        return Ended(entered) if over else entered


class Sweeper:
    """Withdraws what has ended from a memory of keys, with the headers of a tombstone."""

    def __init__(self, periods: Periods, known: dict[bytes, int], record_type: bytes, clock: Clock) -> None:
        self._periods = periods
        self._known = known
        self._type = record_type
        self._clock = clock

    def sweep(self, limit: int) -> Iterator[tuple[bytes, Headers]]:
        """Key and headers of the tombstone of each record whose period is over, at most `limit`."""
        time = format_time(self._clock.now()).encode()
        for _, key, source in self._periods.take(limit):
            sequence = self._known[key] >> CONTENT_BITS
            self._known[key] &= ~CONTENT
            digits = b"%d" % sequence
            yield (
                key,
                [
                    (record.SPECVERSION, record.CLOUDEVENTS_VERSION),
                    (record.ID, record.identity_of(key, digits + _ENDED)),
                    (record.SOURCE, source),
                    (record.TYPE, self._type),
                    (record.TIME, time),
                    (record.CONTENT_TYPE, record.AVRO),
                    (record.SEQUENCE, digits),
                ],
            )
