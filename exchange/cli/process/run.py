"""`exchange run`: connectors of a department, in one process."""

import signal
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from types import FrameType
from typing import Annotated

import structlog
import typer

from exchange import settings as settings_module
from exchange.connect.declare import Source
from exchange.connect.find import Connector, find
from exchange.errors import ExchangeError
from exchange.observe import logs
from exchange.observe.health import HealthServer
from exchange.settings import Settings


def run(
    connectors: Annotated[
        list[str],
        typer.Argument(metavar="CONNECTOR...", help="<department>.<connector>, one or several"),
    ],
    once: Annotated[bool, typer.Option("--once", help="Stop when there is nothing more to do just now.")] = False,
) -> None:
    """A department's source or sink, until it is told to stop (Ctrl-C or SIGTERM).

    Several of one department share the process and end together: when one cannot go on, all are to be started again.

    Example: `EXCHANGE_KAFKA__USERNAME=taxation … exchange run taxation.companies taxation.real-estate-rights`
    """
    settings = settings_module.load()
    logs.configure(settings.log_level)
    found = _of_one_department(connectors)
    stop = _stop_on_signal()
    health = HealthServer(settings.metrics.host, settings.metrics.port, lambda: True, lambda: not stop.is_set())
    try:
        if len(found) == 1:
            work(found[0], settings, stop, once)
        else:
            _work_together(found, settings, stop, once)
    finally:
        health.close()


def _of_one_department(names: Sequence[str]) -> list[Connector]:
    found = [find(name) for name in dict.fromkeys(names)]
    if len({connector.department for connector in found}) > 1:
        raise ExchangeError("E_CONNECTOR", "connectors that share a process belong to one department")
    return found


def _work_together(found: Sequence[Connector], settings: Settings, stop: threading.Event, once: bool) -> None:
    """A thread for each connector; the first error ends all of them."""

    def one(connector: Connector) -> None:
        with structlog.contextvars.bound_contextvars(connector=connector.name):
            work(connector, settings, stop, once)

    with ThreadPoolExecutor(len(found), thread_name_prefix="connector") as threads:
        working = [threads.submit(one, connector) for connector in found]
        wait(working, return_when=FIRST_EXCEPTION)
        if any(future.done() and future.exception() for future in working):
            stop.set()
    for future in working:
        future.result()


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
        from exchange.handover.granted import Run  # noqa: PLC0415
        from exchange.handover.start import serve  # noqa: PLC0415

        serve(connector, declared, settings, Run(stop, once))


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()

    def told(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    return stop
