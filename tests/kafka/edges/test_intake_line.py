"""The intake line on a real Kafka and a real PostgreSQL: what arrives in the inbox, what the books say."""

import csv
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from connectors.health.deaths import deaths
from connectors.market_regulation.registrations_file import registrations_file
from exchange.avro import Codec
from exchange.avro.lock import SchemaRepository
from exchange.clock import Deadline, SystemClock
from exchange.connect import Source
from exchange.connect.find import Connector
from exchange.demo.province.dirt import COLUMNS
from exchange.demo.province.people import Population
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.errors import ExchangeError
from exchange.intake.memory.memory import Books, Changes, Memory
from exchange.intake.report import decode
from exchange.intake.start import open_line
from exchange.kafka.admin.admin import Acl, Admin, NewTopicSpec
from exchange.kafka.admin.topics import TopicKind, topic_config
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.message import Message
from exchange.kafka.client.partitioner import partition_of
from exchange.kafka.client.reader import read_to_end
from exchange.names import Department, faults_topic, inbox_topic, report_topic
from exchange.record import FRAME_BYTES, header, unframe
from exchange.settings import ConnectorSettings, Settings
from tests.harness.source_tables import create, execute, insert_rows

pytestmark = pytest.mark.kafka
PARTITIONS = 3
HEALTH_CODE = "11340000EXCH000341"


class Desk:
    """A department with its inbox, and what it takes to run a source of it once."""

    def __init__(self, source: Source, department: str, settings: Settings, admin: Connection) -> None:
        self.source = source
        self.connector = Connector(f"{department}.rows", Department(department), source)
        self.settings = settings
        self._admin = admin

    def run(self) -> Books:
        line = open_line(self.connector, self.source, self.settings)
        try:
            line.run(threading.Event(), once=True)
            return line.books
        finally:
            line.close()

    def inbox(self) -> list[Message]:
        topic = inbox_topic(self.source.record_type, self.connector.department)
        places = [(topic, partition) for partition in range(PARTITIONS)]
        return list(read_to_end(self._admin, places, Deadline.after(20)))

    def faults(self) -> list[Message]:
        return list(read_to_end(self._admin, [(faults_topic(self.connector.department), 0)], Deadline.after(20)))

    def decoded(self) -> list[dict[str, Any]]:
        schema = SchemaRepository.load(self.settings.schemas).latest(self.source.record_type)
        codec = Codec(schema.schema)
        values = [value for message in self.inbox() if (value := message.value()) is not None]
        assert {unframe(value) for value in values} <= {schema.id}
        return [codec.decode(value[FRAME_BYTES:]) for value in values]


@pytest.fixture
def desk(
    admin: Admin, admin_connection: Connection, kafka_settings_for: Callable[..., Any], unique: str, tmp_path: Path
) -> Callable[..., Desk]:
    def make(source: Source, **connector: Any) -> Desk:
        inbox, faults = inbox_topic(source.record_type, Department(unique)), faults_topic(Department(unique))
        report = report_topic(Department(unique))
        admin.create_topics([NewTopicSpec(inbox, PARTITIONS, topic_config(TopicKind.INBOX))], 1)
        admin.create_topics([NewTopicSpec(name, 1, topic_config(TopicKind.FAULTS)) for name in (faults, report)], 1)
        kafka = kafka_settings_for(unique)
        admin.grant([Acl(unique, "topic", topic, "write") for topic in (inbox, faults, report)])
        state = {"state_folder": tmp_path / "state", "poll_seconds": 0.05, **connector}
        return Desk(source, unique, Settings(kafka=kafka, connector=ConnectorSettings(**state)), admin_connection)

    return make


@pytest.fixture
def deaths_desk(desk: Callable[..., Desk], postgres: EmbeddedPostgres, unique: str) -> tuple[Desk, str]:
    address = postgres.database(unique)
    create(address, "health")
    execute(address, "ALTER TABLE deaths ALTER COLUMN updated_at SET DEFAULT now() - interval '1 hour'")
    return desk(deaths, database=address), address


