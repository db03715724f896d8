"""A publisher of a plan's versions, as a process that may be killed at any moment.

`python -m tests.harness.faults.publisher SEED SIZE KEYS RATE FILE` writes RATE versions a second into the inboxes.
FILE holds the number of versions that have arrived for certain; after a kill it goes on there, so that what had
arrived beyond is published a second time with the same sequences. It ends when the plan is at its end.
"""

import sys
import threading
from pathlib import Path

from exchange import record, settings
from exchange.avro import Codec
from exchange.avro.lock import SchemaRepository
from exchange.clock import Deadline
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.producer import IdempotentProducer
from tests.harness.faults.plan import INBOXES, Plan, Version

_TURN_SECONDS = 0.1
_ARRIVAL_SECONDS = 240.0


class Publisher:
    """Sends versions and remembers in a file how many have arrived."""

    def __init__(self, plan: Plan, file: Path) -> None:
        configured = settings.load()
        schemas = SchemaRepository.load(configured.schemas)
        latest = {name: schemas.latest(name) for name in INBOXES}
        self._frames = {name: record.frame(schema.id) for name, schema in latest.items()}
        self._encode = {name: Codec(schema.schema).encode for name, schema in latest.items()}
        self._producer = IdempotentProducer(Connection.of(configured.kafka))
        self._plan, self._file = plan, file

    def run(self, rate: int) -> None:
        """Publish from where the file says to the end of the plan."""
        done = arrived(self._file)
        turn = max(1, int(rate * _TURN_SECONDS))
        while done < self._plan.size:
            next_turn = Deadline.after(_TURN_SECONDS)
            upto = min(self._plan.size, done + turn)
            for number in range(done, upto):
                self._send(self._plan.version(number))
            self._producer.flush(Deadline.after(_ARRIVAL_SECONDS))
            done = upto
            self._note(done)
            threading.Event().wait(next_turn.remaining())

    def _send(self, version: Version) -> None:
        name, key, sequence, row = version
        value = None if row is None else self._frames[name] + self._encode[name](row)
        self._producer.send(INBOXES[name], key, value, [(record.SEQUENCE, b"%d" % sequence)])

    def _note(self, done: int) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(str(done), encoding="utf-8")
        fresh.replace(self._file)


def arrived(file: Path) -> int:
    """How many versions have arrived for certain."""
    return int(file.read_text(encoding="utf-8")) if file.exists() else 0


if __name__ == "__main__":
    seed, size, keys, rate = map(int, sys.argv[1:5])
    Publisher(Plan(seed, size, keys), Path(sys.argv[5])).run(rate)
