"""A broker instance with clients as a process of its own, for tests that kill or stop it.

stdin: one JSON object {"settings": {...}, "place": [topic, group, transactional id], "worker": id, "clients": n}.
stdout: `leader` when it leads, then what the clients tell, a line each; `over` when each of them has been refused.
"""

import json
import sys
import threading
from pathlib import Path

from exchange.avro.lock import SchemaRepository
from exchange.kafka.client.connection import Connection
from exchange.ledger.store.ledger_store import LedgerStore
from exchange.ledger.store.ledger_topic import LedgerTopic
from exchange.observe import logs
from exchange.settings import KafkaSettings, Settings
from tests.harness.ledger.clients import call_until_refused

_telling = threading.Lock()


def tell(line: str) -> None:
    """Write a line as a whole."""
    with _telling:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def main() -> None:
    """Run until killed."""
    logs.configure("info")
    job = json.loads(sys.stdin.readline())
    settings = KafkaSettings.model_validate(job["settings"])
    schemas = SchemaRepository.load(Path(Settings().schemas))
    store = LedgerStore(Connection.of(settings), schemas, job["worker"], topic=LedgerTopic(*job["place"]))
    store.start()
    while not store.leader:
        store.wait(store.state.seq, 0.1)
    tell("leader")
    names = [f"{job['worker']}-{number}" for number in range(job["clients"])]
    clients = [threading.Thread(target=call_until_refused, args=(store, name, tell), daemon=True) for name in names]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    tell("over")
    threading.Event().wait()


main()
