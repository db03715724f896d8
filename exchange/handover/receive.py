"""Step one: the next records of the share, partition by partition."""

from collections import defaultdict

from exchange.errors import ExchangeError
from exchange.handover.grants import ActiveGrant, GrantFinder
from exchange.kafka.client.message import Message
from exchange.kafka.client.share_reader import ShareReader, is_refusal

BATCH_RECORDS = 3_000
BATCH_BYTES = 1024 * 1024
"""Taken at once, of all partitions together: few transactions, and little memory."""
_WAIT_SECONDS = 0.5


def receive(reader: ShareReader, wait: bool = True) -> dict[int, list[Message]]:
    """The next records by partition, each in offset order; empty when nothing came for a moment, or is here."""
    by_partition: dict[int, list[Message]] = defaultdict(list)
    for message in reader.poll(BATCH_RECORDS, BATCH_BYTES, _WAIT_SECONDS if wait else 0.0):
        by_partition[message.partition()].append(message)
    return by_partition


def judge(error: ExchangeError, grant: ActiveGrant, finder: GrantFinder) -> ExchangeError:
    """What a refusal of Kafka means: E_GRANT_REFUSED when the broker service says that the grant is not active."""
    if not is_refusal(error):
        return error
    try:
        active = finder.is_active(grant)
    except ExchangeError:
        return error
    return error if active else ExchangeError("E_GRANT_REFUSED", f"grant {grant.grant} is not active")
