from collections.abc import Iterator

import pytest
from confluent_kafka import DeserializingConsumer
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from exchange import names
from exchange.avro import Codec
from exchange.broker.departments.tokens import IssueToken, digest
from exchange.clock import Deadline
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.kafka.client.producer import IdempotentProducer
from exchange.names import Department, ShareName
from exchange.record import frame
from exchange.settings import HttpSettings
from exchange.web.app import create_app
from tests.harness.kafka.admission import companies
from tests.harness.kafka.broker import ENTERPRISES, Bus, prepared_kafka, until
from tests.harness.memory.service import MemoryService, serving

pytestmark = pytest.mark.kafka
TAX, MARKET = Department("taxation"), Department("market-regulation")
TOKEN = "a-token-of-the-tax-department"
FIELDS = ("credit_code", "name")
ROW = {"credit_code": "91340100MA2MRY1T4G", "name": "某某有限公司"}


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    with prepared_kafka(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka


@pytest.fixture
def bus(own_kafka: EmbeddedKafka) -> Bus:
    bus = Bus(own_kafka)
    bus.register(TAX, MARKET)
    bus.ledger.execute(IssueToken("department", TAX, digest(TOKEN)))
    return bus


@pytest.fixture
def registry(bus: Bus) -> Iterator[SchemaRegistryClient]:
    """The standard client, with Basic: its bearer form asks for settings of a vendor's cloud."""
    app = create_app(MemoryService(bus.ledger), HttpSettings())
    basic = {"basic.auth.user.info": f"{TAX}:{TOKEN}"}
    with serving(app) as url, SchemaRegistryClient({"url": url, **basic}) as client:
        yield client


def test_a_standard_client_reads_a_share_with_our_registry(bus: Bus, registry: SchemaRegistryClient) -> None:
    grant = bus.grant(TAX, fields=FIELDS)
    bus.settle()
    share = bus.ledger.state.shares[grant.share or ShareName("")]
    topic = names.share_topic(share.share)
    writer = IdempotentProducer(bus.connection(names.DELIVERY))
    writer.send(topic, ROW["credit_code"].encode(), frame(share.schema_id) + Codec(share.schema).encode(ROW))
    writer.send(topic, b"gone", None)
    writer.flush(Deadline.after(20))
    writer.close()
    reader = DeserializingConsumer(
        bus.connection(TAX).config(
            group_id=names.grant_group(grant.grant),
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        | {"value.deserializer": AvroDeserializer(registry)}
    )
    reader.subscribe([topic])
    found: dict[bytes, object] = {}

    def both() -> bool:
        message = reader.poll(0.5)
        if message is not None and message.error() is None:
            found[message.key()] = message.value()
        return len(found) == 2

    until(both, "the share is read")
    reader.close()
    assert found == {ROW["credit_code"].encode(): ROW, b"gone": None}


def test_a_standard_serializer_writes_an_inbox_without_registering_anything(
    bus: Bus, registry: SchemaRegistryClient
) -> None:
    inbox = names.inbox_topic(bus.ledger.state.resources[ENTERPRISES].record_type, MARKET)
    locked = bus.schemas.latest("legal-entity.registration")
    encoded = Codec(locked.schema).encode(next(iter(companies(1))))
    record = Codec(locked.schema).decode(encoded)
    serializer = AvroSerializer(registry, conf={"auto.register.schemas": False, "use.latest.version": True})
    written = serializer(record, SerializationContext(inbox, MessageField.VALUE))
    assert written == frame(locked.id) + encoded


def test_the_standard_client_sees_subjects_versions_and_errors(bus: Bus, registry: SchemaRegistryClient) -> None:
    bus.settle()
    assert "population.death" in registry.get_subjects()
    latest = registry.get_latest_version("population.death")
    assert registry.get_versions("population.death")[-1] == latest.version
    assert registry.lookup_schema("population.death", latest.schema).schema_id == latest.schema_id
    assert registry.test_compatibility("population.death", latest.schema) is True
    with pytest.raises(SchemaRegistryError) as unknown:
        registry.get_latest_version("nothing")
    assert (unknown.value.http_status_code, unknown.value.error_code) == (404, 40401)
    with pytest.raises(SchemaRegistryError) as refused:
        registry.register_schema("population.death", Schema('"string"', "AVRO"))
    assert (refused.value.http_status_code, refused.value.error_code) == (403, 40301)
