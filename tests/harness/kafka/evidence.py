"""A grant on a real Kafka that evidence looks at, and hands that do what lines, source and grantee would do."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from confluent_kafka import Consumer, TopicPartition

from exchange import names
from exchange.admission.state import BOOKS_KEY, Books, encode
from exchange.broker.demands.state import grant_state
from exchange.broker.evidence.line_states import LineStates
from exchange.broker.evidence.look import Evidence
from exchange.broker.evidence.said import Listener
from exchange.clock import Deadline
from exchange.delivery.state import Joined, Totals, encode_place, encode_totals
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.kafka.admin.admin import Admin
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.peek import Peeker
from exchange.kafka.client.producer import IdempotentProducer, TransactionalProducer
from exchange.kafka.client.reader import PartitionTail
from exchange.ledger.state.ledger_state import DemandState, GrantEntry
from exchange.names import Department, RecordType, ShareName
from tests.harness.kafka.broker import PARTITIONS, Bus, until

TYPE = RecordType("legal-entity.registration")
TAX, MARKET = Department("taxation"), Department("market-regulation")
INBOX = names.inbox_topic(TYPE, MARKET)
REGISTRY = names.registry_topic(TYPE)
FRESHNESS = 3600
CYCLE = 86_400
"""Update cycle of the register of enterprises in the shipped catalogue, in seconds."""


@dataclass
class Scene:
    """A grant with its share, and hands that do what lines, source and grantee would do."""

    bus: Bus
    writer: TransactionalProducer
    evidence: Evidence
    lines: LineStates
    grant: GrantEntry

    @property
    def share(self) -> ShareName:
        return self.grant.share or ShareName("")

    @property
    def topic(self) -> str:
        return names.share_topic(self.share)

    @property
    def causes(self) -> set[str]:
        return set(self.grant.breaches)

    @property
    def state(self) -> str:
        return grant_state(self.grant).value

    def write(self, *records: tuple[str, bytes | None, bytes | None, int]) -> None:
        """(topic, key, value, partition) in one transaction, so that a marker follows."""
        self.writer.begin()
        for topic, key, value, partition in records:
            self.writer.produce(topic, value, key, partition)
        self.writer.commit(Deadline.after(20))

    def join(self, *partitions: int) -> None:
        for partition in partitions or range(PARTITIONS):
            key, value = encode_place(self.share, Joined(0, 0, 1))
            self.write((names.delivery_topic(TYPE), key, value, partition))

    def admitted(self, count: int, taken_by_delivery: int, next_offset: int = 0) -> None:
        totals = encode_totals(Totals(taken_by_delivery, next_offset, 1))
        self.write(
            (names.admission_topic(TYPE), BOOKS_KEY, encode(Books(count, count)), 0),
            (names.delivery_topic(TYPE), *totals, 0),
        )

    def sign_of_life(self) -> None:
        """A heartbeat in the inbox, which admission has taken."""
        self.submit(names.HEARTBEAT_KEY, None)
        self.admission_takes_all()

    def submit(self, key: bytes, value: bytes | None) -> None:
        """The provider writes its inbox, as departments do: without transactions."""
        producer = IdempotentProducer(self.bus.connection(MARKET))
        producer.send(INBOX, key, value)
        producer.flush(Deadline.after(20))
        producer.close()

    def admission_takes_all(self) -> None:
        ends = self.bus.admin.end_offsets([(INBOX, number) for number in range(PARTITIONS)])
        self._commit(names.ADMISSION, names.ADMISSION_GROUP, ends)

    def take(self, **offsets: int) -> None:
        """The grantee commits: p0=3 for partition 0."""
        self._commit(
            TAX, names.grant_group(self.grant.grant), {(self.topic, int(p[1:])): at for p, at in offsets.items()}
        )

    def _commit(self, principal: str, group: str, offsets: dict[tuple[str, int], int]) -> None:
        client = Consumer(self.bus.connection(principal).config(group_id=group, enable_auto_commit=False))
        client.commit(offsets=[TopicPartition(*place, at) for place, at in offsets.items()], asynchronous=False)
        client.close()

    def end(self, partition: int = 0) -> int:
        return self.bus.admin.end_offsets([(self.topic, partition)])[(self.topic, partition)]

    def expect(self, *causes: str, **later: float) -> None:
        """Look, at a time after now, until exactly these causes are open."""

        def seen() -> bool:
            self.look(**later)
            return self.causes == set(causes)

        until(seen, f"open causes become {causes}")

    def becomes(self, state: DemandState) -> None:
        """Look until the grant has this state."""

        def seen() -> bool:
            self.look()
            return self.state == state

        until(seen, f"the grant becomes {state}")

    def look(self, **later: float) -> None:
        """Look, at a time after now."""
        self.bus.ledger.clock.moment = datetime.now(UTC) + timedelta(**later)
        self.evidence.look()


@contextmanager
def scene_on(kafka: EmbeddedKafka) -> Iterator[Scene]:
    """A grant whose source has given a sign of life, and of which nothing else has happened."""
    bus = Bus(kafka)
    bus.ledger.clock.moment = datetime.now(UTC)
    bus.register(TAX, MARKET)
    grant = bus.grant(TAX, freshness_seconds=FRESHNESS)
    bus.settle()
    broker = bus.connection(names.BROKER)
    lines, peeker = LineStates.on(broker), Peeker(broker)
    writer = TransactionalProducer(Connection.of(bus.settings), "test", 30_000)
    writer.start(Deadline.after(20))
    listener = Listener(lambda places: PartitionTail(broker, places))
    evidence = Evidence(Admin(broker), peeker, lines, bus.ledger, bus.ledger.clock, listener)
    scene = Scene(bus, writer, evidence, lines, grant)
    scene.sign_of_life()
    scene.admitted(0, 0)
    yield scene
    listener.close()
    writer.close()
    peeker.close()
    lines.close()
