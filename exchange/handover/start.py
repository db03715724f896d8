"""A sink at work: wait for its grant, open its table, hand over until told to stop."""

import threading
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

import structlog

from exchange.avro.lock import SchemaRepository
from exchange.backoff import Backoff
from exchange.clock import Clock, SystemClock
from exchange.connect.declare import Sink
from exchange.connect.find import Connector
from exchange.connect.tables import Table, database
from exchange.errors import ExchangeError
from exchange.faults.log import Faults
from exchange.handover.decode import Decoder
from exchange.handover.grants import ActiveGrant, GrantFinder, Watch
from exchange.handover.layout import Layout
from exchange.handover.line import Begin, HandoverLine, Owner, Steps
from exchange.handover.receive import judge
from exchange.handover.table.target import SqlTarget
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.producer import IdempotentProducer
from exchange.kafka.client.share_reader import ShareReader, is_refusal
from exchange.settings import Settings

_PAUSE_SECONDS = 1.0
_PATIENCE = 10
"""How often an active grant may be refused, one pause apart: rights and topics need a moment to reach all brokers."""
_BACKOFF = Backoff(first=1.0, longest=15.0)
_PREPARING = threading.Lock()
"""Sinks of one process share a database: two that make the same table at once would refuse each other."""
_log = structlog.get_logger("exchange.handover")


@dataclass(frozen=True, slots=True)
class Run:
    """How long to work, and by which clock."""

    stop: threading.Event
    once: bool = False
    """Only until the share has been read to its end."""
    clock: Clock = field(default_factory=SystemClock)


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
            moved = _serve_grant(connector, sink, settings, (grant, finder), run)
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


def _serve_grant(
    connector: Connector, sink: Sink, settings: Settings, granted: tuple[ActiveGrant, GrantFinder], run: Run
) -> bool:
    """Hand over until told to stop (False), or until the grant goes on in another share (True)."""
    if isinstance(sink.into, Table):
        return _hand_over((connector, sink.into.name), sink, settings, granted, run)
    from exchange.handover.files.start import serve_files  # noqa: PLC0415 - a sink with a table needs no signatures

    return serve_files(connector, sink, settings, (*granted, _natural_key(sink, settings)), run)


def _hand_over(
    into: tuple[Connector, str],
    sink: Sink,
    settings: Settings,
    granted: tuple[ActiveGrant, GrantFinder],
    run: Run,
) -> bool:
    """The same for a table. into: the connector and the table's name."""
    (connector, table), (grant, finder) = into, granted
    connection = Connection.of(settings.kafka)
    with ExitStack() as stack:
        layout = Layout.of(finder.schema(grant.schema_id), _natural_key(sink, settings), grant.pseudonymous)
        target = stack.enter_context(closing(SqlTarget(table, database(settings.connector), layout)))
        producer = stack.enter_context(closing(IdempotentProducer(connection)))
        _prepare(target, grant, run.stop)

        def open_reader(begin: Begin) -> ShareReader:
            return ShareReader(connection, grant.topic, grant.group, settings.worker_id, begin)

        steps = Steps(
            open_reader,
            Decoder(finder.schema),
            target,
            producer,
            Faults(connector.name, sink.record_type),
            run.clock,
            Watch(grant, finder),
        )
        HandoverLine(Owner(connector.department, sink.record_type, grant), steps).run(run.stop, run.once)
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


def _natural_key(sink: Sink, settings: Settings) -> tuple[str, ...]:
    schema = SchemaRepository.load(settings.schemas).latest(sink.record_type)
    if schema.record is None:
        raise ExchangeError("E_SCHEMA", f"{sink.record_type} is no record type")
    return schema.record.natural_key
