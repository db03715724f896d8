"""A source at work: the line of one connector, assembled from its declaration and the settings."""

from exchange.avro.lock import SchemaRepository
from exchange.clock import SystemClock
from exchange.connect.declare import Source
from exchange.connect.find import Connector
from exchange.errors import ExchangeError
from exchange.faults.log import Faults
from exchange.intake.books import StateFolder
from exchange.intake.encode import Encoder
from exchange.intake.line import IntakeLine, Pace, Steps
from exchange.intake.map import RowMapper
from exchange.intake.submit import Envelope, Submitter
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.producer import IdempotentProducer
from exchange.names import faults_topic, inbox_topic
from exchange.settings import Settings


def open_line(connector: Connector, source: Source, settings: Settings) -> IntakeLine:
    """The line of a source. Raises ExchangeError for settings, schema or connector that cannot work."""
    schema = SchemaRepository.load(settings.schemas).latest(source.record_type)
    if schema.record is None:
        raise ExchangeError("E_SCHEMA", f"{source.record_type} is no record type")
    clock = SystemClock()
    state = StateFolder(settings.connector.state_folder, connector.name)
    connection = Connection.of(settings.kafka)
    steps = Steps(
        source.reads.reader(settings.connector),
        RowMapper(source, schema.record),
        Encoder(schema),
        Submitter(
            lambda: IdempotentProducer(connection),
            inbox_topic(source.record_type, connector.department),
            faults_topic(connector.department),
            Envelope(source.record_type, clock),
        ),
        Faults(connector.name, source.record_type),
        clock,
    )
    pace = Pace(settings.connector.poll_seconds, settings.connector.heartbeat_seconds)
    return IntakeLine(steps, state, pace, source.record_type)
