"""`exchange deliver`: one worker of the delivery line."""

import signal
import threading
import time
from types import FrameType

from exchange import settings as settings_module
from exchange.avro.lock import SchemaRepository
from exchange.clock import Deadline, SystemClock
from exchange.delivery.line import LINE, DeliveryFactory, Parts
from exchange.delivery.pseudonym import MasterSecret
from exchange.delivery.report import Report
from exchange.delivery.wanted import LedgerShares
from exchange.delivery.writers import writers_of
from exchange.kafka.connection import Connection
from exchange.kafka.line import Line
from exchange.ledger.follower import LedgerFollower
from exchange.names import DELIVERY_GROUP
from exchange.observe import logs
from exchange.observe.health import HealthServer
from exchange.settings import Settings

_LEDGER_SECONDS = 120.0
_STUCK_SECONDS = 60.0


def deliver() -> None:
    """One worker of the delivery line, until it is told to stop (Ctrl-C or SIGTERM). Start several to share the work.

    Example: `EXCHANGE_WORKER_ID=deliver-1 EXCHANGE_KAFKA__USERNAME=exchange-delivery … exchange deliver`
    """
    settings = settings_module.load()
    logs.configure(settings.log_level)
    work(settings, _stop_on_signal())


def work(settings: Settings, stop: threading.Event) -> None:
    """Deliver in this thread until `stop` is set. Raises ExchangeError when the worker must not go on."""
    connection = Connection.of(settings.kafka)
    schemas = SchemaRepository.load(settings.schemas)
    master = MasterSecret.read(settings.master_secret_file)
    follower = LedgerFollower(connection, schemas)
    follower.catch_up(Deadline.after(_LEDGER_SECONDS))
    report = Report(SystemClock())
    parts = Parts(connection, LedgerShares(follower), writers_of(schemas), master, report)
    line = Line(connection, LINE, DELIVERY_GROUP, settings.worker_id, DeliveryFactory(parts))
    report.behind = line.behind
    health = HealthServer(
        settings.metrics.host,
        settings.metrics.port,
        live=lambda: time.monotonic() - line.turned < _STUCK_SECONDS,
        ready=lambda: line.ready,
    )
    try:
        line.run(stop)
    finally:
        health.close()
        follower.close()


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()

    def told(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    return stop
