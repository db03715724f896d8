"""What a line asks its group for: the topics that its factory wants and that Kafka has."""

from collections.abc import Collection, Mapping

import structlog

from exchange.clock import Deadline, Every
from exchange.errors import ExchangeError
from exchange.kafka.client.message import Place
from exchange.kafka.line.membership import Membership
from exchange.kafka.line.unit import UnitFactory, UnitId, record_type_of
from exchange.names import TopicName

_LEARN_SECONDS = 0.2
_EXISTENCE_SECONDS = 2.0
_AGREE_SECONDS = 1.0
"""How long a topic may be passed over before we ask again: the group may just be about to move."""
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
        self._passed_over: frozenset[TopicName] = frozenset()
        self._ask_again: Deadline | None = None

    @property
    def due(self) -> bool:
        """Whether it is time to ask the factory again."""
        return self._learning.due

    @property
    def agreed(self) -> bool:
        """Whether the group gave us of every subscribed topic what it should. In any thread."""
        return not self._passed_over

    def compare(self) -> None:
        """Ask again when the group passed a topic over. A rebalance follows: never while a transaction is open.

        A static member that comes back within its session gets its old partitions, although its topics changed. It is
        heard when it asks for something else: first for those topics alone of which it got partitions, then for all.
        """
        assigned = self._members.assigned
        if assigned is None:
            return
        self._passed_over = passed_over(self._partitions, assigned)
        if not self._passed_over:
            self._ask_again = None
        elif self._ask_again is None:
            self._ask_again = Deadline.after(_AGREE_SECONDS)
        elif self._ask_again.passed:
            self._ask_again = None
            _log.warning("line.passed_over", line=self._line, topics=len(self._passed_over))
            kept = {topic: count for topic, count in self._partitions.items() if topic not in self._passed_over}
            self._partitions = kept
            self._members.subscribe(kept)

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


def passed_over(subscribed: Mapping[TopicName, int], assigned: Collection[Place]) -> frozenset[TopicName]:
    """The subscribed topics of which a member has nothing although it must.

    The range assignor gives a topic's partitions in equal runs to its members in one order. So who has the first
    partition of any topic, or any of a topic with as many or fewer partitions, has some of each topic it asked for.
    subscribed: topics with their partition counts.
    """
    had = {topic for topic, _ in assigned}
    least = min((subscribed[topic] for topic in subscribed if topic in had), default=None)
    if any(partition == 0 for _, partition in assigned):
        least = 0
    if least is None:
        return frozenset()
    return frozenset(topic for topic, count in subscribed.items() if topic not in had and count >= least)
