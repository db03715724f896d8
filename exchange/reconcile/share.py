"""A share as the last version of each key: read without a group, so that nobody's position moves."""

import threading
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from exchange.avro.reference import ReferenceReader
from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.message import Message
from exchange.kafka.client.peek import Peeker
from exchange.kafka.client.reader import PartitionTail
from exchange.names import HEARTBEAT_KEY, SchemaId, TopicName
from exchange.reconcile.canonical import Canon
from exchange.reconcile.fold import Entry, Fold, key_hash
from exchange.record import FRAME_BYTES, unframe

_WAIT_SECONDS = 0.5
_SILENCE_SECONDS = 30.0
"""A reading may take as long as it needs, but something has to come."""
_UNDECODABLE = b"undecodable\x00"


@dataclass(frozen=True, slots=True)
class ShareForm:
    """What is known of a share before it is read."""

    topic: TopicName
    partitions: int
    schema_id: SchemaId
    schema: Mapping[str, Any]
    leave_out: frozenset[str] = frozenset()
    """Fields whose values only the exchange can compute: they are not compared."""
    pseudonymous: bool = False
    """Whether its keys are pseudonyms."""


class ShareFold:
    """A share that is folded to its end, again and again. Not safe for several threads."""

    def __init__(self, connection: Connection, form: ShareForm, stop: threading.Event) -> None:
        """Stop ends a reading that is under way."""
        self.fold = Fold()
        self._connection = connection
        self._stop = stop
        self.ends: dict[int, int] = dict.fromkeys(range(form.partitions), 0)
        """By partition, the offset behind the last record that was read."""
        self._form = form
        self._reader = ReferenceReader(form.schema)
        self._canon = Canon(form.schema, form.leave_out)
        places: list[tuple[str, int]] = [(form.topic, partition) for partition in range(form.partitions)]
        try:
            self._tail = PartitionTail(connection, places)
        except BaseException:
            self.fold.close()
            raise

    def advance(self, watched: frozenset[bytes] = frozenset()) -> set[bytes]:
        """Read on to where the share ends now; which of the `watched` keys (their hashes) were changed on the way.

        Raises ExchangeError: E_KAFKA_* of the client, E_KAFKA_UNREACHABLE when nothing comes for long.
        """
        changed: set[bytes] = set()
        ends = self._tail.ends(_SILENCE_SECONDS)
        silence = Deadline.after(_SILENCE_SECONDS)
        while self._tail.short_of(ends):
            if silence.passed or self._stop.is_set():
                raise ExchangeError("E_KAFKA_UNREACHABLE", f"the end of {self._form.topic} was not reached")
            messages = self._tail.poll(_WAIT_SECONDS)
            changed |= self._take(messages) & watched
            if messages:
                silence = Deadline.after(_SILENCE_SECONDS)
        return changed

    def ended(self) -> bool:
        """Whether the share ends where it was read to. Raises ExchangeError when Kafka does not say so."""
        return not self._tail.short_of(self._tail.ends(_SILENCE_SECONDS))

    def records(self, entries: Iterable[Entry]) -> dict[bytes, Mapping[str, Any]]:
        """The records behind entries of the fold, by the hash of the key; read again, and absent when they are gone.

        Raises ExchangeError: E_KAFKA_* of the client.
        """
        waiting = {((str(self._form.topic), one.part), one.place): one.hash for one in entries}
        found: dict[bytes, Mapping[str, Any]] = {}
        with closing(Peeker(self._connection)) as peeker:
            while waiting:
                starts = dict(waiting.keys())  # one offset of each partition at a time
                read = peeker.first_at(starts, lambda _message: True, Deadline.after(_SILENCE_SECONDS))
                for place in starts.items():
                    record = self._record(read.get(place[0]), place[1])
                    hashed = waiting.pop(place)
                    if record is not None:
                        found[hashed] = record
        return found

    def close(self) -> None:
        """Let go of the client and the fold."""
        self._tail.close()
        self.fold.close()

    def _take(self, messages: list[Message]) -> set[bytes]:
        last: dict[bytes, Entry | None] = {}
        for message in messages:
            key = message.key()
            self.ends[message.partition()] = message.offset() + 1
            if key is not None and key != HEARTBEAT_KEY:
                hashed = key_hash(key)
                last[hashed] = self._entry(message, key, hashed)
        self.fold.put(entry for entry in last.values() if entry is not None)
        self.fold.remove(hashed for hashed, entry in last.items() if entry is None)
        return set(last)

    def _entry(self, message: Message, key: bytes, hashed: bytes) -> Entry | None:
        value = message.value()
        if value is None:
            return None
        return Entry(hashed, self._content(value), key, message.partition(), message.offset())

    def _record(self, message: Message | None, offset: int) -> Mapping[str, Any] | None:
        value = None if message is None or message.offset() != offset else message.value()
        try:
            return None if value is None else self._read(value)
        except ExchangeError:
            return None

    def _read(self, value: bytes) -> Mapping[str, Any]:
        if unframe(value) != self._form.schema_id:
            raise ExchangeError("E_SHARE_DECODE", "another schema")
        return self._reader.read(value[FRAME_BYTES:])

    def _content(self, value: bytes) -> bytes:
        """The digest of a value; of one that does not decode, one that no record has."""
        try:
            return self._canon.digest(self._read(value))
        except ExchangeError:
            return key_hash(_UNDECODABLE + value)
