"""`exchange admit`: one worker of the admission line."""

from exchange import names, settings
from exchange.admission.factory import AdmissionFactory
from exchange.admission.rules import Rules
from exchange.avro.lock import SchemaRepository
from exchange.catalogue.code_sets import FOLDER, load_code_sets
from exchange.cli.process.worker import run_worker
from exchange.clock import SystemClock
from exchange.kafka.client.connection import Connection
from exchange.kafka.line.line import Line
from exchange.ledger.snapshot.topic import snapshots_of
from exchange.ledger.store.follower import LedgerFollower
from exchange.observe import logs


def admit() -> None:
    """Check what departments submit and write it into the registries. Run as many workers as there are partitions.

    Every worker needs its own EXCHANGE_WORKER_ID. It ends cleanly on SIGTERM.

    Example: `EXCHANGE_WORKER_ID=admit-1 exchange admit`
    """
    configured = settings.load()
    logs.configure(configured.log_level)
    connection = Connection.of(configured.kafka)
    schemas = SchemaRepository.load(configured.schemas)
    ledger = LedgerFollower(connection, schemas, snapshots=snapshots_of(connection, configured.ledger))
    ledger.catch_up()
    rules = Rules(schemas, load_code_sets(configured.schemas / FOLDER), ledger, SystemClock())
    factory = AdmissionFactory(connection, rules)
    line = Line(connection, "admission", names.ADMISSION_GROUP, configured.worker_id, factory)
    try:
        run_worker(line, "admission", configured.metrics)
    finally:
        ledger.close()
