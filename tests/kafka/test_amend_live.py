"""An amended grant on a real Kafka: the broker service, a delivery worker, and a grantee with a client of its own."""

from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from exchange import names
from exchange.broker.commands_amend import AmendGrant
from exchange.embedded.kafka import EmbeddedKafka
from exchange.ledger.state import GrantEntry
from exchange.names import Department, GrantId, ShareName, share_topic
from exchange.testing.office import PARTITIONS, PROVIDER, Office, company
from exchange.web import views

pytestmark = pytest.mark.kafka
TAX = Department("taxation")
ASKED = ("credit_code", "name", "status")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with (
        EmbeddedKafka(tmp_path_factory.mktemp("kafka")).start() as kafka,
        Office(tmp_path_factory.mktemp("office"), kafka) as office,
    ):
        yield office


def take(office: Office, grant: GrantId) -> None:
    """The grantee takes everything that stands in the share to read now, under the group of its grant."""
    entry = office.entry(grant)
    demander = office.service.ledger.read(lambda state: state.demands[entry.demand].demander)
    topic = share_topic(entry.share or ShareName(""))
    ends = office.admin.end_offsets([(topic, number) for number in range(PARTITIONS)])
    client = Consumer(office.client(demander, names.grant_group(grant)))
    client.commit(offsets=[TopicPartition(*place, end) for place, end in ends.items()], asynchronous=False)
    client.close()


def serving(office: Office, grant: GrantId) -> None:
    take(office, grant)
    office.until(lambda: office.state(grant) == "serving", f"{grant} is served")


def shown(office: Office, grant: GrantId) -> dict[str, Any]:
    return office.service.ledger.read(lambda state: views.grant(state, state.grants[grant]))


def amend(office: Office, grant: GrantId, *fields: str, overlap: int) -> None:
    schemas = office.service.schemas
    command = AmendGrant(
        grant=grant, by=PROVIDER, reason="the duty changed", fields=fields, overlap_seconds=overlap, schemas=schemas
    )
    office.execute(command, PROVIDER)


def switched(entry: GrantEntry, before: ShareName | None) -> bool:
    return entry.share != before


def read_all(office: Office, department: Department, grant: GrantId, topic: str) -> set[str]:
    """The keys a client of the department reads in a topic; empty when Kafka refuses it."""
    client = Consumer(office.client(department, names.grant_group(grant), enable_partition_eof=True))
    refused = client.list_topics(topic, 30).topics[topic].error
    if refused is not None:
        assert refused.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
        client.close()
        return set()
    client.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    keys: set[str] = set()
    ends: set[int] = set()

    def step() -> bool:
        message = client.poll(0.2)
        if message is None:
            return False
        error = message.error()
        if error is None:
            keys.add((message.key() or b"").decode())
        else:
            assert error.code() == KafkaError._PARTITION_EOF
            ends.add(message.partition() or 0)
        return len(ends) == PARTITIONS

    office.until(step, "the topic is read to its end")
    client.close()
    return keys


def test_an_amended_grant_gets_the_present_then_the_future_and_loses_the_share_before_after_the_overlap(
    office: Office,
) -> None:
    office.write(company(number) for number in range(50))
    grant = office.consent(TAX, ASKED, fields=("credit_code", "name"))
    old = office.entry(grant).share or ShareName("")
    office.until(lambda: len(office.content(old)) == 50, "the first share is filled")
    serving(office, grant)

    amend(office, grant, *ASKED, overlap=6)
    entry = office.entry(grant)
    office.until(lambda: switched(entry, old), "the grant reads its next share")

    new = entry.share or ShareName("")
    assert {share["topic"]: share["role"] for share in shown(office, grant)["shares"]} == {
        share_topic(new): "current",
        share_topic(old): "previous",
    }
    assert shown(office, grant)["topic"] == share_topic(new)
    content = office.content(new)
    assert len(content) == 50
    assert all(record["status"] == "1" for record in content.values())
    office.write([company(1, name="another name"), company(77)], keys=["C00002"])
    office.until(lambda: len(office.content(new)) == 50, "changes reach the new share")
    office.until(lambda: len(office.content(old)) == 50, "changes reach the old share too")
    assert office.content(old)["C00001"]["name"] == office.content(new)["C00001"]["name"] == "another name"
    assert office.state(grant) == "activating"  # what stands in the new share has to be taken first
    serving(office, grant)
    assert len(read_all(office, TAX, grant, share_topic(new))) == 51

    office.until(lambda: not entry.former, "the overlap is over")
    office.until(lambda: not office.rights(share_topic(old)), "nobody has a right to the old share")
    assert read_all(office, TAX, grant, share_topic(old)) == set()
    assert office.service.ledger.read(lambda state: state.shares[old].deleted)
    assert office.state(grant) == "serving"
