"""A unit's state from Kafka alone: its state records, read to their end. Progress is logged, as it may take a while."""

import time

import structlog

from exchange.clock import Deadline
from exchange.delivery.state import UnitState
from exchange.kafka.connection import Connection
from exchange.kafka.reader import read_to_end
from exchange.kafka.unit import UnitId
from exchange.names import delivery_topic

_RESTORE_SECONDS = 600.0
_TELL_SECONDS = 5.0
_log = structlog.get_logger("exchange.delivery")


def restore(connection: Connection, unit: UnitId, state: UnitState) -> None:
    """Fill `state`. Raises ExchangeError when Kafka cannot be read to the end in time."""
    began = told = time.monotonic()
    records = 0
    place = (str(delivery_topic(unit.record_type)), unit.partition)
    for message in read_to_end(connection, [place], Deadline.after(_RESTORE_SECONDS)):
        state.apply(message.key() or b"", message.value())
        records += 1
        if not records % 10_000 and time.monotonic() - told > _TELL_SECONDS:
            told = time.monotonic()
            _log.info("delivery.restoring", record_type=unit.record_type, partition=unit.partition, records=records)
    state.forget_strangers()
    seconds = round(time.monotonic() - began, 1)
    _log.info(
        "delivery.restored", record_type=unit.record_type, partition=unit.partition, records=records, seconds=seconds
    )
