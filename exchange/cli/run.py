"""`exchange run`: one connector of a department."""

import signal
import threading
from types import FrameType
from typing import Annotated

import typer

from exchange import settings as settings_module
from exchange.connect.declare import Source
from exchange.connect.find import Connector, find
from exchange.observe import logs
from exchange.observe.health import HealthServer
from exchange.settings import Settings


def run(
    connector: Annotated[str, typer.Argument(help="<department>.<connector>, for example public-security.residents")],
    once: Annotated[bool, typer.Option("--once", help="Stop when there is nothing more to do just now.")] = False,
) -> None:
    """A department's source or sink, until it is told to stop (Ctrl-C or SIGTERM).

    Example: `EXCHANGE_KAFKA__USERNAME=taxation … exchange run taxation.companies`
    """
    settings = settings_module.load()
    logs.configure(settings.log_level)
    found = find(connector)
    stop = _stop_on_signal()
    health = HealthServer(settings.metrics.host, settings.metrics.port, lambda: True, lambda: not stop.is_set())
    try:
        work(found, settings, stop, once)
    finally:
        health.close()


def work(connector: Connector, settings: Settings, stop: threading.Event, once: bool = False) -> None:
    """Run a connector in this thread until `stop` is set, or with `once` until there is nothing more to do."""
    declared = connector.declaration
    if isinstance(declared, Source):
        from exchange.intake.start import open_line  # noqa: PLC0415 - a source needs no sink's parts, and the reverse

        line = open_line(connector, declared, settings)
        try:
            line.run(stop, once)
        finally:
            line.close()
    else:
        from exchange.handover.start import Run, serve  # noqa: PLC0415

        serve(connector, declared, settings, Run(stop, once))


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()

    def told(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    return stop
