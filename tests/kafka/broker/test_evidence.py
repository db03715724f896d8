from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from exchange import names
from exchange.admission.state import BOOKS_KEY, Books, encode
from exchange.broker.evidence.books import books
from exchange.broker.evidence.lag import Unread
from exchange.broker.evidence.receipts import HandedOver, Receipts
from exchange.broker.grants.freshness import SET_ASIDE
from exchange.broker.grants.shares import OrderRecovery, RecoverShare
from exchange.clock import Deadline
from exchange.delivery.state import Counts, Joined, Totals, encode_counts, encode_place, encode_totals
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.handover.receipt import Receipt
from exchange.handover.receipt import encode as encode_receipt
from exchange.intake.report import SourceReport, SourceState
from exchange.intake.report import encode as encode_report
from exchange.kafka.admin.topics import TOMBSTONES_KEPT
from exchange.kafka.client.producer import IdempotentProducer
from exchange.kafka.client.reader import PartitionTail
from exchange.ledger.state.ledger_state import DemandState
from exchange.observe import metrics
from tests.harness.kafka.broker import PARTITIONS, prepared_kafka, until
from tests.harness.kafka.evidence import CYCLE, FRESHNESS, MARKET, REGISTRY, TAX, TYPE, Scene, scene_on

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    with prepared_kafka(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka


@pytest.fixture
def scene(own_kafka: EmbeddedKafka) -> Iterator[Scene]:
    with scene_on(own_kafka) as scene:
        yield scene


def test_nothing_is_delivered_before_the_share_has_joined_on_all_partitions(scene: Scene) -> None:
    scene.look()
    assert scene.state == "activating"
    scene.join(0)
    scene.look()
    assert scene.grant.first_delivered is None
    scene.join(1)
    scene.becomes(DemandState.SERVING)
    assert scene.grant.empty


def test_first_delivery_waits_until_the_grantee_took_what_stood_there(scene: Scene) -> None:
    scene.write((scene.topic, b"k1", b"v", 0), (scene.topic, b"k2", b"v", 0), (scene.topic, b"k3", b"v", 1))
    scene.join()
    scene.look()
    assert scene.grant.first_delivered is None
    scene.take(p0=1)
    scene.look()
    assert scene.grant.first_delivered is None
    scene.take(p0=2)
    scene.look()
    assert scene.grant.first_delivered is None
    scene.take(p1=1)  # after the last record; the marker of the transaction is behind it
    scene.becomes(DemandState.SERVING)
    assert not scene.grant.empty


def test_markers_and_heartbeats_behind_the_grantee_are_no_lag(scene: Scene) -> None:
    scene.join()
    scene.write((scene.topic, b"k1", b"v", 0))
    scene.take(p0=1)
    scene.write((scene.topic, names.HEARTBEAT_KEY, None, 0))
    until(lambda: scene.end() == 4, "the markers of both transactions stand")
    scene.look(seconds=2 * FRESHNESS)
    assert scene.causes == set()
    assert metrics.SHARE_LAG.read()[(scene.grant.grant, TAX)] == 0


def test_heartbeats_alone_are_an_empty_share(scene: Scene) -> None:
    scene.write((scene.topic, names.HEARTBEAT_KEY, None, 0))
    scene.join()
    scene.take(p0=1)
    scene.becomes(DemandState.SERVING)
    assert scene.grant.empty


def test_a_grantee_that_takes_nothing_for_longer_than_agreed_breaks_and_restores(scene: Scene) -> None:
    scene.join()
    scene.becomes(DemandState.SERVING)
    written = datetime.now(UTC)
    scene.write((scene.topic, b"k1", b"v", 0))
    scene.look(seconds=FRESHNESS - 60)
    assert scene.causes == set()
    scene.expect("grantee", seconds=FRESHNESS + 60)
    since = scene.grant.breaches["grantee"].since
    assert abs(since - written - timedelta(seconds=FRESHNESS)) < timedelta(seconds=10)
    assert scene.state == "breached"
    lag = metrics.SHARE_LAG.read()[(scene.grant.grant, TAX)]
    assert FRESHNESS < lag < FRESHNESS + 120
    scene.take(p0=1)
    scene.expect(seconds=FRESHNESS + 60)
    assert scene.state == "serving"


def test_only_transitions_enter_the_ledger(scene: Scene) -> None:
    scene.join()
    scene.write((scene.topic, b"k1", b"v", 0))
    scene.look(seconds=FRESHNESS + 60)
    before = scene.bus.ledger.state.seq
    scene.look(seconds=FRESHNESS + 120)
    scene.look(seconds=FRESHNESS + 180)
    assert scene.bus.ledger.state.seq == before


def test_an_offset_beyond_the_end_does_not_satisfy(scene: Scene) -> None:
    scene.join()
    scene.write((scene.topic, b"k1", b"v", 0))
    scene.take(p0=scene.end() + 1000, p1=0)
    scene.look()
    assert scene.grant.first_delivered is None
    assert scene.causes == {"grantee"}
    scene.take(p0=1)
    scene.becomes(DemandState.SERVING)


def test_a_silent_source_breaks_and_a_heartbeat_restores(scene: Scene) -> None:
    scene.join()
    scene.look(seconds=CYCLE - 60)
    assert scene.causes == set()
    assert metrics.SOURCE_SILENCE.read()[(TYPE, MARKET)] > CYCLE - 120
    scene.expect("provider", seconds=CYCLE + 60)
    scene.sign_of_life()
    scene.expect()


def test_a_delivery_line_that_is_behind_breaks_with_cause_exchange(scene: Scene) -> None:
    scene.join()
    registry = scene.bus.admin.end_offsets([(REGISTRY, 0)])[(REGISTRY, 0)]
    scene.write((REGISTRY, b"k1", b"v", 0))
    scene.admitted(1, 0, registry)
    scene.look(seconds=FRESHNESS - 60)
    assert scene.causes == set()
    scene.expect("exchange", seconds=FRESHNESS + 60)
    since = scene.grant.breaches["exchange"].since
    assert abs(since - datetime.now(UTC) - timedelta(seconds=FRESHNESS)) < timedelta(seconds=30)
    assert metrics.LINE_LAG_RECORDS.read()[("delivery", TYPE)] == 1
    assert abs(metrics.LINE_LAG_SECONDS.read()[("delivery", TYPE)] - FRESHNESS - 60) < 30
    scene.admitted(1, 1, registry + 1)  # the marker behind the record is no lag
    scene.expect(seconds=FRESHNESS + 60)


def test_an_admission_line_that_is_behind_breaks_with_cause_exchange(scene: Scene) -> None:
    scene.join()
    scene.submit(b"k1", b"v")
    scene.expect("exchange", seconds=FRESHNESS + 60)
    scene.admission_takes_all()
    scene.expect(seconds=FRESHNESS + 60)


def test_a_suspended_share_breaks_with_cause_exchange(scene: Scene) -> None:
    scene.join()
    key, value = encode_place(scene.share, Joined(0, 0, 1, "E_SHARE_UNWRITABLE"))
    scene.write((names.delivery_topic(TYPE), key, value, 1))
    scene.expect("exchange")
    assert scene.bus.ledger.state.shares[scene.share].suspended == "E_SHARE_UNWRITABLE"
    scene.bus.ledger.execute(OrderRecovery(scene.grant.grant))
    scene.bus.ledger.execute(RecoverShare(scene.share))
    scene.look()
    assert scene.causes == {"exchange"}  # the line has not taken it up yet
    for partition in range(PARTITIONS):
        key, value = encode_place(scene.share, Joined(0, 0, 1, recoveries=1))
        scene.write((names.delivery_topic(TYPE), key, value, partition))
    scene.expect()


def test_an_ended_grant_is_watched_no_more(scene: Scene) -> None:
    scene.join()
    scene.look()
    scene.grant.ended = datetime.now(UTC)
    before = scene.bus.ledger.state.seq
    scene.look(seconds=2 * CYCLE)
    assert scene.bus.ledger.state.seq == before
    assert (scene.grant.grant, TAX) not in metrics.SHARE_LAG.read()


def test_books_close_by_what_the_lines_counted(scene: Scene) -> None:
    key, value = encode_counts(scene.share, Counts(5, 2, 1, 1, 1))
    aside = Books(9, 6, 1, 1)
    aside.quarantine(MARKET, "E_CREDIT_CODE_CHECK")
    scene.write(
        (names.admission_topic(TYPE), BOOKS_KEY, encode(aside), 0),
        (names.delivery_topic(TYPE), *encode_totals(Totals(5, 5, 1)), 0),
        (names.delivery_topic(TYPE), key, value, 0),
    )
    scene.join()
    receipts = Receipts(lambda places: PartitionTail(scene.bus.connection(names.BROKER), places))
    at = datetime.now(UTC).replace(microsecond=0)
    receipt = encode_receipt(Receipt(0, 9, 2, 1, 0, at))
    scene.write(
        (names.receipt_topic(scene.grant.grant), *receipt, 0),
        (names.receipt_topic(scene.grant.grant), b"1", b"no receipt", 0),
    )
    scene.look()

    def applied() -> bool:
        receipts.refresh(scene.bus.admin.topics(), Deadline.after(20))
        return receipts.of(scene.grant.grant) == HandedOver(3, 0, 0, at)

    until(applied, "the receipt is read")
    accounts = {
        account.share: account for account in books(scene.lines, receipts, {scene.share: [scene.grant.grant]}, Unread())
        if account.record_type == TYPE
    }  # fmt: skip
    admission, share = accounts[None], accounts[scene.share]
    assert (admission.difference, admission.entries["in_flight"]) == (0, 1)
    assert admission.by_code == {"E_CREDIT_CODE_CHECK": 1}
    assert (share.difference, share.entries["in_flight"], share.handed_over.records) == (0, 1, 3)
    receipts.close()


def test_a_share_that_was_empty_at_first_counts_as_empty_until_it_holds_something(scene: Scene) -> None:
    scene.join()
    scene.becomes(DemandState.SERVING)
    assert scene.grant.empty
    scene.write((scene.topic, names.HEARTBEAT_KEY, None, 0))
    scene.look()
    assert scene.grant.empty
    scene.write((scene.topic, b"k1", b"v", 1))

    def filled() -> bool:
        scene.look()
        return not scene.grant.empty

    until(filled, "the share holds something")
    said = [event.event for event in scene.bus.ledger.events if event.event == "share-filled"]
    scene.look()
    assert said == ["share-filled"] == [e.event for e in scene.bus.ledger.events if e.event == "share-filled"]


def test_what_connectors_set_aside_opens_and_closes_a_breach_of_their_side(scene: Scene) -> None:
    scene.join()
    scene.take(p0=0)
    scene.expect()

    def report(rows: int, aside: int) -> None:
        now = datetime.now(UTC)
        told = SourceReport("market-regulation.register", TYPE, SourceState.WORKING, None, now, now, rows, aside)
        producer = IdempotentProducer(scene.bus.connection(MARKET))
        producer.send(names.report_topic(MARKET), *encode_report(told))
        producer.flush(Deadline.after(20))
        producer.close()

    def receipt(applied: int, aside: int) -> None:
        told = encode_receipt(Receipt(0, 9, applied, 0, 0, datetime.now(UTC), aside))
        scene.write((names.receipt_topic(scene.grant.grant), *told, 0))

    report(400, 21)
    scene.expect("provider")
    receipt(10, 1)
    scene.expect("provider", "grantee")
    assert {one.reason for one in scene.grant.breaches.values()} == {SET_ASIDE}
    report(400, 20)
    scene.expect("grantee")
    receipt(19, 1)
    scene.expect()


def test_a_grantee_that_was_away_for_longer_than_tombstones_are_kept_is_told_to_resync(scene: Scene) -> None:
    scene.join()
    scene.write(*((scene.topic, b"%d" % number, b"v", 0) for number in range(4)))
    away = TOMBSTONES_KEPT + timedelta(days=1)
    scene.look(days=away.days)
    assert scene.evidence.absent == frozenset(), "who has not begun reads from the beginning"
    scene.take(p0=2)
    scene.look()
    assert scene.evidence.absent == frozenset()
    scene.look(days=away.days)
    assert scene.evidence.absent == {scene.grant.grant}
    scene.take(p0=scene.end() - 1)
    scene.look(days=away.days)
    assert scene.evidence.absent == frozenset(), "only the marker of a transaction is left"
