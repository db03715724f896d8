"""Power cuts in the middle of the flow: the same result, nothing lost, nothing doubled, and the books close."""

import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from exchange.avro import Codec
from exchange.names import RecordType, TopicName, inbox_topic, registry_topic
from exchange.record import FRAME_BYTES, SEQUENCE
from tests.harness.kafka.province import SOURCES, Province
from tests.harness.source_tables import source_books
from tests.harness.sql_recount import RECOUNTS

pytestmark = pytest.mark.kafka
COMPANIES = RecordType("legal-entity.registration")
CITIES = ("340100", "340800")
VICTIMS = ("admit", "deliver", "market-regulation.registrations", "taxation.companies")
CHANGES = (
    ("market-regulation", "UPDATE registrations SET capital_amount = coalesce(capital_amount, 0) + 1", "credit_code"),
    ("health", "UPDATE deaths SET reversed = NOT reversed", "resident_id"),
    ("public-security", "UPDATE residents SET moved_from_region = household_region", "resident_id"),
)
"""Department, statement and key column of what changes all the time."""
Version = tuple[bytes, int]
"""Key and sequence."""


@contextmanager
def changes(province: Province) -> Iterator[None]:
    """While this lasts, companies, deaths and residents change without pause, a sixteenth of them at a time.

    A row rests for longer than a source waits before it reads a young row.
    """
    stop = threading.Event()

    def change() -> None:
        for number in itertools.count():
            for department, change, key in CHANGES:
                province.sql(department, f"{change} WHERE mod(abs(hashtext({key})), 16) = %s", number % 16)
            if stop.wait(0.2):
                return

    thread = threading.Thread(target=change, name="changes")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def versions(province: Province, topic: str) -> list[Version]:
    """Key and sequence of every committed record, each partition in its order."""
    return [(m.key(), int(dict(m.headers())[SEQUENCE])) for m in province.records(TopicName(topic))]


def repeated(found: list[Version]) -> list[Version]:
    """Versions that are there more than once."""
    return [version for version, times in Counter(found).items() if times > 1]


def taken_over(province: Province, share: str) -> set[Version]:
    """The versions of the registry that a share must have."""
    grant = next(one for one in province.operator.items("/v1/grants") if one["share"] == share)
    codec = Codec(province.schemas.latest(grant["record_type"]).schema)
    found = set()
    for message in province.records(registry_topic(grant["record_type"])):
        record = codec.decode(message.value()[FRAME_BYTES:])
        if grant["record_type"] != COMPANIES or record["region"] in CITIES:
            found.add((message.key(), int(dict(message.headers())[SEQUENCE])))
    return found


def end_of(province: Province, topic: str) -> int:
    """How far the partitions of a topic reach together."""
    places = [(topic, number) for number in range(province.admin.topics()[topic])]
    return sum(province.admin.end_offsets(places).values())


def test_nothing_is_lost_or_doubled_whoever_is_killed_in_the_flow(province: Province) -> None:
    children = province.platform.children
    share = province.grant("taxation")["topic"]
    with changes(province):
        for victim in VICTIMS:
            reached, restarts = end_of(province, share), children.restarts(victim)
            province.wait(lambda at=reached: end_of(province, share) > at, "records on their way")
            children.kill(victim)
            reached = end_of(province, share)
            province.wait(lambda who=victim, n=restarts: children.restarts(who) > n, f"the restart of {victim}")
            province.wait(lambda at=reached: end_of(province, share) > at, f"the flow after the kill of {victim}")
    province.settle()

    for recount in RECOUNTS:
        assert recount.rows_found(province.sql) == recount.rows_expected(province.sql, province.refused_rows)
    for grant in province.operator.items("/v1/grants"):
        found = versions(province, grant["topic"])
        assert repeated(found) == []
        assert set(found) == taken_over(province, grant["share"])
        assert in_order(found)
    assert_books_close(province)


def in_order(found: list[Version]) -> bool:
    """Whether the sequences of each key only grow."""
    last: dict[bytes, int] = {}
    for key, sequence in found:
        if sequence <= last.get(key, -1):
            return False
        last[key] = sequence
    return True


def assert_books_close(province: Province) -> None:
    """Every sum closes, and the books count what the topics hold."""
    answer = province.operator.get("/v1/books")
    assert answer["closed"]
    assert {item["difference"] for item in answer["items"]} == {0}
    for connector, record_type in SOURCES.items():
        state = source_books(province.places.connectors, connector)
        assert state["collected"] == state["submitted"] + state["unmapped"]
        submitted = versions(province, inbox_topic(RecordType(record_type), connector.partition(".")[0]))
        admitted = versions(province, registry_topic(RecordType(record_type)))
        entries = province.books(record_type)["entries"]
        assert entries["taken"] == len(submitted)
        assert entries["admitted"] == len(admitted) == len(set(admitted))
        assert entries["superseded"] == 0


def test_a_source_with_an_older_copy_of_its_memory_ends_in_the_same_state(province: Province) -> None:
    """Somebody puts back a copy of the state folder: what changed since is sent again, behind all that was sent."""
    connector = "market-regulation.registrations"
    memory = province.places.connectors / f"{connector}.sqlite"
    province.settle()
    with province.away(connector):
        before_the_page = memory.read_bytes()
    province.sql(
        "market-regulation", "UPDATE registrations SET capital_amount = capital_amount + 1 WHERE region = '340100'"
    )
    province.settle()
    with province.away(connector):
        entries = province.books(COMPANIES)["entries"]
        memory.write_bytes(before_the_page)

    province.settle()
    again = province.books(COMPANIES)["entries"]
    ((page,),) = province.sql("market-regulation", "SELECT count(*) FROM registrations WHERE region = '340100'")
    assert again["taken"] == entries["taken"] + page
    assert again["superseded"] == entries["superseded"]
    assert_books_close(province)
