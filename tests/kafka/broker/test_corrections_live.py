"""A correction on a real Kafka, by the broker's own principal: words beside the event, closed by the next version."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

import pytest

from exchange.avro.lock import SchemaRepository
from exchange.broker.corrections.desk import Corrections, Doubt
from exchange.broker.corrections.store import KafkaCorrections
from exchange.broker.enforcement.wanted import own_acls
from exchange.clock import Deadline, SystemClock
from exchange.errors import ExchangeError
from exchange.kafka.admin.admin import Acl, Admin, NewTopicSpec
from exchange.kafka.admin.topics import TopicKind, topic_config
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.partitioner import partition_of
from exchange.kafka.client.producer import IdempotentProducer
from exchange.kafka.client.reader import read_to_end
from exchange.ledger.events.event import NewEvent, write_line
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.store.command import Draft
from exchange.ledger.store.follower import read_ledger
from exchange.ledger.store.ledger_store import LedgerStore
from exchange.ledger.store.ledger_topic import LedgerTopic
from exchange.names import BROKER, CorrectionId, Department, RecordType, correction_topic, registry_topic
from exchange.settings import KafkaSettings, Settings

pytestmark = pytest.mark.kafka
PARTITIONS = 3
KEY, WORDS = "91340100MA2N00001X", "王小明 has moved"


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant that is active, as any ledger may tell it."""

    record_type: RecordType
    provider: Department
    demander: Department
    number: int = 1

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        draft = Draft(state)
        for one in (self.provider, self.demander):
            draft.say("department-registered", one, department=one, name=one, credit_code=one)
        whose = {"demander": self.demander, "provider": self.provider, "record_type": self.record_type}
        period = {"use_from": None, "use_until": None}
        asked = {**whose, **period, "request": "r", "registry": "credit", "fields": ["address"], "complete": True}
        demand, grant = f"d-{self.number}", f"g-{self.number}"
        draft.say("demand-submitted", demand, demand=demand, **asked)
        given = {"fields": ["address"], "masked": [], "scope_narrowed": False, "freshness_seconds": 60}
        draft.say("demand-consented", demand, demand=demand, grant=grant, **given)
        draft.say("grant-activated", grant, grant=grant, demand=demand, share="s-1")
        return draft.events


class Office:
    """A leading broker with the rights that the product gives it, and a registry that the test writes."""

    def __init__(self, unique: str, admin: Admin, connection: Connection, own: Connection) -> None:
        self.schemas = SchemaRepository.load(Settings().schemas)
        self.record_type = RecordType(f"credit.{unique}")
        self.provider, self.demander = Department(f"{unique}-p"), Department(f"{unique}-d")
        self.connection = connection
        self.place = LedgerTopic(f"{unique}.ledger", f"{unique}.broker", f"{unique}.broker")
        specs = [
            NewTopicSpec(self.place.name, 1, topic_config(TopicKind.LEDGER)),
            NewTopicSpec(registry_topic(self.record_type), PARTITIONS, topic_config(TopicKind.REGISTRY)),
            NewTopicSpec(correction_topic(self.provider), 1, topic_config(TopicKind.CORRECTION)),
        ]
        admin.create_topics(specs, 1)
        mine = {("topic", self.place.name): ("read", "write"), ("group", self.place.group): ("read",)}
        mine[("transactional_id", self.place.transactional_id)] = ("write", "describe")
        admin.grant(acl for acl in own_acls() if acl.principal == BROKER)
        admin.grant(Acl(BROKER, kind, name, one) for (kind, name), some in mine.items() for one in some)
        self.ledger = LedgerStore(own, self.schemas, unique, topic=self.place)
        self.store = KafkaCorrections(own, Admin(own))
        self.producer = IdempotentProducer(connection)

    def write(self, key: str) -> int:
        """Put a version into the registry, in the partition that clients choose; its offset."""
        self.producer.send(registry_topic(self.record_type), key.encode(), b"a version")
        self.producer.flush(Deadline.after(20))
        place = (str(registry_topic(self.record_type)), partition_of(key.encode(), PARTITIONS))
        written = [
            one for one in read_to_end(self.connection, [place], Deadline.after(20)) if one.key() == key.encode()
        ]
        return written[-1].offset()

    def beside(self) -> int:
        """A version of another key in the same partition."""
        partition = partition_of(KEY.encode(), PARTITIONS)
        key = next(str(one) for one in range(1000) if partition_of(str(one).encode(), PARTITIONS) == partition)
        return self.write(key)

    def state_of(self, correction: str) -> str:
        return self.ledger.read(lambda state: state.corrections[CorrectionId(correction)].state)

    def kept(self) -> list[dict[str, str]]:
        place = (str(correction_topic(self.provider)), 0)
        return [json.loads(one.value() or b"{}") for one in read_to_end(self.connection, [place], Deadline.after(20))]

    def close(self) -> None:
        self.producer.close()
        self.store.close()
        self.ledger.close()


