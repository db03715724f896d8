"""The handover line into a drop folder: a grant's share as numbered, signed deliveries, one after the other.

    receive ▸ collect ▸ decode ▸ write ▸ sign ▸ wait for the receipt ▸ tell the group

1. A delivery holds stretches of the share's partitions, whole and in order; of each record the last version in them.
2. Its manifest makes it one, and nothing is told to the group before the grantee has put a receipt beside it: an offset
   means that the grantee took the record, as with every other sink.
3. The next delivery waits for that. After a crash the folder says where to go on (`exchange.handover.files.chain`).
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import structlog

from exchange.clock import Clock, format_time, parse_time
from exchange.errors import ExchangeError
from exchange.handover.decode import Decoder
from exchange.handover.files.chain import Chain, Served, Standing
from exchange.handover.files.collect import Collected
from exchange.handover.files.manifest import FileEntry, Manifest, Range, Records
from exchange.handover.files.write import write_files
from exchange.handover.granted import Begin, Owner
from exchange.handover.health import SinkHealth
from exchange.handover.layout import Change, Layout
from exchange.handover.receipt import Receipt
from exchange.handover.receive import receive
from exchange.handover.report import Receipts, Reporter
from exchange.kafka.client.share_reader import ShareReader, passes
from exchange.observe import metrics
from exchange.stages import Stage

_PAUSE_SECONDS = 1.0
_LOOK_SECONDS = 0.5
"""Between two looks for a receipt."""
_SWEEP_EVERY = timedelta(hours=1)
_log = structlog.get_logger("exchange.handover")


@dataclass(frozen=True, slots=True)
class Pace:
    """When a delivery is closed: when it is full, or when all is read and the last one is old enough."""

    records: int = 20_000
    bytes: int = 16_000_000
    """Of records as they stand in the share: they wait in memory."""
    every: timedelta = timedelta(minutes=15)
    longest: timedelta = timedelta(minutes=1)
    """How long a record waits for the end of a share that never stands still."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The parts that the line is made of."""

    open_reader: Callable[[Begin], ShareReader]
    chain: Chain
    layout: Layout
    decoder: Decoder
    reporter: Reporter
    receipts: Receipts
    clock: Clock
    pace: Pace
    moved: Callable[[], bool]
    """Whether the grant has gone on in another share. Asked all the time: cheap."""
    granted: Callable[[], None]
    """Asked while a delivery waits, cheap. Raises ExchangeError(E_GRANT_REFUSED) when the grant is not active."""
    health: SinkHealth


