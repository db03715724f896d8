"""`exchange serve`: the broker service."""

import resource
import signal
import socket
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exchange import settings as settings_module
from exchange.observe.health import HealthServer
from exchange.observe.logs import configure

if TYPE_CHECKING:
    import uvicorn

    from exchange.broker.service import BrokerService

_STOP_SECONDS = 10
_WATCH_SECONDS = 1.0
_MOST_FILES = 16_384


def serve(
    bootstrap: Annotated[
        Path | None,
        typer.Option(
            "--bootstrap",
            help="Prepare a fresh Kafka first: ledger topics, secrets of the exchange's own principals and the key of "
            "the ledger (kept in this folder, made where missing), their rights.",
        ),
    ] = None,
) -> None:
    """The broker service: HTTP API, metrics, enforcement, evidence. Runs until SIGTERM or Ctrl-C.

    Example: `EXCHANGE_KAFKA__USERNAME=exchange-broker EXCHANGE_KAFKA__PASSWORD_FILE=secrets/exchange-broker.secret
    EXCHANGE_KAFKA__ADMIN_PASSWORD_FILE=secrets/admin.secret EXCHANGE_HTTP__OPERATOR_TOKEN_FILE=secrets/operator.token
    exchange serve`
    """
    import uvicorn  # noqa: PLC0415 - heavy, and only this command needs it

    from exchange.broker.preparation import prepare  # noqa: PLC0415
    from exchange.broker.service import BrokerService  # noqa: PLC0415
    from exchange.ledger.store.garbage_collection import collect_rarely  # noqa: PLC0415
    from exchange.web.app import create_app  # noqa: PLC0415
    from exchange.web.server.config import config_of, listen  # noqa: PLC0415

    settings = settings_module.load()
    configure(settings.log_level)
    collect_rarely()
    _open_as_many_files_as_allowed()
    with closing(listen(settings.http.host, settings.http.port)) as listening:
        if bootstrap is not None:
            prepare(settings.kafka, bootstrap)
        service = BrokerService(settings)
        app = create_app(service, settings.http)
        unready = lambda: [] if service.ready else ["the ledger is being read"]  # noqa: E731
        shown = HealthServer(settings.metrics.host, settings.metrics.broker_port, lambda: True, unready)
        with closing(shown):
            _run(service, uvicorn.Server(config_of(app, _STOP_SECONDS)), listening)


def _open_as_many_files_as_allowed() -> None:
    """Each connection is one: those of hostile clients must not take the ones that Kafka needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _run(service: "BrokerService", server: "uvicorn.Server", listening: socket.socket) -> None:
    """Serve until told to stop. Raises ExchangeError when the ledger cannot be followed any more."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn stops at the signal and then raises it again: what is left to do here still has to be done.
        signal.signal(number, lambda *_: None)
    stopped = threading.Event()
    service.start()
    watcher = threading.Thread(
        target=_stop_on_failure, args=(service, server, stopped), name="failure-watch", daemon=True
    )
    watcher.start()
    try:
        server.run([listening])
    finally:
        stopped.set()
        service.close()
    if service.ledger.failure is not None:
        raise service.ledger.failure


def _stop_on_failure(service: "BrokerService", server: "uvicorn.Server", stopped: threading.Event) -> None:
    """End the process when the ledger cannot be followed any more: a broken chain, or a twin with our id."""
    while not stopped.wait(_WATCH_SECONDS):
        if service.ledger.failure is not None:
            server.should_exit = True
            return
