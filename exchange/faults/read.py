"""Reading a department's faults log from Kafka, as that department: nobody else may."""

from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.faults.fold import Fault, FaultsFold
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.reader import PartitionTail, read_to_end
from exchange.names import Department, faults_topic

_WAIT_SECONDS = 0.5


def fold_log(connection: Connection, department: Department, fold: FaultsFold, deadline: Deadline) -> None:
    """Add every entry that stands in the log now. Raises ExchangeError for what Kafka refuses, or is away."""
    for message in read_to_end(connection, [(faults_topic(department), 0)], deadline):
        fold.add(message.offset(), message.value())


def entry_of(connection: Connection, department: Department, fault: Fault, deadline: Deadline) -> bytes | None:
    """The last entry of a fault, as it stands in the log; None when the log has let go of it."""
    tail = PartitionTail(connection, [(faults_topic(department), 0)], fault.entry)
    try:
        while not deadline.passed:
            for message in tail.poll(_WAIT_SECONDS):
                return message.value() if message.offset() == fault.entry else None
            if tail.at_end:
                return None
    finally:
        tail.close()
    raise ExchangeError("E_KAFKA_UNREACHABLE", "the entry could not be read in time")
