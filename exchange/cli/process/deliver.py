"""`exchange deliver`: one worker of the delivery line."""

from exchange import names, settings
from exchange.avro.lock import SchemaRepository
from exchange.cli.process.worker import run_worker
from exchange.clock import SystemClock
from exchange.delivery.cutting.pseudonym import MasterSecret
from exchange.delivery.ledger_shares import LedgerShares
from exchange.delivery.line import LINE, DeliveryFactory, Parts
from exchange.delivery.line_metrics import LineMetrics
from exchange.delivery.writers import writers_of
from exchange.kafka.client.connection import Connection
from exchange.kafka.line.line import Line
from exchange.ledger.snapshot.topic import snapshots_of
from exchange.ledger.store.follower import LedgerFollower
from exchange.observe import logs


def deliver() -> None:
    """Cut what stands in the registries to what was granted, and write it into the shares.

    Run as many workers as there are partitions, each with its own EXCHANGE_WORKER_ID. It ends cleanly on SIGTERM.

    Example: `EXCHANGE_WORKER_ID=deliver-1 exchange deliver`
    """
    configured = settings.load()
    logs.configure(configured.log_level)
    connection = Connection.of(configured.kafka)
    schemas = SchemaRepository.load(configured.schemas)
    master = MasterSecret.read(configured.master_secret_file)
    ledger = LedgerFollower(connection, schemas, snapshots=snapshots_of(connection, configured.ledger))
    ledger.catch_up()
    parts = Parts(connection, LedgerShares(ledger), writers_of(schemas), master, LineMetrics(SystemClock()))
    line = Line(connection, LINE, names.DELIVERY_GROUP, configured.worker_id, DeliveryFactory(parts))
    try:
        run_worker(line, LINE, configured.metrics)
    finally:
        ledger.close()
