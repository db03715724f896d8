"""Snapshots in their compacted topic: manifests in one partition, records of bytes in the other.

Two snapshots are kept at most, in two slots: the older one is written over, its manifest last. What is half written has
no manifest, or one that does not fit its records, and the other slot still has a whole one.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import structlog

from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.message import Message
from exchange.kafka.client.producer import IdempotentProducer
from exchange.kafka.client.reader import PartitionTail, read_to_end
from exchange.ledger.snapshot.content import form, read_state, write_state
from exchange.ledger.snapshot.manifest import Manifest, opened
from exchange.ledger.state.ledger_state import LedgerState
from exchange.names import SNAPSHOT_TOPIC
from exchange.settings import LedgerSettings
from exchange.signing import PublicKey, SigningKey

PARTITIONS = 2
MANIFESTS, CONTENT = range(PARTITIONS)
_RECORD_BYTES = 150_000
"""Below what a producer puts into one batch, and a broker takes."""
_SLOTS = (b"a", b"b")
_LOOK_SECONDS = 15.0
"""For the manifests: whoever does not get them reads the ledger from its beginning."""
_WAIT_SECONDS = 0.5
_STALLED_SECONDS = 30.0
_WRITE_SECONDS = 120.0
_log = structlog.get_logger("exchange.ledger")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state, and where the ledger goes on."""

    state: LedgerState
    offset: int
    """Of the last event in the state."""


class Snapshots:
    """The snapshots of one ledger, as everybody reads them who can tell their signatures."""

    def __init__(self, connection: Connection, key: PublicKey, topic: str = SNAPSHOT_TOPIC) -> None:
        self._connection = connection
        self._key = key
        self._topic = topic

    def newest(self) -> Iterator[Snapshot]:
        """The states of good snapshots, the newest first; each is read when it is asked for.

        None when there is none, or when they cannot be read: why is told to the log. Whether one fits the ledger is
        told by the event at its offset.
        """
        for slot, manifest in self.manifests():
            state = self._state(slot, manifest)
            if state is not None:
                yield Snapshot(state, manifest.offset)

    def manifests(self) -> list[tuple[bytes, Manifest]]:
        """The manifests of this form of the state that are signed, with their slots, the newest first."""
        try:
            kept: dict[bytes, bytes | None] = {}
            for message in read_to_end(self._connection, [(self._topic, MANIFESTS)], Deadline.after(_LOOK_SECONDS)):
                kept[message.key() or b""] = message.value()
        except ExchangeError as error:
            _log.warning("ledger.snapshot-unread", code=error.code, detail=error.detail)
            return []
        found = []
        for slot in _SLOTS:
            manifest = opened(kept.get(slot) or b"", self._key)
            if kept.get(slot) and manifest is None:
                _log.warning("ledger.snapshot-refused", why="it is not signed with the ledger's key")
            elif manifest is not None and manifest.form != form():
                _log.info("ledger.snapshot-refused", why="it was made by another version", seq=manifest.seq)
            elif manifest is not None:
                found.append((slot, manifest))
        return sorted(found, key=lambda one: -one[1].seq)

    def _state(self, slot: bytes, manifest: Manifest) -> LedgerState | None:
        try:
            state = read_state(self._records(slot, manifest))
        except Exception as error:  # whatever it is, the ledger itself is the truth
            code = error.code if isinstance(error, ExchangeError) else type(error).__name__
            _log.warning("ledger.snapshot-refused", why=f"its records are not whole ({code})", seq=manifest.seq)
            return None
        if (state.seq, state.head) != (manifest.seq, manifest.hash):
            _log.warning("ledger.snapshot-refused", why="it is of another event", seq=manifest.seq)
            return None
        return state

    def _records(self, slot: bytes, manifest: Manifest) -> Iterator[bytes]:
        """The records of a snapshot in their order. Raises ExchangeError or ValueError when one is not there."""
        tail, number = PartitionTail(self._connection, [(self._topic, CONTENT)], manifest.begins), 0
        try:
            until = Deadline.after(_STALLED_SECONDS)
            while number < len(manifest.records):
                for message in tail.poll(_WAIT_SECONDS):
                    # A record of another digest is one of somebody who wrote into the same slot at the same time.
                    if number < len(manifest.records) and _is(message, _key(slot, number), manifest.records[number]):
                        yield message.value() or b""
                        number, until = number + 1, Deadline.after(_STALLED_SECONDS)
                if number < len(manifest.records) and (tail.at_end or until.passed):
                    raise ValueError("a record is missing")
        finally:
            tail.close()


def snapshots_of(connection: Connection, settings: LedgerSettings) -> Snapshots | None:
    """The snapshots as a process with these settings reads them; None without a key.

    Raises ExchangeError(E_SETTINGS) for a file that holds none.
    """
    if settings.key_file is not None:
        return Snapshots(connection, SigningKey.read(settings.key_file).public)
    if settings.public_key_file is not None:
        return Snapshots(connection, PublicKey.read(settings.public_key_file))
    return None


def write_snapshot(
    connection: Connection, key: SigningKey, state: LedgerState, offset: int, topic: str = SNAPSHOT_TOPIC
) -> Manifest:
    """Write a snapshot of a state, which must not change meanwhile, over the older one of those that are there.

    offset: of the last event in the state. Raises ExchangeError when Kafka does not take it.
    """
    there = Snapshots(connection, key.public, topic).manifests()
    slot = next((one for one in _SLOTS if one not in [slot for slot, _ in there]), None) or there[-1][0]
    begins = _end(connection, topic)
    producer, hashes = IdempotentProducer(connection), []
    try:
        # First the old manifest goes: it would tell of records that are written over.
        producer.send(topic, slot, None, partition=MANIFESTS)
        producer.flush(Deadline.after(_WRITE_SECONDS))
        for number, record in enumerate(_cut(write_state(state))):
            producer.send(topic, _key(slot, number), record, partition=CONTENT)
            hashes.append(hashlib.sha256(record).hexdigest())
        producer.flush(Deadline.after(_WRITE_SECONDS))
        manifest = Manifest(form(), state.seq, state.head, offset, begins, tuple(hashes))
        producer.send(topic, slot, manifest.signed(key), partition=MANIFESTS)
        producer.flush(Deadline.after(_WRITE_SECONDS))
    finally:
        producer.close()
    return manifest


def _end(connection: Connection, topic: str) -> int:
    tail = PartitionTail(connection, [(topic, CONTENT)])
    try:
        return tail.ends(_LOOK_SECONDS)[(topic, CONTENT)]
    finally:
        tail.close()


def _cut(frames: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of the frames in records of one size."""
    waiting = bytearray()
    for frame in frames:
        waiting += frame
        while len(waiting) >= _RECORD_BYTES:
            yield bytes(waiting[:_RECORD_BYTES])
            del waiting[:_RECORD_BYTES]
    if waiting:
        yield bytes(waiting)


def _is(message: Message, key: bytes, digest: str) -> bool:
    return message.key() == key and hashlib.sha256(message.value() or b"").hexdigest() == digest


def _key(slot: bytes, number: int) -> bytes:
    return slot + b"/%d" % number
