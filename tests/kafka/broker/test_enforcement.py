import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from exchange import names
from exchange.broker.enforcement.wanted import wanted
from exchange.broker.grants.place import PlaceGrant
from exchange.broker.grants.suspend import RevokeGrant, SuspendGrant
from exchange.clock import Deadline
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.kafka.admin.admin import Acl, NewTopicSpec
from exchange.kafka.admin.quotas import quotas_of
from exchange.kafka.client.connection import Connection
from exchange.ledger.store.command import Command
from exchange.ledger.store.decisions import Result
from exchange.names import Department, GrantId, ShareName
from exchange.observe import metrics
from tests.harness.kafka.broker import DEATHS, PARTITIONS, QUOTA, Bus, prepared_kafka, until
from tests.harness.memory.ledger import MemoryLedger

pytestmark = pytest.mark.kafka
TAX, MARKET, HR, HEALTH = (Department(slug) for slug in ("taxation", "market-regulation", "human-resources", "health"))
SECONDS = 20.0


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    with prepared_kafka(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka


@pytest.fixture
def bus(own_kafka: EmbeddedKafka) -> Bus:
    return Bus(own_kafka)


def consumer(connection: Connection, group: str) -> Consumer:
    return Consumer(
        connection.config(
            group_id=group, auto_offset_reset="earliest", isolation_level="read_committed", enable_auto_commit=False,
            session_timeout_ms=6000, enable_partition_eof=True,
        )
    )  # fmt: skip


def outcome(reader: Consumer, topic: str) -> int | None:
    """The code of Kafka's error for a reader that is assigned a topic, or None when it may read."""
    refused = reader.list_topics(topic, SECONDS).topics[topic].error
    if refused is not None:
        return int(refused.code())
    reader.assign([TopicPartition(topic, 0, 0)])
    deadline = Deadline.after(SECONDS)
    while not deadline.passed:
        message = reader.poll(0.5)
        if message is None or message.topic() != topic:
            continue
        if message.error() is None or message.error().code() == KafkaError._PARTITION_EOF:
            return None
        if message.error().code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            return int(message.error().code())
    raise AssertionError(f"no answer from Kafka about {topic}")


def write(connection: Connection, topic: str) -> int | None:
    """The code of Kafka's error for a writer, or None when the record was taken."""
    failures: list[KafkaError] = []
    producer = Producer(connection.config(message_timeout_ms=10_000))
    producer.produce(topic, b"v", b"k", on_delivery=lambda error, _: failures.append(error) if error else None)
    assert producer.flush(SECONDS) == 0
    return int(failures[0].code()) if failures else None


def test_a_grantee_reads_its_share_and_nothing_else(bus: Bus) -> None:
    bus.register(TAX, MARKET, HR)
    bus.settle()
    until(lambda: not [name for name in bus.admin.topics() if name.startswith("share.")], "no grant, no topic")
    grant = bus.grant(TAX)
    bus.settle()
    assert grant.active
    topic = names.share_topic(grant.share or ShareName(""))
    assert [name for name in bus.admin.topics() if name.startswith("share.")] == [topic]
    assert write(bus.connection(names.DELIVERY), topic) is None
    reader = consumer(bus.connection(TAX), names.grant_group(grant.grant))
    reader.subscribe([topic])
    seen: list[bytes] = []

    def one() -> bool:
        message = reader.poll(0.5)
        if message is not None and message.error() is None:
            seen.append(message.value())
        return bool(seen)

    until(one, "the grantee reads its share")
    reader.close()
    allowed = {topic, names.quarantine_topic(TAX), names.faults_topic(TAX), names.correction_topic(TAX)}
    other = consumer(bus.connection(TAX), names.tail_group(TAX))
    for name in bus.admin.topics():
        expected = None if name in allowed else KafkaError.TOPIC_AUTHORIZATION_FAILED
        assert outcome(other, name) == expected, name
    other.close()
    stranger = consumer(bus.connection(HR), names.tail_group(HR))
    assert outcome(stranger, topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    stranger.close()
    writable = {name for name in bus.admin.topics() if write(bus.connection(TAX), name) is None}
    assert writable == {names.faults_topic(TAX), names.report_topic(TAX), names.receipt_topic(grant.grant)}
    inbox = names.inbox_topic(grant.terms.record_type, MARKET)
    assert write(bus.connection(MARKET), inbox) is None


def test_a_revoked_grantee_is_cut_off_within_a_second_on_its_open_connection(bus: Bus) -> None:
    bus.register(TAX)
    grant = bus.grant(TAX)
    bus.settle()
    topic = names.share_topic(grant.share or ShareName(""))
    reader = consumer(bus.connection(TAX), names.grant_group(grant.grant))
    reader.subscribe([topic])
    until(lambda: (reader.poll(0.1), bool(reader.assignment()))[1], "the grantee joins its group")
    bus.in_flow.add(grant.share or ShareName(""))  # the line has not let go, so the topic stays
    bus.ledger.execute(RevokeGrant(grant.grant, MARKET, "purpose met"))
    begin = time.monotonic()
    bus.reconciler.reconcile()

    def cut_off() -> bool:
        message = reader.poll(0.05)
        return (
            message is not None
            and message.error() is not None
            and message.error().code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
        )

    until(cut_off, "the grantee is refused")
    # A second is the promise; the rest is room for a machine that runs other tests beside this one.
    assert time.monotonic() - begin < 4.0
    reader.close()


def test_a_suspended_grant_keeps_its_share_and_loses_its_rights(bus: Bus) -> None:
    bus.register(TAX)
    grant = bus.grant(TAX)
    bus.settle()
    bus.ledger.execute(SuspendGrant(grant.grant, MARKET, "looked into"))
    bus.settle()
    topic = names.share_topic(grant.share or ShareName(""))
    assert topic in bus.admin.topics()
    assert not [acl for acl in bus.admin.acls() if acl.name in (topic, names.grant_group(grant.grant))]


def test_a_share_topic_exists_before_the_ledger_names_the_share(bus: Bus) -> None:
    seen: list[bool] = []

    class Watching(MemoryLedger):
        def execute(self, command: Command, *rest: Any, **more: Any) -> Result:
            result = super().execute(command, *rest, **more)
            if isinstance(command, PlaceGrant):
                share = self.state.grants[GrantId(command.grant)].share
                topic = names.share_topic(share or ShareName(""))
                until(lambda: topic in bus.admin.topics(), "the topic is made before the ledger names it")
                seen.append(True)
            return result

    bus = Bus(bus.kafka, ledger=Watching())
    bus.register(TAX)
    bus.grant(TAX)
    bus.settle()
    assert seen == [True]


def test_equal_terms_share_one_topic_and_personal_records_never_do(bus: Bus) -> None:
    bus.register(TAX, HR, HEALTH, MARKET)
    first, second = bus.grant(TAX), bus.grant(HR)
    deaths = ("provider_code", "resident_id")
    own, other = bus.grant(TAX, DEATHS, fields=deaths), bus.grant(HR, DEATHS, fields=deaths)
    bus.settle()
    assert first.share == second.share
    assert own.share != other.share
    topic = names.share_topic(first.share or ShareName(""))
    until(lambda: {acl.principal for acl in bus.admin.acls() if acl.name == topic} == {TAX, HR}, "both may read")


def test_what_no_grant_explains_is_removed_and_counted(bus: Bus) -> None:
    bus.register(TAX)
    bus.settle()
    bus.reconciler.look()
    registry = "registry.legal-entity.registration"
    extra = Acl(TAX, "topic", registry, "read")
    everything = Acl(TAX, "topic", "registry.", "all", prefixed=True)
    emergency = Acl(TAX, "topic", registry, "read", permission="deny")

    def rights() -> set[Acl]:
        return {acl for acl in bus.admin.acls() if acl.principal == TAX}

    kept = {acl for acl in wanted(bus.ledger.state, bus.ledger.clock.now(), PARTITIONS).acls if acl.principal == TAX}
    until(lambda: rights() == kept, "the rights are there")
    missing = min(kept)
    # Changes of its own last seconds are no drift to a reconciler: a new one has made none.
    bus.reconciler = bus.new_reconciler(bus.ledger)
    bus.settle()
    bus.admin.grant([extra, everything, emergency])
    bus.admin.revoke([missing])
    bus.admin.create_topics([NewTopicSpec("share.nobody", 1, {})], 1)
    until(lambda: "share.nobody" in bus.admin.topics(), "the foreign topic is there")
    until(lambda: rights() == kept - {missing} | {extra, everything, emergency}, "rights have changed")
    before = drift()
    bus.reconciler.look()
    bus.settle()
    until(lambda: rights() == kept | {emergency}, "the rights are as they should be")
    until(lambda: "share.nobody" not in bus.admin.topics(), "the foreign topic is removed")
    counted = {kind: count - before.get(kind, 0.0) for kind, count in drift().items()}
    assert {kind: count for kind, count in counted.items() if count} == {
        "acl-extra": 2.0,
        "acl-missing": 1.0,
        "topic-extra": 1.0,
    }
    bus.admin.revoke([emergency])


def drift() -> dict[str, float]:
    found = {}
    for line in metrics.exposition().decode().splitlines():
        if line.startswith("exchange_enforcement_drift_total{"):
            found[line.split('"')[1]] = float(line.rsplit(" ", 1)[1])
    return found


def test_an_unused_share_goes_when_the_line_has_let_it_go(bus: Bus) -> None:
    bus.register(TAX)
    grant = bus.grant(TAX)
    bus.settle()
    share = grant.share or ShareName("")
    bus.in_flow.add(share)
    bus.ledger.execute(RevokeGrant(grant.grant, MARKET, "purpose met"))
    bus.settle()
    assert bus.ledger.state.shares[share].deleted
    assert names.share_topic(share) in bus.admin.topics()
    bus.in_flow.clear()
    bus.settle()
    until(lambda: names.share_topic(share) not in bus.admin.topics(), "the topic is deleted")


def test_an_empty_ledger_deletes_no_share(bus: Bus) -> None:
    bus.register(TAX)
    grant = bus.grant(TAX)
    bus.settle()
    bus.new_reconciler(MemoryLedger()).reconcile()
    assert names.share_topic(grant.share or ShareName("")) in bus.admin.topics()


def test_a_lost_share_topic_is_not_made_again(bus: Bus) -> None:
    bus.register(TAX)
    grant = bus.grant(TAX)
    bus.settle()
    topic = names.share_topic(grant.share or ShareName(""))
    bus.admin.delete_topics([topic])
    until(lambda: topic not in bus.admin.topics(), "the topic is gone")
    bus.lost.add(topic)
    bus.reconciler.look()
    bus.settle()
    assert topic not in bus.admin.topics()


def test_every_department_gets_the_default_quotas(bus: Bus) -> None:
    bus.register(TAX, MARKET)
    bus.settle()
    expected = dict.fromkeys((TAX, MARKET), QUOTA)
    until(lambda: expected.items() <= quotas_of(Connection.of(bus.settings)).items(), "both are limited")


def test_our_own_principals_write_only_what_is_theirs(bus: Bus) -> None:
    bus.register(TAX, MARKET)
    bus.grant(TAX)
    bus.settle()
    bus.admin.create_topics([NewTopicSpec("other", 1, {})], 1)
    until(lambda: "other" in bus.admin.topics(), "the foreign topic is there")
    for principal, allowed in (
        (names.ADMISSION, ("exchange.admission.", "registry.", "quarantine.")),
        (names.DELIVERY, ("exchange.delivery.", "share.", "quarantine.")),
        (names.BROKER, ("exchange.ledger", "exchange.redrive.", "correction.")),
    ):
        for name in bus.admin.topics():
            if name.startswith("__"):
                continue
            refused = write(bus.connection(principal), name) == KafkaError.TOPIC_AUTHORIZATION_FAILED
            assert refused != name.startswith(allowed), (principal, name)
