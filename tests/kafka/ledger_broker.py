"""A broker instance as a process of its own, for tests that kill it: it issues tokens while it leads.

stdin: one JSON object {"settings": {...}, "place": [topic, group, transactional id], "worker": id, "commands": n}.
stdout: `leader` when it leads, then the idempotency key of each command that was answered, a line each.
"""

import json
import sys
import threading
from pathlib import Path

from exchange.avro.lock import SchemaRepository
from exchange.broker.tokens import IssueToken
from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.connection import Connection
from exchange.ledger.place import LedgerPlace
from exchange.ledger.store import LedgerStore
from exchange.observe import logs
from exchange.settings import KafkaSettings, Settings


def main() -> None:
    """Run until killed."""
    logs.configure("info")
    job = json.loads(sys.stdin.readline())
    settings = KafkaSettings.model_validate(job["settings"])
    schemas = SchemaRepository.load(Path(Settings().schemas))
    store = LedgerStore(Connection.of(settings), schemas, job["worker"], place=LedgerPlace(*job["place"]))
    store.start()
    while not store.leader:
        store.wait(store.state.seq, 0.1)
    print("leader", flush=True)
    for number in range(job["commands"]):
        key = f"{job['worker']}-{number}"
        try:
            store.execute(IssueToken("auditor", None, key), "operator", key, Deadline.after(20))
        except ExchangeError as error:
            print(error.code, file=sys.stderr, flush=True)
            break
        print(key, flush=True)
    threading.Event().wait()


main()