def add_deaths(address: str, people: int) -> int:
    population = Population(seed=3)
    rows = list(population.deaths(population.residents(people), HEALTH_CODE, share=0.5))
    return insert_rows(address, "deaths", rows)


def ids(messages: Sequence[Message]) -> list[bytes | None]:
    return [header(message.headers(), "ce_id") for message in messages]


def test_every_row_arrives_once_in_the_partition_of_its_key(deaths_desk: tuple[Desk, str]) -> None:
    desk, address = deaths_desk
    number = add_deaths(address, 900)
    books = desk.run()
    sent = desk.inbox()
    assert number > 0
    assert (books.collected, books.submitted, books.unmapped) == (number, number, 0)
    assert len(sent) == number == len({message.key() for message in sent})
    assert all(message.partition() == partition_of(message.key() or b"", PARTITIONS) for message in sent)
    assert {record["provider_code"] for record in desk.decoded()} == {HEALTH_CODE}
    assert len(set(ids(sent))) == number
    assert {header(message.headers(), "ce_type") for message in sent} == {b"population.death"}


def test_a_second_run_sends_only_what_has_changed(deaths_desk: tuple[Desk, str]) -> None:
    desk, address = deaths_desk
    number = add_deaths(address, 300)
    desk.run()
    assert desk.run() == Books(number, number, 0, 2)
    changed = execute(
        address, "UPDATE deaths SET name = '改名' WHERE resident_id = (SELECT min(resident_id) FROM deaths)"
    )
    books = desk.run()
    assert (changed, books.collected, books.submitted) == (1, number + 1, number + 1)
    sent = desk.inbox()
    key = _last(sent).key()
    sequences = [_sequence(message) for message in sent if message.key() == key]
    assert len(sequences) == 2
    assert sequences[0] < sequences[1]


def _sequence(message: Message) -> int:
    return int(header(message.headers(), "ce_sequence") or 0)


def _last(messages: Sequence[Message]) -> Message:
    return max(messages, key=_sequence)


def test_a_withdrawn_row_becomes_a_tombstone_with_a_greater_sequence(deaths_desk: tuple[Desk, str]) -> None:
    desk, address = deaths_desk
    add_deaths(address, 100)
    desk.run()
    execute(address, "UPDATE deaths SET withdrawn = true WHERE resident_id = (SELECT min(resident_id) FROM deaths)")
    desk.run()
    sent = desk.inbox()
    last = _last(sent)
    assert last.value() is None
    assert last.key() in {message.key() for message in sent if message.value() is not None}


