"""Ages and emptiness are told from records: offsets are those of markers, of what was dropped and of what never was."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from exchange import names
from exchange.broker.evidence.books import books
from exchange.broker.evidence.lag import Unread, delivery_ages
from exchange.broker.evidence.look import Evidence
from exchange.broker.evidence.receipts import Receipts
from exchange.broker.evidence.said import Listener
from exchange.broker.evidence.untaken import FirstRecords
from exchange.clock import Deadline
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.kafka.admin.admin import Admin, OffsetAt
from exchange.kafka.admin.topic_settings import set_topic_settings
from exchange.kafka.admin.topics import INBOX_KEPT
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.peek import Peeker
from exchange.kafka.client.reader import PartitionTail
from exchange.ledger.state.ledger_state import DemandState
from tests.harness.kafka.broker import PARTITIONS, prepared_kafka, until
from tests.harness.kafka.evidence import CYCLE, FRESHNESS, INBOX, REGISTRY, TYPE, Scene, scene_on

pytestmark = pytest.mark.kafka
QUIET = timedelta(hours=7)
"""Between the last transaction and the next record."""
WAITED = timedelta(minutes=2)
PLACE = (REGISTRY, 0)


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    with prepared_kafka(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka


@pytest.fixture
def scene(own_kafka: EmbeddedKafka) -> Iterator[Scene]:
    """Its registry takes the times of records from their writer, so that a test has hours; markers have Kafka's."""
    with scene_on(own_kafka) as scene:
        times = {"message.timestamp.type": "CreateTime", "message.timestamp.after.max.ms": str(10**12)}
        set_topic_settings(Connection.of(scene.bus.settings), {REGISTRY: times})
        scene.join()
        yield scene


@pytest.fixture
def writer(scene: Scene) -> Producer:
    """A line that stamps what it writes."""
    config = Connection.of(scene.bus.settings).config(transactional_id="test.quiet")
    producer = Producer(config)
    producer.init_transactions(20)
    return producer


def write(writer: Producer, key: bytes, at: datetime, commit: bool = True) -> None:
    """One record in a transaction of its own."""
    writer.begin_transaction()
    writer.produce(REGISTRY, b"v", key, 0, timestamp=int(at.timestamp() * 1000))
    writer.flush(20)
    writer.commit_transaction(20) if commit else writer.abort_transaction(20)


def taken_by_delivery(scene: Scene, writer: Producer) -> int:
    """Delivery has taken all that there is: the offset behind the last record, which is that of a marker."""
    before = scene.bus.admin.end_offsets([PLACE])[PLACE]
    write(writer, b"before", datetime.now(UTC))
    until(lambda: scene.bus.admin.end_offsets([PLACE])[PLACE] == before + 2, "the marker stands")
    scene.admitted(1, 1, before + 1)
    scene.expect()
    return before + 1


def drop_inbox(scene: Scene) -> None:
    """What retention does in the end."""
    places = [(INBOX, number) for number in range(PARTITIONS)]
    ends = scene.bus.admin.end_offsets(places)
    client = AdminClient(Connection.of(scene.bus.settings).config())
    for done in client.delete_records([TopicPartition(*place, end) for place, end in ends.items()]).values():
        done.result(20)


class Emptied(Admin):
    """Inboxes of which retention has dropped every segment. A test has no weeks for that."""

    gone = True

    def newest(self, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], OffsetAt]:
        return {} if self.gone else super().newest(partitions)


def fresh_evidence(scene: Scene) -> tuple[Evidence, Peeker, Listener, Emptied]:
    """That of a leader who has just come, and its view of inboxes."""
    broker = scene.bus.connection(names.BROKER)
    peeker, listener = Peeker(broker), Listener(lambda places: PartitionTail(broker, places))
    ledger = scene.bus.ledger
    kafka = Emptied(broker)
    return Evidence(kafka, peeker, scene.lines, ledger, ledger.clock, listener), peeker, listener, kafka


@pytest.mark.parametrize("aborted", [False, True])
def test_a_record_after_a_quiet_time_is_as_old_as_itself_and_not_as_the_marker_before_it(
    scene: Scene, writer: Producer, aborted: bool
) -> None:
    position = taken_by_delivery(scene, writer)
    later = datetime.now(UTC) + QUIET
    if aborted:
        write(writer, b"never", later - timedelta(hours=3), commit=False)
    write(writer, b"after", later)
    scene.admitted(2, 1, position)
    scene.submit(names.HEARTBEAT_KEY, None)
    scene.admission_takes_all()
    scene.look(seconds=(QUIET + WAITED).total_seconds())
    assert scene.causes == set()
    scene.expect("exchange", seconds=QUIET.total_seconds() + FRESHNESS + 60)
    since = scene.grant.breaches["exchange"].since
    assert abs(since - later - timedelta(seconds=FRESHNESS)) < timedelta(seconds=2)


