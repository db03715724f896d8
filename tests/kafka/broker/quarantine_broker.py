"""A broker instance as a process of its own, for tests that kill it: it redrives some quarantined records after others.

stdin: one JSON object {"settings": {...}, "worker": id, "department": slug, "parts": {name: [offsets]}}.
stdout: `leader` when it leads, then `begin` before each part and its name when its redrive was answered.
"""

import json
import sys
import threading
from pathlib import Path

from exchange.avro.lock import SchemaRepository
from exchange.broker.quarantine.commands import Asked
from exchange.broker.quarantine.desk import By, Quarantine
from exchange.kafka.admin.admin import Admin
from exchange.kafka.client.connection import Connection
from exchange.ledger.store.ledger_store import LedgerStore
from exchange.observe import logs
from exchange.quarantine.store import KafkaQuarantineStore
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
    quarantine = Quarantine(store, KafkaQuarantineStore(connection, Admin(connection)), schemas, dict)
    for name, offsets in job["parts"].items():
        asked = Asked(ids=tuple(f"{job['department']}/0/{offset}" for offset in offsets), limit=len(offsets))
        print("begin", flush=True)
        quarantine.redrive(job["department"], asked, By(None, "operator", f"redrive-{name}"))
        print(name, flush=True)
    threading.Event().wait()


main()
