"""What a replay of the ledger costs: `python -m tests.bench.bench_ledger`. Needs no Kafka.

A believable, chained ledger of so many events is written once; then, each in a process of its own, CPU and highest
resident memory of

1. follow: decoding the records as Kafka holds them and folding them, as every broker service and every line does;
2. rate: `exchange ledger rate --from FILE`, the satisfaction rate from an export alone.

Fetching from Kafka is extra. Ends with status 1 when either costs more than 30 s of CPU or 400 MB per 10^6 events.
"""

import argparse
import io
import multiprocessing
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
from exchange.cli.ledger import rate
from exchange.ledger.events.event import write_line
from exchange.ledger.events.wire import EventCodec
from exchange.ledger.fold.apply import apply
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.store.garbage_collection import collect_rarely
from exchange.settings import Settings
from tests.harness.ledger.years import ledger_of
from tests.harness.process_memory import memory_of

BOUND_SECONDS = 30.0
BOUND_BYTES = 400_000_000
MILLION = 1_000_000
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
    """Write the ledger as records and as an export; how many events of each kind."""
    codec, kinds = EventCodec(SchemaRepository.load(Settings().schemas)), Counter[str]()
    with (folder / "records").open("wb") as records, (folder / "export").open("w", encoding="utf-8") as export:
        for event in ledger_of(events):
            value = codec.encode(event)
            records.write(_LENGTH.pack(len(value)) + value)
            export.write(write_line(codec.decode(_Consumed(value, event.seq - 1))))  # type: ignore[arg-type]
            kinds[event.event] += 1
    return kinds


def records(file: BinaryIO) -> Iterator[_Consumed]:
    """The records of the ledger, one after the other."""
    offset = 0
    while length := file.read(_LENGTH.size):
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


def main() -> int:
    """Print both figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("-n", type=int, default=MILLION, help="events")
    events = arguments.parse_args().n
    within, spawn = True, multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = write(folder, events)
        print(", ".join(f"{count} {kind}" for kind, count in kinds.most_common()), flush=True)
        for work in (follow, recount):
            here, there = spawn.Pipe()
            child = spawn.Process(target=measured, args=(work, folder, there))
            child.start()
            cpu, memory, came_to = here.recv()
            child.join()
            within = within and cpu * MILLION / events < BOUND_SECONDS and memory < BOUND_BYTES
            print(
                f"{work.__name__}: {cpu:.1f} s of CPU ({cpu / events * 1e6:.1f} µs an event), "
                f"at most {memory / 1e6:.0f} MB; {came_to}",
                flush=True,
            )
    return int(not within)


if __name__ == "__main__":
    sys.exit(main())
