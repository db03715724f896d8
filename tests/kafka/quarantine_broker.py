"""A broker instance as a process of its own, for tests that kill it: it redrives one quarantined record after another.

stdin: one JSON object {"settings": {...}, "worker": id, "department": slug, "offsets": [...]}.
stdout: `leader` when it leads, then each offset whose redrive was answered, a line each.
"""

import json
import sys
import threading
from pathlib import Path

from exchange.avro.lock import SchemaRepository
from exchange.broker.quarantine import By, Quarantine
from exchange.broker.quarantine_commands import Asked
from exchange.kafka.admin import Admin
from exchange.kafka.connection import Connection
from exchange.ledger.store import LedgerStore
from exchange.observe import logs
from exchange.quarantine.shelf import KafkaShelf
from exchange.settings import KafkaSettings, Settings


def main() -> None:
    """Run until killed."""
    logs.configure("info")
    job = json.loads(sys.stdin.readline())
    connection = Connection.of(KafkaSettings.model_validate(job["settings"]))
    schemas = SchemaRepository.load(Path(Settings().schemas))
    store = LedgerStore(connection, schemas, job["worker"])
    store.start()
    while not store.leader:
        store.wait(store.state.seq, 0.1)
    print("leader", flush=True)
    quarantine = Quarantine(store, KafkaShelf(connection, Admin(connection)), schemas, dict)
    for offset in job["offsets"]:
        asked = Asked(ids=(f"{job['department']}/0/{offset}",), limit=1)
        quarantine.redrive(job["department"], asked, By(None, "operator", f"redrive-{offset}"))
        print(offset, flush=True)
    threading.Event().wait()


main()
