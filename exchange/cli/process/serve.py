"""`exchange serve`: the broker service."""

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exchange import settings as settings_module
from exchange.observe.logs import configure

if TYPE_CHECKING:
    import uvicorn

    from exchange.broker.service import BrokerService

_BACKLOG = 128
_STOP_SECONDS = 10
_WATCH_SECONDS = 1.0


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
    from exchange.web.protocol import RequestProtocol  # noqa: PLC0415

    settings = settings_module.load()
    configure(settings.log_level)
    collect_rarely()
    if bootstrap is not None:
        prepare(settings.kafka, bootstrap)
    service = BrokerService(settings)
    app = create_app(service, settings.http)
    config = uvicorn.Config(
        app,
        http=RequestProtocol,
        host=settings.http.host,
        port=settings.http.port,
        log_config=None,
        access_log=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_STOP_SECONDS,
        server_header=False,
    )
    server = uvicorn.Server(config)
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
        server.run()
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
