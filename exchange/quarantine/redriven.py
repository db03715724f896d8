"""A redriven record as admission takes it: it stands for the record that first came in an inbox.

In `exchange.redrive.<record-type>`, which only the exchange writes, a record carries two headers of the exchange before
its own: `x-exchange-origin`, its first place in an inbox, and `x-exchange-redriven`, its last place in quarantine. The
first one tells the provider, and its offset orders a record without `ce_sequence` among those of its inbox.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby

from exchange import record
from exchange.kafka.client.message import Message
from exchange.names import HEARTBEAT_KEY, RecordType
from exchange.quarantine.quarantine_id import Origin, QuarantineId, origin
from exchange.record import Headers

RESERVED = "x-exchange-"
"""Prefix of headers that only the exchange sets."""
SUBMITTED = "submitted-"
"""Prefix that a header gets in quarantine when the publisher used a name that only the exchange sets."""


class Redriven:
    """A record of a redrive topic under the names and offsets of the inbox that it once came in."""

    def __init__(self, message: Message, first: Origin) -> None:
        self._message = message
        self._first = first
        self.was: bytes = record.header(message.headers(), record.QUARANTINE_REDRIVEN) or b""
        """Its place in quarantine before."""

    def topic(self) -> str:
        """The inbox."""
        return self._first.topic

    def partition(self) -> int:
        """The partition of the inbox."""
        return self._first.partition

    def offset(self) -> int:
        """The offset in the inbox."""
        return self._first.offset

    def key(self) -> bytes | None:
        """The key, untouched."""
        return self._message.key()

    def value(self) -> bytes | None:
        """The value, untouched."""
        return self._message.value()

    def headers(self) -> Headers:
        """The headers as the publisher sent them."""
        return [(given_name(name), content) for name, content in own_headers(self._message.headers())]

    def timestamp(self) -> tuple[int, int]:
        """When it was redriven."""
        return self._message.timestamp()


def redriven_runs(messages: Iterable[Message], record_type: RecordType) -> Iterator[list[Redriven]]:
    """The redriven records of a batch, in their order, in runs of one inbox.

    Heartbeats are passed over, and so is what nobody redrove: it names no inbox of this record type, so that there is
    no department whose record it could be.
    """
    found = (Redriven(message, first) for message, first in _with_origin(messages) if first.record_type == record_type)
    for _, run in groupby(found, Redriven.topic):
        yield list(run)


def redrive_headers(first: Origin, was: QuarantineId, kept: Headers) -> Headers:
    """The headers of a record in the redrive topic. `kept`: its own, as quarantine holds them."""
    ours = [(record.QUARANTINE_ORIGIN, str(first).encode()), (record.QUARANTINE_REDRIVEN, str(was).encode())]
    return ours + kept


def own_headers(headers: Headers | None) -> Headers:
    """The headers without those of the exchange. Forged ones are not among those: they have another name by then."""
    return [(name, content) for name, content in headers or () if not _is_reserved(name)]


def kept_name(name: str) -> str:
    """The name of a publisher's header in quarantine."""
    return SUBMITTED + name if _is_reserved(_bare(name)) else name


def given_name(name: str) -> str:
    """The name that a header in quarantine had when it came: undoes `kept_name`."""
    return name.removeprefix(SUBMITTED) if _is_reserved(_bare(name)) else name


def _bare(name: str) -> str:
    while name.startswith(SUBMITTED):
        name = name.removeprefix(SUBMITTED)
    return name


def _is_reserved(name: str) -> bool:
    return name.lower().startswith(RESERVED)


def _with_origin(messages: Iterable[Message]) -> Iterator[tuple[Message, Origin]]:
    for message in messages:
        first = origin(record.header(message.headers(), record.QUARANTINE_ORIGIN))
        if first is not None and not (message.key() == HEARTBEAT_KEY and message.value() is None):
            yield message, first