@pytest.fixture
def office(
    unique: str, admin: Admin, admin_connection: Connection, kafka_settings_for: Callable[[str], KafkaSettings]
) -> Iterator[Office]:
    own = Connection.of(kafka_settings_for(BROKER))
    with closing(Office(unique, admin, admin_connection, own)) as office:
        office.ledger.start()
        deadline, pause = Deadline.after(40), threading.Event()
        while not office.ledger.leader:
            assert not deadline.passed
            pause.wait(0.02)
        granted = Granted(office.record_type, office.provider, office.demander)
        office.ledger.execute(granted, "exchange", None, Deadline.after(20))
        yield office


def test_a_correction_is_submitted_answered_and_closed_by_the_corrected_version(office: Office) -> None:
    desk = Corrections(office.ledger, office.store, SystemClock())
    for _ in range(2):
        office.write(KEY)
    name = desk.submit(Doubt("g-1", ("address",), KEY, WORDS), office.demander, "once")
    assert desk.submit(Doubt("g-1", ("address",), KEY, WORDS), office.demander, "once") == name
    with pytest.raises(ExchangeError, match="E_IDEMPOTENCY"):
        desk.submit(Doubt("g-1", ("address",), "another", WORDS), office.demander, "once")
    assert [(one["kind"], one["key"], one["words"]) for one in office.kept()] == [("doubt", KEY, WORDS)]
    desk.answer(name, "corrected", "a typing error", office.provider, None)
    written = desk.written(name)
    assert (written.key, written.words, written.answer_words) == (KEY, WORDS, "a typing error")
    desk.watch()
    office.beside()
    desk.watch()
    assert office.state_of(name) == "answered"
    corrected = office.write(KEY)
    office.write(KEY)
    Corrections(office.ledger, office.store, SystemClock()).watch()  # another leader, which knows only Kafka
    assert office.state_of(name) == "closed"
    events = list(read_ledger(office.connection, office.schemas, office.place.name))
    assert events[-1].data["offset"] == corrected
    assert events[-1].data["partition"] == partition_of(KEY.encode(), PARTITIONS)
    text = "".join(write_line(event) for event in events)
    assert KEY not in text
    assert "王小明" not in text


def test_without_the_providers_topic_a_doubt_is_refused_and_the_leader_stays(office: Office) -> None:
    desk = Corrections(office.ledger, office.store, SystemClock())
    other = Granted(office.record_type, Department(f"{office.provider}-2"), office.demander, number=2)
    office.ledger.execute(other, "exchange", None, Deadline.after(20))
    with pytest.raises(ExchangeError, match="E_KAFKA_TOPIC_MISSING"):
        desk.submit(Doubt("g-2", ("address",), KEY, WORDS), office.demander, None)
    assert office.ledger.leader
    assert office.kept() == []