def test_markers_heartbeats_and_what_was_aborted_make_no_line_old(scene: Scene, writer: Producer) -> None:
    position = taken_by_delivery(scene, writer)
    write(writer, names.HEARTBEAT_KEY, datetime.now(UTC))
    write(writer, b"never", datetime.now(UTC), commit=False)
    scene.admitted(2, 1, position)  # whatever the books say
    scene.submit(names.HEARTBEAT_KEY, None)
    scene.admission_takes_all()
    until(lambda: _looked_in_flight(scene), "the state of the lines is read")
    peeker = Peeker(scene.bus.connection(names.BROKER))
    ages = delivery_ages(
        scene.bus.admin, FirstRecords(peeker), scene.lines, datetime.now(UTC) + QUIET, Deadline.after(20)
    )
    peeker.close()
    assert ages[TYPE] == timedelta()


def _looked_in_flight(scene: Scene) -> bool:
    scene.look()
    return scene.lines.units(TYPE)[0].in_flight == 1


def test_what_waits_in_an_inbox_that_nobody_reads_is_in_flight(scene: Scene) -> None:
    receipts = Receipts(lambda places: PartitionTail(scene.bus.connection(names.BROKER), places))

    def in_flight() -> tuple[int, int]:
        scene.look()
        (account,) = (
            one for one in books(scene.lines, receipts, {}, scene.evidence.unread)
            if one.record_type == TYPE and one.share is None
        )  # fmt: skip
        return account.entries["in_flight"], account.difference

    before, _ = in_flight()
    for number in range(40):
        scene.submit(b"%d" % number, b"v")
    assert in_flight() == (before + 40, 0)
    scene.admission_takes_all()
    until(lambda: in_flight() == (before, 0), "admission has taken them")
    receipts.close()


def test_what_retention_has_dropped_from_an_inbox_waits_no_more(scene: Scene) -> None:
    scene.submit(b"k1", b"v")
    drop_inbox(scene)
    scene.look(seconds=FRESHNESS + 60)
    assert scene.evidence.unread == Unread()
    assert scene.causes == set()


def test_a_source_whose_last_sign_of_life_was_dropped_is_silent_since_that_and_not_since_the_grant(
    scene: Scene,
) -> None:
    alive = datetime.now(UTC)
    scene.look()
    drop_inbox(scene)
    scene.grant.activated = alive - timedelta(days=300)
    scene.expect("provider", seconds=CYCLE + 60)
    since = scene.grant.breaches["provider"].since
    assert abs(since - alive - timedelta(seconds=CYCLE)) < timedelta(seconds=30)
    evidence, peeker, listener, _ = fresh_evidence(scene)
    evidence.look()
    assert scene.grant.breaches["provider"].since == since, "the next leader knows it from the breach"
    peeker.close()
    listener.close()


def test_a_leader_who_has_not_seen_the_last_sign_of_life_does_not_make_it_older_than_its_inbox_says(
    scene: Scene,
) -> None:
    drop_inbox(scene)
    scene.grant.activated = datetime.now(UTC) - timedelta(days=300)
    evidence, peeker, listener, kafka = fresh_evidence(scene)
    evidence.look()
    since = scene.grant.breaches["provider"].since
    assert abs(scene.bus.ledger.clock.now() - INBOX_KEPT + timedelta(seconds=CYCLE) - since) < timedelta(seconds=30)
    scene.sign_of_life()
    kafka.gone = False
    until(lambda: _restored(scene, evidence), "a sign of life ends it")
    peeker.close()
    listener.close()


def _restored(scene: Scene, evidence: Evidence) -> bool:
    evidence.look()
    return scene.causes == set()


def test_a_look_says_whether_anything_moved_since_the_one_before(scene: Scene) -> None:
    def rests() -> bool:
        scene.look()
        return not scene.evidence.moved

    until(rests, "nothing moves")
    scene.submit(b"k1", b"v")
    scene.look()
    assert scene.evidence.moved, "a record came"
    until(rests, "nothing moves")
    scene.admission_takes_all()
    scene.look()
    assert scene.evidence.moved, "admission took it"
    until(rests, "nothing moves")
    scene.write((scene.topic, b"k1", b"v", 0))
    scene.look()
    assert scene.evidence.moved, "the share grew"
    until(rests, "nothing moves")
    scene.take(p0=1)
    scene.look()
    assert scene.evidence.moved, "the grantee took it"


def test_what_was_aborted_in_a_share_was_never_delivered_and_is_never_behind(scene: Scene, writer: Producer) -> None:
    writer.begin_transaction()
    writer.produce(scene.topic, b"v", b"never", 0)
    writer.flush(20)
    writer.abort_transaction(20)
    until(lambda: scene.end() == 2, "record and marker stand")
    scene.becomes(DemandState.SERVING)
    assert scene.grant.empty
    scene.look(seconds=2 * FRESHNESS)
    assert scene.causes == set()
    scene.write((scene.topic, b"k1", b"v", 0))
    scene.take(p0=3)
    writer.begin_transaction()
    writer.produce(scene.topic, b"v", b"never", 0)
    writer.flush(20)
    writer.abort_transaction(20)
    scene.look(seconds=2 * FRESHNESS)
    assert scene.causes == set()


def test_a_clock_that_is_set_back_breaks_nothing(scene: Scene) -> None:
    scene.becomes(DemandState.SERVING)
    scene.submit(b"k1", b"v")
    scene.write((scene.topic, b"k1", b"v", 0))
    scene.look(days=-400)
    assert scene.causes == set()
    scene.look()
    assert scene.causes == set()
