"""`exchange run`: connectors of a department, in one process."""

import signal
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from types import FrameType
from typing import Annotated

import typer

from exchange import settings as settings_module
from exchange.cli.process.daily import reconciled_daily
from exchange.cli.process.together import Member, Orders, Together
from exchange.connect.declare import Source
from exchange.connect.find import Connector, find, named
from exchange.connect.tables import Table
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
    confirm_withdrawals: Annotated[
        bool,
        typer.Option(
            "--confirm-withdrawals",
            help="Sources: withdraw what is gone, however much it is, at the first comparison (see E_WITHDRAWALS).",
        ),
    ] = False,
) -> None:
    """A department's sources and sinks, until told to stop (Ctrl-C or SIGTERM); with --once, until all is done.

    Several of one department share the process, and nothing else: one that cannot go on is logged with what to do and
    shown at /readyz, its neighbours work on. While its grant is suspended or Kafka is away, it waits and begins again.
    Exit status 0 when all ended well, else the highest of theirs.

    Example: `EXCHANGE_KAFKA__USERNAME=taxation … exchange run taxation.companies taxation.real-estate-rights`
    """
    settings = settings_module.load()
    logs.configure(settings.log_level)
    orders = Orders(_stop_on_signal(), once, confirm_withdrawals)
    together = Together(_of_one_department(connectors), orders)
    health = HealthServer(settings.metrics.host, settings.metrics.worker_port, lambda: True, together.unready)
    try:
        together.run(lambda member: work(member, settings, orders))
    finally:
        health.close()


def _of_one_department(connectors: Sequence[str]) -> list[str]:
    """The connectors by their one name each. Raises ExchangeError(E_CONNECTOR) when they are of several departments."""
    found = [named(name) for name in connectors]
    if len({department for department, _ in found}) > 1:
        raise ExchangeError("E_CONNECTOR", "connectors that share a process belong to one department")
    return list(dict.fromkeys(name for _, name in found))


def work(member: Member, settings: Settings, orders: Orders) -> None:
    """Run a connector in this thread until it is told to stop, or with `once` until there is nothing more to do."""
    connector = find(member.name)
    daily = nullcontext() if orders.once or not _compares(connector) else reconciled_daily(connector, settings)
    with daily:
        _work(connector, settings, member, orders)


def _compares(connector: Connector) -> bool:
    """Whether there is a table that can be held against a share: a drop folder has none."""
    declared = connector.declaration
    return isinstance(declared, Source) or isinstance(declared.into, Table)


def _work(connector: Connector, settings: Settings, member: Member, orders: Orders) -> None:
    declared = connector.declaration
    if isinstance(declared, Source):
        from exchange.intake.start import open_line  # noqa: PLC0415 - a source needs no sink's parts, and the reverse

        line = open_line(connector, declared, settings)
        try:
            member.follow(lambda: line.ready)
            line.run(orders.stop, orders.once, orders.confirm_withdrawals and member.first)
        finally:
            member.follow(None)
            line.close()
    else:
        from exchange.handover.granted import Run  # noqa: PLC0415
        from exchange.handover.start import serve  # noqa: PLC0415

        serve(connector, declared, settings, Run(orders.stop, orders.once, condition=member.condition))


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()

    def told(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    return stop