class DropFolderLine:
    """One grant of one department, into one folder."""

    def __init__(self, owner: Owner, steps: Steps) -> None:
        self._owner = owner
        self._steps = steps
        grant = owner.grant
        self._served = Served(owner.department, owner.record_type, grant.grant, grant.topic, grant.schema_id)
        self._at = Standing()
        self._next = Collected()
        self._assigned: set[int] = set()
        self._moves = 0
        """How often the group has given us partitions since the reader was opened."""
        self._again: dict[int, int] | None = None
        """Partitions that lost their place, with their ends: the next reading begins at the start."""
        self._swept: datetime | None = None

    def run(self, stop: threading.Event, once: bool = False) -> None:
        """Work until `stop` is set or the grant goes on in another share; with `once` until nothing is left to do.

        What is left then may be a delivery that waits. Raises ExchangeError for what waiting won't mend.
        """
        try:
            self._run(stop, once)
        finally:
            self._steps.receipts.settle()

    def _run(self, stop: threading.Event, once: bool) -> None:
        served = False
        while not stop.is_set():
            reader: ShareReader | None = None
            try:
                self._stand()
                reader = self._steps.open_reader(self._begin)
                self._read(reader, stop, once)
                if not reader.settle():
                    _log.warning("handover.offsets_untold", stage=Stage.HANDOVER_APPLY)
                return
            except ExchangeError as error:
                if error.code == "E_GRANT_REFUSED":
                    self._steps.chain.recall()
                served = served or (reader is not None and reader.served)
                if not passes(error, served):
                    raise
                self._steps.health.broken_off(error)
                stop.wait(_PAUSE_SECONDS)
            finally:
                if reader is not None:
                    reader.close()

    def _stand(self) -> None:
        """Find out from the folder where to go on."""
        chain, now = self._steps.chain, self._steps.clock.now()
        chain.open()
        self._at = chain.standing(self._served, now)
        if self._again is not None:
            self._at = chain.read_again(self._at, self._again)
            self._again = None
        if self._at.void is not None:
            chain.folder.clear(self._at.void)
            _log.warning("handover.delivery_void", stage=Stage.HANDOVER_APPLY, number=self._at.void)
        self._next = Collected()
        self._assigned.clear()
        self._moves = 0

    def _begin(self, partitions: list[int]) -> dict[int, int]:
        """Where to read each partition from; called when the group gives it to us."""
        self._moves += 1
        self._assigned = set(partitions)
        return {partition: self._at.starts.get(partition, 0) for partition in partitions}

    def _read(self, reader: ShareReader, stop: threading.Event, once: bool) -> None:
        while not stop.is_set():
            if not self._at.waiting:
                self._collect(reader)
            elif not self._received(reader) and once:
                return
            if self._moves > 1:  # what was collected may lack what another member has read meanwhile
                raise ExchangeError("E_KAFKA_MEMBERSHIP", "the group has moved: on from the last delivery")
            if self._at.taken and self._assigned:
                self._tell_group(reader)
            if not self._at.waiting and self._due(reader, once):
                self._publish(reader)
            self._sweep(reader)
            self._steps.health.reading(reader)
            if self._steps.moved():
                return
            idle = not self._at.waiting and not self._at.taken
            if once and idle and not self._next.records and self._assigned and reader.caught_up:
                return

    def _collect(self, reader: ShareReader) -> None:
        """receive ▸ collect"""
        for partition, messages in receive(reader).items():
            self._next.add(partition, messages, self._steps.clock.now())
        self._refuse_lost(reader)

    def _received(self, reader: ShareReader) -> bool:
        """3. Whether the delivery that waits has been taken; lets a moment pass if not."""
        chain = self._steps.chain
        if chain.receipted():
            self._at.waiting, self._at.taken = False, True
            return True
        self._steps.granted()
        if chain.overdue(self._steps.clock.now()):
            raise ExchangeError("E_SHARE_POSITION", "a delivery was not taken in time and is made anew")
        reader.rest(_LOOK_SECONDS)
        return False

    def _tell_group(self, reader: ShareReader) -> None:
        """2. The delivery was taken: tell the group, give the receipt. Done again after a crash, it says the same."""
        head = self._steps.chain.head
        assert head is not None
        reader.took({number: end for number, end in head.ends().items() if number in self._assigned and end > 0})
        at, receipts = self._steps.clock.now(), self._steps.receipts
        for one in head.ranges:
            totals = one.totals
            receipts.note(Receipt(one.partition, one.end, totals.upserted, totals.deleted, totals.faulty, at))
        receipts.say({})
        self._at.taken = False
        _log.info(
            "handover.delivery_taken", stage=Stage.HANDOVER_APPLY, grant=self._owner.grant.grant, number=head.number
        )

    def _refuse_lost(self, reader: ShareReader) -> None:
        """A place that is not in the share: read all of it again. Raises ExchangeError(E_SHARE_POSITION)."""
        lost = reader.lost()
        if lost:
            self._again = lost
            raise ExchangeError("E_SHARE_POSITION", f"{self._owner.grant.topic}: partitions {sorted(lost)}")

    def _due(self, reader: ShareReader, once: bool) -> bool:
        pace, head, now = self._steps.pace, self._steps.chain.head, self._steps.clock.now()
        if self._next.records >= pace.records or self._next.bytes >= pace.bytes:
            return True
        if not self._next.records:
            return bool(self._assigned) and reader.caught_up and head is not None and not self._at.complete
        waited = self._next.since is not None and now - self._next.since >= pace.longest
        whole = reader.caught_up or waited
        return whole and (once or head is None or now - parse_time(head.created) >= pace.every)

    def _publish(self, reader: ShareReader) -> None:
        """1. Write a delivery: its files, then its signature and manifest."""
        steps, chain, now = self._steps, self._steps.chain, self._steps.clock.now()
        current = reader.caught_up
        faulty = self._next.faulty(steps.decoder, steps.layout)
        steps.reporter.faults(faulty, now)
        places = {(one.partition, one.offset) for one in faulty}

        def changes() -> Iterator[Change]:
            for message in self._next.newest():
                if (message.partition(), message.offset()) not in places:
                    yield steps.decoder.decode(message)

        files = write_files(chain.folder, chain.next_number, steps.layout, changes)
        ranges = self._next.ranges(self._at, faulty)
        manifest = self._manifest(ranges, files, len(faulty), current, now)
        chain.publish(manifest, now)
        self._count(manifest)
        after = {one.partition: one.totals for one in ranges}
        self._at = Standing(self._at.reading, dict(manifest.ends()), after, waiting=True, complete=current)
        self._next = Collected()

    def _manifest(
        self, ranges: list[Range], files: list[FileEntry], faulty: int, current: bool, now: datetime
    ) -> Manifest:
        taken, written, withdrawn = self._next.records, files[0].records, files[-1].records
        replaced = taken - written - withdrawn - faulty
        return Manifest(
            **self._steps.chain.links,
            **asdict(self._served),
            void=self._at.void,
            created=format_time(now),
            key=list(self._steps.layout.key),
            reading=self._at.reading,
            current=current,
            records=Records(taken=taken, written=written, withdrawn=withdrawn, replaced=replaced, faulty=faulty),
            ranges=ranges,
            files=files,
        )

    def _sweep(self, reader: ShareReader) -> None:
        """Now and then: remove files that have lain there long enough, and note that all has been read."""
        now = self._steps.clock.now()
        if self._swept is not None and now - self._swept < _SWEEP_EVERY:
            return
        self._swept = now
        self._steps.chain.sweep(now)
        if self._at.complete and not self._next.records and self._assigned and reader.caught_up:
            self._steps.chain.note_current(now)

    def _count(self, manifest: Manifest) -> None:
        record_type, records = self._owner.record_type, manifest.records
        metrics.count_records(Stage.HANDOVER_APPLY, "upserted", record_type, records.written)
        metrics.count_records(Stage.HANDOVER_APPLY, "deleted", record_type, records.withdrawn)
        metrics.count_records(Stage.HANDOVER_APPLY, "replaced", record_type, records.replaced)
        metrics.count_records(Stage.HANDOVER_DECODE, "faulty", record_type, records.faulty)
        _log.info(
            "handover.delivery",
            stage=Stage.HANDOVER_APPLY,
            grant=self._owner.grant.grant,
            number=manifest.number,
            records=records.taken,
        )
