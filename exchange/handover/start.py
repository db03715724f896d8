"""A sink at work: wait for its grant, open its table, hand over until told to stop."""

import threading
from contextlib import ExitStack, closing
from functools import partial

import structlog

from exchange.backoff import Backoff
from exchange.connect.declare import Sink
from exchange.connect.find import Connector
from exchange.connect.tables import Table, database
from exchange.errors import ExchangeError
from exchange.faults.log import Faults
from exchange.handover.decode import Decoder
from exchange.handover.granted import GrantedSink, Run
from exchange.handover.grants import ActiveGrant, GrantFinder, Watch
from exchange.handover.line import HandoverLine, Steps
from exchange.handover.receive import judge
from exchange.handover.report import Reporter
from exchange.handover.table.target import Shape, SqlTarget
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.producer import IdempotentProducer
from exchange.kafka.client.share_reader import is_refusal
from exchange.settings import Settings

_PAUSE_SECONDS = 1.0
_PATIENCE = 10
"""How often an active grant may be refused, one pause apart: rights and topics need a moment to reach all brokers."""
_BACKOFF = Backoff(first=1.0, longest=15.0)
_PREPARING = threading.Lock()
"""Sinks of one process share a database: two that make the same table at once would refuse each other."""
_log = structlog.get_logger("exchange.handover")


def serve(connector: Connector, sink: Sink, settings: Settings, run: Run) -> None:
    """Run a sink until told to stop.

    Raises ExchangeError: E_GRANT_REFUSED when the grant ends or is suspended, E_CONNECTOR when the table does not fit.
    """
    stop = run.stop
    finder = GrantFinder(settings.api)
    patience = _PATIENCE
    while not stop.is_set():
        grant = finder.wait(connector.department, sink.record_type, sink.provider, stop)
        if grant is None:
            return
        _log.info("handover.grant", stage="handover.receive", grant=grant.grant, topic=grant.topic)
        try:
            moved = _serve_grant(GrantedSink(connector, sink, settings, grant, finder), run)
        except ExchangeError as error:
            judged = judge(error, grant, finder)
            if not is_refusal(judged) or not patience or stop.is_set():
                raise judged from None
            patience -= 1
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
        layout = granted.layout()
        shape = Shape(granted.sink.columns, granted.sink.map)
        address = database(granted.settings.connector)
        target = stack.enter_context(closing(SqlTarget(into.name, address, layout, shape=shape)))
        producer = stack.enter_context(closing(IdempotentProducer(connection)))
        _prepare(target, granted.grant, run.stop)
        steps = Steps(
            partial(granted.open_reader, connection),
            Decoder(granted.finder.schema),
            target,
            Reporter(owner, Faults(connector.name, owner.record_type), producer),
            run.clock,
            Watch(granted.grant, granted.finder),
        )
        HandoverLine(owner, steps).run(run.stop, run.once)
        return steps.moved()


def _prepare(target: SqlTarget, grant: ActiveGrant, stop: threading.Event) -> None:
    for _ in _BACKOFF.attempts(stop):
        try:
            with _PREPARING:
                target.prepare(grant.grant)
            return
        except ExchangeError as error:
            if error.code != "E_SINK_UNREACHABLE":
                raise
            _log.warning("handover.sink_away", stage=error.entry.stage, code=error.code, detail=error.detail)
