"""Reading what a unit wrote, to the end of its partition. Progress is logged, as it may take a while."""

import time
from collections.abc import Iterator

import structlog

from exchange.clock import Deadline, Every
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.message import Message
from exchange.kafka.client.reader import read_to_end

RESTORE_SECONDS = 900.0
_TELL_SECONDS = 5.0
_TELL_RECORDS = 10_000
_log = structlog.get_logger("exchange.line")


def restored(connection: Connection, topic: str, partition: int) -> Iterator[Message]:
    """Every committed record of a partition, oldest first. Raises ExchangeError when the end is not reached in time."""
    began, telling = time.monotonic(), Every(_TELL_SECONDS)
    telling.done()
    records = 0
    place = {"topic": topic, "partition": partition}
    for message in read_to_end(connection, [(topic, partition)], Deadline.after(RESTORE_SECONDS)):
        yield message
        records += 1
        if not records % _TELL_RECORDS and telling.due:
            telling.done()
            _log.info("line.restoring", **place, records=records)
    _log.info("line.restored", **place, records=records, seconds=round(time.monotonic() - began, 1))
