"""Grants on a real Kafka with broker service and delivery worker: one is amended, one is served by signed files."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from exchange import names
from exchange.broker.grants.amend import AmendGrant
from exchange.clock import Deadline, SystemClock
from exchange.connect import folder, sink
from exchange.connect.find import Connector
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.handover import receipt
from exchange.handover.files.folder import DropFolder
from exchange.handover.files.verify import accept, verify
from exchange.handover.granted import Run
from exchange.handover.start import serve
from exchange.kafka.client.reader import read_to_end
from exchange.ledger.state.ledger_state import GrantEntry
from exchange.names import Department, GrantId, SchemaId, ShareName, share_topic
from exchange.settings import ApiSettings, ConnectorSettings, KafkaSettings, Settings
from exchange.signing import SigningKey
from exchange.web import views
from tests.harness.kafka.broker_service import PARTITIONS, PROVIDER, TYPE, Office, company
from tests.harness.kafka.sink import TOKEN
from tests.harness.kafka.sink import BrokerService as GrantService

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


def served(office: Office, grant: GrantId) -> bool:
    """Take what there is by now; whether that was enough."""
    take(office, grant)
    return office.state(grant) == "serving"


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
        elif error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:  # the rights have gone while it was read
            keys.clear()
            return True
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


def drop_folder_sink(office: Office, grant: GrantId, folder_path: Path, stop: threading.Event) -> threading.Thread:
    """The sink of a grant into a drop folder, at work."""
    entry, now = office.entry(grant), shown(office, grant)
    schema = office.service.ledger.read(lambda state: state.shares[entry.share or ShareName("")].schema)
    department = now["demander"]
    service = GrantService({SchemaId(now["schema_id"]): schema})
    service.grants = [now]
    (folder_path / "drop").mkdir()
    SigningKey.make(folder_path / "key.pem")
    own = {"drop_folder": folder_path / "drop", "signing_key_file": folder_path / "key.pem", "delivery_seconds": 0}
    secret = {"username": department, "password": office.secrets[department], "password_file": None}
    settings = Settings(
        kafka=KafkaSettings.model_validate(office.settings.kafka.model_dump() | secret),
        api=ApiSettings.model_validate({"url": service.url, "token": TOKEN}),
        connector=ConnectorSettings.model_validate({**own, "state_folder": folder_path / "state"}),
    )
    declared = sink(TYPE, folder("companies"))
    connector = Connector(f"{department}.companies", department, declared)

    def work() -> None:
        with closing(service):
            serve(connector, declared, settings, Run(stop))

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_demand_that_replaces_another_is_served_before_that_one_ends(office: Office) -> None:
    health = Department("health")
    office.write(company(number) for number in range(1000, 1020))
    old = office.consent(health, ("credit_code", "name"))
    office.until(lambda: served(office, old), "the old grant is served")
    before = share_topic(office.entry(old).share or ShareName(""))
    wider = office.consent(health, ASKED, replaces=old)
    assert read_all(office, health, old, before), "nobody has taken anything of the wider one"
    assert office.state(old) == "serving"
    office.until(lambda: served(office, wider), "the wider grant is served")
    ended = office.entry(old)
    assert (ended.end_reason, ended.ended) == ("withdrawn", office.entry(wider).first_delivered)
    office.until(lambda: not read_all(office, health, old, before), "the rights of the old grant are gone")
    now = share_topic(office.entry(wider).share or ShareName(""))
    assert {f"C{number:05}" for number in range(1000, 1020)} <= read_all(office, health, wider, now)


def test_a_grant_that_is_served_by_files_is_serving_only_when_the_receipt_is_there(
    office: Office, tmp_path: Path
) -> None:
    office.write(company(number) for number in range(100, 120))
    grant = office.consent(Department("human-resources"), ASKED)
    share = office.entry(grant).share or ShareName("")
    office.until(lambda: len(office.content(share)) >= 20, "the share is filled")
    stop = threading.Event()
    worker = drop_folder_sink(office, grant, tmp_path, stop)
    try:
        drop = tmp_path / "drop" / "companies"
        office.until((drop / "000001.manifest.json").exists, "the first delivery is there")
        public = SigningKey.read(tmp_path / "key.pem").public
        with closing(DropFolder(drop)) as opened:
            finding = verify(opened, public)
            assert finding.waiting is not None and finding.faults == []
            assert office.admin.committed(names.grant_group(grant)) == {}
            assert office.state(grant) == "activating"
            written = accept(opened, finding, SystemClock().now())
        assert written is not None and written.records.written >= 20
        office.until(lambda: office.state(grant) == "serving", "the receipt has come to the broker service")
        ends = {place[1]: end for place, end in office.admin.committed(names.grant_group(grant)).items()}
        assert ends == {number: end for number, end in written.ends().items() if end}
        given = read_to_end(office.connection, [(names.receipt_topic(grant), 0)], Deadline.after(30))
        last = {one.key(): receipt.decode(one.value() or b"") for one in given}
        assert sum(one.handed_over for one in last.values() if one) == written.records.taken
    finally:
        stop.set()
        worker.join(30)


def test_the_leader_says_once_where_it_takes_commands(office: Office) -> None:
    place = ("office", "http://127.0.0.1:8400")
    office.until(
        lambda: office.service.ledger.read(lambda state: (state.leader_worker, state.leader_url)) == place,
        "the leader has announced itself",
    )
