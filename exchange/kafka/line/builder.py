"""Building units, and letting go of them, in threads of their own: both take the client a while."""

from concurrent.futures import Future, ThreadPoolExecutor

from exchange import names
from exchange.clock import Deadline
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.hanging import HangingTransactions
from exchange.kafka.client.producer import TransactionalProducer
from exchange.kafka.line.fenced_unit import FencedUnit
from exchange.kafka.line.unit import UnitFactory, UnitId

TRANSACTION_TIMEOUT_MS = 30_000
_START_SECONDS = 15.0
"""Nothing is decided yet, and it is tried again."""
_THREADS = 12
# A topic's limit is one for batches: a batch must fit the registry's 524,288 bytes even if it does not compress at all.
# The commit flushes at once, so lingering costs no latency.
_PRODUCER = {
    "linger_ms": 50,
    "compression_type": "lz4",
    "acks": "all",
    "batch_size": 500_000,
    "batch_num_messages": 100_000,
    "queue_buffering_max_messages": 1_000_000,
    "sticky_partitioning_linger_ms": 0,
}


class Builder:
    """What the slots of one line are given to build their units with."""

    def __init__(self, connection: Connection, line: str, factory: UnitFactory) -> None:
        self.line = line
        self.factory = factory
        self._connection = connection
        self._hanging = HangingTransactions(connection)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"{line}-unit")

    def build(self, unit_id: UnitId) -> "Future[FencedUnit]":
        """Begin to build."""
        return self._threads.submit(self._build, unit_id)

    def _build(self, unit_id: UnitId) -> FencedUnit:
        """Fence older owners, end what hangs, restore the unit: in this order, so that nothing can move any more."""
        name = names.transactional_id(self.line, *unit_id)
        output = TransactionalProducer(self._connection, name, TRANSACTION_TIMEOUT_MS, **_PRODUCER)
        try:
            output.start(Deadline.after(_START_SECONDS))
            unit = self.factory.unit(*unit_id)
            hung = self._hanging.end(output, (unit.state_topic, unit_id.partition))
            unit.restore()
            if hung:
                unit.release()
        except Exception:
            output.close()
            raise
        return FencedUnit(unit, output)

    def let_go(self, last: list[FencedUnit]) -> None:
        """Close what `last` holds. It is emptied there, so that also the last reference dies in another thread."""
        self._threads.submit(_close, last)

    def close(self) -> None:
        """Wait for what is being built and closed."""
        self._threads.shutdown(wait=True)
        self._hanging.close()


def _close(last: list[FencedUnit]) -> None:
    last.pop().close()
