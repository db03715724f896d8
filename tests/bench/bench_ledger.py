"""What a replay of the ledger costs: `python -m tests.bench.bench_ledger`. Needs no Kafka.

A believable, chained ledger of so many events is written once; then, each in a process of its own, CPU and highest
resident memory of

1. lead: reading a snapshot of the ledger and folding the 50,000 events behind it, as a new leader does;
2. follow: decoding the records as Kafka holds them and folding them, as every broker service and every line does that
   finds no snapshot;
3. rate: `exchange ledger rate --from FILE`, the satisfaction rate from an export alone.

Fetching from Kafka is extra. Ends with status 1 when 2 or 3 cost more than 30 s of CPU or 400 MB per 10^6 events, or
when 1 costs more than 15 s or 600 MB at 4 * 10^6 events or fewer (`-n 4000000 --only lead`).
"""

import argparse
import io
import multiprocessing
import os
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from multiprocessing.connection import Connection
from pathlib import Path
from typing import BinaryIO

from exchange.avro.lock import SchemaRepository
from exchange.broker.snapshots import EVERY_EVENTS
from exchange.cli.ledger import rate
from exchange.ledger.events.event import write_line
from exchange.ledger.events.wire import EventCodec
from exchange.ledger.fold.apply import apply
from exchange.ledger.snapshot.content import read_state, write_state
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.store.garbage_collection import collect_rarely
from exchange.settings import Settings
from tests.harness.ledger.years import ledger_of
from tests.harness.process_memory import memory_of

BOUND_SECONDS = 30.0
BOUND_BYTES = 400_000_000
LEAD_SECONDS, LEAD_BYTES = 15.0, 600_000_000
MILLION = 1_000_000
_PART_BYTES = 150_000
_LENGTH = struct.Struct(">I")
AT = "2030-01-01T00:00:00Z"


class _Consumed:
    """A record of the ledger as the client gives it."""

    __slots__ = ("_offset", "_value")

    def __init__(self, value: bytes, offset: int) -> None:
        self._value, self._offset = value, offset

    def value(self) -> bytes:
        return self._value

    def offset(self) -> int:
        return self._offset


def write(folder: Path, events: int) -> Counter[str]:
    """Write the ledger as records and as an export, and a snapshot; how many events of each kind."""
    codec, kinds, state = EventCodec(SchemaRepository.load(Settings().schemas)), Counter[str](), LedgerState()
    with (folder / "records").open("wb") as records, (folder / "export").open("w", encoding="utf-8") as export:
        for event in ledger_of(events):
            value = codec.encode(event)
            records.write(_LENGTH.pack(len(value)) + value)
            export.write(write_line(codec.decode(_Consumed(value, event.seq - 1))))  # type: ignore[arg-type]
            kinds[event.event] += 1
            if state.seq == event.seq - 1 and event.seq <= events - EVERY_EVENTS:
                apply(state, event)
    with (folder / "snapshot").open("wb") as snapshot:
        snapshot.writelines(write_state(state))
    return kinds


def lead(folder: Path) -> str:
    """Read the snapshot, and fold what came behind it."""
    codec, tail = EventCodec(SchemaRepository.load(Settings().schemas)), 0
    with (folder / "snapshot").open("rb") as snapshot:
        state = read_state(iter(lambda: snapshot.read(_PART_BYTES), b""))
    with (folder / "records").open("rb") as file:
        for record in records(file, state.seq):
            apply(state, codec.decode(record))  # type: ignore[arg-type]
            tail += 1
    return f"{len(state.demands)} demands, {len(state.grants)} grants, {tail} events folded"


def records(file: BinaryIO, first: int = 0) -> Iterator[_Consumed]:
    """The records of the ledger from an offset on, one after the other."""
    offset = 0
    while length := file.read(_LENGTH.size):
        if offset < first:
            file.seek(_LENGTH.unpack(length)[0], os.SEEK_CUR)
        else:
            yield _Consumed(file.read(_LENGTH.unpack(length)[0]), offset)
        offset += 1


def follow(folder: Path) -> str:
    """Decode and fold every record."""
    codec, state = EventCodec(SchemaRepository.load(Settings().schemas)), LedgerState()
    with (folder / "records").open("rb") as file:
        for record in records(file):
            apply(state, codec.decode(record))  # type: ignore[arg-type]
    return f"{len(state.demands)} demands, {len(state.grants)} grants, {state.unread} events not read"


def recount(folder: Path) -> str:
    """The rate from the export."""
    with redirect_stdout(io.StringIO()) as shown:
        rate(folder / "export", at=AT, as_json=True)
    return f"{len(shown.getvalue())} characters"


def measured(work: Callable[[Path], str], folder: Path, answer: Connection) -> None:
    """In a process of its own: CPU seconds, highest resident bytes, what it came to."""
    collect_rarely()
    began = time.process_time()
    came_to = work(folder)
    answer.send((time.process_time() - began, memory_of(multiprocessing.current_process().pid or 0).most, came_to))


WORKS: tuple[Callable[[Path], str], ...] = (lead, follow, recount)


def _within(work: Callable[[Path], str], events: int, cpu: float, memory: int) -> bool:
    if work is lead:
        return cpu < LEAD_SECONDS and memory < LEAD_BYTES
    return cpu * MILLION / events < BOUND_SECONDS and memory < BOUND_BYTES * max(1, events / MILLION)


def main() -> int:
    """Print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("-n", type=int, default=MILLION, help="events")
    arguments.add_argument("--only", choices=[work.__name__ for work in WORKS], help="one of the three")
    asked = arguments.parse_args()
    events = asked.n
    within, spawn = True, multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = write(folder, events)
        print(", ".join(f"{count} {kind}" for kind, count in kinds.most_common()), flush=True)
        for work in (one for one in WORKS if asked.only in (None, one.__name__)):
            here, there = spawn.Pipe()
            child = spawn.Process(target=measured, args=(work, folder, there))
            child.start()
            cpu, memory, came_to = here.recv()
            child.join()
            within = within and _within(work, events, cpu, memory)
            print(
                f"{work.__name__}: {cpu:.1f} s of CPU ({cpu / events * 1e6:.1f} µs an event), "
                f"at most {memory / 1e6:.0f} MB; {came_to}",
                flush=True,
            )
    return int(not within)


if __name__ == "__main__":
    sys.exit(main())
