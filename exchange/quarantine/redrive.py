"""Which quarantined records can pass admission again, and the records that do so: untouched bytes, in their order."""

from collections.abc import Callable
from enum import StrEnum

from exchange import record
from exchange.kafka.client.partitioner import partition_of
from exchange.names import RecordType, redrive_topic
from exchange.quarantine.entry import Quarantined
from exchange.quarantine.redriven import redrive_headers

MOST_RECORD_BYTES = 400_000
"""Key, value and headers of one record: below what the redrive topic takes."""


class Left(StrEnum):
    """Why a record stays where it is. None of these is mended by passing admission again."""

    SETTLED = "settled"
    """It has been redriven or discarded."""
    NO_KEY = "no-key"
    """It has no key, so no place in the registry."""
    NO_ORIGIN = "no-origin"
    """It did not come in an inbox."""
    NO_TYPE = "no-type"
    """Its record type has no schema any more."""
    NO_ORDER = "no-order"
    """It came in another partition than its key's and has no `ce_sequence`: nothing tells which version is newer."""
    TOO_LARGE = "too-large"
    """It is larger than admission takes."""


MEANINGS = {
    Left.SETTLED: "redriven or discarded before",
    Left.NO_KEY: "without a key",
    Left.NO_ORIGIN: "from no inbox",
    Left.NO_TYPE: "of an unknown record type",
    Left.NO_ORDER: "misplaced and without ce_sequence",
    Left.TOO_LARGE: "too large for admission",
}
"""What to tell a person; what helps for all of them is a new submission by the owner, or a discard."""

Redrive = tuple[str, int, bytes | None, bytes | None, record.Headers]
"""(topic, partition, key, value, headers)."""


def redrive(entry: Quarantined, partitions: Callable[[RecordType], int | None]) -> Redrive | Left:
    """The record of the redrive topic for this entry, or why there is none.

    partitions: the count of a record type, None for one that admission does not know.
    """
    if not entry.key:
        return Left.NO_KEY
    if entry.origin is None:
        return Left.NO_ORIGIN
    if len(entry.value or b"") > record.MAX_VALUE_BYTES or entry.size > MOST_RECORD_BYTES:
        return Left.TOO_LARGE
    count = partitions(entry.origin.record_type)
    if count is None:
        return Left.NO_TYPE
    partition = partition_of(entry.key, count)
    if partition != entry.origin.partition and record.header(entry.headers, record.SEQUENCE) is None:
        return Left.NO_ORDER
    headers = redrive_headers(entry.origin, entry.id, entry.headers)
    return redrive_topic(entry.origin.record_type), partition, entry.key, entry.value, headers
