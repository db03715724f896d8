"""A source at work: the line of one connector, assembled from its declaration and the settings."""

from dataclasses import dataclass

from exchange.avro.lock import SchemaRepository
from exchange.clock import SystemClock
from exchange.connect.declare import Source
from exchange.connect.find import Connector
from exchange.connect.reading import Reader
from exchange.connect.tables import Query, Table
from exchange.errors import ExchangeError
from exchange.faults.log import Faults
from exchange.intake.collect import Collector
from exchange.intake.compare import Comparer, Terms
from exchange.intake.decide import Decider
from exchange.intake.encode import Encoder
from exchange.intake.health import Health, Of
from exchange.intake.line import IntakeLine, Pace, Steps
from exchange.intake.map import RowMapper
from exchange.intake.memory.memory import Memory
from exchange.intake.prepare import Preparer
from exchange.intake.schedule import Schedule
from exchange.intake.submit import Envelope, ReportSender, Submitter, Topics
from exchange.intake.take import Taker
from exchange.intake.unchanged.digests import RowDigests
from exchange.intake.unchanged.mapping_version import version_of
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.producer import IdempotentProducer
from exchange.names import RecordType, faults_topic, inbox_topic, report_topic
from exchange.settings import ConnectorSettings, Settings


def open_line(connector: Connector, source: Source, settings: Settings) -> IntakeLine:
    """The line of a source.

    Raises ExchangeError for settings, schema or connector that cannot work, and E_STATE when its state folder cannot be
    used or another process of the same source holds it.
    """
    schema = SchemaRepository.load(settings.schemas).latest(source.record_type)
    if schema.record is None:
        raise ExchangeError("E_SCHEMA", f"{source.record_type} is no record type")
    preparer = Preparer(RowMapper(source, schema.record), Encoder(schema))
    pace = pace_of(source, settings.connector)
    reader = source.reads.reader(settings.connector)
    try:
        memory = Memory(settings.connector.state_folder, connector.name, SystemClock())
    except BaseException:
        reader.close()
        raise
    return _line_of(
        connector, _Opened(reader, preparer, memory, pace, version_of(source, schema.id)), settings, source.record_type
    )


@dataclass(frozen=True, slots=True)
class _Opened:
    """What a line is made of that depends on the source alone."""

    reader: Reader
    preparer: Preparer
    memory: Memory
    pace: Pace
    mapping: str


def _line_of(connector: Connector, opened: _Opened, settings: Settings, record_type: RecordType) -> IntakeLine:
    """The line over what is open."""
    clock, memory, own = SystemClock(), opened.memory, settings.connector
    connection, department = Connection.of(settings.kafka), connector.department
    reports = ReportSender(lambda: IdempotentProducer(connection), report_topic(department))
    health = Health(Of(connector.name, record_type), memory, clock, reports)
    topics = Topics(inbox_topic(record_type, department), faults_topic(department))
    submitter = Submitter(lambda: IdempotentProducer(connection), topics, Envelope(record_type, clock), health)
    digests = RowDigests(opened.mapping)
    decider = Decider(opened.preparer, memory, Faults(connector.name, record_type), clock, digests)
    taker = Taker(decider, memory, submitter, record_type)
    collector = Collector(opened.reader, health)
    terms = Terms(own.withdrawn_part, own.withdrawn_rows, own.poll_seconds, record_type, opened.mapping)
    comparer = Comparer(connector.name, collector, taker, memory, terms, clock)
    return IntakeLine(Steps(collector, taker, comparer, submitter, reports, health, clock), memory, opened.pace)


def pace_of(source: Source, own: ConnectorSettings) -> Pace:
    """How a source is looked at. Raises ExchangeError(E_SETTINGS) for a schedule that is none."""
    reads = source.reads
    is_sql = isinstance(reads, Table | Query)
    follows = isinstance(reads, Table | Query) and reads.columns is not None and reads.columns.cursor is not None
    schedule = Schedule.of(own.compare)
    return Pace(own.poll_seconds, own.heartbeat_seconds, schedule, follows, watches=not is_sql)
