"""What a department reaches with its Kafka secret and any client: its share, its own topics, and nothing else."""

import secrets
from collections.abc import Iterable
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec
from typer.testing import CliRunner

from exchange.cli.main import app
from tests.harness.kafka.province import Province
from tests.harness.sql_recount import RECOUNTS

pytestmark = pytest.mark.kafka
SECONDS = 30.0


def foreign(province: Province, department: str, **options: Any) -> dict[str, Any]:
    """The configuration of a client that knows nothing of ours but address and secret."""
    secret = province.places.principal_secret(department).read_text().strip()
    return {
        "bootstrap.servers": province.platform.kafka.bootstrap_servers,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": department,
        "sasl.password": secret,
        "log_level": 0,
        **{name.replace("_", "."): value for name, value in options.items()},
    }


def readable(province: Province, department: str, topics: Iterable[str]) -> set[str]:
    """The topics of which a fetch succeeds. Every other one must be refused for want of a right."""
    asked = {TopicPartition(topic, 0): OffsetSpec.latest() for topic in topics}
    visible = set()
    client = AdminClient(foreign(province, department))
    for place, answer in client.list_offsets(asked).items():
        try:
            answer.result(SECONDS)
            visible.add(place.topic)
        except KafkaException as error:
            assert error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    return {topic for topic in visible if fetch(province, department, topic)}


def fetch(province: Province, department: str, topic: str) -> bool:
    """Whether a fetch answers, with a record or with the end; not when Kafka refuses it for want of a right.

    Who may write a topic is told its offsets, but none of its records.
    """
    consumer = reader(province, department, f"{department}.no-group")
    consumer.assign([TopicPartition(topic, 0, 0)])
    try:
        return next_of(consumer) is not None
    except KafkaException as error:
        assert error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
        return False
    finally:
        consumer.close()


def reader(province: Province, department: str, group: str) -> Consumer:
    """A consumer that tells the ends of partitions and commits nothing."""
    return Consumer(
        foreign(
            province,
            department,
            group_id=group,
            isolation_level="read_committed",
            enable_auto_commit=False,
            enable_partition_eof=True,
        )
    )


def next_of(consumer: Consumer) -> Any:
    """The next record or end of a partition; None when nothing comes. Raises KafkaException when Kafka refuses."""
    message = consumer.poll(SECONDS)
    if message is not None and message.error() and message.error().code() != KafkaError._PARTITION_EOF:
        raise KafkaException(message.error())
    return message


def writable(province: Province, department: str, topics: Iterable[str]) -> set[str]:
    """The topics that take a record. Every other one must refuse it for want of a right."""
    producer = Producer(foreign(province, department))
    taken: set[str] = set()
    refused: set[str] = set()

    def delivered(error: KafkaError | None, message: Any) -> None:
        if error is None:
            taken.add(message.topic())
        else:
            assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
            refused.add(message.topic())

    for topic in topics:
        producer.produce(topic, key=b"~", value=None, on_delivery=delivered)
    assert producer.flush(SECONDS) == 0
    assert taken | refused == set(topics)
    return taken


def test_a_grantee_reads_its_share_and_its_own_topics_and_no_other(province: Province) -> None:
    topics = set(province.admin.topics())
    assert len(topics) > 25
    grant = province.grant("taxation")
    own = {"quarantine.taxation", "faults.taxation", "correction.taxation"}
    assert readable(province, "taxation", topics) == {grant["topic"]} | own


def test_a_provider_without_a_grant_reads_no_share_and_not_even_its_own_inbox(province: Province) -> None:
    topics = set(province.admin.topics())
    own = {"quarantine.public-security", "faults.public-security", "correction.public-security"}
    assert readable(province, "public-security", topics) == own


def test_nobody_joins_the_group_of_another_grant(province: Province) -> None:
    own, other = province.grant("human-resources"), province.grant("taxation")
    consumer = reader(province, "human-resources", other["group"])
    consumer.subscribe([own["topic"]])
    with pytest.raises(KafkaException) as refused:
        next_of(consumer)
    consumer.close()
    assert refused.value.args[0].code() == KafkaError.GROUP_AUTHORIZATION_FAILED


def test_a_grantee_finds_in_its_share_nothing_but_granted_keys(province: Province) -> None:
    province.settle()
    grant = province.grant("taxation")
    consumer = reader(province, "taxation", grant["group"])
    partitions = province.admin.topics()[grant["topic"]]
    consumer.assign([TopicPartition(grant["topic"], number, 0) for number in range(partitions)])
    keys, ends = set(), set()
    while len(ends) < partitions:
        message = next_of(consumer)
        assert message is not None
        if message.error():
            ends.add(message.partition())
        else:
            keys.add(message.key().decode())
    consumer.close()
    (companies,) = (recount for recount in RECOUNTS if recount.table == "companies")
    assert keys == {code for code, *_ in companies.rows_expected(province.sql, province.refused_rows)}


def test_a_grantee_writes_its_receipts_and_faults_and_nowhere_else(province: Province) -> None:
    topics = set(province.admin.topics())
    grant = province.grant("taxation")
    assert writable(province, "taxation", topics) == {grant["receipt_topic"], "faults.taxation", "report.taxation"}


def test_a_provider_writes_its_inbox_faults_and_reports_and_nowhere_else(province: Province) -> None:
    topics = set(province.admin.topics())
    own = {"inbox.legal-entity.registration.market-regulation", "faults.market-regulation", "report.market-regulation"}
    assert writable(province, "market-regulation", topics) == own


def test_a_department_opens_no_transaction_of_the_lines_and_makes_no_topic(province: Province) -> None:
    producer = Producer(foreign(province, "taxation", transactional_id="exchange.delivery.legal-entity.registration.0"))
    with pytest.raises(KafkaException) as refused:
        producer.init_transactions(SECONDS)
    assert refused.value.args[0].code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    name = f"share.t{secrets.token_hex(4)}"
    client = AdminClient(foreign(province, "taxation"))
    made = client.create_topics([NewTopic(name, 1, 1)])[name]
    with pytest.raises(KafkaException) as refused:
        made.result(SECONDS)
    assert refused.value.args[0].code() in (
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
    )
    assert name not in province.admin.topics()


def test_without_a_grant_there_is_not_even_a_topic(province: Province) -> None:
    (demand,) = province.operator.items("/v1/demands", demander="taxation", provider="public-security")
    assert (demand["state"], demand["grants"]) == ("refused", [])
    shares = {topic for topic in province.admin.topics() if topic.startswith("share.")}
    assert shares == {grant["topic"] for grant in province.operator.items("/v1/grants")}
    assert not [topic for topic in shares if "population.resident" in topic]


def test_a_client_reads_the_share_with_the_properties_that_the_command_prints(province: Province) -> None:
    grant = province.grant("taxation")
    token = {"EXCHANGE_API__URL": province.platform.http} | {
        "EXCHANGE_API__TOKEN_FILE": str(province.places.secret_file("taxation.token"))
    }
    printed = CliRunner(env=token).invoke(app, ["grant", "show", grant["grant"], "--client-config"]).stdout
    properties = dict(line.split("=", 1) for line in printed.splitlines() if not line.startswith("#"))
    properties["sasl.password"] = province.places.principal_secret("taxation").read_text().strip()
    consumer = Consumer(properties)
    consumer.assign([TopicPartition(grant["topic"], 0, 0)])
    message = next_of(consumer)
    consumer.close()
    assert message is not None and message.topic() == grant["topic"] and message.topic() in printed
