"""What the workers of both inner lines share: they end cleanly when told to, and show their health and metrics."""

import signal
import threading
import time

import structlog

from exchange.kafka.line.line import Line
from exchange.observe import metrics
from exchange.observe.health import HealthServer
from exchange.settings import MetricsSettings

_log = structlog.get_logger("exchange.worker")
_SILENT_SECONDS = 90.0
"""A line that has not come round for so long hangs: a commit may take 40 seconds."""


def run_worker(line: Line, name: str, settings: MetricsSettings) -> None:
    """Run a line until SIGTERM or SIGINT; then it finishes its batch. Raises ExchangeError when it must stop."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def refresh() -> None:
        for record_type, (records, seconds) in line.lag.items():
            metrics.LINE_LAG_RECORDS.set(records, name, record_type)
            metrics.LINE_LAG_SECONDS.set(seconds, name, record_type)

    health = HealthServer(
        settings.host,
        settings.worker_port,
        live=lambda: time.monotonic() - line.turned < _SILENT_SECONDS,
        unready=lambda: [] if line.ready else [f"{name}: not ready yet"],
        refresh=refresh,
    )
    try:
        line.run(stop)
        _log.info("worker.stopped", line=name)
    finally:
        health.close()
