"""What a line asks its group for: the topics that its factory wants and that Kafka has."""

import structlog

from exchange.clock import Every
from exchange.errors import ExchangeError
from exchange.kafka.line.membership import Membership
from exchange.kafka.line.unit import UnitFactory, UnitId, record_type_of
from exchange.names import TopicName

_LEARN_SECONDS = 0.2
_EXISTENCE_SECONDS = 2.0
_log = structlog.get_logger("exchange.line")


class Subscription:
    """Follows the factory."""

    def __init__(self, members: Membership, factory: UnitFactory, line: str) -> None:
        self._members = members
        self._factory = factory
        self._line = line
        self._wanted: frozenset[TopicName] = frozenset()
        self._partitions: dict[TopicName, int] = {}
        """Of each topic that is subscribed."""
        self._learning = Every(_LEARN_SECONDS)
        self._looking = Every(_EXISTENCE_SECONDS)

    @property
    def due(self) -> bool:
        """Whether it is time to ask the factory again."""
        return self._learning.due

    def renew(self) -> None:
        """Subscribe to what the factory wants now. A rebalance may follow: never while a transaction is open."""
        self._learning.done()
        wanted = frozenset(self._factory.topics())
        missing = wanted - self._partitions.keys()
        if wanted == self._wanted and not (missing and self._looking.due):
            return
        self._wanted = wanted
        self._looking.done()
        try:
            existing = self._members.existing()
        except ExchangeError as error:
            _log.warning("line.topics_unknown", line=self._line, code=error.code)
            return
        found = {topic: existing[topic] for topic in wanted if existing.get(topic)}
        if found.keys() != self._partitions.keys():
            self._partitions = found
            _log.info("line.subscribed", line=self._line, topics=len(found), missing=len(wanted) - len(found))
            self._members.subscribe(found)

    def topics_of(self, unit_id: UnitId) -> set[str]:
        """The subscribed topics that a unit reads, whoever has them now."""
        return {
            topic
            for topic, partitions in self._partitions.items()
            if partitions > unit_id.partition and record_type_of(topic) == unit_id.record_type
        }