def test_a_page_that_was_sent_but_not_booked_is_sent_again_with_the_same_ids(
    deaths_desk: tuple[Desk, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, address = deaths_desk
    number = add_deaths(address, 200)
    with monkeypatch.context() as killing:
        killing.setattr(Memory, "book", _killed)
        with pytest.raises(KeyboardInterrupt):
            desk.run()
    first = ids(desk.inbox())
    books = desk.run()
    assert (books.collected, books.submitted) == (number, number)
    again = ids(desk.inbox())
    assert len(again) == 2 * number
    assert set(again) == set(first)


def _killed(_memory: Memory, changes: Changes, _cursor: object = None) -> None:
    """The end of the process between Kafka's word and the books."""
    if changes.rows:
        raise KeyboardInterrupt


def test_a_source_reports_what_it_is(deaths_desk: tuple[Desk, str]) -> None:
    desk, address = deaths_desk
    number = add_deaths(address, 100)
    desk.run()
    reports = read_to_end(desk._admin, [(report_topic(desk.connector.department), 0)], Deadline.after(20))
    last = decode(list(reports)[-1].value() or b"")
    assert last is not None
    assert (last.connector, last.state, last.rows, last.code) == (desk.connector.name, "working", number, None)


def write_csv(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    aside = path.with_suffix(".aside")
    with aside.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    os.utime(aside, (time.time() - 60, time.time() - 60))
    aside.rename(path)
    return path


def company(code: str, **changes: str) -> list[str]:
    row = {
        "企业名称": "合肥试验有限公司",
        "统一社会信用代码": code,
        "注册日期": "2003-05-06",
        "企业类型": "N/A",
        "法人代表": "N/A",
        "注册资金": "1,200.5(万美元)",
        "经营范围": "\u3000粮油１２号 ",
        "所在省份": "安徽",
        "地区": "合肥",
        "注册地址": "安徽省合肥市",
    }
    return [{**row, **changes}[name] for name in COLUMNS]


def test_a_dirty_file_is_cleaned_and_a_row_that_does_not_map_waits_in_faults(
    desk: Callable[..., Desk], tmp_path: Path
) -> None:
    codes = [one.credit_code for one in Population().companies(4, HEALTH_CODE)]
    rows = [company(codes[0].lower()), company(codes[1], 地区="上海"), company(codes[2], 注册日期="昨天")]
    here = desk(registrations_file, path=write_csv(tmp_path / "rows.csv", [*rows, company(codes[3], 注册资金="若干")]))
    books = here.run()
    assert (books.collected, books.submitted, books.unmapped) == (4, 2, 2)
    first, second = sorted(here.decoded(), key=lambda record: codes.index(record["credit_code"]))
    assert first["business_scope"] == "粮油12号"
    assert (first["capital_text"], str(first["capital_amount"]), first["capital_currency"]) == (
        "1,200.5(万美元)",
        "12005000.00",
        "USD",
    )
    assert (first["entity_type"], first["region"]) == (None, "340100")
    assert (second["capital_text"], second["capital_amount"], second["capital_currency"]) == ("若干", None, None)
    faults = [message.value() or b"" for message in here.faults()]
    assert [b"region: not a city" in fault or b"established: not a day" in fault for fault in faults] == [True, True]


def test_one_partition_takes_far_more_than_one_batch(desk: Callable[..., Desk], tmp_path: Path) -> None:
    """A page is larger than the largest batch that an inbox takes. (Whether the codes are right, admission judges.)"""
    code = Population().companies(1, HEALTH_CODE)[0].credit_code
    codes = [f"{code[:8]}{number:09}{code[-1]}" for number in range(700)]
    rows = [company(code, 经营范围="粮" * 1500) for code in codes]
    here = desk(registrations_file, path=write_csv(tmp_path / "rows.csv", rows))
    assert here.run().submitted == 700
    assert len(here.inbox()) == 700


def test_a_source_that_is_away_is_waited_for_and_a_quiet_one_shows_life(
    desk: Callable[..., Desk], tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    here = desk(registrations_file, path=path, heartbeat_seconds=0.1)
    line = open_line(here.connector, here.source, here.settings)
    stop = threading.Event()
    worker = threading.Thread(target=line.run, args=(stop,))
    worker.start()
    try:
        assert here.inbox() == []
        write_csv(path, [company(Population().companies(1, HEALTH_CODE)[0].credit_code)])
        deadline = Deadline.after(20)
        while [message.key() for message in here.inbox()].count(b"~") < 2:
            assert not deadline.passed
    finally:
        stop.set()
        worker.join(20)
        line.close()
    heartbeats = [message for message in here.inbox() if message.key() == b"~"]
    assert all(message.value() is None for message in heartbeats)
    assert (line.books.collected, line.books.submitted) == (1, 1)


def test_an_inbox_that_is_forbidden_stops_the_line_and_books_nothing(
    deaths_desk: tuple[Desk, str], admin: Admin
) -> None:
    desk, address = deaths_desk
    add_deaths(address, 50)
    inbox = inbox_topic(desk.source.record_type, desk.connector.department)
    admin.revoke([Acl(desk.connector.department, "topic", inbox, "write")])
    with pytest.raises(ExchangeError) as caught:
        desk.run()
    assert caught.value.code == "E_KAFKA_FORBIDDEN"
    memory = Memory(desk.settings.connector.state_folder, desk.connector.name, SystemClock())
    assert memory.books.collected == 0
    memory.close()
