"""A sink at work: wait for its grant, open its table, hand over until told to stop."""

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from functools import partial

import structlog

from exchange.clock import Deadline
from exchange.connect.declare import Sink
from exchange.connect.find import Connector
from exchange.connect.tables import Table, database
from exchange.errors import ExchangeError
from exchange.faults.fold import Fault, FaultsFold
from exchange.faults.log import Faults
from exchange.faults.read import fold_log
from exchange.handover.decode import Decoder
from exchange.handover.granted import GrantedSink, Run
from exchange.handover.grants import ActiveGrant, GrantFinder, Holder, Watch
from exchange.handover.health import SinkHealth
from exchange.handover.line import HandoverLine, Steps
from exchange.handover.patience import Patience
from exchange.handover.receive import judge
from exchange.handover.report import Receipts, Reporter
from exchange.handover.table.set_aside import SetAsideRecord, SetAsideView
from exchange.handover.table.target import Shape, SqlTarget
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.producer import IdempotentProducer
from exchange.kafka.client.share_reader import is_refusal
from exchange.settings import Settings

_PAUSE_SECONDS = 1.0
_PATIENCE = 10
"""How often an active grant may be refused, one pause apart: rights and topics need a moment to reach all brokers."""
_LOG_SECONDS = 60.0
_MOST_FAULTS = 100_000
"""Open items that are held against the table at once; those that have waited longest come first."""
_PREPARING = threading.Lock()
"""Sinks of one process share a database: two that make the same table at once would refuse each other."""
_log = structlog.get_logger("exchange.handover")


def serve(connector: Connector, sink: Sink, settings: Settings, run: Run) -> None:
    """Run a sink until told to stop.

    Raises ExchangeError: E_GRANT_REFUSED when the grant ends or is suspended, E_CONNECTOR when the table does not fit.
    """
    stop = run.stop
    finder, health = GrantFinder(settings.api), SinkHealth(connector.name, run.condition, run.clock)
    holder = Holder(connector.department, sink.record_type, sink.provider)
    patience = _PATIENCE
    while not stop.is_set():
        grant = finder.wait(holder, health, stop)
        if grant is None:
            return
        _log.info("handover.grant", stage="handover.receive", grant=grant.grant, topic=grant.topic)
        try:
            moved = _serve_grant(GrantedSink(connector, sink, settings, grant, finder, health), run)
        except ExchangeError as error:
            judged = judge(error, grant, finder)
            if not is_refusal(judged) or not patience or stop.is_set():
                raise judged from None
            patience -= 1
            health.away(judged)
            stop.wait(_PAUSE_SECONDS)
            continue
        if not moved:
            return
        patience = _PATIENCE


def _serve_grant(granted: GrantedSink, run: Run) -> bool:
    """Hand over until told to stop (False), or until the grant goes on in another share (True)."""
    into = granted.sink.into
    if isinstance(into, Table):
        return _serve_table(granted, into, run)
    from exchange.handover.files.start import serve_files  # noqa: PLC0415 - a sink with a table needs no signatures

    return serve_files(granted, into, run)


def _serve_table(granted: GrantedSink, into: Table, run: Run) -> bool:
    """The same for a sink with a table."""
    connector, owner = granted.connector, granted.owner
    connection = Connection.of(granted.settings.kafka)
    with ExitStack() as stack:
        patience = Patience(granted.health, run.stop)
        layout = patience.until(granted.layout)
        if layout is None:
            return False
        read_address = partial(database, granted.settings.connector)
        shape = Shape(granted.sink.columns, granted.sink.map)
        target = stack.enter_context(closing(SqlTarget(into.name, read_address, layout, shape=shape)))
        producer = stack.enter_context(closing(IdempotentProducer(connection)))
        patience.until(lambda: _prepare(target, granted.grant))
        steps = Steps(
            partial(granted.open_reader, connection),
            Decoder(granted.finder.schema),
            target,
            Reporter(owner, Faults(connector.name, owner.record_type), producer),
            Receipts(owner, producer),
            run.clock,
            Watch(granted.grant, granted.finder),
            granted.health,
            lambda: _waiting(read_address, into.name),
            partial(_told, connection, connector),
        )
        HandoverLine(owner, steps).run(run.stop, run.once)
        return steps.moved()


def _waiting(read_address: Callable[[], str], table: str) -> Sequence[SetAsideRecord]:
    with closing(SetAsideView(read_address, table)) as view:
        return view.listed()


def _told(connection: Connection, connector: Connector) -> Sequence[Fault]:
    with FaultsFold(connector.name) as fold:
        fold_log(connection, connector.department, fold, Deadline.after(_LOG_SECONDS))
        return fold.faults("E_APPLY", _MOST_FAULTS)


def _prepare(target: SqlTarget, grant: ActiveGrant) -> None:
    with _PREPARING:
        target.prepare(grant.grant)
