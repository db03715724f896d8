"""A consumer that is in no group: it is told what to read, and nothing that it reads is ever committed."""

from typing import Any

from confluent_kafka import Consumer

from exchange.kafka.client.connection import Connection
from exchange.names import tail_group


def groupless_consumer(connection: Connection, isolation: str = "read_committed", **options: Any) -> Consumer:
    """A consumer that tells the ends of partitions. `options` as `Connection.config` takes them."""
    return Consumer(
        connection.config(
            group_id=tail_group(connection.username),  # the client wants one
            enable_auto_commit=False,
            enable_auto_offset_store=False,
            enable_partition_eof=True,
            isolation_level=isolation,
            allow_auto_create_topics=False,
            fetch_wait_max_ms=50,
            fetch_queue_backoff_ms=5,
            **options,
        )
    )
