"""What the memory of delivery costs: `python -m tests.bench.bench_delivery_state`. Needs no Kafka.

1. Restart: CPU and resident memory for folding a unit's state records, per 10^6 keys: who holds a record of one scoped
   share; holding and hash of the last cut of one share of a personal type; of three. Fetching them from Kafka is extra.
2. Suppression: CPU of a cut per record of a share, with and without it: of new records, and of versions that change
   nothing that was granted.

Ends with status 1 when a restart costs more than 20 s of CPU per 10^6 keys.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from exchange import names
from exchange.avro import Codec
from exchange.avro.lock import SchemaRepository
from exchange.avro.subset import subset_schema
from exchange.delivery.cut import Holdings, compile_cut
from exchange.delivery.permit import Share
from exchange.delivery.state import Joined, UnitState, encode_holders, encode_place
from exchange.ledger.state.ledger_state import Terms
from exchange.record import frame
from exchange.settings import Settings
from tests.harness.kafka.admission import companies, variants
from tests.harness.kafka.delivery import EIGHT, PROVIDER, TYPE, headers

BOUND_SECONDS = 20.0
MILLION = 1_000_000
_PAGE = os.sysconf("SC_PAGE_SIZE")
KINDS = {"one scoped share": (1, False), "one personal share": (1, True), "three personal shares": (3, True)}
"""(shares, whether they remember a hash)."""


def resident_bytes() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * _PAGE


def rebuild(kind: str, keys: int, answer: Connection) -> None:
    """In a process of its own: (CPU seconds, bytes) of a restart."""
    shares, hashed = KINDS[kind]
    state = UnitState()
    for number in range(1, shares + 1):
        state.apply(*encode_place(names.ShareName(f"s{number}"), Joined(0, 0, number)))
    memory, cpu = resident_bytes(), 0.0
    for first in range(0, keys, 10_000):
        records = list(_holders(range(first, min(first + 10_000, keys)), shares, hashed))
        began = time.process_time()
        for key, value in records:
            state.apply(key, value)
        cpu += time.process_time() - began
    state.forget_strangers()
    answer.send((cpu, resident_bytes() - memory))


def _holders(keys: Sequence[int], shares: int, hashed: bool) -> Iterator[tuple[bytes, bytes | None]]:
    for number in keys:
        digests = [os.urandom(8) if hashed else None for _ in range(shares)]
        yield encode_holders(b"91340100T%09d" % number, zip(range(1, shares + 1), digests, strict=True))


def restarts(keys: int) -> float:
    """Print the cost of a restart for each kind of state; the worst CPU per 10^6 keys."""
    worst, spawn = 0.0, multiprocessing.get_context("spawn")
    for kind in KINDS:
        here, there = spawn.Pipe()
        child = spawn.Process(target=rebuild, args=(kind, keys, there))
        child.start()
        cpu, memory = (cost * MILLION / keys for cost in here.recv())
        child.join()
        worst = max(worst, cpu)
        print(f"restart, {kind}: {cpu:.1f} s of CPU and {memory / 2**20:.0f} MiB per 10^6 keys", flush=True)
    return worst


class _Consumed:
    __slots__ = ("headers", "key", "value")

    def __init__(self, value: Any, key: Any, about: Any) -> None:
        self.value, self.key, self.headers = (lambda: value), (lambda: key), (lambda: about)


def _nowhere(*_arguments: Any, headers: Any) -> None:
    """Takes what would be produced."""


def suppression(records: int) -> None:
    """Print what suppression adds to a cut."""
    locked = SchemaRepository.load(Settings().schemas).latest(TYPE)
    encode, framed = Codec(locked.schema).encode, frame(locked.id)
    rows = enumerate(variants(list(companies(2_000)), records))
    batch = [_Consumed(framed + encode(row), row["credit_code"].encode(), headers(number)) for number, row in rows]
    terms, shown = Terms(TYPE, PROVIDER, EIGHT), subset_schema(locked.schema, EIGHT, {}, "Share")
    for personal in (False, True):
        secret = b"k" * 32 if personal else None
        share = Share(names.ShareName("s"), 1, terms, names.FIRST_LEDGER_SCHEMA_ID, shown, personal, secret)
        cut = compile_cut(locked.id, locked.schema, [share], Holdings(), 0)
        new, same = _timed(cut, batch), _timed(cut, batch)
        kind = "with suppression" if personal else "without"
        print(f"cut {kind}: {new:.2f} µs a new record, {same:.2f} µs a version that changes nothing", flush=True)


def _timed(cut: Any, batch: Sequence[Any]) -> float:
    began = time.process_time()
    cut(batch, _nowhere, None, None)
    return (time.process_time() - began) / len(batch) * 1e6


def main() -> int:
    """Print all figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("-n", type=int, default=MILLION, help="keys of a restart")
    keys = arguments.parse_args().n
    suppression(50_000)
    return int(restarts(keys) > BOUND_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
